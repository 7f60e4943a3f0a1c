"""A column of a figure that is a table: each row has a mark, an interval, and the number beside
them.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mtlab.report.figures.looks import INK

CHARACTER = 0.073
"""The width of a character of 9 points, in inches."""
BAND = "#dbe7f3"
"""The colour of the margin: paler than any mark."""
TOP, MARGIN_AT = -1.2, -0.9
"""The upper end of the vertical axis, and the place of the margin's label; the first row is at 0."""
FAR = 4.0
"""A mean is left outside the axis if it is more than this many times as far from 0 as all nearer
marks and their intervals, and if these are at least half of all marks."""
WIDEST = 3.0
"""Wide intervals extend an axis to at most this many times the largest distance of a mean from 0."""


@dataclass(frozen=True)
class Mark:
    """A value in a row.

    Attributes:
        mean: the value.
        low: the lower bound of its interval; None without an interval.
        high: the upper bound.
        label: the number and the verdict, written beside the mark.
        colour: the colour of the mark and the interval.
        marker: matplotlib's name of the shape.
        filled: whether the shape is filled.
        ruling: whether the mark counts when the limits of the axis are chosen.
    """

    mean: float
    low: float | None
    high: float | None
    label: str
    colour: str
    marker: str
    filled: bool = True
    ruling: bool = True

    @property
    def ends(self) -> tuple[float, float]:
        """The bounds of the interval, extended to include the mean; without an interval, the mean
        twice.
        """
        if self.low is None or self.high is None:
            return self.mean, self.mean
        return min(self.low, self.mean), max(self.high, self.mean)


@dataclass(frozen=True)
class Column:
    """A column of marks.

    Attributes:
        title: the lines above the column.
        marks: scenario to its mark; scenarios without a mark have no result.
        limits: the limits of its axis.
        line: the control's value; None without a control.
        margin: half the width of the band around ``line``; 0 without a band.
        ticks: values to labels; None for matplotlib's own ticks.
        log: whether the axis is logarithmic.
    """

    title: str
    marks: Mapping[str, Mark]
    limits: tuple[float, float]
    line: float | None = None
    margin: float = 0.0
    ticks: Mapping[float, str] | None = None
    log: bool = False

    def place(self, value: float) -> float:
        """The position of a value on the axis; the axis goes from 0 to 1."""
        low, high, at = (math.log(end) if self.log else end for end in (*self.limits, value))
        return (at - low) / (high - low)

    def beyond(self, mark: Mark) -> bool:
        """Whether a mean lies outside the axis."""
        return not self.limits[0] <= mark.mean <= self.limits[1]


