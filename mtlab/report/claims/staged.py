"""The tests of claims about what a trained model keeps. Each yields the findings of staged records,
or nothing if the records do not have the scenarios that it needs.
"""

from collections.abc import Callable, Iterator, Sequence

from mtlab.record.records import StageRecord
from mtlab.report.claims.evidence import (
    ClaimVerdict,
    Evidence,
    Finding,
    as_good,
    decide,
    finding,
    of_good,
)
from mtlab.report.comparison import decisions, forgetting
from mtlab.report.comparison.forgetting import SOURCE
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.statistics import comparisons, scale
from mtlab.report.statistics.intervals import Interval

Case = Callable[[Sequence[StageRecord]], bool]


def nothing_changed(evidence: Evidence) -> Iterator[Finding]:
    """Where nothing trains, weights are the checkpoint's, and so are the scores."""
    group = evidence.base
    for name in group.scenarios:
        trials, task = group.of(name), _looked_at(group, name)
        if trials and task is not None and not any(stage.steps for stage in trials[0].stages):
            moved = forgetting.change(group, name, task)
            same = (
                all(trial.initial_digest == trial.final_digest for trial in trials)
                and moved.mean == 0.0
            )
            measured = f"{task.metric_title} on the source test split, after minus before; weights {'the same bits' if same else 'changed'}"
            verdict: ClaimVerdict = "supported" if same else "contradicted"
            yield finding(verdict, task.title, measured, moved, group, [name])


def _looked_at(group: Group, name: str) -> Task | None:
    """The first task that the checkpoint has a score of on the source domain."""
    return next(
        (task for task in group.every if forgetting.sample(group, name, task, SOURCE, 0)), None
    )


def keeps(evidence: Evidence) -> Iterator[Finding]:
    """With its head frozen and the encoder moving: the task should lose less than the margin."""
    for task, name, interval in _changes(evidence.base):
        good = scale.at_least_as_good(interval, task.margin)
        yield finding(
            as_good(interval, task.margin, good=good),
            task.title,
            _measured(task),
            interval,
            evidence.base,
            [name],
            limits=(-task.margin,),
        )


def forgets(evidence: Evidence) -> Iterator[Finding]:
    """The same: the task should lose something."""
    for task, name, interval in _changes(evidence.base):
        verdict = decide(interval, "contradicted", "supported")
        yield finding(verdict, task.title, _measured(task), interval, evidence.base, [name])


def _changes(group: Group) -> Iterator[tuple[Task, str, Interval]]:
    """Each kept task whose frozen head the encoder moves around, the scenario, and the change."""
    for task, name in _cases(group, forgetting.adapts_around):
        yield task, name, forgetting.change(group, name, task)


def _measured(task: Task) -> str:
    return f"{task.metric_title} on the source test split, after minus before, its head frozen and the encoder moving"


def preserved(evidence: Evidence) -> Iterator[Finding]:
    """With head and encoder frozen: every logit should be the same, bit for bit."""
    group = evidence.base
    for task, name in _cases(group, forgetting.leaves_encoder):
        same = forgetting.identical(group, name, task)
        if same is not None:
            interval = forgetting.change(group, name, task)
            measured = f"{task.metric_title} on the source test split, after minus before; logits {'identical' if same else 'changed'}"
            verdict: ClaimVerdict = "supported" if same else "contradicted"
            yield finding(verdict, task.title, measured, interval, group, [name])


def mitigates(evidence: Evidence) -> Iterator[Finding]:
    """What each mitigation wins back, without adapters; nothing where no loss was shown."""
    group = evidence.base
    for task in forgetting.kept_tasks(group):
        for effect in forgetting.effects(group, task):
            if not forgetting.lost(group, effect.without, task) or forgetting.adapted(
                group.of(effect.scenario)[0].stages
            ):
                continue
            share = "" if effect.share is None else f" ({effect.share:.0%} of the loss recovered)"
            measured = f"{task.metric_title} on the source test split, {effect.scenario} minus {effect.without}{share}"
            verdict = decide(effect.retained, "supported", "contradicted")
            names = [effect.scenario, effect.without]
            yield finding(verdict, task.title, measured, effect.retained, group, names)


def gradual(evidence: Evidence) -> Iterator[Finding]:
    """Gradual unfreezing against training everything at once: the kept task on the source domain,
    the new ones on the target domain.
    """
    group = evidence.base
    for task, name in _cases(group, forgetting.unfreezes):
        whole = next(
            (other for kept, other in _cases(group, forgetting.trains_all) if kept is task), None
        )
        learnt = forgetting.learnt_tasks(group, name)
        if whole is None or forgetting.learnt_tasks(group, whole) != learnt:
            continue
        gradual_sample, whole_sample = (
            forgetting.sample(group, scenario, task, SOURCE, -1) for scenario in (name, whole)
        )
        interval = comparisons.difference(gradual_sample, whole_sample)
        measured = f"{task.metric_title} on the source test split, {name} minus {whole}"
        verdict = decide(interval, "supported", "contradicted")
        yield finding(verdict, task.title, measured, interval, group, [name, whole])
        for new in learnt:
            contrast = decisions.pair(group, new, name, whole)
            yield of_good(contrast, group, " (target domain)")


def _cases(group: Group, case: Case) -> Iterator[tuple[Task, str]]:
    """Kept tasks, and the first scenario of a case that keeps each."""
    for task in forgetting.kept_tasks(group):
        for name in group.scenarios:
            trials = group.of(name)
            if trials and forgetting.keeps(trials[0].stages, task) and case(trials[0].stages):
                yield task, name
                break
