"""Out of distribution: how much each scenario loses on other test sets, and whether it loses less than
the control.

The contrasts are a family of their own: over scenarios, tasks, sets and points, and for each of them
both the difference of drops (:mod:`mtlab.report.statistics.drops`) and the difference of scores there,
all intervals together miss a truth in at most 5% of suites. No verdict on the test split depends on
them. Nothing stops on account of these scores, so a difference of drops is judged at the last look
that both scenarios have reached, with what that look may spend.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from mtlab.report.comparison import decisions, training_failures
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group, OtherSet
from mtlab.report.statistics import drops, intervals, scale
from mtlab.report.statistics.drops import Moved
from mtlab.report.statistics.intervals import Interval, Sample, Side
from mtlab.report.tasks import Task

Word = Literal["protects", "loses more", "unclear"]

WORDS: dict[Side, Word] = {"above": "protects", "below": "loses more", "unclear": "unclear"}
"""What a difference of drops says, by the side of 0 that its interval lies on."""

FEWEST_SETS = 3
"""Sets that it takes to say something general; all changes of the same sentences count as one."""


@dataclass(frozen=True)
class Against:
    """A scenario against the control at a task on a test set out of distribution.

    Attributes:
        interval: of the difference of drops, the scenario's minus the control's; above 0 the
            scenario loses less.
        word: the verdict on the difference of drops.
        reason: why it is unclear, in words of :mod:`~mtlab.report.comparison.decisions`; empty if
            the interval alone is the reason.
        there: the comparison of the two scenarios' scores on the set itself.
    """

    interval: Interval
    word: Word
    reason: str
    there: Contrast


@dataclass(frozen=True)
class Shift:
    """What a scenario scores at a task on a test set out of distribution.

    Attributes:
        scenario: its name.
        task: whose metric.
        on: the set.
        test: its score on the test split, with its interval.
        score: its score on the set, with its interval.
        drop: the score on the set minus the score on the test split, mean over seeds.
        against: the comparison with the control; None for the control itself, or without a control.
    """

    scenario: str
    task: Task
    on: OtherSet
    test: Interval
    score: Interval
    drop: float | None
    against: Against | None


def shifts(group: Group) -> list[Shift]:
    """Every task, set and scenario with a score there, in this order; empty where there are no sets."""
    family, all_shifts = planned(group), []
    for on in group.also:
        shifted = group.on(on.name)
        for task in group.tasks:
            if any(shifted.samples(task).values()):
                all_shifts += _of_task(group, shifted, task, on, family)
    order = {task.name: at for at, task in enumerate(group.tasks)}
    return sorted(all_shifts, key=lambda shift: order[shift.task.name])


def planned(group: Group) -> int:
    """How many intervals the family has: two for each scenario besides the control, task, set and
    point, but for tasks of which a set has no gold.
    """
    return 2 * sum(
        len(decisions.rivals(fellow)) * _has_gold(fellow, task, on)
        for fellow in decisions.points(group)
        for task in fellow.every
        for on in fellow.also
    )


def count(sets: Sequence[OtherSet]) -> int:
    """How many sets these are; all changes of the same sentences are one."""
    return sum(not on.changed for on in sets) + any(on.changed for on in sets)


def _has_gold(group: Group, task: Task, on: OtherSet) -> bool:
    """Whether no trial was scored on a set without the task."""
    scored = (trial.also[on.name] for trial in group.good if on.name in trial.also)
    return all(task.name in each.metrics.by_task for each in scored)


def _of_task(group: Group, shifted: Group, task: Task, on: OtherSet, family: int) -> list[Shift]:
    """A shift for each scenario that has a score.

    Args:
        group: of one point.
        shifted: the same with the scores on the set.
        task: whose metric.
        on: the set.
        family: how many intervals share the error.
    """
    tests, others = group.samples(task), shifted.samples(task)
    pooled = cache(lambda look: _pooled(group, shifted, task, on, look))
    task_shifts = []
    for name in group.scenarios:
        if not others[name]:
            continue
        shared = sorted(others[name].keys() & tests[name].keys())
        drops_of = [others[name][seed].mean() - tests[name][seed].mean() for seed in shared]
        against = None
        if group.control is not None and name != group.control:
            contrast = decisions.judged(shifted, task, name, group.control, family)
            look, alpha = _last_look(group, (name, group.control))
            moved = _moved((others, tests), on, (name, group.control), group.seeds[:look])
            generous = look in group.looks[1:-1]  # it spends a small part of the error
            interval = Interval(None, None, None, 0)
            if moved is not None:
                interval = moved.interval(alpha / family, pooled(look), generous=generous)
            against = _against(group, contrast, interval, look)
        score, test = (
            intervals.estimate(sample[name], within=task.kind.limits) for sample in (others, tests)
        )
        drop = float(np.mean(drops_of)) if drops_of else None
        task_shifts.append(Shift(name, task, on, test, score, drop, against))
    return task_shifts


def _against(group: Group, contrast: Contrast, interval: Interval, look: int) -> Against:
    """A difference of drops in words; unclear where a scenario did not learn the task on test, for
    it has nothing to lose.
    """
    task, names = contrast.task, (contrast.scenario, contrast.other)
    if any(training_failures.failures(group, name, task, group.seeds[:look]) for name in names):
        without = Interval(interval.mean, None, None, interval.n)
        return Against(without, "unclear", decisions.FAILED, contrast)
    if not all(decisions.beats_nothing(group, task, name) for name in names):
        return Against(interval, "unclear", decisions.UNTRAINED, contrast)
    if interval.low is None:
        reason = decisions.ONE_SEED if interval.n < 2 else decisions.ALIKE
        return Against(interval, "unclear", reason, contrast)
    return Against(interval, WORDS[intervals.side(interval)], "", contrast)


def _last_look(group: Group, names: tuple[str, str]) -> tuple[int, float]:
    """The last look that both scenarios have reached, in seeds, and the error that it may make; the
    first, where they have reached none.
    """
    looks = group.looks or (len(group.seeds),)
    spent = list(zip(looks, scale.spending(looks), strict=True))
    reached = [each for each in spent if all(group.reaches(name, each[0]) for name in names)]
    return (reached or spent[:1])[-1]


def _moved(
    samples: tuple[Mapping[str, Sample], Mapping[str, Sample]],
    on: OtherSet,
    names: tuple[str, str],
    seeds: Sequence[int],
) -> Moved | None:
    """The difference of drops of two scenarios.

    Args:
        samples: on the set, and on test.
        on: the set.
        names: the scenarios.
        seeds: those that count.
    """
    other, test = (decisions.differences_of(sample, *names, seeds) for sample in samples)
    sizes = {len(values) for sample in (other, test) for values in sample.values()}
    return drops.moved(other, test, same=on.changed and len(sizes) == 1)


def _pooled(group: Group, shifted: Group, task: Task, on: OtherSet, look: int) -> float | None:
    """The mean variance of one seed's difference of drops, over the contrasts of the suite that train
    something; None where there are too few of them.
    """
    variances = []
    for test, other in zip(decisions.points(group), decisions.points(shifted), strict=True):
        samples = other.samples(task), test.samples(task)
        for name in decisions.rivals(test) if test.control is not None else ():
            pair = name, test.control or ""
            if all(training_failures.trains(test, each) for each in pair):
                moved = _moved(samples, on, pair, test.seeds[:look])
                if moved is not None and moved.by_seed is not None:
                    variances.append(moved.by_seed)
    return float(np.mean(variances)) if len(variances) >= decisions.FEWEST else None
