"""Which scenario is better: one verdict and one interval for each pair of scenarios and each task.

The contrasts of a suite are its scenarios against the control, at every task and point. They are one
family: all their intervals together miss a truth in at most 5% of suites, however many looks there
are. Pairs without the control are a second family. Every part of a report that speaks of a pair takes
its interval from here.

Where an experiment looks several times (``seeds: {looks: ...}``), a contrast has the verdict of the
first look that decides it, and the interval of that look.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtlab.plan.scenario import Point
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report.comparison import training_failures
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.statistics import scale
from mtlab.report.statistics.intervals import Interval, Sample, paired
from mtlab.report.statistics.outlook import Outlook
from mtlab.report.statistics.scale import Verdict
from mtlab.report.statistics.variances import estimable
from mtlab.report.tasks import Task

FEWEST = 4
"""Contrasts that must train something for their variances to be pooled: fewer know too little of one
another."""

FAILED, ONE_SEED, ALIKE, UNTRAINED, SENTENCES, SEEDS, OPEN = (
    "failed",
    "one seed",
    "alike",
    "untrained",
    "sentences",
    "seeds",
    "open",
)
"""Why a verdict is unclear: a run failed to train; fewer than two seeds have both; no variance can be
estimated; the control is not better than without training; no number of seeds can tell, more test
sentences could; more seeds could tell than are planned; the seeds to come may tell."""


@dataclass(frozen=True)
class Contrast:
    """One scenario against another at a task.

    Attributes:
        scenario: its name.
        other: the other one, mostly the control.
        task: whose metric.
        interval: of the mean difference, paired by seed and sentence; higher is better for
            ``scenario``.
        alpha: the error that this interval may make.
        look: planned seeds at which it was judged.
        verdict: better, worse, equivalent or unclear.
        reason: why it is unclear; empty where it is clear.
        useless: whether neither of the two is better than no training by more than the margin.
        needed: the seeds or test sentences that a clear verdict needs, if ``reason`` says so; None
            where that number is out of reach.
    """

    scenario: str
    other: str
    task: Task
    interval: Interval
    alpha: float
    look: int
    verdict: Verdict
    reason: str = ""
    useless: bool = False
    needed: int | None = None

    @property
    def as_good(self) -> bool:
        """Whether it is shown to lose less than the margin."""
        return not self.useless and scale.at_least_as_good(self.interval, self.task.margin)

    @property
    def ended(self) -> bool:
        """Whether no more seeds are worth their time: it is decided, or will hardly be."""
        return not self.reason or self.reason in (FAILED, UNTRAINED, SENTENCES, SEEDS)

    def turned(self) -> "Contrast":
        """The same pair the other way round."""
        mean, low, high = (
            None if end is None else -end
            for end in (self.interval.mean, self.interval.high, self.interval.low)
        )
        swapped: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
        return replace(
            self,
            scenario=self.other,
            other=self.scenario,
            interval=Interval(mean, low, high, self.interval.n),
            verdict=swapped.get(self.verdict, self.verdict),
        )


def against_control(group: Group, upto: int | None = None) -> list[Contrast]:
    """Every scenario against the control, at every task with scores; none without a control.

    Args:
        group: of one point.
        upto: the last look that counts, in seeds; all looks by default.
    """
    return [contrast for task in group.tasks for contrast in of_task(group, task, upto).values()]


def of_task(group: Group, task: Task, upto: int | None = None) -> dict[str, Contrast]:
    """Scenario to its contrast with the control at a task."""
    if group.control is None:
        return {}
    return {
        name: judged(group, task, name, group.control, planned(group), upto)
        for name in rivals(group)
    }


def pair(group: Group, task: Task, scenario: str, other: str, upto: int | None = None) -> Contrast:
    """One scenario against another at a task, with the one interval that the pair has.

    Args:
        group: of one point.
        task: whose metric.
        scenario: the first of the pair.
        other: the second of the pair.
        upto: the last look that counts, in seeds; all looks by default.
    """
    if group.control in (scenario, other):
        rival = scenario if other == group.control else other
        contrast = judged(group, task, rival, group.control or "", planned(group), upto)
        return contrast if rival == scenario else contrast.turned()
    names = len(group.scenarios)
    others = names * (names - 1) // 2 - (0 if group.control is None else len(rivals(group)))
    family = max(others, 1) * len(group.every) * len(points(group))
    first, second = sorted((scenario, other), key=group.scenarios.index)
    contrast = judged(group, task, first, second, 1 if group.pilot else family, upto)
    return contrast if first == scenario else contrast.turned()


def still_open(
    suite: SuiteRecord, trials: Sequence[TrialRecord], look: int
) -> set[tuple[Point, str]]:
    """The points and scenarios whose contrasts the seeds so far do not decide, and the control of
    each such point.

    A scenario is open while one of its tasks is.
    """
    remaining: set[tuple[Point, str]] = set()
    for group in groups(suite, trials):
        point = tuple(group.point.items())
        for contrast in against_control(group, look):
            if not contrast.ended:
                remaining |= {(point, contrast.scenario), (point, contrast.other)}
    return remaining


def rivals(group: Group) -> list[str]:
    """The scenarios that are compared with the control."""
    return [name for name in group.scenarios if name != group.control]


def planned(group: Group) -> int:
    """How many contrasts the suite's family has: scenarios, tasks and points; one after a pilot,
    which leaves one candidate.
    """
    if group.pilot:
        return 1
    return len(rivals(group)) * len(group.every) * len(points(group))


def judged(
    group: Group, task: Task, scenario: str, other: str, family: int, upto: int | None = None
) -> Contrast:
    """A pair at the first look that decides it, or at the last one that both have reached.

    Args:
        group: of one point.
        task: whose metric.
        scenario: the first of the pair.
        other: the second of the pair.
        family: how many contrasts share the error.
        upto: the last look that counts, in seeds; all looks by default.
    """
    looks = group.looks or (len(group.seeds),)
    # after a pilot the lower end of one candidate's interval decides, so that each end may err in 5%
    ends = 2 if group.pilot else 1
    alphas = [ends * alpha / family for alpha in scale.spending(looks)]
    samples, last = group.samples(task), (alphas[-1], looks[-1])
    contrast = None
    for look, alpha in zip(looks, alphas, strict=True):
        reached = all(group.reaches(name, look) for name in (scenario, other))
        decided = contrast is not None and contrast.verdict != "unclear"
        if contrast is not None and (decided or not reached or look > (upto or look)):
            break
        contrast = _at_look(group, samples, task, (scenario, other), look, alpha, last)
    assert contrast is not None
    return contrast


def _at_look(
    group: Group,
    samples: Mapping[str, Sample],
    task: Task,
    names: tuple[str, str],
    look: int,
    alpha: float,
    last: tuple[float, int],
) -> Contrast:
    differences = differences_of(samples, *names, group.seeds[:look])
    pooled = _pooled(group, task, look)
    generous = look in group.looks[1:-1]  # it spends a small part of the error
    interval = paired(differences, alpha, pooled, generous=generous)
    if differences and same_weights(group, names, differences):
        interval = Interval(0.0, 0.0, 0.0, len(differences))
    contrast = Contrast(*names, task, interval, alpha, look, scale.verdict(interval, task.margin))
    if any(training_failures.failures(group, name, task, group.seeds[:look]) for name in names):
        without = Interval(interval.mean, None, None, interval.n)
        return replace(contrast, interval=without, verdict="unclear", reason=FAILED)
    if interval.low is None:
        return replace(contrast, reason=ONE_SEED if len(differences) < 2 else ALIKE)
    useless = not any(beats_nothing(group, task, name) for name in names)
    contrast = replace(contrast, useless=useless)
    if contrast.verdict == "equivalent" and contrast.useless:
        return replace(contrast, verdict="unclear", reason=UNTRAINED)
    if contrast.verdict != "unclear":
        return contrast
    narrow = paired(differences, alpha, pooled, equal=False, generous=generous)
    if scale.verdict(narrow, task.margin) != "unclear":
        return replace(contrast, reason=ALIKE)
    table = np.stack(list(differences.values()))
    return _why_unclear(contrast, table, *last, loss_decides=bool(group.pilot))


def same_weights(group: Group, names: tuple[str, str], seeds: Iterable[int]) -> bool:
    """Whether two scenarios came to the same weights with every seed, bit for bit: they train the
    same.
    """
    digests = [
        {trial.seed: trial.final_digest for trial in group.of(scenario)} for scenario in names
    ]
    return all(digests[0][seed] and digests[0][seed] == digests[1][seed] for seed in seeds)


def differences_of(
    samples: Mapping[str, Sample], name: str, other: str, seeds: Sequence[int]
) -> Sample:
    """One scenario minus another at every test sentence, with the seeds that both have."""
    sample, other_sample = samples.get(name, {}), samples.get(other, {})
    return {
        seed: sample[seed] - other_sample[seed]
        for seed in seeds
        if seed in sample and seed in other_sample
    }


def points(group: Group) -> Sequence[Group]:
    """The groups of the suite that are judged together."""
    return group.fellows or [group]


def _pooled(group: Group, task: Task, look: int) -> float | None:
    """The mean variance of one seed's difference at a task, over the contrasts of the suite that
    train something; None where there are too few of them.
    """
    variances = [
        variance for fellow in points(group) for variance in _variances(fellow, task, look)
    ]
    return float(np.mean(variances)) if len(variances) >= FEWEST else None


def _variances(group: Group, task: Task, look: int) -> Iterator[float]:
    samples = group.samples(task)
    trained = [name for name in group.scenarios if training_failures.trains(group, name)]
    pairs = (
        [(name, group.control) for name in trained if name != group.control]
        if group.control is not None
        else itertools.combinations(trained, 2)
    )
    for name, other in pairs:
        differences = differences_of(samples, name, other, group.seeds[:look])
        if len(differences) > 1:
            spread = estimable(np.stack(list(differences.values())))
            if spread is not None:
                yield spread.seeds * len(differences)


def _why_unclear(
    contrast: Contrast, table: np.ndarray, alpha: float, last: int, *, loss_decides: bool
) -> Contrast:
    """A contrast that is unclear, with what would tell.

    Args:
        contrast: at a look.
        table: its differences, (seeds, sentences).
        alpha: of the last look.
        last: seeds at the last look.
        loss_decides: whether it decides, too, that a loss of the margin is excluded.
    """
    spread, (seeds, sentences) = estimable(table), table.shape
    assert spread is not None
    mean, margin = float(table.mean()), contrast.task.margin
    outlook = Outlook(mean, seeds, spread, sentences, alpha, margin, loss_decides)
    if outlook.sentences_needed is not None:
        return replace(contrast, reason=SENTENCES, needed=outlook.sentences_needed)
    if seeds > 2 and (seeds >= last or outlook.hopeless(last)):
        return replace(contrast, reason=SEEDS, needed=outlook.seeds_needed)
    return replace(contrast, reason=OPEN)


def beats_nothing(group: Group, task: Task, scenario: str) -> bool:
    """Whether a scenario is better by more than the margin than no training: two useless models are
    equivalent, and nobody wants either.
    """
    scores = group.values(task.metric).get(scenario, {}).values()
    floor = training_failures.baseline(group, task)
    return bool(scores) and float(np.mean(list(scores))) - floor > task.margin
