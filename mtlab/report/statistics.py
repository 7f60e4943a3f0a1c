"""Means, intervals and comparisons. Values in, values out; nothing here knows records or plots, and
nothing is drawn at random.

A score is measured on some seeds and some test sentences, and would come out otherwise on others:
both are sources of variance. With ``S`` seeds and ``N`` sentences, each sentence adds a value
``z[s, n]`` to the score of each seed, whose mean over sentences is the score itself (0 or 1 for
accuracy; for F1, which does not decompose, :func:`f1_values`). Seeds and sentences are crossed
random effects,

    z[s, n] = m + a[s] + b[n] + e[s, n],    Var(mean) = (var_a + var_e / N) / S + var_b / N,

and the mean squares of a two-way analysis of variance estimate both terms (Searle, Casella and
McCulloch 1992, ch. 4). Each has its own degrees of freedom, S - 1 and N - 1, and the interval is
that of the sum of two independent t variables on these scales (Behrens 1929, Fisher 1935). One t
with Satterthwaite's degrees of freedom would be too narrow: at 3 seeds it held the truth in 92% of
simulated suites instead of 95%, and in 97% instead of 99%; this one in 95 to 98% and in 99%
(``tests/report/test_statistics.py``). The difference of two scenarios is paired: the same with
differences of values.

Where a variance cannot be estimated there is no interval, and so no verdict (:func:`_estimable`);
and fewer sentences than a sign test would need tell no difference from 0 (:func:`paired`).
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from scipy import special, stats
from scipy.optimize import brentq

LEVEL = 0.95
"""Confidence of every interval; that of comparisons is shared out over their family."""

SCOPE = (
    "The intervals cover what other seeds and other test sentences of the same kind would change. They do not cover other data or another "
    "encoder."
)

TOO_FEW = "too few test sentences, or results too alike, to estimate an interval"
"""Why there is no interval where there are seeds enough."""

ROUNDING = 1e-9
"""Of the largest value of a table: what is below it is no difference but rounding."""

SHARE = (0.0, 1.0)
"""What accuracies and F1 scores lie within."""

Verdict = Literal["better", "worse", "tie", "undecided"]
Values = Mapping[str, Mapping[int, float]]
"""Scenario to seed to value; a scenario without values is part of the family all the same."""
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


@dataclass(frozen=True)
class Comparison:
    """A scenario against the control on one metric."""

    scenario: str
    control: str
    metric: str
    effect: float | None
    """Mean paired difference to the control, or ratio for a cost; ``None`` where no seed has
    both."""
    low: float | None
    high: float | None
    n: int
    """Seeds that both have."""
    method: str
    verdict: Verdict
    """``tie``: the interval holds no difference (0, or a ratio of 1). ``undecided``: there is none,
    for want of seeds or sentences."""


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


def f1_values(right: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> np.ndarray | None:
    """What each sentence adds to F1 = 2 sum(right) / sum(predicted + gold), a ratio of sums;
    ``None`` without gold entities.

    To first order, taking another draw of sentences moves F1 by the mean of ``(2 right - F1
    (predicted + gold)) / mean(predicted + gold)`` (the delta method, as by the infinitesimal
    jackknife of Jaeckel 1972). F1 itself is added, so that the mean of the values is F1.

    Args:
        right: (sentences,): entities that are gold and predicted.
        predicted: (sentences,): predicted entities.
        gold: (sentences,): gold entities.
    """
    if not gold.sum():
        return None
    entities = (predicted + gold).astype(float)
    f1 = 2 * right.sum() / entities.sum()
    return f1 + (2 * right - f1 * entities) / entities.mean()


def seeds_interval(values: Iterable[float], level: float = LEVEL) -> Interval:
    """:func:`interval` of a measured score that a verdict rests on: without bounds where all seeds
    have the same one, unless it is 0.

    How far other seeds would lie off cannot be estimated from equal values.
    """
    found = interval(values, level)
    return (
        found
        if found.low != found.high or not found.mean
        else Interval(found.mean, None, None, found.n)
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
    found = _around(float(table.mean()), _spread(table), level, len(table))
    if found.low is None or found.high is None:
        return found
    if not np.ptp(table) and table.shape[1] < math.log2(
        2 / (1 - level)
    ):  # too few to stand for others, as in :func:`paired`
        return Interval(found.mean, None, None, found.n)
    return Interval(found.mean, max(found.low, within[0]), min(found.high, within[1]), found.n)


def compare(samples: Samples, control: str, metric: str) -> list[Comparison]:
    """Each scenario against the control: differences paired by seed and sentence, over the seeds
    both have; higher is better.

    Bonferroni over the number of contrasts, that is of scenarios other than the control, with or
    without results.
    """
    rivals = [name for name in samples if name != control]
    return [_difference(samples, name, control, metric, len(rivals)) for name in rivals]


def difference(one: Sample, other: Sample, contrasts: int = 1, share: float = 1.0) -> Interval:
    """``one`` minus ``share`` times ``other``, paired by seed and sentence over the seeds that both
    have.

    Args:
        one: a scenario's sample.
        other: another one's.
        contrasts: how many such differences are judged together (Bonferroni).
        share: of the other's score; what is asked with 0.95 is whether one reaches 95% of the
            other.
    """
    differences = {seed: one[seed] - share * other[seed] for seed in one.keys() & other.keys()}
    return paired(differences, contrasts, equal=share == 1.0)


def paired(differences: Sample, contrasts: int = 1, *, equal: bool = True) -> Interval:
    """The mean of paired differences, with the interval that decides; without bounds where it
    cannot be estimated.

    A sign test over ``k`` sentences that all point the same way has the level ``2 * 0.5**k``: fewer
    sentences cannot tell a difference from luck, whatever an interval says that takes their spread
    for known. Of unequal differences ``d``, as many count as ``sum(d**2)**2 / sum(d**4)`` says,
    which is ``k`` for ``k`` equal ones among zeros.

    Args:
        differences: a seed's at each test sentence.
        contrasts: how many such differences are judged together (Bonferroni).
        equal: a sentence at which both are as good adds 0. Not so with a share of a score, where
            sentences are not counted.
    """
    level = 1 - (1 - LEVEL) / contrasts
    if len(differences) < 2:
        return estimate(differences, level)
    table = np.stack([differences[seed] for seed in sorted(differences)])
    needed = math.log2(2 / (1 - level))
    if table.shape[1] >= needed and not table.any():  # the same answers with every seed
        return Interval(0.0, 0.0, 0.0, len(table))
    spread = _estimable(table) if table.shape[1] >= needed else None
    found = _around(float(table.mean()), spread, level, len(table))
    if equal and verdict(found) in ("better", "worse") and _carrying(table.mean(axis=0)) < needed:
        return Interval(found.mean, None, None, found.n)
    return found


def _carrying(differences: np.ndarray) -> float:
    """How many sentences carry a difference, as if theirs were equal and those of all others 0."""
    squares = differences**2
    return float(squares.sum() ** 2 / (squares**2).sum()) if squares.any() else 0.0


def unpaired(one: Sample, other: Sample, level: float = LEVEL) -> Interval:
    """The difference of two scores whose seeds are not the same ones; their test sentences are."""
    tables = [np.stack([sample[seed] for seed in sorted(sample)]) for sample in (one, other)]
    spreads = [_spread(table) for table in tables]
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
    joint = _Spread(
        total,
        total**2 / squares if squares else 1.0,
        max(between - noise, 0.0),
        tables[0].shape[1] - 1,
        noise,
    )
    return _around(float(tables[0].mean() - tables[1].mean()), joint, level, min(map(len, tables)))


def compare_cost(values: Values, control: str, metric: str) -> list[Comparison]:
    """Each scenario's cost over the control's, paired by seed, lower is better.

    The effect is the geometric mean of the ratios and the interval that of their logarithms, so
    that twice and half are equally far from 1. Where a scenario costs nothing (nothing is trained)
    there is no logarithm and ratios are averaged.
    """
    rivals = [name for name in values if name != control]
    return [_ratio(values, name, control, metric, len(rivals)) for name in rivals]


def ratio(one: Mapping[int, float], other: Mapping[int, float], contrasts: int = 1) -> Interval:
    """``one`` over ``other``, both seed to a cost, paired by seed: the geometric mean, where no
    cost is 0, and its interval.

    ``contrasts`` such ratios are judged together (Bonferroni).
    """
    ratios = [
        one[seed] / other[seed] for seed in sorted(one.keys() & other.keys()) if other[seed] > 0
    ]
    logarithmic = _positive(one, other)
    found = interval(np.log(ratios) if logarithmic else ratios, 1 - (1 - LEVEL) / contrasts)
    if not logarithmic:
        return found
    mean, low, high = (
        None if bound is None else float(np.exp(bound))
        for bound in (found.mean, found.low, found.high)
    )
    return Interval(mean, low, high, found.n)


def best(samples: Samples, seeds: Collection[int]) -> str | None:
    """The scenario that beats every other one, or ``None``.

    The interval of its difference to each other scenario excludes 0, with Bonferroni over all
    pairs, since the leader is picked after the fact. A value that is missing for any scenario and
    seed rules the claim out altogether.
    """
    if len(samples) < 2 or any(set(sample) != set(seeds) for sample in samples.values()):
        return None
    first = leader(samples)
    pairs = len(samples) * (len(samples) - 1) // 2
    rest = [_difference(samples, name, first, "", pairs) for name in samples if name != first]
    return first if all(comparison.verdict == "worse" for comparison in rest) else None


def leader(samples: Samples) -> str:
    """The scenario with the highest mean."""
    means = {name: estimate(sample).mean or 0.0 for name, sample in samples.items()}
    return max(means, key=lambda name: means[name])


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names whose (cost, quality) no other point beats: none costs no more and is better, or
    costs less and is as good.
    """
    front, reached = [], -np.inf
    for name in sorted(points, key=lambda name: (points[name][0], -points[name][1])):
        if points[name][1] > reached:
            front.append(name)
            reached = points[name][1]
    return front


