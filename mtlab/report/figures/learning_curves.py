"""Learning curves of a group: validation scores and losses over training steps, with the actions of
guidance.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtlab.record.records import EpochRecord, TrialRecord
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.comparison.plateau import plateaus
from mtlab.report.figures import canvas, labels
from mtlab.report.figures.labels import Label
from mtlab.report.figures.looks import INK, Look, looks, shown
from mtlab.report.figures.plots import Point
from mtlab.report.markdown import fixed

HEIGHT = 3.1
"""The height of a row in inches."""
FOREVER = 1e12
"""The step at which the line of a scenario without training has its label: far beyond the right
edge, so that the label's line starts at the edge."""
MOST_LABELS = 14
"""The most scenarios that are named at the ends of their curves; more scenarios are in a legend."""

Value = Callable[[EpochRecord], float | None]


@dataclass(frozen=True)
class Curve:
    """A scenario's values over training steps: mean, lowest and highest value of the seeds."""

    steps: tuple[float, ...]
    means: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]

    @property
    def points(self) -> list[Point]:
        """The mean at each step."""
        return list(zip(self.steps, self.means, strict=True))


def learning_curves(group: Group) -> Figure | None:
    """A row for each task, with scores on validation and losses; None without validation scores."""
    rows = {task: curves for task in group.tasks if (curves := _curves(group, _score(task)))}
    if not rows:
        return None
    figure = canvas.figure(HEIGHT * len(rows) + 0.6)
    grid = figure.subplots(len(rows), 2, squeeze=False, sharex="col", width_ratios=(1.35, 1))
    named = max(map(len, rows.values())) <= MOST_LABELS
    for (task, curves), (scores, losses) in zip(rows.items(), grid, strict=True):
        _scores(group, task, curves, scores, named=named)
        _losses(group, task, losses)
    for ax in grid[-1]:
        ax.set_xlabel("training steps")
    handles = _keys(group)
    if not named:
        canvas.legend(figure, group, list(next(iter(rows.values()))), handles)
    elif handles:
        figure.legend(*zip(*handles, strict=True), loc="outside lower center", ncols=4)
    return figure


def _scores(
    group: Group, task: Task, curves: Mapping[str, Curve], ax: Axes, *, named: bool
) -> None:
    """Draw a task's scores; a scenario without training is a horizontal line."""
    look = looks(group)
    same = labels.alike({name: curve.points for name, curve in curves.items()})
    for name in same:
        _curve(curves[name], look[name], ax)
        _stages(group, name, curves[name], look[name], ax)
    _decisions(group, task, curves, look, ax)
    trained = [curve for curve in curves.values() if len(curve.means) > 1]
    ax.set_ylim(_limits(trained or list(curves.values())))
    ax.set_title(f"{shown(task.heading)}: {shown(task.metric_title)} on validation", loc="left")
    if named:
        gaining = _gaining(group, task)
        named_ends = [
            _label(group, others, curves[name], look[name], gaining=name in gaining)
            for name, others in same.items()
        ]
        labels.at_right(named_ends, HEIGHT - 0.7, ax)


def _limits(curves: Sequence[Curve]) -> Point:
    """Limits of the scores from the first epoch on: the scores before training would squeeze the
    rest.
    """
    after = slice(1, None) if all(len(curve.means) > 1 for curve in curves) else slice(None)
    low = min(min(curve.lows[after]) for curve in curves)
    high = max(max(curve.highs[after]) for curve in curves)
    space = 0.05 * ((high - low) or 0.1)
    return low - space, high + space


def _label(group: Group, names: Sequence[str], curve: Curve, look: Look, *, gaining: bool) -> Label:
    """The label of scenarios with the same curve; without training, it includes the score."""
    words = " = ".join(canvas.counted(group, name) for name in names)
    words += " (still gaining)" if gaining else ""
    if len(curve.means) > 1:
        return Label(words, curve.points[-1], look)
    return Label(
        f"{words} {fixed(curve.means[0])}", (curve.steps[0] + FOREVER, curve.means[0]), look
    )


def _gaining(group: Group, task: Task) -> set[str]:
    """The scenarios whose interval shows that they still gain at a task when their training ends."""
    return {
        course.scenario
        for course in plateaus(group, group.experiment)
        if course.state == "still gaining"
        and (gain := course.gains.get(task.name))
        and (gain.low or 0.0) > 0
    }


