"""Intervals and verdicts, by hand and against simulated suites whose truth is known."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mtlab.record.journal import Journal
from mtlab.report.comparison.groups import groups
from mtlab.report.statistics import comparisons, intervals, variances
from mtlab.report.statistics.intervals import (
    Interval,
    Sample,
    estimate,
    interval,
    unpaired,
)
from mtlab.tasks import linear

SENTENCES = 400
SEEDS = (3, 5, 10)
SPREADS = (
    (0.0, 0.1),
    (0.003, 0.1),
    (0.01, 0.1),
    (0.03, 0.1),
    (0.01, 0.0),
    (0.003, 0.3),
    (0.03, 0.3),
)
"""Standard deviations of seeds' and of sentences' effects; each cell adds a rest of 0.2."""
QUICK = {(3, (0.01, 0.1)), (5, (0.0, 0.1)), (10, (0.01, 0.0))}
"""The cells that every run of the tests simulates: both sources of variance, and each alone."""

CELLS = [
    pytest.param(*cell, marks=() if cell in QUICK else pytest.mark.nightly, id=str(cell))
    for cell in itertools.product(SEEDS, SPREADS)
]


def sample(*rows: list[float]) -> Sample:
    """A sample whose seeds are 0, 1, ... ."""
    return {seed: np.array(row, dtype=float) for seed, row in enumerate(rows)}


def suites(
    count: int,
    seeds: int,
    spread: tuple[float, float],
    draw: np.random.Generator,
    effect: float = 0.0,
) -> np.ndarray:
    """(suites, seeds, sentences): simulated differences of two scenarios whose true difference is
    ``effect``."""
    by_seed = draw.normal(0, spread[0], (count, seeds, 1)) if spread[0] else 0.0
    by_sentence = draw.normal(0, spread[1], (count, 1, SENTENCES)) if spread[1] else 0.0
    return effect + by_seed + by_sentence + draw.normal(0, 0.2, (count, seeds, SENTENCES))


def held(tables: np.ndarray, effect: float = 0.0, level: float = 0.95) -> float:
    """The share of suites whose interval holds the true difference."""
    found = [estimate(dict(enumerate(table)), level) for table in tables]
    return float(np.mean([one.low <= effect <= one.high for one in found]))


def test_interval_by_hand() -> None:
    found = interval([1.0, 2.0, 3.0])  # mean 2, sd 1, t(0.975, 2) = 4.302653
    assert found.mean == pytest.approx(2.0)
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert found.low == pytest.approx(2.0 - 4.302653 / math.sqrt(3), rel=1e-6)
    assert found.n == 3


def test_no_variance_and_few_values_are_no_warnings() -> None:
    assert interval([]) == estimate({}) == Interval(None, None, None, 0)
    assert interval([0.1]) == Interval(0.1, None, None, 1)
    assert interval([0.1, 0.1, 0.1]) == Interval(0.1, 0.1, 0.1, 3)
    assert estimate(sample([1, 0])) == Interval(0.5, None, None, 1)
    assert estimate(sample([1, 1], [1, 1])) == Interval(1.0, None, None, 2)
    assert estimate(sample([1] * 6, [1] * 6)) == Interval(1.0, 1.0, 1.0, 2)


def test_crossed_interval_by_hand() -> None:
    """Two seeds, three sentences; the analysis of variance on paper, the distribution by drawing
    from it."""
    found = estimate(sample([1, 2, 6], [3, 2, 10]))
    # means: 4; seeds 3, 5; sentences 2, 2, 8. Squares: seeds 3(1+1) = 6, sentences 2(4+4+16) = 48,
    # all 58, so the rest 4.
    of_seeds, of_sentences = 6 / 1 / 6, (48 / 2 - 4 / 2) / 6
    draw = np.random.default_rng(0)
    drawn = math.sqrt(of_seeds) * draw.standard_t(1, 4_000_000) + math.sqrt(
        of_sentences
    ) * draw.standard_t(2, 4_000_000)
    assert found.mean == pytest.approx(4.0)
    assert found.high - 4 == pytest.approx(np.quantile(abs(drawn), 0.95), rel=0.01)


def test_one_source_of_variance_leaves_students_t() -> None:
    found = estimate(sample([1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]))
    assert found.high - 2 == pytest.approx(stats.t.ppf(0.975, 2) / math.sqrt(3))
    found = estimate(sample([1, 2, 3, 4], [1, 2, 3, 4]))
    assert found.high - 2.5 == pytest.approx(
        stats.t.ppf(0.975, 3) * np.std([1, 2, 3, 4], ddof=1) / 2
    )


def test_sentences_count_as_a_source_of_variance() -> None:
    draw = np.random.default_rng(0)
    (table,) = suites(1, 5, (0.0, 0.3), draw)
    by_seed = interval(table.mean(axis=1))
    both = estimate(dict(enumerate(table)))
    assert both.high - both.low > 1.5 * (by_seed.high - by_seed.low)
    assert both.high - both.low == pytest.approx(2 * 1.96 * 0.3 / SENTENCES**0.5, rel=0.2)


@pytest.mark.parametrize(("seeds", "spread"), CELLS)
def test_intervals_hold_the_truth_as_often_as_they_say(
    seeds: int, spread: tuple[float, float]
) -> None:
    tables = suites(1000, seeds, spread, np.random.default_rng(seeds), effect=0.01)
    assert 0.93 <= held(tables, 0.01) <= 0.985


@pytest.mark.parametrize(("seeds", "spread"), CELLS)
def test_false_differences_are_rare_over_the_whole_family(
    seeds: int, spread: tuple[float, float]
) -> None:
    """Five scenarios that are as good as the control; a suite is wrong where it tells one of them
    apart."""
    draw, wrong, count = np.random.default_rng(seeds), 0, 1000
    for control, *rivals in zip(
        *(suites(count, seeds, spread, draw) for _ in range(6)), strict=True
    ):
        found = [
            comparisons.difference(dict(enumerate(rival)), dict(enumerate(control)), len(rivals))
            for rival in rivals
        ]
        wrong += any(intervals.side(one) != "unclear" for one in found)
    assert wrong / count <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / count)


@pytest.mark.parametrize(
    "seeds", [3, *(pytest.param(seeds, marks=pytest.mark.nightly) for seeds in SEEDS[1:])]
)
def test_a_planted_difference_is_found_as_often_as_computed_beforehand(seeds: int) -> None:
    """The power is computed from the variances alone, without a suite: how often a normal mean is
    further out than the half width."""
    spread, rest, effect = (0.01, 0.1), 0.2, 0.02
    draw, count = np.random.default_rng(seeds), 5_000
    of_seeds, of_sentences, noise = (
        spread[0] ** 2 / seeds,
        spread[1] ** 2 / SENTENCES,
        rest**2 / SENTENCES / seeds,
    )
    mean = effect + draw.normal(0, math.sqrt(of_seeds + of_sentences + noise), count)
    scale = np.sqrt((of_seeds + noise) * draw.chisquare(seeds - 1, count) / (seeds - 1))
    half = np.array(
        [
            variances.half_width(
                variances.Spread(one**2, seeds - 1, of_sentences, SENTENCES - 1, 0.0), 0.95
            )
            for one in scale[:500]
        ]
    )
    power = float(np.mean(mean[:500] > half))
    tables = suites(1000, seeds, spread, np.random.default_rng(seeds + 1), effect)
    found = np.mean([estimate(dict(enumerate(table))).low > 0 for table in tables])
    assert found == pytest.approx(power, abs=0.06)


@pytest.mark.parametrize("seeds", [(2, 3), (5, 5)])
def test_unpaired_intervals_hold_the_truth(seeds: tuple[int, int]) -> None:
    """The same scenario twice, other seeds: sentences are as hard for both."""
    draw, inside, count = np.random.default_rng(0), 0, 1000
    for _ in range(count):
        hard = draw.normal(0, 0.3, SENTENCES)
        one, other = (
            {
                seed: hard + draw.normal(0, 0.01) + draw.normal(0, 0.2, SENTENCES)
                for seed in range(many)
            }
            for many in seeds
        )
        found = unpaired(one, other)
        inside += found.low <= 0 <= found.high
    assert 0.93 <= inside / count <= 0.99


def test_values_of_f1_have_f1_as_their_mean_and_the_bootstraps_spread() -> None:
    draw = np.random.default_rng(0)
    gold = draw.poisson(1.2, 800)
    right = draw.binomial(gold, 0.6)
    predicted = right + draw.poisson(0.3, 800)
    values = linear.f1(right, predicted, gold)
    assert values is not None
    assert values.mean() == pytest.approx(2 * right.sum() / (predicted.sum() + gold.sum()))
    drawn = []
    for _ in range(2000):
        ids = draw.integers(0, 800, 800)
        drawn.append(2 * right[ids].sum() / (predicted[ids].sum() + gold[ids].sum()))
    assert values.std(ddof=1) / 800**0.5 == pytest.approx(np.std(drawn), rel=0.06)
    assert linear.f1(right * 0, predicted, gold * 0) is None


def test_values_of_a_correlation_have_it_as_their_mean_and_the_bootstraps_spread() -> None:
    draw = np.random.default_rng(0)
    gold = draw.gamma(2.0, size=800)
    predicted = gold + draw.normal(0, 1.0, 800)
    values = linear.correlation(gold, predicted)
    assert values is not None
    assert values.mean() == pytest.approx(stats.pearsonr(gold, predicted).statistic)
    drawn = []
    for _ in range(2000):
        ids = draw.integers(0, 800, 800)
        drawn.append(np.corrcoef(gold[ids], predicted[ids])[0, 1])
    assert values.std(ddof=1) / 800**0.5 == pytest.approx(np.std(drawn), rel=0.06)
    assert linear.correlation(gold, np.ones(800)) is None


def test_the_same_call_gives_the_same_interval_and_leaves_no_trace() -> None:
    (table,) = suites(1, 5, (0.01, 0.1), np.random.default_rng(0))
    state = np.random.get_state()[1].copy()
    assert estimate(dict(enumerate(table))) == estimate(dict(enumerate(table)))
    assert (np.random.get_state()[1] == state).all()


def test_equal_means_of_seeds_are_no_proof_that_seeds_do_not_matter() -> None:
    """Two seeds with as many sentences right, not the same ones: the interval is as wide as their
    sentences say, not narrower."""
    shifted = [np.roll([1.0] * 12 + [0.0] * 28, by) for by in (0, 4)]
    found = intervals.paired(dict(enumerate(shifted)))
    alone = estimate(dict(enumerate(shifted)))
    assert found.low is not None and alone.low is not None
    assert found.low < 0 < alone.low


def test_seeds_that_all_score_the_same_are_no_interval() -> None:
    assert intervals.seeds_interval([0.1, 0.1, 0.1]) == Interval(0.1, None, None, 3)
    assert intervals.seeds_interval([0.0, 0.0]) == Interval(0.0, 0.0, 0.0, 2)
    assert intervals.seeds_interval([1.0, 2.0, 3.0]) == interval([1.0, 2.0, 3.0])


def test_a_scenario_does_not_differ_from_itself_on_real_records() -> None:
    """A/A: the same scenario on disjoint seeds, of the committed comparison; at 95%, few of the
    intervals may leave 0 out."""
    suite, trials = Journal(
        Path(__file__).parents[2] / "reports" / "published" / "five_epochs"
    ).read()
    (group,) = groups(suite, trials)
    splits = [set(some) for some in itertools.combinations(group.seeds, 2)]
    outside = []
    for task in group.tasks:
        for sample in group.samples(task).values():
            for some in splits:
                here = {seed: values for seed, values in sample.items() if seed in some}
                there = {seed: values for seed, values in sample.items() if seed not in some}
                found = intervals.unpaired(here, there)
                assert found.low is not None and found.high is not None
                outside.append(not found.low <= 0 <= found.high)
    assert len(outside) == 120
    assert np.mean(outside) <= 0.05
