"""Plots: functions that take values and an ``ax`` and return the ``ax``.

Other modules choose the values.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from mtlab.report.figures.looks import INK, Look, shown
from mtlab.report.statistics.intervals import Interval

Point = tuple[float, float]
Series = Mapping[str, Sequence[tuple[float, Interval]]]
"""Scenario to its points: x and a value with its interval."""

FURTHER = 0.6
"""How far intervals may extend an axis beyond the means, as a share of the range of the means."""


def courses(
    series: Series, look: Mapping[str, Look], ax: Axes, limits: Point, *, log: bool
) -> Axes:
    """Draw a line of means over x for each scenario, with intervals as vertical bars. Means and bars
    are shifted a little, so that no bar hides another. A bar that leaves the axis ends in a tip.

    Args:
        series: what to draw.
        look: scenario to its look.
        ax: where to draw.
        limits: the limits of the vertical axis (:func:`reach`).
        log: whether x is logarithmic.
    """
    if log:
        ax.set_xscale("log")
    low, high = limits
    for at, (name, points) in enumerate(series.items()):
        shift = at - (len(series) - 1) / 2
        places = [x * 1.018**shift if log else x + 0.05 * shift for x, _ in points]
        means = [math.nan if value.mean is None else value.mean for _, value in points]
        for x, (_, value) in zip(places, points, strict=True):
            _upright(x, value, (low, high), look[name].colour, ax)
        ax.plot(
            places,
            means,
            color=look[name].colour,
            marker=look[name].marker,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linewidth=1.4,
            zorder=3,
        )
    ax.set_ylim(low, high)
    values = sorted({x for points in series.values() for x, _ in points})
    ax.set_xticks(values, [f"{x:,g}" for x in values])
    ax.set_xticks([], minor=True)
    return ax


def reach(several: Sequence[Series]) -> Point:
    """Limits that include all means, and the intervals up to :data:`FURTHER` times the range of the
    means beyond them.
    """
    values = [value for series in several for points in series.values() for _, value in points]
    means = [value.mean for value in values if value.mean is not None]
    lows = [value.low for value in values if value.low is not None]
    highs = [value.high for value in values if value.high is not None]
    low, high = min(means), max(means)
    further = FURTHER * max(high - low, 0.02)
    bottom, top = max(min([*lows, low]), low - further), min(max([*highs, high]), high + further)
    space = 0.04 * ((top - bottom) or 0.02)
    return bottom - space, top + space


def _upright(x: float, value: Interval, limits: Point, colour: str, ax: Axes) -> None:
    """Draw the part of an interval that is within the limits."""
    if value.low is None or value.high is None:
        return
    low, high = max(value.low, limits[0]), min(value.high, limits[1])
    style: dict[str, Any] = {
        "color": colour,
        "linewidth": 1.6,
        "solid_capstyle": "butt",
        "zorder": 2,
    }
    ax.plot([x, x], [low, high], **style)
    for end, inside, tip in ((value.low, low, "v"), (value.high, high, "^")):
        if end != inside:
            ax.plot(x, inside, marker=tip, markersize=5, color=colour, clip_on=False, zorder=3)


def dots(rows: Mapping[str, Mapping[str, float]], look: Mapping[str, Look], ax: Axes) -> Axes:
    """Draw a row for each label, with a mark for each scenario: many numbers are easier to compare
    than in a table.
    """
    for row, marks in enumerate(rows.values()):
        ax.plot(
            [min(marks.values()), max(marks.values())],
            [row, row],
            color=INK,
            linewidth=0.5,
            zorder=1,
        )
        for name, value in marks.items():
            ax.plot(
                value,
                row,
                marker=look[name].marker,
                color=look[name].colour,
                markersize=7,
                markeredgecolor="white",
                zorder=3,
            )
    ax.set_yticks(range(len(rows)), [shown(label) for label in rows])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    return ax
