"""The figures of staged experiments: scores of kept tasks against those of new tasks, and how far
each block moved.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlab.report.comparison import forgetting
from mtlab.report.comparison.forgetting import SOURCE, TARGET
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.figures import canvas, labels, plots
from mtlab.report.figures.canvas import Drawing, Plot
from mtlab.report.figures.labels import Label
from mtlab.report.figures.looks import INK, Look, looks, shown
from mtlab.report.figures.plots import Point
from mtlab.report.statistics import intervals
from mtlab.report.statistics.intervals import Interval

HEIGHT, LOW = 4.2, 3.0
"""The height of a panel in inches, and its height if there are more than two panels."""


def drawings(group: Group) -> dict[str, Drawing]:
    """The figures of a group whose trials started from source checkpoints; empty for other groups."""
    staged = forgetting.staged(group)
    return {
        kind: (partial(draw, group), alt, caption)
        for kind, (draw, alt, caption) in FIGURES.items()
        if staged
    }


def write_all(
    group: Group, directory: Path, suffix: str = "", wanted: Collection[str] | None = None
) -> dict[str, Plot]:
    """Draw the figures into ``directory``: all, or only those whose name with ``suffix`` is in
    ``wanted``.
    """
    return canvas.write_all(drawings(group), directory, suffix, wanted)


def _kept_and_learnt(group: Group) -> Figure | None:
    pairs = [
        (kept, new)
        for kept in forgetting.kept_tasks(group)
        for new in group.every
        if any(
            new in forgetting.learnt_tasks(group, name) for name in forgetting.keepers(group, kept)
        )
    ]
    if not pairs:
        return None
    height = HEIGHT if len(pairs) <= 2 else LOW
    figure = canvas.figure(height * len(pairs))
    for (kept, new), ax in zip(
        pairs, figure.subplots(len(pairs), squeeze=False)[:, 0], strict=True
    ):
        points = _kept_against_learnt(group, kept, new, ax)
        _name(group, points, height, ax)
    return figure


def _kept_against_learnt(group: Group, task: Task, new: Task, ax: Axes) -> dict[str, list[Point]]:
    """Draw the scores of a new task (vertical) against those of a kept task (horizontal): a point for
    each scenario that trains the new task or nothing, and a line at the source checkpoint's score.

    Returns:
        Scenario to its point, in a list.
    """
    look = looks(group)
    points: dict[str, list[Point]] = {}
    for name in group.scenarios:
        kept, learnt = (
            intervals.estimate(
                forgetting.sample(group, name, judged, domain, -1), within=judged.kind.limits
            )
            for judged, domain in ((task, SOURCE), (new, TARGET))
        )
        trained = forgetting.learnt_tasks(group, name)
        if kept.mean is None or learnt.mean is None or (trained and new not in trained):
            continue
        point = kept.mean, learnt.mean
        if [point] not in points.values():
            _cross(point, kept, learnt, look[name], ax)
        points[name] = [point]
    before = (
        intervals.estimate(forgetting.sample(group, next(iter(points)), task, SOURCE, 0)).mean
        if points
        else None
    )
    if before is not None:
        ax.axvline(before, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
        note: dict[str, Any] = {
            "xytext": (3, -2),
            "textcoords": "offset points",
            "va": "top",
            "color": INK,
        }
        ax.annotate("before", (before, 1.0), xycoords=("data", "axes fraction"), **note)
    ax.set_xlabel(
        f"kept: {shown(f'{task.title}, {task.metric_title}', 60)} on the source test split"
    )
    ax.set_ylabel(f"learnt: {shown(f'{new.title}, {new.metric_title}', 60)}, target")
    ax.set_title("Up and to the right is better", loc="left")
    return points


def _name(group: Group, points: Mapping[str, Sequence[Point]], height: float, ax: Axes) -> None:
    """Name scenarios at the right; scenarios with the same points share a label."""
    look = looks(group)
    ends = [
        Label(" = ".join(shown(name) for name in same), points[first][-1], look[first])
        for first, same in labels.alike(points).items()
    ]
    labels.at_right(ends, height - 0.9, ax)


def _cross(point: Point, across: Interval, upright: Interval, style: Look, ax: Axes) -> None:
    """Draw a point with its two intervals."""
    lines = []
    if across.low is not None and across.high is not None:
        lines.append(([across.low, across.high], [point[1]] * 2))
    if upright.low is not None and upright.high is not None:
        lines.append(([point[0]] * 2, [upright.low, upright.high]))
    for xs, ys in lines:
        ax.plot(xs, ys, color=style.colour, linewidth=1.0, zorder=2)
    ax.plot(
        *point,
        marker=style.marker,
        color=style.colour,
        markersize=9,
        markeredgecolor="white",
        zorder=4,
    )


def _drift(group: Group) -> Figure | None:
    by_scenario = {name: forgetting.cka(group, name) for name in group.scenarios}
    series = {
        name: [(float(at), similarity) for at, similarity in enumerate(by_unit.values())]
        for name, by_unit in by_scenario.items()
        if by_unit
    }
    points = {
        name: [(x, value.mean) for x, value in values if value.mean is not None]
        for name, values in series.items()
    }
    points = {name: course for name, course in points.items() if course}
    if not points:
        return None
    figure = canvas.figure(HEIGHT)
    drawn = {name: series[name] for name in labels.alike(points)}
    ax = plots.courses(drawn, looks(group), figure.subplots(), plots.reach([drawn]), log=False)
    units = list(next(by_unit for by_unit in by_scenario.values() if by_unit))
    ax.set_xticks(range(len(units)), [shown(unit) for unit in units])
    ax.set_ylabel("similarity of hidden states (linear CKA)")
    ax.set_title("How far each block's output moved from the checkpoint: 1 = unchanged", loc="left")
    _name(group, points, HEIGHT, ax)
    return figure


FIGURES: dict[str, tuple[Callable[[Group], Figure | None], str, str]] = {
    "kept_and_learnt": (
        _kept_and_learnt,
        "Quality on the new task against quality retained on the kept task, one point a scenario",
        "The new task's score on the target test split over the kept task's on the source test split: means over seeds with 95% "
        "intervals. Names joined by = are one point.",
    ),
    "drift": (
        _drift,
        "Linear CKA between the checkpoint's hidden states and each scenario's, block by block",
        "Linear CKA of hidden states on the source test split, before and after: means over seeds with 95% intervals. Names joined "
        "by = are one line.",
    ),
}
