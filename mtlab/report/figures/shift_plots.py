"""The figure of test sets out of distribution: the scores on these sets against those on test."""

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlab.report.comparison import decisions, shifts
from mtlab.report.comparison.groups import Group
from mtlab.report.comparison.shifts import Shift
from mtlab.report.figures import canvas, labels
from mtlab.report.figures.canvas import Drawing, Plot
from mtlab.report.figures.labels import Label
from mtlab.report.figures.looks import INK, Look, looks, shown
from mtlab.report.figures.plots import Point

KIND, HEIGHT, REST = "out_of_distribution", 3.3, 0.9
"""The figure's name, the least height of a row of panels in inches, and the part of the height that
is outside the axes."""

FEWEST = 0.35
"""The least share of a panel that a line must cross to have room for its name."""

ALT = "Score out of distribution of each scenario over its score on test, a panel a task and set"
CAPTION = (
    "Above the dashed line, a scenario loses less than the control; hollow: unclear. Means over seeds. Scenarios that are not better "
    "than without training are left out."
)


def drawings(group: Group) -> dict[str, Drawing]:
    """The figure of a group with test sets out of distribution; empty for other groups."""
    return {KIND: (partial(_scores, group), ALT, CAPTION)} if group.also else {}


def write_all(
    group: Group, directory: Path, suffix: str = "", wanted: Collection[str] | None = None
) -> dict[str, Plot]:
    """Draw the figure into ``directory``; with ``wanted``, only if its name with ``suffix`` is there."""
    return canvas.write_all(drawings(group), directory, suffix, wanted)


def _scores(group: Group) -> Figure | None:
    drawn = [
        shift
        for shift in shifts.shifts(group)
        if decisions.beats_nothing(group, shift.task, shift.scenario)
    ]
    panels: dict[tuple[str, str], list[Shift]] = {}
    for on in group.also:
        for shift in drawn:
            if shift.on == on:
                panels.setdefault((on.name, shift.task.name), []).append(shift)
    if not panels:
        return None
    most = max(map(len, panels.values()))
    height = max(HEIGHT, REST + labels.LINE * (most + 1))
    figure, axes = canvas.panels(len(panels), height)
    for panel_shifts, ax in zip(panels.values(), axes, strict=True):
        _panel(group, panel_shifts, height - REST, ax)
    return figure


def _panel(group: Group, panel_shifts: Sequence[Shift], height: float, ax: Axes) -> None:
    """Draw the scores of one task on one set; ``height`` is that of the axes in inches."""
    points = {
        shift.scenario: (shift.test.mean, shift.score.mean)
        for shift in panel_shifts
        if shift.test.mean is not None and shift.score.mean is not None
    }
    _limits([*points.values()], ax)
    _lines(points.get(group.control or ""), ax)
    look, task, on = looks(group), panel_shifts[0].task, panel_shifts[0].on
    ends = []
    for shift in panel_shifts:
        if shift.scenario in points:
            point, style = points[shift.scenario], look[shift.scenario]
            _mark(shift, point, style, ax)
            ends.append(Label(shown(shift.scenario, 24), point, style))
    labels.at_right(ends, height, ax)
    ax.set_title(f"{shown(on.title)}: {shown(task.title)}", loc="left")
    ax.set_xlabel(f"{shown(task.metric_title)} on test")
    ax.set_ylabel("on this set")


def _mark(shift: Shift, point: Point, style: Look, ax: Axes) -> None:
    """Draw a scenario's mark; it is hollow if it is unclear whether the scenario or the control loses
    more.
    """
    hollow = shift.against is not None and shift.against.word == "unclear"
    ax.plot(
        *point,
        marker=style.marker,
        color=style.colour,
        markersize=8,
        markerfacecolor="white" if hollow else style.colour,
        markeredgecolor=style.colour if hollow else "white",
        markeredgewidth=1.4 if hollow else 0.8,
        zorder=4,
    )


def _limits(points: Sequence[Point], ax: Axes) -> None:
    """Give both axes limits of the same length around the points. Lines of equal losses then have the
    same slope in every panel.
    """
    sides = list(zip(*points, strict=True))
    length = 1.16 * max(0.02, *(max(values) - min(values) for values in sides))
    centre_x, centre_y = ((min(values) + max(values)) / 2 for values in sides)
    ax.set_xlim(centre_x - length / 2, centre_x + length / 2)
    ax.set_ylim(centre_y - length / 2, centre_y + length / 2)
    ax.locator_params(nbins=5)


def _lines(control: Point | None, ax: Axes) -> None:
    """Draw the line of equal scores on test and on the set, with its name if there is room, and the
    line of scenarios that lose as much as the control.
    """
    ax.axline((0.0, 0.0), slope=1.0, color=INK, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    low, high = max(left, bottom), min(right, top)
    if high - low > FEWEST * (right - left):
        note: dict[str, Any] = {"rotation": 45, "transform_rotates_text": True, "color": INK}
        middle, above = (low + high) / 2, 0.03 * (right - left)
        ax.text(middle, middle + above, "as on test", rotation_mode="anchor", ha="center", **note)
    if control is not None:
        ax.axline(control, slope=1.0, color=INK, linewidth=0.9, linestyle=(0, (5, 3)), zorder=1)
