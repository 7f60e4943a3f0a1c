"""Whether scenarios were trained long enough: at their plateau, still gaining, or not known.

Validation scores of a stage at constant rates are compared by thirds: the mean of the last third of
its epochs minus that of the middle third, over seeds. Maxima of single epochs would reward luck, and
a decay of the rates to 0 makes a plateau of its own, so stages with one say nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mtlab.record import pieces
from mtlab.record.records import StageRecord, TrialRecord
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.statistics import intervals
from mtlab.report.statistics.intervals import Interval

State = Literal["at plateau", "still gaining", "not known"]

FEWEST_EPOCHS = 6
"""Epochs at constant rates that thirds take: two in each."""


@dataclass(frozen=True)
class Plateau:
    """How long a scenario was trained, and whether that was enough.

    Attributes:
        scenario: its name.
        epochs: of its trials, one a seed, over all stages.
        early: how many of its trials ended before their maximum.
        gains: task to the mean gain on validation from the middle to the last third of the last
            stage, with its interval over seeds; tasks without one are left out.
        state: of all tasks that it trains together.
    """

    scenario: str
    epochs: tuple[int, ...]
    early: int
    gains: Mapping[str, Interval]
    state: State


def plateaus(group: Group, experiment: Mapping[str, Any]) -> list[Plateau]:
    """Of each scenario that trains something.

    Args:
        group: of one point.
        experiment: its settings, as a record has them.
    """
    return [
        _plateau(group, name, trials, experiment)
        for name in group.scenarios
        if (trials := [trial for trial in group.of(name) if _trains(trial)])
    ]


def _trains(trial: TrialRecord) -> bool:
    return any(stage.epochs and stage.params_trainable for stage in trial.stages)


def _plateau(
    group: Group, name: str, trials: Sequence[TrialRecord], experiment: Mapping[str, Any]
) -> Plateau:
    tasks = [task for task in group.every if task.name in trials[0].stages[-1].losses]
    gains: dict[str, Interval] = {}
    for task in tasks if _constant(name, experiment) else ():
        values = [gain for trial in trials if (gain := _gain(trial, task)) is not None]
        if values:
            gains[task.name] = intervals.interval(values)
    margins = {task.name: task.margin for task in tasks}
    early = sum(any(stage.ended == "patience" for stage in trial.stages) for trial in trials)
    epochs = tuple(sum(stage.epochs for stage in trial.stages) for trial in trials)
    return Plateau(name, epochs, early, gains, _state(gains, margins))


def _state(gains: Mapping[str, Interval], margins: Mapping[str, float]) -> State:
    """At the plateau if each task is shown to gain less than its margin; still gaining if one of
    the others is shown to gain.
    """
    bounded = {task: gain for task, gain in gains.items() if gain.high is not None}
    flat = {task for task, gain in bounded.items() if (gain.high or 0.0) < margins[task]}
    if margins and flat == margins.keys():
        return "at plateau"
    gaining = any((gain.low or 0.0) > 0 for task, gain in bounded.items() if task not in flat)
    return "still gaining" if gaining else "not known"


def _gain(trial: TrialRecord, task: Task) -> float | None:
    """What a trial gained on validation from the middle third of its last stage to the last."""
    scores = _scores(trial, task)
    if len(scores) < FEWEST_EPOCHS:
        return None
    third = len(scores) // 3
    return float(np.mean(scores[-third:]) - np.mean(scores[-2 * third : -third]))


def _scores(trial: TrialRecord, task: Task) -> list[float]:
    """Validation scores of the last stage's epochs at constant rates."""
    stages = trial.stages
    last: StageRecord = stages[-1]
    first = len(stages) - len(pieces.grouped(stages)[-1])
    epochs = [epoch for epoch in trial.epochs if epoch.stage >= first and epoch.epoch]
    constant = epochs if last.constant_epochs is None else epochs[: last.constant_epochs]
    scores = (epoch.validation.primary(task.name) for epoch in constant)
    return [score for score in scores if score is not None]


def _constant(name: str, experiment: Mapping[str, Any]) -> bool:
    """Whether the last stage of a scenario has constant rates."""
    stages = experiment.get("scenarios", {}).get(name) or [{}]
    usual = experiment.get("optimizer", {}).get("schedule", "constant")
    return (stages[-1].get("schedule") or usual) == "constant"
