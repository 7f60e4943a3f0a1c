"""Means and their intervals, from plain values. The computation draws nothing at random.

A score is measured on some seeds and some test sentences, and would come out otherwise on others:
both are sources of variance. With ``S`` seeds and ``N`` sentences, each sentence adds a value
``z[s, n]`` to the score of each seed, whose mean over sentences is the score itself (0 or 1 for
accuracy; for F1 and r, which do not decompose, see :mod:`mtlab.tasks.linear`). Seeds and sentences
are crossed random effects,

    z[s, n] = m + a[s] + b[n] + e[s, n],    Var(mean) = (var_a + var_e / N) / S + var_b / N,

and the mean squares of a two-way analysis of variance estimate both terms (Searle, Casella and
McCulloch 1992, ch. 4). Each has its own degrees of freedom, S - 1 and N - 1, and the interval is
that of the sum of two independent t variables on these scales (Behrens 1929, Fisher 1935). One t
with Satterthwaite's degrees of freedom would be too narrow: at 3 seeds it held the truth in 92% of
simulated suites instead of 95%, and in 97% instead of 99%; this one in 95 to 98% and in 99%
(``tests/report/test_statistics.py``). The difference of two scenarios is paired: the same with
differences of values.

The seeds' part is never below what the sentences alone make of it, ``var_e / N / S``: scores are
counts, and a few seeds may agree by luck. Where a variance cannot be estimated, the interval is
missing (:func:`estimable`); where too few sentences carry a difference for a sign test, the interval
is as wide as their number allows (:func:`paired`).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from mtlab.report.statistics.variances import (
    Spread,
    estimable,
    half_width,
    moderated,
    spread_of,
)

LEVEL = 0.95
"""Confidence of every interval; comparisons of a family share their level."""

SCOPE = (
    "The intervals cover what other seeds and other test sentences of the same kind would change. They do not cover other data or another "
    "encoder."
)

TRIFLE = 100
"""A sentence whose difference is below this part of the largest one counts as equal: where scores do
not decompose, a difference at one sentence moves all others a little."""

Side = Literal["above", "below", "unclear"]
Values = Mapping[str, Mapping[int, float]]
"""Scenario to seed to value; a scenario without values still counts in the family."""
Sample = Mapping[int, np.ndarray]
"""Seed to what each test sentence adds to the score, (sentences,), in the same order for every
seed; the score is their mean."""
Samples = Mapping[str, Sample]
"""Scenario to its sample."""


@dataclass(frozen=True)
class Interval:
    """A mean over ``n`` seeds and the t interval around it; ``None`` bounds below two of them."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


def interval(
    values: Iterable[float], level: float = LEVEL, within: tuple[float, float] = (-np.inf, np.inf)
) -> Interval:
    """The mean of ``values`` and its two-sided t interval with ``n - 1`` degrees of freedom, cut to
    what is possible (``within``).
    """
    sample = np.asarray(list(values), dtype=float)
    if not len(sample):
        return Interval(None, None, None, 0)
    mean = float(sample.mean())
    if len(sample) == 1:
        return Interval(mean, None, None, 1)
    if np.ptp(sample) == 0:  # exactly: a mean of equal numbers may differ from them by rounding
        same = float(sample[0])
        return Interval(same, same, same, len(sample))
    half = float(
        stats.t.ppf((1 + level) / 2, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample))
    )
    return Interval(mean, max(mean - half, within[0]), min(mean + half, within[1]), len(sample))


def seeds_interval(values: Iterable[float], level: float = LEVEL) -> Interval:
    """:func:`interval` of a measured score that a verdict rests on: without bounds where all seeds
    have the same score, unless it is 0.

    Equal values cannot show how much other seeds would differ.
    """
    estimated = interval(values, level)
    return (
        estimated
        if estimated.low != estimated.high or not estimated.mean
        else Interval(estimated.mean, None, None, estimated.n)
    )


def estimate(
    sample: Sample, level: float = LEVEL, within: tuple[float, float] = (-np.inf, np.inf)
) -> Interval:
    """A score's mean over seeds, with the interval that covers other seeds and other sentences, cut
    to what is possible (``within``).
    """
    if not sample:
        return Interval(None, None, None, 0)
    table = np.stack([sample[seed] for seed in sorted(sample)])
    estimated = _around(float(table.mean()), spread_of(table), level, len(table))
    if estimated.low is None or estimated.high is None:
        return estimated
    if not np.ptp(table) and table.shape[1] < math.log2(
        2 / (1 - level)
    ):  # too few to stand for others, as in :func:`paired`
        return Interval(estimated.mean, None, None, estimated.n)
    return Interval(
        estimated.mean, max(estimated.low, within[0]), min(estimated.high, within[1]), estimated.n
    )


