"""Runs that ended but did not train. They are counted, and left out of the mean scores.

A mean over trained and failed runs describes neither kind.
"""

from collections.abc import Sequence

from scipy import stats

from mtlab.report.comparison.groups import Group
from mtlab.report.statistics.intervals import LEVEL
from mtlab.report.tasks import Task

BROKEN = ("diverged",)
"""Ends of a trial that are failures of training, not of the machine."""


def trains(group: Group, scenario: str) -> bool:
    """Whether a scenario trains anything."""
    return any(
        stage.epochs and stage.params_trainable
        for trial in group.trials
        if trial.scenario == scenario
        for stage in trial.stages
    )


def baseline(group: Group, task: Task) -> float:
    """The score that needs no training: of the untrained network (on validation, before the first
    epoch) or of the best constant answer (on test), whichever is higher.

    In a staged experiment the first epoch starts from a trained checkpoint, so the constant answer
    alone counts.
    """
    scores = [0.0]
    for trial in group.good:
        scored = trial.test.by_task.get(task.name) if trial.test is not None else None
        if scored is not None:
            scores.append(scored.constant or 0.0)
        first = trial.epochs[0] if trial.epochs else None
        if first is not None and first.epoch == 0 and not trial.start:
            scores.append(first.validation.primary(task.name) or 0.0)
    return max(scores)


def failures(group: Group, scenario: str, task: Task, seeds: Sequence[int]) -> list[int]:
    """The seeds whose run failed to train a task.

    A run failed if its loss diverged, or if its test score is within the margin of no training
    (:func:`baseline`) while the median of the scenario's runs is more than twice the margin above
    it, or undefined there. Where the median is not, the scenario does not learn the task, which is a result and no
    failure.
    """
    broken = [
        trial.seed
        for trial in group.failed
        if trial.scenario == scenario and trial.status in BROKEN and trial.seed in seeds
    ]
    scores = {
        seed: score
        for seed, score in group.values(task.metric).get(scenario, {}).items()
        if seed in seeds
    }
    floor = baseline(group, task)
    ordered = sorted(scores.values())
    learnt = bool(ordered) and ordered[len(ordered) // 2] > floor + 2 * task.margin
    flat = [seed for seed, score in scores.items() if learnt and score <= floor + task.margin]
    ended = (trial.seed for trial in group.of(scenario) if trial.seed in seeds)
    undefined = [seed for seed in ended if learnt and seed not in scores]
    return sorted([*broken, *flat, *undefined])


def share(failed: int, runs: int) -> tuple[float, float]:
    """The Clopper-Pearson interval, at 95%, of the share of runs that fail."""
    tail = (1 - LEVEL) / 2
    low = float(stats.beta.ppf(tail, failed, runs - failed + 1)) if failed else 0.0
    high = float(stats.beta.ppf(1 - tail, failed + 1, runs - failed)) if failed < runs else 1.0
    return low, high
