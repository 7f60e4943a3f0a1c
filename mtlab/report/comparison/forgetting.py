"""Forgetting: values for the report of staged experiments, from records.

A scenario *keeps* a task where none of its losses trains the task: the task's head stays as in the
source checkpoint, and its scores may change because other parts move. Backward transfer (Lopez-Paz
and Ranzato 2017) is the score after minus the score before, on the domain of the source checkpoint;
negative is forgetting.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtlab.record.records import DomainScore, StageRecord, TrialRecord
from mtlab.report.comparison import decisions
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.intervals import Interval, Sample

SOURCE, TARGET = "source", "target"

ADAPTERS = "lora"
"""The unit of low-rank adapters in the encoder."""

HALF = 0.5
"""The share of a loss that a mitigation should win back."""


@dataclass(frozen=True)
class Effect:
    """The effect of a mitigation: a scenario against the same scenario without it.

    Attributes:
        scenario: with the mitigation.
        without: the same without it.
        retained: the kept task's score on the source domain with the mitigation, minus the score
            without it. With fewer than two seeds the bounds are ``None``.
        learned: the same difference for each task that both train, by name, on the target domain.
        share: the recovered part of the loss, over the loss without the mitigation.
        beyond_half: the recovered part minus half of the loss: an interval above 0 shows that the
            mitigation recovers at least half.
    """

    scenario: str
    without: str
    retained: Interval
    learned: Mapping[str, Interval]
    share: float | None
    beyond_half: Interval


def staged(group: Group) -> bool:
    """Whether trials of a group started from a source checkpoint."""
    return any(trial.matrix for trial in group.good)


def trained(stages: Sequence[StageRecord]) -> frozenset[str]:
    """The tasks that a scenario trains."""
    return frozenset(task for stage in _active(stages) for task in stage.losses)


def keeps(stages: Sequence[StageRecord], task: Task) -> bool:
    """Whether a scenario does not train a task while it trains another."""
    tasks = trained(stages)
    return bool(tasks) and task.name not in tasks


def kept_tasks(group: Group) -> list[Task]:
    """The tasks that some scenario of the group keeps, with a score on the source domain."""
    return [
        task
        for task in group.every
        if keepers(group, task)
        and any(sample(group, name, task, SOURCE, 0) for name in group.scenarios)
    ]


def learnt_tasks(group: Group, scenario: str) -> list[Task]:
    """The tasks that a scenario trains."""
    trials = group.of(scenario)
    return [task for task in group.every if trials and task.name in trained(trials[0].stages)]


def sample(group: Group, scenario: str, task: Task, domain: str, stage: int) -> Sample:
    """Seed to what each test sentence of a domain adds to a task's metric.

    Args:
        group: with the scenario's trials.
        scenario: its name.
        task: whose metric.
        domain: ``source`` or ``target``.
        stage: 0 for the checkpoint, -1 for the weights that were selected, else the number of
            stages behind the weights.
    """
    by_seed = {}
    for trial in group.of(scenario):
        scored = at(trial, domain, stage)
        values = task.contributed(scored.contributions) if scored is not None else None
        if values is not None:
            by_seed[trial.seed] = values
    return by_seed


def at(trial: TrialRecord, domain: str, stage: int) -> DomainScore | None:
    """A trial's scores on a domain at one time."""
    last = len(trial.stages)
    if (
        domain == TARGET
        and stage in (-1, last)
        and trial.test is not None
        and trial.contributions is not None
    ):
        return DomainScore(
            stage=last, domain=domain, metrics=trial.test, contributions=trial.contributions
        )
    wanted = last if stage == -1 else stage
    return next(
        (score for score in trial.matrix if (score.domain, score.stage) == (domain, wanted)), None
    )


def keepers(group: Group, task: Task) -> list[str]:
    """Scenarios that keep a task."""
    return [
        scenario
        for scenario in group.scenarios
        if (trials := group.of(scenario)) and keeps(trials[0].stages, task)
    ]


def change(group: Group, scenario: str, task: Task, domain: str = SOURCE) -> Interval:
    """Score after minus score before, paired by seed and sentence, with an interval adjusted for all
    the scenarios that keep the task; exactly 0 where every logit stayed as it was.
    """
    after, before = (sample(group, scenario, task, domain, stage) for stage in (-1, 0))
    moved = comparisons.difference(after, before, max(1, len(keepers(group, task))))
    if moved.mean == 0.0 and moved.low is None and _same(group, scenario, task):
        return replace(moved, low=0.0, high=0.0)
    return moved


def _same(group: Group, scenario: str, task: Task) -> bool:
    """Whether nothing that a task's logits come from has changed."""
    untrained = all(trial.initial_digest == trial.final_digest for trial in group.of(scenario))
    return untrained or bool(identical(group, scenario, task))


def lost(group: Group, scenario: str, task: Task) -> bool:
    """Whether a scenario is shown to lose some of a task: only then can a mitigation win something
    back.
    """
    interval = change(group, scenario, task)
    return interval.high is not None and interval.high < 0


def adapted(stages: Sequence[StageRecord]) -> bool:
    """Whether low-rank adapters train in place of the encoder."""
    return any(ADAPTERS in _units(stage) for stage in stages)


def unmitigated(stages: Sequence[StageRecord]) -> bool:
    """Whether no mitigation protects what the stages do not train, and no adapters replace the
    encoder.
    """
    return not adapted(stages) and not any(
        stage.rehearsal or stage.l2_sp or stage.distillation or stage.average is not None
        for stage in stages
    )


