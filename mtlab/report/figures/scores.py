"""The figures of one group."""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlab.report.comparison.groups import Group
from mtlab.report.figures import canvas
from mtlab.report.figures.canvas import Drawing, Plot
from mtlab.report.figures.decision import decision
from mtlab.report.figures.learning_curves import learning_curves
from mtlab.report.figures.looks import INK, looks, shown
from mtlab.report.markdown import rounded

Draw = Callable[[Group], Figure | None]


def drawings(group: Group) -> dict[str, Drawing]:
    """The figures of a group; empty without test scores."""
    at = f" at {group.label}" if group.label else ""
    return {
        kind: (partial(draw, group), alt + at, caption)
        for kind, (draw, alt, caption) in FIGURES.items()
        if group.tasks
    }


def write_all(
    group: Group, directory: Path, suffix: str = "", wanted: Collection[str] | None = None
) -> dict[str, Plot]:
    """Draw the figures into ``directory``: all, or only those whose name with ``suffix`` is in
    ``wanted``.

    Returns:
        Kind of figure to the figure, without figures for which the records have no values.
    """
    return canvas.write_all(drawings(group), directory, suffix, wanted)


def _time_by_lap(group: Group) -> Figure | None:
    """Two bars for each scenario: the time of a loop without a cache, and the time on this engine."""
    cached, uncached = (_means(group, column) for column in ("wall_s", "wall_plain_s"))
    names = [name for name in group.scenarios if name in cached]
    if not names:
        return None
    look = looks(group)
    figure = canvas.figure(1.1 + 0.55 * len(names))
    ax = figure.subplots()
    for row, name in enumerate(names):
        if name in uncached:
            _bar(row - 0.19, uncached[name], "uncached", look[name].colour, ax, filled=True)
        _bar(row + 0.19, cached[name], "here, with its cache", look[name].colour, ax, filled=False)
    ax.set_xlim(0, 1.28 * max([*cached.values(), *uncached.values()]))
    ax.set_yticks(range(len(names)), [shown(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("seconds of a trial, mean over seeds")
    ax.set_title("Time of a trial, without and with the cache of frozen parts", loc="left")
    return figure


def _bar(row: float, seconds: float, words: str, colour: str, ax: Axes, *, filled: bool) -> None:
    """Draw a bar with its time and its name."""
    face = colour if filled else "#ffffff"
    ax.barh(row, seconds, height=0.32, color=face, edgecolor=colour, linewidth=1.2)
    ax.annotate(
        f"{rounded(seconds)} s {words}",
        (seconds, row),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        color=INK,
    )


def _means(group: Group, column: str) -> dict[str, float]:
    """Scenario to the mean of a column, for scenarios with a value."""
    values = group.values(column).items()
    return {name: sum(seeds.values()) / len(seeds) for name, seeds in values if seeds}


FIGURES: dict[str, tuple[Draw, str, str]] = {
    "decision": (
        decision,
        "For each scenario: what trains in each stage, the change at each task against the control with its verdict, and the cost as a "
        "ratio to the control",
        "What trains, what changes at each task against the control on the test split, and what it costs.",
    ),
    "learning_curves": (
        learning_curves,
        "Validation score, and validation and training loss, of each scenario over training steps, one row a task",
        "Means over seeds, as far as all seeds trained; bands reach from the lowest seed to the highest. Where the validation loss rises "
        "while the training loss falls, a scenario overfits.",
    ),
    "time_by_lap": (
        _time_by_lap,
        "Time of a trial of each scenario, without a cache and with the cache of this engine",
        "Filled: the time without a cache. Hollow: the time on this engine, with the work that trials share counted in full.",
    ),
}
