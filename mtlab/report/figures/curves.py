"""Figures that look over several points or scenarios: quality against data, against blocks, against
epochs, and over settings.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtlab.report.comparison import across, kinds
from mtlab.report.comparison.groups import ENOUGH, Group, Task
from mtlab.report.figures import canvas, plots
from mtlab.report.figures.canvas import Drawing, Plot
from mtlab.report.figures.looks import COLOURS, INK, MARKERS, Look, looks, shown
from mtlab.report.statistics import intervals
from mtlab.report.statistics.intervals import Interval
from mtlab.report.tasks import mean_score

Series = Mapping[str, Sequence[tuple[float, Interval]]]


def drawings(groups: Sequence[Group], base: Group) -> dict[str, Drawing]:
    """The figures across points, and across the scenarios of ``base``."""
    drawn = {
        kind: (partial(draw, groups, base), alt, caption)
        for kind, (draw, alt, caption) in FIGURES.items()
    }
    return drawn | {parts(task): _drawing_of_parts(base, task) for task in base.tasks}


def write_all(
    groups: Sequence[Group], base: Group, directory: Path, wanted: Collection[str] | None = None
) -> dict[str, Plot]:
    """Draw them into ``directory``; where names are ``wanted``, those alone."""
    return canvas.write_all(drawings(groups, base), directory, wanted=wanted)


def _panels(
    rows: Sequence[tuple[str, Sequence[tuple[str, Series]]]],
    base: Group,
    x_label: str,
    *,
    log: bool,
) -> Figure:
    """A row a task, a column a way to look at it; all share the scenarios' legend."""
    figure = canvas.figure(2.9 * len(rows) + 0.7)
    grid = figure.subplots(len(rows), len(rows[0][1]), squeeze=False, sharey="row")
    for at, (y_label, columns) in enumerate(rows):
        for column, (title, series) in enumerate(columns):
            ax = plots.courses(series, looks(base.scenarios), grid[at][column], log=log)
            ax.set_title(title)
            ax.set_xlabel(x_label if at == len(rows) - 1 else "")
            ax.set_ylabel(y_label if column == 0 else "")
    names = [
        name
        for name in base.scenarios
        if any(name in series for _, columns in rows for _, series in columns)
    ]
    canvas.legend(figure, base, names)
    return figure


def _quality_vs_data(groups: Sequence[Group], base: Group) -> Figure | None:
    ways = {
        "at equal epochs": across.at_equal_epochs(groups),
        "at equal updates": across.at_equal_updates(groups),
    }
    ways = {title: points for title, points in ways.items() if len(points) > 1}
    if not ways:
        return None
    rows = [
        (
            f"{shown(task.metric_title)}, test",
            [
                (
                    f"{shown(task.heading)}, {title}",
                    _over(points, task, lambda group: group.sentences or 0),
                )
                for title, points in ways.items()
            ],
        )
        for task in base.tasks
    ]
    return _panels(rows, base, "training sentences", log=True)


def _over(points: Sequence[Group], task: Task, x: Callable[[Group], float]) -> Series:
    series: dict[str, list[tuple[float, Interval]]] = {}
    for group in points:
        for name, sample in group.samples(task).items():
            estimate = intervals.estimate(sample, within=task.kind.limits)
            if estimate.mean is not None:
                series.setdefault(name, []).append((x(group), estimate))
    return series


def _quality_vs_epochs(groups: Sequence[Group], base: Group) -> Figure | None:
    runs = (
        {name: across.budgets(groups, name) for name in base.scenarios}
        if across.settings_only(groups)
        else {}
    )
    runs = {name: points for name, points in runs.items() if points}
    if not runs:
        return None
    rows = []
    for task in base.tasks:
        series = {
            name: [_at(group, task, name, epochs) for epochs, group in points.items()]
            for name, points in runs.items()
        }
        drawn = {
            name: [(x, estimate) for x, estimate in points if estimate.mean is not None]
            for name, points in series.items()
        }
        rows.append((f"{shown(task.metric_title)}, test", [(shown(task.heading), drawn)]))
    return _panels(rows, base, "epochs of the run", log=True)


def _at(group: Group, task: Task, name: str, x: float) -> tuple[float, Interval]:
    return float(x), intervals.estimate(group.samples(task)[name], within=task.kind.limits)


def _quality_vs_blocks(groups: Sequence[Group], base: Group) -> Figure | None:
    by_depth, full = across.depths(base), kinds.find(base, kinds.FULL)
    if len(by_depth) < 3 or full is None:
        return None
    figure, panels = canvas.panels(len(base.tasks), 4.2)
    look = Look(COLOURS[0], MARKERS[0])
    for task, ax in zip(base.tasks, panels, strict=True):
        samples = base.samples(task)
        points = [_at(base, task, name, depth) for depth, name in by_depth.items()]
        plots.courses(
            {"": [(x, estimate) for x, estimate in points if estimate.mean is not None]},
            {"": look},
            ax,
            log=False,
        )
        _shares(intervals.estimate(samples[full]).mean or 0.0, ax)
        chosen = {reached.blocks for reached in across.frontier(base, task)}
        for depth, estimate in points:
            if depth in chosen and estimate.mean is not None:
                ax.plot(
                    depth,
                    estimate.mean,
                    marker="o",
                    markersize=13,
                    markerfacecolor="none",
                    markeredgecolor=INK,
                    zorder=4,
                )
        ax.set_title(shown(task.heading))
        ax.set_xlabel("blocks that train, from the top (0: the heads alone)")
        ax.set_ylabel(f"{shown(task.metric_title)}, test")
    ring = Line2D(
        [], [], color=INK, marker="o", markersize=10, markerfacecolor="none", linestyle=""
    )
    level = Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    figure.legend(
        [ring, level],
        ["fewest blocks that reach a share on validation", "shares of full fine-tuning's score"],
        loc="outside lower center",
        ncols=2,
    )
    return figure


