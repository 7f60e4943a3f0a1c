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
from mtlab.report.statistics.comparisons import best, compare, compare_cost, pareto
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
        samples = {"control": dict(enumerate(control))} | {
            f"rival {at}": dict(enumerate(rival)) for at, rival in enumerate(rivals)
        }
        wrong += any(one.verdict != "tie" for one in compare(samples, "control", "accuracy"))
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


def test_comparison_is_paired_by_seed_and_sentence() -> None:
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
    one, two, three = compare(
        {"control": control, "worse": worse, "same": control, "none": {}}, "control", "accuracy"
    )
    assert (one.scenario, one.control, one.metric, one.n, one.verdict) == (
        "worse",
        "control",
        "accuracy",
        3,
        "worse",
    )
    assert one.effect == pytest.approx(np.mean([worse[seed] - control[seed] for seed in range(3)]))
    assert "Bonferroni over 3 contrasts" in one.method and "400 sentences" in one.method
    assert (two.effect, two.low, two.high, two.verdict) == (0.0, 0.0, 0.0, "tie")
    assert three.n == 0 and three.effect is None and three.verdict == "undecided"


def test_a_family_shares_out_its_level() -> None:
    """Five comparisons with one control are each made at 99%, qualities and costs."""
    control, *rivals = (
        dict(enumerate(table)) for table in suites(6, 5, (0.01, 0.1), np.random.default_rng(0))
    )
    for rival, found in zip(
        rivals,
        compare({"control": control} | dict(enumerate(rivals)), "control", "accuracy"),
        strict=True,
    ):
        alone = estimate({seed: rival[seed] - control[seed] for seed in control}, 0.99)
        assert (found.low, found.high) == (alone.low, alone.high)
    costs = {
        name: {seed: 1.0 + seed + number for seed in range(5)}
        for number, name in enumerate("cabdef")
    }
    for found in compare_cost(costs, "c", "wall_s"):
        ratios = [math.log(costs[found.scenario][seed] / costs["c"][seed]) for seed in range(5)]
        alone = interval(ratios, 0.99)
        assert (found.low, found.high) == pytest.approx((math.exp(alone.low), math.exp(alone.high)))


def test_only_shared_seeds_are_paired_and_one_is_undecided() -> None:
    samples = {
        "control": {0: np.array([1.0, 1.0]), 1: np.array([1.0, 0.0])},
        "half": {1: np.array([0.0, 0.0]), 2: np.array([1.0, 1.0])},
    }
    (half,) = compare(samples, "control", "f1")
    assert (
        half.n == 1
        and half.effect == pytest.approx(-0.5)
        and half.low is None
        and half.verdict == "undecided"
    )


ALL_WRONG = ([-1] * 18, [-1] * 18)
SAME_MISTAKES = ([-1] * 9 + [0] * 9, [-1] * 9 + [0] * 9)


@pytest.mark.parametrize(
    "rows",
    [
        ([-1, -1], [-1, -1]),  # two sentences
        ([-1, -1, 0, -1, -1], [-1, -1, -1, -1, 0], [-1, 0, -1, -1, -1]),
        ALL_WRONG,
        SAME_MISTAKES,
        (
            [-1] * 5 + [0] * 300,
            [-1] * 4 + [0] * 301,
            [-1] * 5 + [0] * 300,
        ),  # five sentences of very many
        ([0] * 3, [0] * 3),
    ],
    ids=[
        "two sentences",
        "five sentences",
        "all alike",
        "seeds alike",
        "few sentences differ",
        "three sentences, no difference",
    ],
)
def test_no_difference_is_told_where_a_variance_cannot_be_estimated(
    rows: tuple[list[float], ...],
) -> None:
    control = {seed: np.ones(len(row)) for seed, row in enumerate(rows)}
    rival = {seed: control[seed] + np.array(row, dtype=float) for seed, row in enumerate(rows)}
    (found,) = compare({"control": control, "rival": rival}, "control", "accuracy")
    assert (found.low, found.high, found.verdict) == (None, None, "undecided")
    assert found.effect == pytest.approx(np.mean([np.mean(row) for row in rows]))
    assert best({"control": control, "rival": rival}, tuple(control)) is None


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
        share[cell] = float(
            np.mean([intervals.verdict(one) in ("better", "worse") for one in found])
        )
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
        wrong += intervals.verdict(comparisons.difference(*found)) in ("better", "worse")
    assert wrong / count <= 0.05


def test_a_clear_difference_is_told_from_twenty_sentences() -> None:
    draw = np.random.default_rng(0)
    one = {seed: (draw.random(20) < 0.95).astype(float) for seed in range(3)}
    other = {seed: (draw.random(20) < 0.2).astype(float) for seed in range(3)}
    assert intervals.verdict(comparisons.difference(one, other)) == "better"


def test_cost_ratios() -> None:
    values = {
        "control": {0: 100.0, 1: 200.0},
        "half": {0: 50.0, 1: 100.0},
        "free": {0: 0, 1: 0},
        "like": {0: 50.0, 1: 400.0},
    }
    half, free, like = compare_cost(values, "control", "wall_plain_s")
    assert half.effect == pytest.approx(0.5) and half.verdict == "better"
    assert free.effect == 0.0 and free.verdict == "better"
    assert (
        like.effect == pytest.approx(1.0)
        and like.low * like.high == pytest.approx(1.0)
        and like.verdict == "tie"
    )


def test_cost_over_a_free_control_is_undefined() -> None:
    (found,) = compare_cost(
        {"control": {0: 0.0, 1: 0.0}, "a": {0: 1.0, 1: 1.0}}, "control", "train_flops"
    )
    assert found.effect is None and found.verdict == "undecided"


def test_best_needs_every_seed_and_a_clear_lead() -> None:
    draw = np.random.default_rng(0)
    samples = {
        name: {seed: (draw.random(SENTENCES) < share).astype(float) for seed in range(3)}
        for name, share in (("a", 0.9), ("b", 0.5))
    }
    assert best(samples, (0, 1, 2)) == "a"
    assert (
        best(
            samples | {"c": {seed: 1 - (1 - values) for seed, values in samples["a"].items()}},
            (0, 1, 2),
        )
        is None
    )
    assert best(samples | {"c": {0: samples["b"][0]}}, (0, 1, 2)) is None
    assert best({"a": samples["a"]}, (0, 1, 2)) is None


def test_pareto_front() -> None:
    points = {
        "cheap": (1.0, 0.5),
        "dear": (9.0, 0.9),
        "beaten": (5.0, 0.4),
        "middle": (5.0, 0.7),
        "late": (9.5, 0.9),
    }
    assert pareto(points) == ["cheap", "middle", "dear"]
    assert pareto({}) == []


def test_a_scenario_does_not_differ_from_itself_on_real_records() -> None:
    """A/A: the same scenario on disjoint seeds, of the committed comparison; at 95%, few of the
    intervals may leave 0 out."""
    suite, trials = Journal(Path(__file__).parents[2] / "reports" / "published" / "compare").read()
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
