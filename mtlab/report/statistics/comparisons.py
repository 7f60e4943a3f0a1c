"""Differences of scores and ratios of costs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mtlab.report.statistics.intervals import (
    LEVEL,
    Interval,
    Sample,
    Values,
    interval,
    paired,
    side,
)


@dataclass(frozen=True)
class Cost:
    """A scenario's cost over the control's.

    Attributes:
        scenario: its name.
        interval: of the ratio, paired by seed.
        cheaper: whether the interval shows it; None where it shows neither.
    """

    scenario: str
    interval: Interval
    cheaper: bool | None


WIDEST = 1.5
"""The upper over the lower bound of a ratio of costs, from which on it is too wide to speak of."""


def narrow(ratio: Interval) -> bool:
    """Whether the interval of a ratio of costs is narrow enough to speak of it."""
    low, high = ratio.low, ratio.high
    return low is not None and high is not None and 0 < high < WIDEST * low


def difference(
    sample: Sample,
    other: Sample,
    contrasts: int = 1,
    share: float = 1.0,
) -> Interval:
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
    return paired(differences, (1 - LEVEL) / contrasts, equal=share == 1.0)


def costs(values: Values, control: str) -> list[Cost]:
    """Each scenario's cost over the control's, in the order of ``values``."""
    rivals = [name for name in values if name != control]
    ratios = {
        name: ratio(values.get(name, {}), values.get(control, {}), len(rivals)) for name in rivals
    }
    cheaper = {"below": True, "above": False, "unclear": None}
    return [Cost(name, ratio, cheaper[side(ratio, 1.0)]) for name, ratio in ratios.items()]


def ratio(costs: Mapping[int, float], other: Mapping[int, float], contrasts: int = 1) -> Interval:
    """The mean ratio of ``costs`` to ``other`` (both map a seed to a cost), paired by seed, with its
    interval.

    Mean and interval are computed from logarithms, so that twice and half are equally far from 1.
    If a scenario trains nothing, its cost is 0 and has no logarithm; then the arithmetic mean of
    the ratios is used. ``contrasts`` ratios are judged together (Bonferroni).
    """
    shared = sorted(costs.keys() & other.keys())
    ratios = [costs[seed] / other[seed] for seed in shared if other[seed] > 0]
    logarithmic = all(costs[seed] > 0 for seed in shared)
    estimated = interval(np.log(ratios) if logarithmic else ratios, 1 - (1 - LEVEL) / contrasts)
    if not logarithmic:
        return estimated
    mean, low, high = (
        None if bound is None else float(np.exp(bound))
        for bound in (estimated.mean, estimated.low, estimated.high)
    )
    return Interval(mean, low, high, estimated.n)
