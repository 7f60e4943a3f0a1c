"""Patience: when a stage that no longer gains on validation begins its cooldown, and ends.

Its decisions depend on validation scores alone, so that they can be made again from a record:
:func:`waiting`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mtlab.plan.scenario import Stage
from mtlab.record.quality import Metrics, selection_score
from mtlab.record.records import EpochRecord


@dataclass
class Waiting:
    """The state of a stage's patience in one trial.

    Attributes:
        stage: with patience, and its cooldown filled in.
        baselines: task to the score that it must exceed before patience may end.
        best: the best scores of the stage so far, by the tasks whose mean they are.
        waited: validations since the last gain.
        epochs: number of the stage's epochs that were validated.
        constant: epochs before the cooldown; None before it begins.
        ended: why the cooldown began, ``patience`` or ``epochs``; empty before it begins.
    """

    stage: Stage
    baselines: Mapping[str, float]
    best: dict[tuple[str, ...], float] = field(default_factory=dict)
    waited: int = 0
    epochs: int = 0
    constant: int | None = None
    ended: str = ""

    def look(self, metrics: Metrics) -> None:
        """Update the state with the validation of the next epoch."""
        self.epochs += 1
        if self.constant is not None:
            return
        gained = False
        for tasks in _watched(self.stage):
            score = selection_score(metrics, tasks)
            if tasks not in self.best or score > self.best[tasks]:
                self.best[tasks], gained = score, True
        self.waited = 0 if gained else self.waited + 1
        if self._over(metrics):
            self.constant, self.ended = self.epochs, "patience"
        elif self.epochs >= self.stage.epochs - self.cooldown:
            self.constant, self.ended = self.epochs, "epochs"

    @property
    def cooldown(self) -> int:
        """Epochs of the cooldown."""
        return self.stage.cooldown or 0

    @property
    def done(self) -> bool:
        """Whether the last epoch has ended."""
        return self.constant is not None and self.epochs >= self.constant + self.cooldown

    def _over(self, metrics: Metrics) -> bool:
        third = -(-self.stage.epochs // 3)
        patient = self.stage.patience is None or self.waited < self.stage.patience
        learnt = all((metrics.primary(task) or 0.0) > low for task, low in self.baselines.items())
        return not patient and self.epochs >= third and learnt


def waiting(
    stage: Stage, first: Metrics, passed: Iterable[EpochRecord], *, untrained: bool
) -> Waiting | None:
    """The state of a stage's patience after some of its epochs; None if the stage has no patience.

    Args:
        stage: filled in from the experiment.
        first: the validation before the trial's first step.
        passed: the stage's epochs so far, in order.
        untrained: whether nothing was trained before ``first``, so that its scores are baselines.
    """
    if stage.patience is None:
        return None
    state = Waiting(stage, baselines(stage, first, untrained=untrained))
    for epoch in passed:
        state.look(epoch.validation)
    return state


def baselines(stage: Stage, first: Metrics, *, untrained: bool) -> dict[str, float]:
    """The score that each task which the stage trains and judges must exceed before patience may
    end. Tasks without gold labels in the split have no score, and are left out.

    Args:
        stage: filled in from the experiment.
        first: as for :func:`waiting`.
        untrained: as for :func:`waiting`.
    """
    lowest = {}
    tasks = stage.losses if stage.select == "each" else stage.judged
    for task in tasks:
        scored = first.by_task.get(task)
        if task in stage.losses and scored is not None and scored.primary is not None:
            constant = scored.constant or 0.0
            lowest[task] = max(constant, scored.primary) if untrained else constant
    return lowest


def _watched(stage: Stage) -> list[tuple[str, ...]]:
    """Groups of tasks: a gain is a new best mean score of any group."""
    return [(task,) for task in stage.losses] if stage.select == "each" else [stage.judged]
