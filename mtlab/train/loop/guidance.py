"""Guidance: each task's validation is watched while a stage trains, and what no longer gains is
slowed or frozen again.

Decisions depend on the validation scores alone, so that they can be made again from a record:
:func:`replay`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mtlab.plan.scenario import Guidance, Stage
from mtlab.record.quality import Metrics, selection_score
from mtlab.record.records import Decision, EpochRecord, StageRecord


@dataclass
class Watched:
    """A task under guidance: its best validation, and how long ago that was."""

    best: float | None = None
    best_epoch: int | None = None
    waited: int = 0
    done: int = 0
    """Actions taken so far."""


@dataclass
class Guide:
    """The state of guidance for a stage of a scenario, over all pieces in which the stage is
    trained.

    Attributes:
        rules: the stage's.
        followed: whether another stage follows.
        tasks: the tasks that still train, to their state.
    """

    rules: Guidance
    followed: bool
    tasks: dict[str, Watched] = field(default_factory=dict)

    def look(self, epoch: int, metrics: Metrics) -> None:
        """Update the state of the tasks with a validation."""
        for task, watched in self.tasks.items():
            value = monitored(metrics, task, self.rules.monitor)
            if value is not None and (
                watched.best is None or value > watched.best + self.rules.min_change
            ):
                watched.best, watched.best_epoch, watched.waited = value, epoch, 0
            else:
                watched.waited += 1

    def decide(self, stage: int, epoch: int, metrics: Metrics) -> list[Decision]:
        """Update the state with a validation, and return the decisions that follow."""
        self.look(epoch, metrics)
        stalled = [
            task for task, watched in self.tasks.items() if watched.waited >= self.rules.patience
        ]
        if self.rules.advance and self.followed:
            waited = min(watched.waited for watched in self.tasks.values())
            return (
                [_about_all("advance", stage, epoch, waited)]
                if len(stalled) == len(self.tasks)
                else []
            )
        decisions = [
            self._act(task, stage, epoch, metrics)
            for task in stalled
            if self.tasks[task].done < len(self.rules.actions)
        ]
        if decisions and not self.tasks:
            decisions.append(_about_all("stop", stage, epoch, decisions[-1].waited))
        return decisions

    def state_dict(self) -> dict[str, Any]:
        """The state of the tasks, for a resume state."""
        return {task: asdict(watched) for task, watched in self.tasks.items()}

    def _act(self, task: str, stage: int, epoch: int, metrics: Metrics) -> Decision:
        watched, action = self.tasks[task], self.rules.actions[self.tasks[task].done]
        value = monitored(metrics, task, self.rules.monitor)
        best, best_epoch, waited = watched.best, watched.best_epoch, watched.waited
        watched.done, watched.waited = watched.done + 1, 0
        if action == "refreeze":
            del self.tasks[task]
        return Decision(
            stage=stage,
            epoch=epoch,
            task=task,
            action=action,
            value=value,
            best=best,
            best_epoch=best_epoch,
            waited=waited,
        )


def _about_all(action: str, stage: int, epoch: int, waited: int) -> Decision:
    return Decision(
        stage=stage,
        epoch=epoch,
        task="",
        action=action,
        value=None,
        best=None,
        best_epoch=None,
        waited=waited,
    )


def guide(stage: Stage, followed: bool, epoch: int, metrics: Metrics) -> Guide | None:
    """The guide of a stage that begins after this validation; None if the stage has no guidance."""
    if stage.guidance is None:
        return None
    guide_of_stage = Guide(stage.guidance, followed, {task: Watched() for task in stage.losses})
    guide_of_stage.look(epoch, metrics)
    for watched in guide_of_stage.tasks.values():
        watched.waited = 0  # the first validation does not count, even if its score is undefined
    return guide_of_stage


def resumed(stages: Sequence[Stage], stage: int, tasks: Mapping[str, Any]) -> Guide | None:
    """The guide of the stage with this index, from what :meth:`Guide.state_dict` returned."""
    rules, followed = stages[stage].guidance, stage + 1 < len(stages)
    watched = {task: Watched(**values) for task, values in tasks.items()}
    return None if rules is None else Guide(rules, followed, watched)


def monitored(metrics: Metrics, task: str, what: str) -> float | None:
    """The value that is watched for a task, higher being better: the metric that judges it, or its
    negative loss.
    """
    scored = metrics.by_task.get(task)
    if scored is None or what != "loss":
        return metrics.primary(task)
    return None if scored.loss is None else -scored.loss


def rest(stage: Stage, decisions: Sequence[Decision], left: int) -> Stage | None:
    """The rest of a stage after decisions about it: it has ``left`` epochs, with changed rates,
    losses and weights; None where the stage ends.
    """
    assert stage.guidance is not None
    if any(decision.action in ("advance", "stop") for decision in decisions):
        return None
    train, losses, notes = dict(stage.train), stage.losses, []
    weights = dict(stage.weights)
    distillation = stage.distillation
    for decision in decisions:
        task, factor = decision.task, stage.guidance.factor
        if decision.action == "slow":
            train = with_head(train, stage.tasks, task, factor)
            weights[task] = stage.weight(task) * factor
            notes.append(f"{task} slower")
        else:
            train = with_head(train, stage.tasks, task, 0.0)
            losses = tuple(other for other in losses if other != task)
            distillation = stage.guidance.hold or distillation
            notes.append(f"{task} frozen")
    name = f"{stage.name.partition(' (')[0]} ({', '.join(notes)} from epoch {decisions[0].epoch})"
    changes = {
        "name": name,
        "epochs": left,
        "train": train,
        "losses": losses,
        "weights": weights,
        "distillation": distillation,
    }
    return stage.model_copy(update={**changes, "warmup": 0.0, "warmup_steps": None})


def with_head(
    train: Mapping[str, float], tasks: Sequence[str], task: str, factor: float
) -> dict[str, float]:
    """Selectors and rates in which the rate of the head of ``task`` is multiplied by ``factor``,
    and all other rates stay; a head with rate 0 is left out.
    """
    heads: dict[str, float] = {}
    others: dict[str, float] = {}
    for (
        selector,
        rate,
    ) in train.items():  # the first match counts, so the heads may come first, each with its name
        by_head = {f"head.{head}": (head,) for head in tasks}
        named = {"heads": tasks, "all": tasks, **by_head}.get(selector, ())
        for head in named:
            heads.setdefault(f"head.{head}", rate)
        if selector == "all":
            others.setdefault("encoder", rate)
        elif not named:
            others[selector] = rate
    heads[f"head.{task}"] = heads.get(f"head.{task}", 0.0) * factor
    return {selector: rate for selector, rate in {**heads, **others}.items() if rate > 0}


def replay(
    stages: Sequence[Stage], epochs: Sequence[EpochRecord], pieces: Sequence[StageRecord] = ()
) -> list[Decision]:
    """The decisions that these stages' guidance makes on these validations; the record's ledger has
    the same.

    Args:
        stages: of the scenario.
        epochs: of the record, the one before any training first.
        pieces: of the record, where stages have several because they choose blocks.
    """

    def of(epoch: EpochRecord) -> tuple[bool, int]:
        stage = pieces[epoch.stage].of if pieces else None
        return (True, epoch.stage) if stage is None else (False, stage)

    decided: list[Decision] = []
    at, latest = 0, epochs[0]
    for number, stage in enumerate(stages):
        guiding, first = (
            guide(stage, number + 1 < len(stages), latest.epoch, latest.validation),
            at + 1,
        )
        for left in range(stage.epochs - 1, -1, -1):
            at += 1
            decisions = (
                guiding.decide(epochs[at].stage, epochs[at].epoch, epochs[at].validation)
                if guiding is not None and left
                else []
            )
            decided += decisions
            if any(decision.action in ("advance", "stop") for decision in decisions):
                break
            following = [of(epoch) for epoch in epochs[at + 1 : at + 2]]
            if stage.patience is not None and following != [of(epochs[at])]:
                break
        passed = epochs[first : at + 1]
        if passed:
            latest = (
                max(passed, key=lambda epoch: selection_score(epoch.validation, stage.judged))
                if stage.select == "best"
                else passed[-1]
            )
    return decided