def _shares(whole: float, ax: Axes) -> None:
    """Draw levels at shares of full fine-tuning's score, with their labels, where it is above 0."""
    for share in (1.0, *across.SHARES) if whole > 0 else ():
        ax.axhline(
            share * whole,
            color=INK,
            linewidth=0.9,
            linestyle="-" if share == 1 else (0, (4, 2)),
            zorder=1,
        )
        place = (
            "bottom" if share == 1 else "top" if share == max(across.SHARES) else "center"
        )  # the highest lie close together
        ax.annotate(
            f"{share:.0%}",
            (1.0, share * whole),
            xycoords=("axes fraction", "data"),
            va=place,
            color=INK,
            fontsize=7,
        )


def _settings(groups: Sequence[Group], base: Group) -> Figure | None:
    if not across.settings_only(groups):
        return None
    picked = across.chosen(groups)[1]
    figure = canvas.figure(1.4 + 0.42 * len(base.scenarios))
    ax = figure.subplots()
    look = looks(base.scenarios)
    for row, name in enumerate(base.scenarios):
        scores = {
            group.label: across.validation_score(group.of(name))
            for group in groups
            if group.of(name)
        }
        style = look[name]
        ax.scatter(
            list(scores.values()),
            [row] * len(scores),
            s=26,
            color=style.colour,
            marker=style.marker,
            alpha=0.6,
            linewidths=0,
            zorder=3,
        )
        if picked[name].label in scores:
            ax.plot(
                scores[picked[name].label],
                row,
                marker="o",
                markersize=13,
                markerfacecolor="none",
                markeredgecolor=INK,
                zorder=4,
            )
    ax.set_yticks(range(len(base.scenarios)), [shown(name) for name in base.scenarios])
    ax.set_ylim(len(base.scenarios) - 0.4, -0.6)
    ax.set_xlabel(
        f"validation score ({shown(mean_score(base.every).removeprefix('the '), 90)}, mean over seeds); ring: the setting that was chosen"
    )
    ax.set_title("Every setting that was tried", loc="left")
    return figure


def parts(task: Task) -> str:
    """The name of the figure of a task's parts."""
    return f"parts_{task.name}"


def _drawing_of_parts(base: Group, task: Task) -> Drawing:
    metric, part = next(iter(task.kind.metrics.values())), task.kind.value_title
    return (
        partial(_parts, base, task),
        f"Test {metric} of each {part} in each scenario",
        f"Test {metric} by {part}, means over seeds: those that are gold most often, and how often. A scenario may be even on average "
        "and behind on those that matter.",
    )


def _parts(base: Group, task: Task) -> Figure | None:
    marks: dict[str, dict[str, float]] = {}
    for part, count in base.parts(task).items():
        scores = {name: base.part_score(name, task, part) for name in base.scenarios}
        defined = {name: score for name, score in scores.items() if score is not None}
        if count >= ENOUGH and defined and len(marks) < MOST:
            marks[f"{part} ({count:,})"] = defined
    if len(marks) < 2:
        return None
    figure = canvas.figure(1.5 + 0.3 * len(marks))
    ax = plots.dots(marks, looks(base.scenarios), figure.subplots())
    ax.set_xlabel(f"{shown(task.metric_title)}, test, mean over seeds")
    ax.set_title(
        f"{shown(task.heading)}: each {task.kind.value_title} (how many are gold in the test split)",
        loc="left",
    )
    canvas.legend(figure, base, [name for name in base.scenarios if base.of(name)])
    return figure


MOST = 16
"""Parts of a task that a figure has room for."""

FIGURES: dict[str, tuple[Callable[[Sequence[Group], Group], Figure | None], str, str]] = {
    "quality_vs_data": (
        _quality_vs_data,
        "Test quality of each scenario against the number of training sentences, one row a task",
        "Test quality against the number of training sentences: means over seeds, with 95% intervals over seeds and sentences. "
        "Equal epochs show smaller data fewer updates; equal updates show it more epochs.",
    ),
    "quality_vs_blocks": (
        _quality_vs_blocks,
        "Test quality against the number of top blocks that train, one panel a task",
        "Test quality against the number of top blocks that train beside the heads: means over seeds, with 95% intervals over seeds and "
        "sentences. Lines are full fine-tuning's score and shares of it; rings are the fewest blocks that reach a share on validation.",
    ),
    "quality_vs_epochs": (
        _quality_vs_epochs,
        "Test quality of each scenario against the number of epochs it was given, one panel a task",
        "Test quality against the number of epochs, each point runs of their own: means over seeds, with 95% intervals over seeds and "
        "sentences.",
    ),
    "settings": (
        _settings,
        "Validation score of every setting of each scenario",
        "Validation score of every setting that was tried, a mark each; the ringed one was chosen, and its test scores stand in the "
        "table. How far the marks lie apart is what the choice is worth.",
    ),
}
