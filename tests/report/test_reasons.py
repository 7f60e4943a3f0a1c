"""Why a verdict on a pair of scenarios is unclear, and what would make it clear."""

import math

import numpy as np
import pytest
from scipy import stats

from mtlab.report.comparison import decisions
from mtlab.report.comparison.groups import groups
from mtlab.report.statistics.intervals import Interval

from . import factory, tables
from .tables import CONTROL, LEVEL, MARGIN, RIVALS
from .test_decisions import LOOKS, one, only, steps


def test_one_seed_and_equal_answers_are_unclear_and_more_seeds_are_asked_for() -> None:
    single = one(tables.noisy(0.1, 1))
    assert (single.verdict, single.reason, single.ended) == ("unclear", "one seed", False)
    assert single.interval.mean == pytest.approx(0.1, abs=0.02) and single.interval.low is None
    alike = one(tables.control(5, 300))  # with other weights
    assert (alike.verdict, alike.reason, alike.ended) == ("unclear", "alike", False)
    assert not single.as_good and not alike.as_good
    assert alike.interval == Interval(0.0, None, None, 5)


def test_the_same_weights_are_equivalent_with_no_doubt() -> None:
    """Where two scenarios train the same, bit for bit, with every seed."""
    suite, trials = tables.ran({RIVALS[0]: tables.control(2, 300), CONTROL: tables.control(2, 300)})
    weights = [
        trial.model_copy(update={"final_digest": factory.sha("weights", trial.seed)})
        for trial in trials
    ]
    found = only(groups(suite, weights)[0])
    assert (found.verdict, found.interval) == ("equivalent", Interval(0.0, 0.0, 0.0, 2))
    assert only(groups(suite, [*weights[:3], trials[3]])[0]).reason == "alike"


def halves(size: float, mean: float = 0.0, seeds: int = 5, sentences: int = 100) -> np.ndarray:
    """Results of which one half is above the mean and the other below it, and seeds that agree but
    for a trifle."""
    table = np.where(np.arange(sentences) % 2, size, -size) + np.zeros((seeds, 1))
    return LEVEL + mean + table + np.random.default_rng(0).normal(0, 1e-6, table.shape)


def test_where_sentences_are_too_few_for_any_number_of_seeds_it_says_how_many_do() -> None:
    """A hundred differences of ±0.5: a standard error of 0.5 / √99, and t(99) for 95%."""
    found = one(halves(0.5))
    half = stats.t.ppf(0.975, 99) * 0.5 / math.sqrt(99)
    assert found.interval.high == pytest.approx(half, rel=1e-3)
    assert (found.verdict, found.reason, found.ended) == ("unclear", decisions.SENTENCES, True)
    assert found.needed == pytest.approx(100 * (half / MARGIN) ** 2, rel=1e-3)
    assert found.needed == 2486


def test_sentences_are_asked_for_at_the_level_of_the_last_look() -> None:
    shown = {RIVALS[0]: halves(0.5, seeds=8), CONTROL: tables.control(8, 100)}
    (found,) = decisions.against_control(tables.group(shown, looks=list(LOOKS)), 2)
    half = stats.t.ppf(1 - 0.020 / 2, 99) * 0.5 / math.sqrt(99)
    assert (found.look, found.reason) == (2, decisions.SENTENCES)
    assert found.needed == pytest.approx(100 * (half / MARGIN) ** 2, rel=1e-3)


@pytest.mark.parametrize(("spread", "needed"), [(0.01, 4), (0.05, 27), (0.2, None)])
def test_where_seeds_are_too_few_it_says_how_many_do(spread: float, needed: int | None) -> None:
    """Three seeds that differ by 0.01: t(2) · 0.01 / √3 is 0.025, and t(3) · 0.01 / √4 is 0.016."""
    found = one(steps(-spread, 0.0, spread))
    assert (found.verdict, found.reason, found.ended) == ("unclear", decisions.SEEDS, True)
    assert found.needed == needed


def test_more_seeds_are_asked_for_where_they_could_show_a_difference() -> None:
    """Though the sentences are too few to show a margin."""
    rising = halves(0.5, mean=0.2) + np.linspace(-0.3, 0.3, 5)[:, None]
    found = one(rising)
    assert found.verdict == "unclear" and found.reason == decisions.SEEDS
    assert found.needed is not None and found.needed > 5


def test_seeds_to_come_may_tell_until_they_hardly_can() -> None:
    """With two seeds nothing is given up; with three, what the last look has little hope of."""
    hopeful, hopeless = steps(*[0.0, 0.01, 0.02] * 3)[:8], steps(*[0.3, -0.3] * 4)
    for table, reasons in (
        (hopeful, [decisions.OPEN, decisions.OPEN]),
        (hopeless, [decisions.OPEN, decisions.SEEDS]),
    ):
        shown = {RIVALS[0]: table, CONTROL: tables.control(8, 300)}
        group = tables.group(shown, looks=list(LOOKS))
        found = [decisions.against_control(group, look)[0] for look in (2, 3)]
        assert [contrast.reason for contrast in found] == reasons
        assert [contrast.ended for contrast in found] == [
            reason != decisions.OPEN for reason in reasons
        ]


def discordant(count: int, sentences: int) -> np.ndarray:
    """Results of a rival that is wrong at so many sentences at which the control is right."""
    table = np.full((3, sentences), LEVEL)
    table[:, :count] -= 1.0
    table[0, 0] += 1.0  # one seed knows one of them
    return table


def test_few_sentences_that_differ_are_never_better_or_worse() -> None:
    """Five of 305: their share may be 0.038; of 3,005 it is within the margin."""
    few, many = one(discordant(5, 305)), one(discordant(5, 3005))
    low = stats.binomtest(5, 305).proportion_ci(0.95, method="exact").high
    assert few.interval.low == pytest.approx(-low)
    assert few.verdict == "unclear" and many.verdict == "equivalent"
    assert one(discordant(20, 305)).verdict == "worse"


def test_it_never_asks_for_as_many_seeds_as_there_are() -> None:
    """Where few sentences differ, they are what is lacking, and no more seeds make more of them."""
    few = one(discordant(5, 305))
    assert (few.verdict, few.interval.n) == ("unclear", 3)
    assert few.reason != decisions.SEEDS or few.needed is None or few.needed > 3


def test_two_useless_scenarios_are_not_equivalent() -> None:
    """The control must beat no training, and the best constant answer, by more than the margin."""
    table, useless = tables.noisy(0.0, 5, 0.001), tables.UNTRAINED + 0.015
    good, poor = one(table), one(table - LEVEL + useless, level=useless)
    assert (good.verdict, poor.verdict, poor.reason) == ("equivalent", "unclear", "untrained")
    assert poor.interval == Interval(
        pytest.approx(good.interval.mean),
        pytest.approx(good.interval.low),
        pytest.approx(good.interval.high),
        5,
    )
    assert poor.ended and not poor.as_good
    majority = one(table, constant=0.885)
    assert (majority.verdict, majority.reason) == ("unclear", "untrained")
    assert one(table, constant=0.875).verdict == "equivalent"