def limits(marks: Sequence[Mark], always: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis on which most marks can be distinguished. Marks far from all others do not
    widen the limits; very wide intervals widen them only in part.

    Args:
        marks: all marks of the column.
        always: values that the limits always include.
    """
    ruling = sorted((mark for mark in marks if mark.ruling), key=lambda mark: abs(mark.mean))
    reach, inside = max(map(abs, always), default=0.0), list[Mark]()
    for at, mark in enumerate(ruling):
        if abs(mark.mean) > FAR * reach and 2 * at >= len(ruling):
            break
        inside.append(mark)
        reach = max(reach, *map(abs, mark.ends))
    means = [mark.mean for mark in inside] + list(always)
    widest = WIDEST * max(map(abs, means), default=1.0)
    ends = [min(max(end, -widest), widest) for mark in inside for end in mark.ends] + means
    low, high = min(ends), max(ends)
    space = 0.06 * ((high - low) or 1.0)
    return low - space, high + space


def width(labels: Sequence[str], count: int, spent: float = 0.0) -> float:
    """The approximate width of each of ``count`` columns in inches.

    Args:
        labels: the labels of the rows, to the left of the first column.
        count: the number of columns.
        spent: inches that other parts of the figure need.
    """
    longest = max(len(line) for label in labels for line in label.split("\n"))
    return (9.7 - CHARACTER * longest - spent) / count - 0.1


def draw(column: Column, rows: Mapping[str, float], width: float, ax: Axes) -> Axes:
    """Draw a column.

    Args:
        column: what to draw.
        rows: key of a mark to the height of its row.
        width: the approximate width of the axes in inches.
        ax: where to draw.
    """
    if column.log:
        ax.set_xscale("log")
    ax.set_xlim(column.limits)
    if column.line is not None:
        _reference(column, width, ax)
    for name, row in rows.items():
        mark = column.marks.get(name)
        if mark is None:
            across = ax.get_yaxis_transform()
            ax.text(0.02, row, "no result", transform=across, va="center", color=INK)
        elif column.beyond(mark):
            _at_edge(column, mark, row, ax)
        else:
            _inside(column, mark, row, width, ax)
    if column.ticks is not None:
        ax.set_xticks(list(column.ticks), list(column.ticks.values()))
        ax.set_xticks([], minor=True)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(max(2, int(width / 0.55))))
    lines = [textwrap.fill(line, int(width / CHARACTER)) for line in column.title.split("\n")]
    ax.set_title("\n".join(lines), loc="left", fontsize=9)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(visible=False, axis="y")
    return ax


def _reference(column: Column, width: float, ax: Axes) -> None:
    """Draw the control's line, and the margin around it with a label."""
    assert column.line is not None
    ax.axvline(column.line, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
    if column.margin:
        ends = column.line - column.margin, column.line + column.margin
        ax.axvspan(*ends, color=BAND, linewidth=0, zorder=0)
        _text(f"margin ±{column.margin:g}", column.place(column.line), MARGIN_AT, width, ax)


def _inside(column: Column, mark: Mark, row: float, width: float, ax: Axes) -> None:
    """Draw a mark with its interval, and its label above. An interval that leaves the axis ends in a
    tip.
    """
    low, high = mark.ends
    if low < high:
        ax.plot(
            [max(low, column.limits[0]), min(high, column.limits[1])],
            [row, row],
            color=mark.colour,
            linewidth=2.4,
            solid_capstyle="butt",
            zorder=2,
        )
    for beyond, tip, edge in (
        (low < column.limits[0], "<", 0.0),
        (high > column.limits[1], ">", 1.0),
    ):
        if beyond:
            _point(edge, row, mark, tip, 6, ax)
    ax.plot(
        mark.mean,
        row,
        marker=mark.marker,
        color=mark.colour,
        markerfacecolor=mark.colour if mark.filled else "#ffffff",
        markeredgewidth=1.4,
        markersize=7,
        linestyle="",
        clip_on=False,
        zorder=4,
    )
    _text(mark.label, column.place(mark.mean), row - 0.34, width, ax)


def _at_edge(column: Column, mark: Mark, row: float, ax: Axes) -> None:
    """Draw an arrow at the edge for a mean outside the axis, with the label beside it."""
    left = mark.mean < column.limits[0]
    _point(0.0 if left else 1.0, row, mark, "<" if left else ">", 8, ax)
    ax.text(
        0.05 if left else 0.95,
        row,
        mark.label,
        transform=ax.get_yaxis_transform(),
        ha="left" if left else "right",
        va="center",
        color=INK,
    )


def _point(edge: float, row: float, mark: Mark, shape: str, size: float, ax: Axes) -> None:
    """Draw a shape at an edge of the axis."""
    ax.plot(
        edge,
        row,
        marker=shape,
        markersize=size,
        color=mark.colour,
        transform=ax.get_yaxis_transform(),
        clip_on=False,
        zorder=4,
    )


def _text(words: str, place: float, height: float, width: float, ax: Axes) -> None:
    """Write text centred at a place of the axis, shifted if needed so that it stays within the axes."""
    half = min(0.5, CHARACTER * len(words) / 2 / width)
    ax.text(
        min(max(place, half), 1 - half),
        height,
        words,
        transform=ax.get_yaxis_transform(),
        ha="center",
        va="center",
        color=INK,
        bbox={"facecolor": "#ffffff", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        zorder=3,
    )
