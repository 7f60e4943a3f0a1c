"""The one scale of verdicts: better, worse, equivalent or unclear, from an interval and a margin."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

from mtlab.report.statistics.intervals import LEVEL, Interval

Verdict = Literal["better", "worse", "equivalent", "unclear"]

SPENT = {0: 0.0, 2: 0.002, 3: 0.008, 5: 0.020}
"""Seeds to the error that looks up to there may spend, of a family, where others follow; between
them, and from there to the last look, it is interpolated."""

TOTAL = 0.040
"""What all looks spend together."""


def verdict(interval: Interval, margin: float) -> Verdict:
    """The verdict of a difference, higher being better.

    ``equivalent``: the whole interval lies within the margin. ``better`` and ``worse``: it excludes
    0. ``unclear``: neither, or there is no interval.
    """
    if interval.low is None or interval.high is None:
        return "unclear"
    if -margin < interval.low and interval.high < margin:
        return "equivalent"
    if interval.low > 0:
        return "better"
    return "worse" if interval.high < 0 else "unclear"


def at_least_as_good(interval: Interval, margin: float) -> bool:
    """Whether an interval excludes a loss of the margin or more."""
    return interval.low is not None and interval.low > -margin


def spending(looks: Sequence[int]) -> list[float]:
    """The error that each look may make, in a family: they sum to 0.04, or to 0.05 where there is
    one look alone.

    The last look has what is left (Lan and DeMets 1983: spending is fixed before the first look).

    Args:
        looks: numbers of seeds, rising.
    """
    if len(looks) == 1:
        return [1 - LEVEL]
    steps = {seeds: spent for seeds, spent in SPENT.items() if seeds < looks[-1]}
    steps[looks[-1]] = TOTAL
    spent = [_spent(steps, seeds) for seeds in looks]
    return [after - before for before, after in itertools.pairwise([0.0, *spent])]


def _spent(steps: Mapping[int, float], seeds: int) -> float:
    """The error spent by a look at this number of seeds, interpolated between the neighbouring steps."""
    below = max(step for step in steps if step <= seeds)
    if below == seeds:
        return steps[seeds]
    above = min(step for step in steps if step > seeds)
    return steps[below] + (steps[above] - steps[below]) * (seeds - below) / (above - below)