def without(group: Group, scenario: str) -> str | None:
    """The scenario that trains the same parts as long without a mitigation; ``None`` without one.

    Adapters count as the encoder.
    """
    trials = group.of(scenario)
    if not trials or unmitigated(trials[0].stages):
        return None
    parts = [_parts(stage) for stage in trials[0].stages]
    for name in group.scenarios:
        others = group.of(name)
        if (
            others
            and unmitigated(others[0].stages)
            and [_parts(stage) for stage in others[0].stages] == parts
        ):
            return name
    return None


def _parts(stage: StageRecord) -> tuple[object, ...]:
    """What a stage trains, and for how long."""
    units, encoder = _units(stage), _encoder(stage) - {ADAPTERS}
    moves = bool(units & {*encoder, ADAPTERS}) and (ADAPTERS in units or encoder <= units)
    heads = frozenset(unit for unit in units if unit.startswith("head."))
    how = stage.chooses, stage.reinit
    return (moves, heads if moves else frozenset(units)), stage.losses, stage.epochs, how


def effects(group: Group, task: Task) -> list[Effect]:
    """The effect of each mitigation of scenarios that keep ``task``."""
    pairs = [(name, other) for name in keepers(group, task) if (other := without(group, name))]
    return [_effect(group, name, other, task, len(pairs)) for name, other in pairs]


def _effect(group: Group, name: str, other: str, task: Task, contrasts: int) -> Effect:
    held, loose = sample(group, name, task, SOURCE, -1), sample(group, other, task, SOURCE, -1)
    before = sample(group, other, task, SOURCE, 0)
    retained = comparisons.difference(held, loose, contrasts)
    shared = sorted(held.keys() & loose.keys() & before.keys())
    beyond = {
        seed: held[seed] - loose[seed] - HALF * (before[seed] - loose[seed]) for seed in shared
    }
    lost = (
        float(np.mean([before[seed].mean() - loose[seed].mean() for seed in shared]))
        if shared
        else 0.0
    )
    learned = {
        new.name: decisions.pair(group, new, name, other).interval
        for new in learnt_tasks(group, name)
    }
    share = retained.mean / lost if retained.mean is not None and lost > 0 else None
    return Effect(
        name,
        other,
        retained,
        learned,
        share,
        intervals.paired(beyond, (1 - intervals.LEVEL) / contrasts, equal=False),
    )


def identical(group: Group, scenario: str, task: Task) -> bool | None:
    """Whether every logit of a task on the source test split stayed as it was, bit for bit, with
    every seed; ``None`` without records.
    """
    drifts = [
        trial.drift.logits[task.name]
        for trial in group.of(scenario)
        if trial.drift and task.name in trial.drift.logits
    ]
    return all(drift.identical for drift in drifts) if drifts else None


def cka(group: Group, scenario: str) -> dict[str, Interval]:
    """Unit to linear CKA between the checkpoint's states and the trial's, over seeds."""
    drifts = [trial.drift.cka for trial in group.of(scenario) if trial.drift]
    return {
        unit: intervals.interval((drift[unit] for drift in drifts), within=(0.0, 1.0))
        for unit in (drifts[0] if drifts else {})
    }


def logit_drift(group: Group, scenario: str, task: Task) -> Iterator[tuple[float, float]]:
    """Each seed's mean Kullback-Leibler divergence (nats) and share of changed predictions, on the
    source test split.
    """
    for trial in group.of(scenario):
        if trial.drift and task.name in trial.drift.logits:
            yield trial.drift.logits[task.name].kl, trial.drift.logits[task.name].changed


# Kinds of staged scenarios, read from what they train.


def adapts_around(stages: Sequence[StageRecord]) -> bool:
    """Whether one stage trains the encoder and the heads of new tasks while those of kept tasks are
    frozen, without a mitigation.
    """
    return _case(stages) == "around" and unmitigated(stages)


def leaves_encoder(stages: Sequence[StageRecord]) -> bool:
    """Whether the heads of new tasks train alone."""
    return _case(stages) == "head"


def trains_all(stages: Sequence[StageRecord]) -> bool:
    """Whether one stage trains everything on the new tasks, without a mitigation."""
    return _case(stages) == "all" and unmitigated(stages)


def unfreezes(stages: Sequence[StageRecord]) -> bool:
    """Whether several stages train more and more on new tasks, in the end the whole encoder,
    without a mitigation.
    """
    active = _active(stages)
    if len(active) < 2 or not _keeps_any(stages) or not unmitigated(stages):
        return False
    units = [_units(stage) for stage in active]
    return (
        all(fewer < other for fewer, other in itertools.pairwise(units))
        and _encoder(active[-1]) <= units[-1]
    )


def _case(stages: Sequence[StageRecord]) -> str:
    active = _active(stages)
    if len(active) != 1 or not _keeps_any(stages):
        return ""
    units, encoder = _units(active[0]), _encoder(active[0])
    new = {f"head.{task}" for task in trained(stages)}
    if units == set(active[0].parameters):
        return "all"
    if units == new:
        return "head"
    return "around" if units == {*encoder, *new} else ""


def _active(stages: Sequence[StageRecord]) -> list[StageRecord]:
    """The stages that train."""
    return [stage for stage in stages if stage.epochs and stage.params_trainable]


def _keeps_any(stages: Sequence[StageRecord]) -> bool:
    heads = {unit for unit in stages[0].parameters if unit.startswith("head.")}
    return bool(heads - {f"head.{task}" for task in trained(stages)})


def _units(stage: StageRecord) -> set[str]:
    return {unit for unit, count in stage.parameters.items() if count.trainable}


def _encoder(stage: StageRecord) -> set[str]:
    return {unit for unit in stage.parameters if not unit.startswith("head.")}