def paired(
    differences: Sample,
    alpha: float = 1 - LEVEL,
    pooled: float | None = None,
    *,
    equal: bool = True,
    generous: bool = False,
) -> Interval:
    """The mean of paired differences, with the interval that decides; without bounds where it
    cannot be estimated.

    A sign test over ``k`` sentences that all point the same way has the level ``2 * 0.5**k``: fewer
    sentences cannot distinguish a difference from luck. Of unequal differences ``d``, as many count
    as ``sum(d**2)**2 / sum(d**4)`` says, which is ``k`` for ``k`` equal ones among zeros. With
    fewer, the interval reaches on each side as far as the share of sentences that may differ that
    way (Clopper and Pearson 1934), and so includes 0. Where most sentences are equal, it also
    reaches that far around the mean for the sentences that differ with most seeds: slips of single
    seeds say nothing of those.

    Args:
        differences: a seed's at each test sentence.
        alpha: the chance that the interval misses the truth.
        pooled: the mean variance of a seed's differences over the contrasts of a family, where few
            seeds borrow from it (:func:`mtlab.report.statistics.variances.moderated`).
        equal: a sentence at which both are as good adds 0. Not so with a share of a score, where
            sentences are not counted.
        generous: whether ``pooled`` counts for one more degree of freedom, as
            :func:`~mtlab.report.statistics.variances.moderated` has it.
    """
    if len(differences) < 2:
        return estimate(differences, 1 - alpha)
    table = np.stack([differences[seed] for seed in sorted(differences)])
    spread = estimable(table) if table.shape[1] >= math.log2(2 / alpha) else None
    return decided(table, spread, alpha, pooled, equal=equal, generous=generous)


def decided(
    table: np.ndarray,
    spread: Spread | None,
    alpha: float,
    pooled: float | None = None,
    *,
    equal: bool = True,
    generous: bool = False,
) -> Interval:
    """The interval around the mean of a table of differences (:func:`paired`), from its spread.

    Args:
        table: differences, (seeds, sentences).
        spread: of their mean; without bounds where there is None.
        alpha: the chance that the interval misses the truth.
        pooled: as in :func:`paired`.
        equal: as there.
        generous: as there.
    """
    if spread is not None:
        spread = moderated(spread, pooled, len(table), generous=generous)
    estimated = _around(float(table.mean()), spread, 1 - alpha, len(table))
    if estimated.low is None or estimated.high is None or not equal:
        return estimated
    return _widened(estimated, table, alpha)


def _widened(estimated: Interval, table: np.ndarray, alpha: float) -> Interval:
    """An interval as wide as the number of sentences that carry it allows.

    Where few sentences carry the difference, their variance says little of those that do not differ
    by luck. Clopper and Pearson's upper end says how many more there may be on each side.

    Args:
        estimated: with bounds.
        table: differences, (seeds, sentences).
        alpha: the chance that the interval misses the truth.
    """
    assert estimated.mean is not None and estimated.low is not None and estimated.high is not None
    needed, mean, means = math.log2(2 / alpha), estimated.mean, table.mean(axis=0)
    number, top = len(means), float(abs(table).max())
    sides = -means.clip(max=0), means.clip(min=0)
    ends = [-estimated.low, estimated.high]
    lasting = [int((side >= top / 2).sum()) for side in sides]
    mostly_equal = (abs(means) < top / TRIFLE).mean() > 0.5
    if mostly_equal:
        more = [_share_at_most(count, number, alpha) - count / number for count in lasting]
        ends = [max(ends[0], top * more[0] - mean), max(ends[1], top * more[1] + mean)]
    if _carrying(means) < needed:
        shares = [_share_at_most(float(side.sum()) / top, number, alpha) for side in sides]
        ends = [max(end, top * share) for end, share in zip(ends, shares, strict=True)]
    return replace(estimated, low=-ends[0], high=ends[1])


def _carrying(differences: np.ndarray) -> float:
    """How many sentences carry a difference, as if theirs were equal and those of all others 0."""
    squares = differences**2
    return float(squares.sum() ** 2 / (squares**2).sum()) if squares.any() else 0.0


def _share_at_most(count: float, total: int, alpha: float) -> float:
    """The upper end of the two-sided Clopper-Pearson interval of a share."""
    whole = math.ceil(count - 1e-9)  # a sum of fractions may lie a rounding above a whole number
    return float(stats.beta.ppf(1 - alpha / 2, whole + 1, max(total - whole, 1)))


def unpaired(first: Sample, other: Sample, level: float = LEVEL) -> Interval:
    """The difference of two scores with different seeds and the same test sentences."""
    tables = [np.stack([sample[seed] for seed in sorted(sample)]) for sample in (first, other)]
    spreads = [spread_of(table) for table in tables]
    if None in spreads:
        return Interval(
            float(tables[0].mean() - tables[1].mean()), None, None, min(map(len, tables))
        )
    by_seed = [(spread.seeds, spread.seeds_df) for spread in spreads if spread is not None]
    between = (
        float((tables[0].mean(axis=0) - tables[1].mean(axis=0)).var(ddof=1)) / tables[0].shape[1]
    )
    noise = sum(spread.noise for spread in spreads if spread is not None)
    total = sum(value for value, _ in by_seed)
    squares = sum(value**2 / df for value, df in by_seed)
    joint = Spread(
        total,
        total**2 / squares if squares else 1.0,
        max(between - noise, 0.0),
        tables[0].shape[1] - 1,
        noise,
    )
    return _around(float(tables[0].mean() - tables[1].mean()), joint, level, min(map(len, tables)))


def _around(mean: float, spread: Spread | None, level: float, seeds: int) -> Interval:
    if spread is None:
        return Interval(mean, None, None, seeds)
    half = half_width(spread, level)
    return Interval(mean, mean - half, mean + half, seeds)


def side(interval: Interval, nothing: float = 0.0) -> Side:
    """The side of ``nothing`` that an interval lies on, if it excludes it."""
    if interval.low is None or interval.high is None:
        return "unclear"
    if interval.low > nothing:
        return "above"
    return "below" if interval.high < nothing else "unclear"
