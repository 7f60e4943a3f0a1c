"""Learning curves of a group: validation scores over steps and seconds, with what guidance did."""

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtlab.record.records import EpochRecord, TrialRecord
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.figures import canvas, plots
from mtlab.report.figures.looks import INK, looks, shown
from mtlab.report.figures.plots import Curve, Point


def mean_point(points: Sequence[Point]) -> Point:
    """The point with the mean x and the mean y."""
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def learning_curves(group: Group) -> Figure | None:
    """A row of axes a task, by step and by time; None without validation scores."""
    tasks = [task for task in group.tasks if any(_curve(group.good, "step", task).seeds)]
    if not tasks:
        return None
    figure = canvas.figure(3.1 * len(tasks) + 0.7)
    grid = figure.subplots(len(tasks), 2, squeeze=False, sharey="row")
    axes = (("training steps", "step"), ("seconds of training (train lap)", "elapsed_s"))
    for row, task in enumerate(tasks):
        for column, (title, field) in enumerate(axes):
            timed = {
                name: [trial for trial in group.of(name) if field == "step" or not trial.untimed]
                for name in group.scenarios
            }
            by_scenario = {name: _curve(timed[name], field, task) for name in group.scenarios}
            drawn = {name: curve for name, curve in by_scenario.items() if curve.mean}
            ax = plots.learning_curves(drawn, looks(group.scenarios), grid[row][column])
            _mark_decisions(ax, group, task, field)
            if field == "elapsed_s":
                _wide_seconds(ax, [curve.mean for curve in drawn.values()])
            ax.set_title(f"{shown(task.heading)}, by {'step' if field == 'step' else 'time'}")
            ax.set_xlabel(title if row == len(tasks) - 1 else "")
            ax.set_ylabel(f"{shown(task.metric_title)}, validation" if column == 0 else "")
    boundary = Line2D([], [], color=INK, linestyle=(0, (1, 2)), linewidth=0.9)
    extra = (
        [(boundary, "a stage ends")] if any(len(trial.stages) > 1 for trial in group.good) else []
    )
    done = {decision.action for trial in group.good for decision in trial.ledger}
    marks = [DECISIONS[action] for action in DECISIONS if action in done]
    extra += [
        (Line2D([], [], color=INK, marker=mark, linestyle=""), label) for mark, label in marks
    ]
    canvas.legend(figure, group, [name for name in group.scenarios if group.of(name)], extra)
    return figure


DECISIONS = {
    "slow": ("1", "guidance: task slowed"),
    "refreeze": ("x", "guidance: task frozen"),
    "advance": ("4", "guidance: next stage"),
    "stop": ("+", "guidance: all frozen"),
}
"""What guidance did: marker and words."""


def _mark_decisions(ax: Axes, group: Group, task: Task, field: str) -> None:
    """Put a mark on each seed's curve where guidance did something to the task, or to all."""
    for trial in group.good:
        for decision in trial.ledger:
            epoch = next(epoch for epoch in trial.epochs if epoch.epoch == decision.epoch)
            value = epoch.validation.primary(task.name)
            if (
                decision.task in (task.name, "")
                and decision.action in DECISIONS
                and value is not None
            ):
                colour, (mark, _) = (
                    looks(group.scenarios)[trial.scenario].colour,
                    DECISIONS[decision.action],
                )
                ax.plot(
                    getattr(epoch, field),
                    value,
                    marker=mark,
                    color=colour,
                    markersize=9,
                    markeredgewidth=1.6,
                    zorder=5,
                )


def _curve(trials: Sequence[TrialRecord], field: str, task: Task) -> Curve:
    seeds = [
        [
            (float(getattr(epoch, field)), value)
            for epoch in trial.epochs
            if (value := epoch.validation.primary(task.name)) is not None
        ]
        for trial in trials
    ]
    longest = max((len(points) for points in seeds), default=0)
    mean = [
        mean_point([points[at] for points in seeds if len(points) > at]) for at in range(longest)
    ]
    edges = [_edges(trial.epochs, field) for trial in trials]
    boundaries = [sum(edge) / len(edge) for edge in zip(*edges, strict=False)]
    return Curve(mean, [points for points in seeds if points], boundaries)


def _edges(epochs: Sequence[EpochRecord], field: str) -> list[float]:
    """Where one stage ends and the next begins."""
    return [
        float(getattr(here, field))
        for here, after in itertools.pairwise(epochs[1:])
        if here.stage != after.stage
    ]


def _wide_seconds(ax: Axes, curves: Sequence[Sequence[Point]]) -> None:
    """Set a time axis from 0 on which a course of seconds and one of hours can both be read."""
    ends = [curve[-1][0] for curve in curves if curve[-1][0] > 0]
    if ends and max(ends) / min(ends) > 10:
        first = min(x for curve in curves for x, _ in curve if x > 0)
        ax.set_xscale("symlog", linthresh=first, linscale=0.4)
        leading = (1, 2, 5) if max(ends) / first < 200 else (1,)
        ticks = [digit * 10.0**power for power in range(-3, 8) for digit in leading]
        ticks = [tick for tick in ticks if first <= tick <= max(ends) * 1.2]
        ax.set_xticks([0.0, *ticks], ["0", *(f"{tick:,.6g}" for tick in ticks)])
        ax.set_xticks([], minor=True)
        ax.set_xlim(left=-0.15 * first)
