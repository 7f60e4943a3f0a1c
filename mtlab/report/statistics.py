"""Means, intervals and comparisons over seeds. Values in, values out; nothing here knows records or plots.

The intervals are Student's t over seeds. They cover the variance between seeds only: the test sentences are the same for
every seed, and another draw of sentences would move the numbers too. So the intervals are too narrow for a claim
about new data, and the report says so (:data:`CAVEAT`).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

LEVEL = 0.95
"""Confidence of every interval; that of comparisons is shared out over their family."""

CAVEAT = (
    "The intervals cover the variance between seeds only, not that of the test sentences, so they are too narrow for a claim about "
    "new sentences. An interval of zero width means that all seeds gave the same number, not that the number is known exactly."
)

SHARE = (0.0, 1.0)
"""What accuracies and F1 scores lie within."""

Verdict = Literal["better", "worse", "tie", "undecided"]
Values = Mapping[str, Mapping[int, float]]
"""Scenario to seed to value; a scenario without values is part of the family all the same."""


@dataclass(frozen=True)
class Interval:
    """A mean of ``n`` values and the t interval around it; ``None`` bounds below two values."""

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
    """Mean paired difference to the control, or ratio for a cost; ``None`` where no seed has both."""
    low: float | None
    high: float | None
    n: int
    """Seeds that both have."""
    method: str
    verdict: Verdict
    """``tie``: the interval holds no difference (0, or a ratio of 1). ``undecided``: fewer than two seeds."""


def interval(values: Iterable[float], level: float = LEVEL, within: tuple[float, float] = (-np.inf, np.inf)) -> Interval:
    """The mean of ``values`` and its two-sided t interval with ``n - 1`` degrees of freedom, cut to what is possible (``within``)."""
    sample = np.asarray(list(values), dtype=float)
    if not len(sample):
        return Interval(None, None, None, 0)
    mean = float(sample.mean())
    if len(sample) == 1:
        return Interval(mean, None, None, 1)
    if np.ptp(sample) == 0:  # exactly: a mean of equal numbers may differ from them by rounding
        same = float(sample[0])
        return Interval(same, same, same, len(sample))
    half = float(stats.t.ppf((1 + level) / 2, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample)))
    return Interval(mean, max(mean - half, within[0]), min(mean + half, within[1]), len(sample))


def compare(values: Values, control: str, metric: str) -> list[Comparison]:
    """Each scenario against the control: paired differences over the seeds both have, higher is better.

    Bonferroni over the number of contrasts, that is of scenarios other than the control, with or without results.
    """
    rivals = [name for name in values if name != control]
    return [_difference(values, name, control, metric, len(rivals)) for name in rivals]


def compare_cost(values: Values, control: str, metric: str) -> list[Comparison]:
    """Each scenario's cost over the control's, paired by seed, lower is better.

    The effect is the geometric mean of the ratios and the interval that of their logarithms, so that twice and half are
    equally far from 1. Where a scenario costs nothing (nothing is trained) there is no logarithm and ratios are averaged.
    """
    rivals = [name for name in values if name != control]
    return [_ratio(values, name, control, metric, len(rivals)) for name in rivals]


def best(values: Values, seeds: Collection[int]) -> str | None:
    """The scenario that beats every other one, or ``None``.

    Its paired difference to each other scenario excludes 0, with Bonferroni over all pairs, since the leader is
    picked after the fact. A value that is missing for any scenario and seed rules the claim out altogether.
    """
    if len(values) < 2 or any(set(by_seed) != set(seeds) for by_seed in values.values()):
        return None
    means = {name: interval(by_seed.values()).mean or 0.0 for name, by_seed in values.items()}
    leader = max(means, key=lambda name: means[name])
    pairs = len(values) * (len(values) - 1) // 2
    rest = [_difference(values, name, leader, "", pairs) for name in values if name != leader]
    return leader if all(comparison.verdict == "worse" for comparison in rest) else None


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names whose (cost, quality) no other point beats: none costs no more and is better, or costs less and is as good."""
    front, reached = [], -np.inf
    for name in sorted(points, key=lambda name: (points[name][0], -points[name][1])):
        if points[name][1] > reached:
            front.append(name)
            reached = points[name][1]
    return front


def _difference(values: Values, name: str, control: str, metric: str, contrasts: int) -> Comparison:
    # Rounded, so that 0.3 - 0.1 and 0.2 are one number and equal differences have no variance.
    differences = [round(mine - theirs, 12) for mine, theirs in _pairs(values, name, control)]
    found = interval(differences, 1 - (1 - LEVEL) / contrasts)
    method = f"paired t over {found.n} seeds, Bonferroni over {contrasts} contrasts"
    return Comparison(name, control, metric, found.mean, found.low, found.high, found.n, method, _verdict(found, 0.0))


def _ratio(values: Values, name: str, control: str, metric: str, contrasts: int) -> Comparison:
    ratios = [mine / theirs for mine, theirs in _pairs(values, name, control) if theirs > 0]
    logarithmic = bool(ratios) and min(ratios) > 0
    found = interval(np.log(ratios) if logarithmic else ratios, 1 - (1 - LEVEL) / contrasts)
    if logarithmic:
        mean, low, high = (None if bound is None else float(np.exp(bound)) for bound in (found.mean, found.low, found.high))
        found = Interval(mean, low, high, found.n)
    method = f"paired t of {'log ' if logarithmic else ''}ratios over {found.n} seeds, Bonferroni over {contrasts} contrasts"
    cheaper: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
    verdict = _verdict(found, 1.0)
    return Comparison(name, control, metric, found.mean, found.low, found.high, found.n, method, cheaper.get(verdict, verdict))


def _pairs(values: Values, name: str, control: str) -> list[tuple[float, float]]:
    shared = sorted(values.get(name, {}).keys() & values.get(control, {}).keys())
    return [(values[name][seed], values[control][seed]) for seed in shared]


def _verdict(found: Interval, nothing: float) -> Verdict:
    if found.low is None or found.high is None:
        return "undecided"
    if found.low > nothing:
        return "better"
    return "worse" if found.high < nothing else "tie"
