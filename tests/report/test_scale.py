"""The scale of verdicts and the error that each look may spend, by hand."""

import itertools

import numpy as np
import pytest
from scipy import stats

from mtlab.report.comparison.training_failures import share
from mtlab.report.statistics import scale, variances
from mtlab.report.statistics.intervals import Interval
from mtlab.report.statistics.variances import Spread

MARGIN = 0.02


@pytest.mark.parametrize(
    ("low", "high", "verdict", "as_good"),
    [
        (0.001, 0.03, "better", True),
        (0.03, 0.05, "better", True),
        (-0.03, -0.001, "worse", False),
        (-0.05, -0.03, "worse", False),
        (-0.019, 0.019, "equivalent", True),
        (0.001, 0.019, "equivalent", True),  # a difference, and too small to matter
        (-0.019, -0.001, "equivalent", True),
        (-0.03, 0.03, "unclear", False),
        (-0.019, 0.03, "unclear", True),
        (-0.03, 0.019, "unclear", False),
        # an end that lies exactly on the margin, or on 0, excludes neither
        (-0.02, 0.01, "unclear", False),
        (-0.01, 0.02, "unclear", True),
        (-0.02, 0.02, "unclear", False),
        (0.0, 0.03, "unclear", True),
        (-0.03, 0.0, "unclear", False),
        (0.001, 0.02, "better", True),
        (-0.02, -0.001, "worse", False),
        (0.0, 0.0, "equivalent", True),
        (None, None, "unclear", False),
    ],
)
def test_the_scale(low: float | None, high: float | None, verdict: str, as_good: bool) -> None:
    mean = 0.0 if low is None or high is None else (low + high) / 2
    found = Interval(mean, low, high, 3)
    assert scale.verdict(found, MARGIN) == verdict
    assert scale.at_least_as_good(found, MARGIN) is as_good


@pytest.mark.parametrize(
    ("looks", "spent"),
    [
        ([2, 3, 5, 8], [0.002, 0.006, 0.012, 0.020]),
        ([2, 3, 5], [0.002, 0.006, 0.032]),
        ([3, 5, 8], [0.008, 0.012, 0.020]),
        ([2, 8], [0.002, 0.038]),
        ([4, 8], [0.014, 0.026]),  # half way between what three and five may spend
        ([5, 20], [0.020, 0.020]),
        ([3], [0.05]),
        ([1], [0.05]),
    ],
)
def test_what_each_look_spends(looks: list[int], spent: list[float]) -> None:
    assert scale.spending(looks) == pytest.approx(spent)


def test_looks_never_spend_more_than_all_of_it() -> None:
    for count in (2, 3, 4):
        for looks in itertools.combinations((2, 3, 4, 5, 6, 8, 10, 20), count):
            spent = scale.spending(looks)
            assert sum(spent) == pytest.approx(0.04) and min(spent) >= 0


@pytest.mark.parametrize("generous", [False, True])
def test_few_seeds_borrow_from_the_family(generous: bool) -> None:
    """Three seeds whose mean has a variance of 0.3, in a family whose seeds have one of 1.8: 0.6 for
    a mean of three. (2 × 0.6 + 2 × 0.3) / 4 = 0.45, with a degree of freedom a seed, or one more."""
    own = Spread(0.3, 2, 0.1, 99, 0.05)
    three = variances.moderated(own, 1.8, 3, generous=generous)
    assert three == Spread(pytest.approx(0.45), 3 + generous, 0.1, 99, 0.05)
    own = Spread(0.3, 1, 0.1, 99, 0.05)  # (2 × 0.9 + 0.3) / 3
    two = variances.moderated(own, 1.8, 2, generous=generous)
    assert two == Spread(pytest.approx(0.7), 2 + generous, 0.1, 99, 0.05)


def test_what_is_noisier_than_the_family_keeps_its_own_variance() -> None:
    own = Spread(0.3, 2, 0.1, 99, 0.05)
    assert variances.moderated(own, 0.3, 3).seeds == 0.3


def test_more_than_three_seeds_and_none_of_a_family_are_left_alone() -> None:
    own = Spread(0.3, 4, 0.1, 99, 0.05)
    assert variances.moderated(own, 100.0, 5) == own == variances.moderated(own, 100.0, 4)
    assert variances.moderated(own, None, 3) == own


def test_seeds_that_agree_by_luck_vary_as_much_as_their_sentences_say() -> None:
    """Two seeds, four sentences, means equal. Squares: all 4, sentences 2, so the rest 2 over 1 × 3
    degrees of freedom, and 2 / 3 / 8 for the mean of eight."""
    table = np.array([[2.0, 1.0, 1.0, 0.0], [1.0, 2.0, 0.0, 1.0]])
    plain, floored = variances.spread_of(table), variances.estimable(table)
    assert plain is not None and floored is not None
    assert plain.seeds == 0.0 and plain.noise == pytest.approx(2 / 3 / 8)
    assert floored == Spread(plain.noise, 1, plain.sentences, 3, plain.noise)


def test_seeds_that_vary_more_than_their_sentences_say_keep_their_own_variance() -> None:
    table = np.array([[2.0, 1.0, 1.0, 0.0], [9.0, 8.0, 7.0, 8.0]])
    assert variances.estimable(table) == variances.spread_of(table)


@pytest.mark.parametrize(("failed", "runs"), [(0, 5), (1, 5), (3, 8), (5, 5), (0, 1), (1, 1)])
def test_the_share_of_runs_that_fail_is_that_of_clopper_and_pearson(failed: int, runs: int) -> None:
    exact = stats.binomtest(failed, runs).proportion_ci(0.95, method="exact")
    assert share(failed, runs) == pytest.approx((exact.low, exact.high))


def test_no_failure_in_five_runs_leaves_half_of_them_possible() -> None:
    assert share(0, 5) == (0.0, pytest.approx(0.522, abs=0.0005))
