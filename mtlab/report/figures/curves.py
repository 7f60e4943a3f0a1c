"""Figures that compare several points or scenarios: quality against the size of the data and against
the number of blocks; settings, conditions, and the parts of tasks.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from mtlab.report.comparison import across
from mtlab.report.comparison.groups import ENOUGH, Group, Task
from mtlab.report.figures import canvas, labels, plots
from mtlab.report.figures.blocks import quality_vs_blocks
from mtlab.report.figures.canvas import Drawing, Plot
from mtlab.report.figures.conditions import conditions
from mtlab.report.figures.labels import Label
from mtlab.report.figures.looks import looks, shown
from mtlab.report.figures.plots import Series
from mtlab.report.figures.settings import settings
from mtlab.report.markdown import listing
from mtlab.report.statistics import intervals
from mtlab.report.statistics.intervals import Interval


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
    """Draw these figures into ``directory``: all, or only those whose name is in ``wanted``."""
    return canvas.write_all(drawings(groups, base), directory, wanted=wanted)


HEIGHT = 2.9
"""The height of a row of panels in inches."""


def _panels(
    rows: Sequence[tuple[str, Sequence[tuple[str, Series]]]], base: Group, x_label: str
) -> Figure:
    """A figure with a row of panels for each item of ``rows`` and a panel for each series in it; the
    scenarios are named at the right.
    """
    figure = canvas.figure(HEIGHT * len(rows) + 0.3)
    grid = figure.subplots(len(rows), len(rows[0][1]), squeeze=False, sharey="row")
    look = looks(base)
    for at, (y_label, columns) in enumerate(rows):
        limits = plots.reach([series for _, series in columns])
        for column, (title, series) in enumerate(columns):
            ax = plots.courses(series, look, grid[at][column], limits, log=True)
            ax.set_title(title, loc="left")
            ax.set_xlabel(x_label if at == len(rows) - 1 else "")
            ax.set_ylabel(y_label if column == 0 else "")
        ends = [
            Label(
                canvas.counted(base, name), (points[-1][0], points[-1][1].mean or 0.0), look[name]
            )
            for name, points in columns[-1][1].items()
        ]
        labels.at_right(ends, HEIGHT - 0.7, grid[at][-1])
    return figure


def _quality_vs_data(groups: Sequence[Group], base: Group) -> Figure | None:
    ways = {SPENT[way]: points for way, points in across.by_size(groups).items() if len(points) > 1}
    if not ways:
        return None
    rows = [
        (
            f"{shown(task.metric_title)}, test",
            [
                (f"{shown(task.heading)}\n{_spent(title, points)}", _over(points, task))
                for title, points in ways.items()
            ],
        )
        for task in base.tasks
    ]
    return _panels(rows, base, "training sentences")


SPENT = {
    across.PLATEAU: "until validation no longer gains",
    across.EPOCHS: "{epochs} epochs ({steps} updates)",
    across.UPDATES: "{steps} updates ({epochs} epochs)",
}
"""What points of different sizes have in common, to the words of a title."""


def _spent(title: str, points: Sequence[Group]) -> str:
    """A title with the epochs and updates (``steps``) of trials at each size, without repetitions."""
    ranges = {}
    for field in ("epochs", "steps"):
        by_point = [
            {
                sum(getattr(stage, field) for stage in trial.stages)
                for trial in group.good
                if any(stage.steps for stage in trial.stages)
            }
            for group in points
        ]
        spent = [_range(amounts) for amounts in by_point if amounts]
        ranges[field] = listing(list(dict.fromkeys(spent)))
    return title.format(**ranges)


def _range(amounts: set[int]) -> str:
    low, high = min(amounts), max(amounts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _over(points: Sequence[Group], task: Task) -> Series:
    """Scenario to its scores at a task, each with its number of training sentences."""
    series: dict[str, list[tuple[float, Interval]]] = {}
    for group in points:
        for name, sample in group.samples(task).items():
            estimate = intervals.estimate(sample, within=task.kind.limits)
            if estimate.mean is not None:
                series.setdefault(name, []).append((float(group.sentences or 0), estimate))
    return series


def parts(task: Task) -> str:
    """The name of the figure that shows the parts of a task."""
    return f"parts_{task.name}"


def _drawing_of_parts(base: Group, task: Task) -> Drawing:
    metric, part = next(iter(task.kind.metrics.values())), task.kind.value_title
    return (
        partial(_parts, base, task),
        f"Test {metric} of each {part} in each scenario",
        f"Means over seeds, those that are gold most often first, with their number. A scenario may be even on average and behind on a "
        f"{part} that matters.",
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
    ax = plots.dots(marks, looks(base), figure.subplots())
    ax.set_xlabel(f"{shown(task.metric_title)}, test, mean over seeds")
    ax.set_title(
        f"{shown(task.heading)}: each {task.kind.value_title} (how many are gold in the test split)",
        loc="left",
    )
    canvas.legend(figure, base, [name for name in base.scenarios if base.of(name)])
    return figure


MOST = 16
"""The most parts of a task that a figure has room for."""

FIGURES: dict[str, tuple[Callable[[Sequence[Group], Group], Figure | None], str, str]] = {
    "quality_vs_data": (
        _quality_vs_data,
        "Test quality of each scenario against the number of training sentences, one row a task",
        "Means over seeds with 95% intervals, which end in a tip where they leave the axis. After as many epochs, smaller data had "
        "fewer updates; after as many updates, more epochs.",
    ),
    "quality_vs_blocks": (
        quality_vs_blocks,
        "Test quality against the number of top blocks that train, one panel a task",
        "Means over seeds with 95% intervals; the heads train, too. Lines: shares of full fine-tuning's score. Rings: the fewest blocks "
        "that reach a share on validation.",
    ),
    "settings": (
        settings,
        "Validation score of each scenario at its first setting and at the one that was chosen",
        "Hollow: the first setting. Filled: the setting with the best validation score. Strokes: all other settings. Means over seeds.",
    ),
    "conditions": (
        conditions,
        "Change of each scenario against the control under each condition of the data, a column a task",
        "The change against the control on the test split, under each condition of the data.",
    ),
}