@dataclass(frozen=True)
class _Spread:
    """The variance of a mean by where it comes from: other seeds, and other sentences."""

    seeds: float
    seeds_df: float
    sentences: float
    sentences_df: float
    noise: float
    """The part of ``seeds`` that is of seed and sentence together."""


def _spread(table: np.ndarray) -> _Spread | None:
    """The variance of the mean of a table (seeds, sentences); ``None`` below two of either."""
    seeds, sentences = table.shape
    if seeds < 2 or sentences < 2:
        return None
    by_seed = float(table.mean(axis=1).var(ddof=1)) / seeds
    by_sentence = float(table.mean(axis=0).var(ddof=1)) / sentences
    squares = float(table.var()) * table.size
    rest = max(squares - table.size * (by_seed * (seeds - 1) + by_sentence * (sentences - 1)), 0.0)
    noise = rest / ((seeds - 1) * (sentences - 1)) / table.size
    return _Spread(by_seed, seeds - 1, max(by_sentence - noise, 0.0), sentences - 1, noise)


def _estimable(table: np.ndarray) -> _Spread | None:
    """:func:`_spread`, but ``None`` where all sentences came out alike, or all seeds sentence by
    sentence: others need not.

    Where the means of seeds are equal and their answers are not, as scores that are counts can be,
    the variance of the means is what sentences alone would give it.
    """
    spread, nothing = _spread(table), ROUNDING * float(abs(table).max())
    if spread is None or np.ptp(table.mean(axis=0)) <= nothing:
        return None
    if np.ptp(table.mean(axis=1)) > nothing:
        return spread
    return replace(spread, seeds=spread.noise) if spread.noise > nothing**2 else None


