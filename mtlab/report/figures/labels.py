"""Names of scenarios beside their curves or marks, so that no legend is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from mtlab.report.figures.looks import INK, Look
from mtlab.report.figures.plots import Point

LINE = 0.155
"""The height of a line of text, in inches."""


@dataclass(frozen=True)
class Label:
    """A label for one or more scenarios with the same points.

    Attributes:
        words: the names.
        end: the point that the label names.
        look: how the first scenario is drawn.
    """

    words: str
    end: Point
    look: Look


def alike(courses: Mapping[str, Sequence[Point]]) -> dict[str, list[str]]:
    """Scenarios grouped by equal points: the first of a group to all its scenarios."""
    first: dict[tuple[Point, ...], str] = {}
    same: dict[str, list[str]] = {}
    for name, points in courses.items():
        same.setdefault(first.setdefault(tuple(points), name), []).append(name)
    return same


def at_right(labels: Sequence[Label], height: float, ax: Axes) -> None:
    """Write labels to the right of the axes, each with its marker and a thin line to its point. The
    labels are in the order of their points' heights, and do not overlap.

    Args:
        labels: what to write; the points are in data coordinates.
        height: the approximate height of the axes in inches.
        ax: axes whose limits are already set.
    """
    low, high = ax.get_ylim()
    ordered = sorted(labels, key=lambda label: label.end[1])
    wanted = [min(max((label.end[1] - low) / (high - low), 0.0), 1.0) for label in ordered]
    places = inside(spread(wanted, LINE / height), LINE / height)
    for label, place, is_at in zip(ordered, places, wanted, strict=True):
        start = ax.transLimits.transform(ax.transScale.transform(label.end))[0]
        ax.plot(
            [min(max(start, 0.0), 1.0), 1.02],
            [is_at, place],
            transform=ax.transAxes,
            color=label.look.colour,
            linewidth=0.6,
            linestyle=(0, (1, 2)),
            clip_on=False,
            zorder=1,
        )
        ax.plot(
            1.035,
            place,
            transform=ax.transAxes,
            marker=label.look.marker,
            color=label.look.colour,
            markersize=6,
            clip_on=False,
        )
        ax.text(1.06, place, label.words, transform=ax.transAxes, va="center", color=INK)


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Increasing places, moved as little as needed to be at least ``gap`` apart: overlapping places
    form a block around their mean.
    """
    blocks: list[list[float]] = []  # the original places in each block
    for place in places:
        blocks.append([place])
        while len(blocks) > 1 and _start(blocks[-1], gap) < _end(blocks[-2], gap) + gap:
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    return [_start(block, gap) + at * gap for block in blocks for at in range(len(block))]


def inside(places: Sequence[float], gap: float) -> list[float]:
    """Increasing places that are ``gap`` apart, moved into the range from 0 to 1; unchanged if the
    range has no room for all.
    """
    if gap * (len(places) - 1) > 1:
        return [*places]
    count = len(places)
    lowered = [min(place, 1 - gap * (count - 1 - at)) for at, place in enumerate(places)]
    return [max(place, gap * at) for at, place in enumerate(lowered)]


def _start(block: Sequence[float], gap: float) -> float:
    return sum(block) / len(block) - gap * (len(block) - 1) / 2


def _end(block: Sequence[float], gap: float) -> float:
    return _start(block, gap) + gap * (len(block) - 1)
