"""Differences of scores and ratios of costs, by hand, and with too few sentences to tell."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.comparisons import Cost
from mtlab.report.statistics.intervals import Interval, Sample, estimate, interval, paired
from mtlab.tasks import linear

from .test_statistics import SENTENCES, suites


def told(found: Interval) -> bool:
    """Whether a difference is told."""
    return intervals.side(found) != "unclear"


def test_a_difference_is_paired_by_seed_and_sentence() -> None:
    draw = np.random.default_rng(0)
    hard = draw.random(SENTENCES) < 0.3
    control = {
        seed: (draw.random(SENTENCES) > np.where(hard, 0.9, 0.02)).astype(float)
        for seed in range(3)
    }
    worse = {
        seed: np.where(np.arange(SENTENCES) % 10 == 0, 0.0, values)
        for seed, values in control.items()
    }
    found = comparisons.difference(worse, control, 3)
    assert found.n == 3 and intervals.side(found) == "below"
    assert found.mean == pytest.approx(np.mean([worse[seed] - control[seed] for seed in range(3)]))
    differences = {seed: worse[seed] - control[seed] for seed in range(3)}
    alone = estimate(differences, 1 - 0.05 / 3)
    lost = int((np.mean(list(differences.values()), axis=0) <= -0.5).sum())
    share = stats.binomtest(lost, SENTENCES).proportion_ci(1 - 0.05 / 3, method="exact").high
    assert found.mean is not None and alone.low is not None
    reach = found.mean - (share - lost / SENTENCES)
    assert found.low == pytest.approx(min(alone.low, reach)) and reach < alone.low
    assert found.high == pytest.approx(alone.high)
    assert comparisons.difference(control, control, 3) == Interval(0.0, None, None, 3)
    assert comparisons.difference({}, control, 3) == Interval(None, None, None, 0)


def test_a_family_shares_out_its_level() -> None:
    """Five comparisons with one control are each made at 99%, qualities and costs."""
    control, *rivals = (
        dict(enumerate(table)) for table in suites(6, 5, (0.05, 0.1), np.random.default_rng(0))
    )
    for rival in rivals:
        found = comparisons.difference(rival, control, len(rivals))
        differences = {seed: rival[seed] - control[seed] for seed in control}
        alone = estimate(differences, 0.99)
        assert (found.low, found.high) == (alone.low, alone.high)
        assert found == paired(differences, 0.01)
    costs = {
        name: {seed: 1.0 + seed + number for seed in range(5)}
        for number, name in enumerate("cabdef")
    }
    for cost in comparisons.costs(costs, "c"):
        ratios = [math.log(costs[cost.scenario][seed] / costs["c"][seed]) for seed in range(5)]
        alone = interval(ratios, 0.99)
        assert (cost.interval.low, cost.interval.high) == pytest.approx(
            (math.exp(alone.low), math.exp(alone.high))
        )


def test_only_shared_seeds_are_paired_and_one_tells_nothing() -> None:
    control = {0: np.array([1.0, 1.0]), 1: np.array([1.0, 0.0])}
    half = {1: np.array([0.0, 0.0]), 2: np.array([1.0, 1.0])}
    found = comparisons.difference(half, control)
    assert found == Interval(pytest.approx(-0.5), None, None, 1)


@pytest.mark.parametrize(
    "rows",
    [
        ([-1, -1], [-1, -1]),
        ([-1, -1, 0, -1, -1], [-1, -1, -1, -1, 0], [-1, 0, -1, -1, -1]),
        ([-1] * 18, [-1] * 18),
        ([-1] * 9 + [0] * 9, [-1] * 9 + [0] * 9),
        ([0] * 3, [0] * 3),
        ([0] * 300, [0] * 300, [0] * 300),
    ],
    ids=[
        "two sentences",
        "five sentences",
        "all alike",
        "seeds alike",
        "three sentences, no difference",
        "the same answers everywhere",
    ],
)
def test_there_is_no_interval_where_a_variance_cannot_be_estimated(
    rows: tuple[list[float], ...],
) -> None:
    control = {seed: np.ones(len(row)) for seed, row in enumerate(rows)}
    rival = {seed: control[seed] + np.array(row, dtype=float) for seed, row in enumerate(rows)}
    mean = np.mean([np.mean(row) for row in rows])
    assert comparisons.difference(rival, control) == Interval(
        pytest.approx(mean), None, None, len(rows)
    )


def differing(*places: range, of: int) -> Sample:
    """Differences of seeds that are −1 at some sentences and 0 at all others."""
    return {
        seed: -np.isin(np.arange(of), list(some)).astype(float) for seed, some in enumerate(places)
    }


def reach(count: int, of: int, alpha: float = 0.05) -> float:
    """The upper end of the interval of Clopper and Pearson, as scipy has it."""
    found = stats.binomtest(count, of).proportion_ci(1 - alpha, method="exact")
    return float(found.high)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_few_sentences_that_differ_reach_as_far_as_their_number_allows(alpha: float) -> None:
    """Five of 305, and none the other way: a sign test over five tells nothing at 5%, though the
    seeds nearly agree."""
    few = differing(range(5), range(4), range(5), of=305)
    found = paired(few, alpha)
    assert found.mean == pytest.approx(-14 / 3 / 305)
    assert found.low == pytest.approx(-reach(5, 305, alpha))
    assert found.high == pytest.approx(reach(0, 305, alpha))


def test_few_sentences_that_differ_are_told_as_no_difference_and_more_are() -> None:
    """At 5% a sign test needs six: log2(2 / 0.05) is 5.3."""
    assert not told(paired(differing(range(5), range(5), range(4), of=305)))
    assert told(paired(differing(range(12), range(12), range(11), of=305)))


def test_few_sentences_never_make_an_interval_narrower() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        count = int(draw.integers(1, 6))
        rows = [np.roll([1.0] * count + [0.0] * 60, int(draw.integers(0, 3))) for _ in range(3)]
        found, alone = paired(dict(enumerate(rows))), estimate(dict(enumerate(rows)))
        if found.low is not None and found.high is not None:
            assert found.low <= alone.low and found.high >= alone.high
            assert found.low <= 0 <= found.high


def test_few_entities_that_differ_reach_no_further_than_few_sentences() -> None:
    """Where F1 falls at two sentences it moves a little at all others, which differ in length; that
    makes no sentence of them differ."""
    places = np.arange(300)
    gold = np.where(places % 2, 1, 2)
    right = gold * (places < 240)
    rows = [linear.f1(right * ~np.isin(places, lost), gold, gold) for lost in ((), (1, 2), (1,))]
    whole, *found = [row for row in rows if row is not None]
    assert len(found) == 2
    interval = paired({seed: row - whole for seed, row in enumerate(found)})
    assert interval.low is not None and interval.high is not None
    assert -0.05 < interval.low < 0 < interval.high < 0.05


FEW = tuple(itertools.product((2, 3, 5, 8, 10), (2, 3, 5), (0.5, 0.95)))


def answers(
    draw: np.random.Generator, sentences: int, seeds: int, accuracy: float, alike: bool
) -> np.ndarray:
    """(scenarios, seeds, sentences): whether two equally good scenarios are right; ``alike``: seeds
    nearly always agree."""
    chance = np.where(draw.random((2, 1, sentences)) < accuracy, 0.98, 0.02) if alike else accuracy
    return (draw.random((2, seeds, sentences)) < chance).astype(float)


@pytest.mark.parametrize("alike", [False, True])
def test_false_differences_are_rare_with_few_test_sentences(alike: bool) -> None:
    draw, count = np.random.default_rng(0), 150
    share = {}
    for cell in FEW:
        pairs = [answers(draw, *cell, alike) for _ in range(count)]
        found = [
            comparisons.difference(dict(enumerate(one)), dict(enumerate(other)))
            for one, other in pairs
        ]
        share[cell] = float(np.mean([told(one) for one in found]))
    assert np.mean(list(share.values())) <= 0.02
    assert max(share.values()) <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / count), share


def test_false_differences_are_rare_where_few_sentences_have_entities() -> None:
    """Entities stand in three of forty sentences, and every seed finds the same ones: F1 rests on
    three values."""
    draw, wrong, count = np.random.default_rng(0), 0, 300
    gold = np.array([1] * 3 + [0] * 37)
    for _ in range(count):
        found = []
        for _ in range(2):
            known = draw.random((1, 40)) < 0.5
            right = [(gold * (known[0] ^ (draw.random(40) < 0.02))) for _ in range(5)]
            found.append(
                {
                    seed: linear.f1(row, row + (draw.random(40) < 0.05), gold)
                    for seed, row in enumerate(right)
                }
            )
        wrong += told(comparisons.difference(*found))
    assert wrong / count <= 0.05


def test_a_clear_difference_is_told_from_twenty_sentences() -> None:
    draw = np.random.default_rng(0)
    one = {seed: (draw.random(20) < 0.95).astype(float) for seed in range(3)}
    other = {seed: (draw.random(20) < 0.2).astype(float) for seed in range(3)}
    assert intervals.side(comparisons.difference(one, other)) == "above"


def test_ratios_of_costs() -> None:
    values = {
        "control": {0: 100.0, 1: 200.0},
        "half": {0: 50.0, 1: 100.0},
        "twice": {0: 200.0, 1: 400.0},
        "free": {0: 0, 1: 0},
        "like": {0: 50.0, 1: 400.0},
    }
    half, twice, free, like = comparisons.costs(values, "control")
    assert half.interval.mean == pytest.approx(0.5) and half.cheaper is True
    assert twice.interval.mean == pytest.approx(2.0) and twice.cheaper is False
    assert free.interval.mean == 0.0 and free.cheaper is True
    assert like.interval.mean == pytest.approx(1.0) and like.cheaper is None
    assert like.interval.low * like.interval.high == pytest.approx(1.0)


def test_a_cost_over_a_free_control_is_undefined() -> None:
    costs = {"control": {0: 0.0, 1: 0.0}, "a": {0: 1.0, 1: 1.0}}
    assert comparisons.costs(costs, "control") == [Cost("a", Interval(None, None, None, 0), None)]