def _half(spread: _Spread, level: float) -> float:
    """The quantile of |T1 + T2|, two independent t variables with the scales and degrees of freedom
    of ``spread``.
    """
    tail = (1 + level) / 2
    scales = math.sqrt(spread.seeds), math.sqrt(spread.sentences)
    alone = (
        scales[0] * special.stdtrit(spread.seeds_df, tail),
        scales[1] * special.stdtrit(spread.sentences_df, tail),
    )
    if not all(alone):
        return float(max(alone))
    places, weights = _nodes(spread.sentences_df)

    def missed(half: float) -> float:
        """How much more often than asked the sum lies beyond ``half``."""
        beyond = special.stdtr(spread.seeds_df, (scales[1] * places - half) / scales[0])
        return float(weights @ beyond) - (1 - tail)

    found = brentq(missed, 0.0, 2 * sum(alone))
    return float(
        max(found, *alone)
    )  # where one scale is much the smaller, the sum over nodes is a little too coarse


@cache
def _nodes(df: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of a t variable and their weights in a mean over it (Gauss-Legendre over its
    distribution function).
    """
    places, weights = np.polynomial.legendre.leggauss(200)
    return special.stdtrit(df, (places + 1) / 2), weights / 2


def _around(mean: float, spread: _Spread | None, level: float, seeds: int) -> Interval:
    if spread is None:
        return Interval(mean, None, None, seeds)
    half = _half(spread, level)
    return Interval(mean, mean - half, mean + half, seeds)


def _difference(
    samples: Samples, name: str, control: str, metric: str, contrasts: int
) -> Comparison:
    mine, theirs = samples.get(name, {}), samples.get(control, {})
    found = difference(mine, theirs, contrasts)
    sentences = len(next(iter(mine.values()), ()))
    method = f"paired by seed and sentence, {found.n} seeds, {sentences:,} sentences, Bonferroni over {contrasts} contrasts"
    return Comparison(
        name, control, metric, found.mean, found.low, found.high, found.n, method, verdict(found)
    )


def _ratio(values: Values, name: str, control: str, metric: str, contrasts: int) -> Comparison:
    mine, theirs = values.get(name, {}), values.get(control, {})
    found = ratio(mine, theirs, contrasts)
    method = f"paired t of {'log ' if _positive(mine, theirs) else ''}ratios over {found.n} seeds, Bonferroni over {contrasts} contrasts"
    cheaper: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
    decided = verdict(found, 1.0)
    return Comparison(
        name,
        control,
        metric,
        found.mean,
        found.low,
        found.high,
        found.n,
        method,
        cheaper.get(decided, decided),
    )


def _positive(one: Mapping[int, float], other: Mapping[int, float]) -> bool:
    """Whether ratios of the two have logarithms."""
    return all(one[seed] > 0 for seed in one.keys() & other.keys())


def verdict(found: Interval, nothing: float = 0.0) -> Verdict:
    """What an interval decides: on which side of ``nothing`` it lies, if on one of them."""
    if found.low is None or found.high is None:
        return "undecided"
    if found.low > nothing:
        return "better"
    return "worse" if found.high < nothing else "tie"
