"""The difference of drops: paired by sentence where the sentences are the same, summed over two
independent sets where they are not."""

import math

import numpy as np
import pytest

from mtlab.report.statistics import drops
from mtlab.report.statistics.drops import Moved
from mtlab.report.statistics.intervals import Sample, paired

SEEDS = 5


def sample(
    mean: float, sentences: int, draw: int, by_seed: float = 0.0, by_sentence: float = 0.3
) -> Sample:
    """A difference of scenarios whose sentences differ, and for each seed a little otherwise."""
    random = np.random.default_rng(draw)
    common = random.normal(0, by_sentence, sentences)
    return {
        seed: mean
        + random.normal(0, by_seed)
        + common
        + random.normal(0, by_sentence / 3, sentences)
        for seed in range(SEEDS)
    }


def found(there: Sample, test: Sample, *, same: bool = False) -> Moved:
    made = drops.moved(there, test, same=same)
    assert made is not None and made.spread is not None
    return made


def half(moved: Moved, alpha: float = 0.05) -> float:
    interval = moved.interval(alpha)
    assert interval.low is not None and interval.high is not None
    return (interval.high - interval.low) / 2


def test_the_same_sentences_are_paired() -> None:
    test = sample(-0.02, 400, 0)
    there = {seed: test[seed] + values for seed, values in sample(0.05, 400, 1, 0.0, 0.05).items()}
    differences = {seed: there[seed] - test[seed] for seed in test}
    moved = found(there, test, same=True)
    assert moved.interval(0.01) == paired(differences, 0.01)
    assert half(moved) < half(found(there, test)) / 2, "what sentences share is left out"


@pytest.mark.parametrize("sizes", [(300, 300), (100, 1000)])
def test_the_variances_of_two_sources_are_summed(sizes: tuple[int, int]) -> None:
    there, test = sample(0.4, sizes[0], 0), sample(-0.3, sizes[1], 1)
    moved = found(there, test)
    alone = [found(one, {seed: 0 * one[seed] for seed in one}, same=True) for one in (there, test)]
    for part in ("sentences", "noise"):
        summed = sum(getattr(one.spread, part) for one in alone)
        assert getattr(moved.spread, part) == pytest.approx(summed, rel=0.02)
    assert moved.interval(0.05).mean == pytest.approx(
        np.mean([there[seed].mean() - test[seed].mean() for seed in there])
    )


def test_seeds_are_paired_over_two_sources() -> None:
    """A seed that is better on both has no other drop."""
    shift = np.random.default_rng(3).normal(0, 0.1, SEEDS)
    there, test = sample(0.0, 500, 0), sample(0.0, 500, 1)
    moved = [{seed: one[seed] + shift[seed] for seed in one} for one in (there, test)]
    before, after = found(there, test), found(*moved)
    assert after.by_seed == pytest.approx(before.by_seed)
    opposite = {seed: there[seed] - shift[seed] for seed in there}
    assert found(opposite, moved[1]).by_seed > 10 * before.by_seed


def test_degrees_of_freedom_are_nearly_those_of_a_small_set_that_varies() -> None:
    small, large = sample(0.0, 30, 0), sample(0.0, 3000, 1)
    assert 28 < found(small, large).spread.sentences_df < 33
    assert found(large, large).spread.sentences_df == pytest.approx(2 * 2999)


def test_few_sentences_that_differ_reach_as_far_as_the_smaller_set_allows() -> None:
    """Three of a hundred sentences are worse with every seed there, none of a thousand on test."""
    worse = np.zeros(100)
    worse[:3] = -1.0
    trifle = np.random.default_rng(0).permutation(100) < 2
    there = {seed: worse - (trifle if seed == 0 else 0.0) for seed in range(SEEDS)}
    test = {seed: np.zeros(1000) for seed in range(SEEDS)}
    test[1][7] = 1.0
    interval = found(there, test).interval(0.05)
    assert interval.high is not None and interval.high > 0 > interval.low


def test_too_few_sentences_give_no_interval() -> None:
    there, test = sample(0.3, 8, 0), sample(0.0, 500, 1)
    assert found(there, test).interval(0.05).low is not None
    assert math.log2(2 / 0.001) > 8
    assert found(there, test).interval(0.001).low is None


def test_without_a_shared_seed_there_is_nothing_and_with_one_there_is_no_interval() -> None:
    there, test = sample(0.3, 100, 0), sample(0.0, 100, 1)
    assert drops.moved({0: there[0]}, {1: test[1]}, same=True) is None
    for same in (True, False):
        one = drops.moved({0: there[0]}, {0: test[0]}, same=same)
        assert one is not None
        interval = one.interval(0.05)
        assert interval.mean == pytest.approx(there[0].mean() - test[0].mean())
        assert (interval.low, interval.high, interval.n) == (None, None, 1)
