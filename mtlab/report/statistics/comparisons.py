"""Scenarios against each other: differences of scores, ratios of costs, and which is best."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from mtlab.report.statistics.intervals import (
    LEVEL,
    Interval,
    Sample,
    Samples,
    Values,
    Verdict,
    estimate,
    interval,
    paired,
    verdict,
)


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
    """``tie``: the interval includes no difference (0, or a ratio of 1). ``undecided``: there is no
    interval, for want of seeds or sentences."""


def compare(samples: Samples, control: str, metric: str) -> list[Comparison]:
    """Each scenario against the control: differences paired by seed and sentence, over the seeds
    both have; higher is better.

    Bonferroni over the number of scenarios other than the control, with or without results.
    """
    rivals = [name for name in samples if name != control]
    return [_difference(samples, name, control, metric, len(rivals)) for name in rivals]


def difference(sample: Sample, other: Sample, contrasts: int = 1, share: float = 1.0) -> Interval:
    """``sample`` minus ``share`` times ``other``, paired by seed and sentence over the seeds that
    both have.

    Args:
        sample: a scenario's sample.
        other: another one's.
        contrasts: how many such differences are judged together (Bonferroni).
        share: of the other's score: 0.95 asks whether ``sample`` reaches 95% of the other.
    """
    differences = {
        seed: sample[seed] - share * other[seed] for seed in sample.keys() & other.keys()
    }
    return paired(differences, contrasts, equal=share == 1.0)


def compare_cost(values: Values, control: str, metric: str) -> list[Comparison]:
    """Each scenario's cost over the control's, paired by seed, lower is better.

    The effect is the geometric mean of the ratios and the interval that of their logarithms, so
    that twice and half are equally far from 1. Where a scenario costs nothing (it trains nothing),
    the logarithm does not exist, and the plain mean of ratios is used.
    """
    rivals = [name for name in values if name != control]
    return [_ratio(values, name, control, metric, len(rivals)) for name in rivals]


def ratio(costs: Mapping[int, float], other: Mapping[int, float], contrasts: int = 1) -> Interval:
    """``costs`` over ``other``, both seed to a cost, paired by seed: the geometric mean, where no
    cost is 0, and its interval.

    ``contrasts`` such ratios are judged together (Bonferroni).
    """
    ratios = [
        costs[seed] / other[seed] for seed in sorted(costs.keys() & other.keys()) if other[seed] > 0
    ]
    logarithmic = _positive(costs, other)
    estimated = interval(np.log(ratios) if logarithmic else ratios, 1 - (1 - LEVEL) / contrasts)
    if not logarithmic:
        return estimated
    mean, low, high = (
        None if bound is None else float(np.exp(bound))
        for bound in (estimated.mean, estimated.low, estimated.high)
    )
    return Interval(mean, low, high, estimated.n)


def best(samples: Samples, seeds: Collection[int]) -> str | None:
    """The scenario that beats every other one, or ``None``.

    The interval of its difference to each other scenario excludes 0, with Bonferroni over all
    pairs, because the leader is picked after the fact. Returns ``None`` where any scenario lacks a
    value for a seed.
    """
    if len(samples) < 2 or any(set(sample) != set(seeds) for sample in samples.values()):
        return None
    first = leader(samples)
    pairs = len(samples) * (len(samples) - 1) // 2
    rest = [_difference(samples, name, first, "", pairs) for name in samples if name != first]
    return first if all(comparison.verdict == "worse" for comparison in rest) else None


def leader(samples: Samples) -> str:
    """The scenario with the highest mean."""
    means = {name: estimate(sample).mean for name, sample in samples.items()}
    return max(means, key=lambda name: -np.inf if (mean := means[name]) is None else mean)


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names whose (cost, quality) no other point beats: no other costs the same or less and is
    better, or costs less and is as good.
    """
    front, reached = [], -np.inf
    for name in sorted(points, key=lambda name: (points[name][0], -points[name][1])):
        if points[name][1] > reached:
            front.append(name)
            reached = points[name][1]
    return front


def _difference(
    samples: Samples, name: str, control: str, metric: str, contrasts: int
) -> Comparison:
    mine, theirs = samples.get(name, {}), samples.get(control, {})
    estimated = difference(mine, theirs, contrasts)
    sentences = len(next(iter(mine.values()), ()))
    method = f"paired by seed and sentence, {estimated.n} seeds, {sentences:,} sentences, Bonferroni over {contrasts} contrasts"
    return Comparison(
        name,
        control,
        metric,
        estimated.mean,
        estimated.low,
        estimated.high,
        estimated.n,
        method,
        verdict(estimated),
    )


def _ratio(values: Values, name: str, control: str, metric: str, contrasts: int) -> Comparison:
    mine, theirs = values.get(name, {}), values.get(control, {})
    estimated = ratio(mine, theirs, contrasts)
    ratios = "log ratios" if _positive(mine, theirs) else "ratios"
    method = f"paired t of {ratios} over {estimated.n} seeds, Bonferroni over {contrasts} contrasts"
    cheaper: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
    decided = verdict(estimated, 1.0)
    return Comparison(
        name,
        control,
        metric,
        estimated.mean,
        estimated.low,
        estimated.high,
        estimated.n,
        method,
        cheaper.get(decided, decided),
    )


def _positive(costs: Mapping[int, float], other: Mapping[int, float]) -> bool:
    """Whether ratios of the two have logarithms."""
    return all(costs[seed] > 0 for seed in costs.keys() & other.keys())