def _losses(group: Group, task: Task, ax: Axes) -> None:
    """Draw a task's mean losses: on validation as a solid line, on training data as a dashed line."""
    look = looks(group)
    ways: tuple[tuple[Value, str | tuple[int, tuple[int, int]]], ...] = (
        (lambda epoch: _loss(epoch, task), "-"),
        (lambda epoch: epoch.train_loss.get(task.name), (0, (3, 2))),
    )
    for value, line in ways:
        curves = _curves(group, value)
        for name in labels.alike({name: curve.points for name, curve in curves.items()}):
            curve = curves[name]
            if len(curve.means) > 1:
                style: dict[str, Any] = {
                    "color": look[name].colour,
                    "linewidth": 1.2,
                    "linestyle": line,
                }
                ax.plot(curve.steps, curve.means, **style)
    ax.set_ylim(bottom=0)
    ax.set_title("its loss (dashed: training)", loc="left")


def _curve(curve: Curve, look: Look, ax: Axes) -> None:
    """Draw a mean over seeds with its band, or a horizontal line if nothing was trained."""
    if len(curve.means) == 1:
        ax.axhline(curve.means[0], color=look.colour, linewidth=1.2, linestyle=":", zorder=2)
        return
    ax.fill_between(
        curve.steps, curve.lows, curve.highs, color=look.colour, alpha=0.13, linewidth=0
    )
    every = max(1, len(curve.means) // 5)
    ax.plot(
        curve.steps,
        curve.means,
        color=look.colour,
        marker=look.marker,
        markersize=4.5,
        markevery=every,
        linewidth=1.5,
        zorder=3,
    )


def _curves(group: Group, value: Value) -> dict[str, Curve]:
    """Scenario to its curve, for scenarios with a value."""
    curves = {name: _mean(group.of(name), value) for name in group.scenarios}
    return {name: curve for name, curve in curves.items() if curve is not None}


def _mean(trials: Sequence[TrialRecord], value: Value) -> Curve | None:
    """The mean curve of trials, as far as all seeds with values have one; None without values."""
    seeds = [
        [(float(epoch.step), y) for epoch in trial.epochs if (y := value(epoch)) is not None]
        for trial in trials
    ]
    epochs = list(zip(*[points for points in seeds if points], strict=False))
    if not epochs:
        return None
    steps = tuple(sum(x for x, _ in points) / len(points) for points in epochs)
    values = [[y for _, y in points] for points in epochs]
    means = tuple(sum(ys) / len(ys) for ys in values)
    return Curve(steps, means, tuple(map(min, values)), tuple(map(max, values)))


def _score(task: Task) -> Value:
    return lambda epoch: epoch.validation.primary(task.name)


def _loss(epoch: EpochRecord, task: Task) -> float | None:
    scored = epoch.validation.by_task.get(task.name)
    return None if scored is None else scored.loss


def _stages(group: Group, name: str, curve: Curve, look: Look, ax: Axes) -> None:
    """Put a stroke on the curve at each change of stages."""
    epochs = group.of(name)[0].epochs
    ends = [
        at
        for at, (before, after) in enumerate(itertools.pairwise(epochs))
        if at and before.stage != after.stage and at < len(curve.means)
    ]
    for at in ends:
        ax.plot(
            curve.steps[at],
            curve.means[at],
            marker="|",
            markersize=13,
            markeredgewidth=1.6,
            color=look.colour,
            zorder=4,
        )


DECISIONS = {
    "slow": ("1", "guidance: task slowed"),
    "refreeze": ("x", "guidance: task frozen"),
    "advance": ("4", "guidance: next stage"),
    "stop": ("+", "guidance: all frozen"),
}
"""Action of guidance to its marker and its words."""


def _decisions(
    group: Group, task: Task, curves: Mapping[str, Curve], look: Mapping[str, Look], ax: Axes
) -> None:
    """Put a mark on the mean curve at each epoch at which guidance acted on the task, or on all
    tasks, with at least one seed.
    """
    places = {
        (trial.scenario, decision.epoch, decision.action)
        for trial in group.good
        for decision in trial.ledger
        if decision.task in (task.name, "") and decision.action in DECISIONS
    }
    for name, epoch, action in sorted(places):
        curve = curves.get(name)
        if curve is not None and epoch < len(curve.means):
            ax.plot(
                curve.steps[epoch],
                curve.means[epoch],
                marker=DECISIONS[action][0],
                color=look[name].colour,
                markersize=10,
                markeredgewidth=1.8,
                zorder=5,
            )


def _keys(group: Group) -> list[tuple[Line2D, str]]:
    """The legend of the marks that occur on the curves: handle and words of each."""
    done = {decision.action for trial in group.good for decision in trial.ledger}
    marks = [DECISIONS[action] for action in DECISIONS if action in done]
    if any(len({epoch.stage for epoch in trial.epochs}) > 1 for trial in group.good):
        marks.append(("|", "a stage ends"))
    return [
        (Line2D([], [], color=INK, marker=mark, markersize=9, linestyle=""), words)
        for mark, words in marks
    ]
