"""The figures of staged experiments: scores of kept tasks against those of new tasks, and how far
each block moved.
"""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtlab.report.comparison import forgetting
from mtlab.report.comparison.forgetting import SOURCE, TARGET
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.figures import canvas, plots
from mtlab.report.figures.canvas import Drawing, Plot
from mtlab.report.figures.looks import INK, Look, looks, shown
from mtlab.report.figures.plots import Point
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.intervals import Interval


def drawings(group: Group) -> dict[str, Drawing]:
    """The figures of a group whose trials started from source checkpoints; none for other groups."""
    staged = forgetting.staged(group)
    return {
        kind: (partial(draw, group), alt, caption)
        for kind, (draw, alt, caption) in FIGURES.items()
        if staged
    }


def write_all(
    group: Group, directory: Path, suffix: str = "", wanted: Collection[str] | None = None
) -> dict[str, Plot]:
    """Draw them into ``directory``; where names are ``wanted``, those alone."""
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
    figure, panels = canvas.panels(len(pairs), 4.6)
    drawn: set[str] = set()
    for (kept, new), ax in zip(pairs, panels, strict=True):
        drawn |= _kept_against_learnt(group, kept, new, ax)
    front_line = Line2D([], [], color=INK, linestyle=(0, (4, 2)), linewidth=1.0)
    level = Line2D([], [], color=INK, linestyle=(0, (1, 2)), linewidth=0.9)
    names = [name for name in group.scenarios if name in drawn]
    canvas.legend(
        figure, group, names, [(front_line, "Pareto front of the means"), (level, "the checkpoint")]
    )
    return figure


def _kept_against_learnt(group: Group, task: Task, new: Task, ax: Axes) -> set[str]:
    """Draw the scores of a kept task over those of a new one, a point for each scenario that trains
    the new task or nothing, with the front of the means and the source checkpoint's score.

    Returns:
        The scenarios drawn.
    """
    means = {}
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
        means[name] = (-kept.mean, learnt.mean)
        _cross((kept.mean, learnt.mean), kept, learnt, looks(group.scenarios)[name], ax)
    front = [(-means[name][0], means[name][1]) for name in comparisons.pareto(means)]
    if len(front) > 1:
        ax.plot(
            *zip(*front, strict=True), color=INK, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1
        )
    before = (
        intervals.estimate(forgetting.sample(group, next(iter(means)), task, SOURCE, 0)).mean
        if means
        else None
    )
    if before is not None:
        ax.axvline(before, color=INK, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
    ax.set_xlabel(
        f"kept: {shown(f'{task.title}, {task.metric_title}', 60)} on the source test split"
    )
    ax.set_ylabel(f"learnt: {shown(f'{new.title}, {new.metric_title}', 60)}, target")
    return set(means)


def _cross(point: Point, across: Interval, upright: Interval, style: Look, ax: Axes) -> None:
    """Draw a point with its two intervals."""
    lines = []
    if across.low is not None and across.high is not None:
        lines.append(([across.low, across.high], [point[1]] * 2))
    if upright.low is not None and upright.high is not None:
        lines.append(([point[0]] * 2, [upright.low, upright.high]))
    for xs, ys in lines:
        ax.plot(xs, ys, color=style.colour, linewidth=1.2, alpha=0.55, zorder=2)
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
    if not series:
        return None
    figure = canvas.figure(3.9)
    ax = plots.courses(series, looks(group.scenarios), figure.subplots(), log=False)
    units = list(next(by_unit for by_unit in by_scenario.values() if by_unit))
    ax.set_xticks(range(len(units)), [shown(unit) for unit in units])
    ax.set_ylabel("linear CKA with the checkpoint")
    ax.set_title("How far each block's output moved", loc="left")
    canvas.legend(figure, group, list(series))
    return figure


FIGURES: dict[str, tuple[Callable[[Group], Figure | None], str, str]] = {
    "kept_and_learnt": (
        _kept_and_learnt,
        "Quality on the new task against quality retained on the kept task, one point a scenario",
        "What is learnt against what is kept: the new task's quality on the target test split over the kept task's on the source test "
        "split, means over seeds with 95% intervals over seeds and sentences. Up and to the right is better.",
    ),
    "drift": (
        _drift,
        "Linear CKA between the checkpoint's hidden states and each scenario's, block by block",
        "Linear CKA between the checkpoint's hidden states and each scenario's on the source test split: means over seeds, with 95% "
        "intervals over seeds. 1 means unchanged.",
    ),
}
