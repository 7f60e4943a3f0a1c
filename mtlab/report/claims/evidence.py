"""The input of tests of claims, and their findings."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord
from mtlab.report.comparison import across, kinds
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group, Task, groups
from mtlab.report.comparison.kinds import Kind
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.intervals import Interval, Side, Values
from mtlab.report.statistics.scale import Verdict

ClaimVerdict = Literal["supported", "contradicted", "open"]
Form = Literal["difference", "ratio", "share", "count"]

SMALL = 10_000
"""Data with fewer training sentences than this are called small."""


@dataclass(frozen=True)
class Finding:
    """What a test of a claim found.

    Attributes:
        verdict: on the claim, by the interval.
        about: the task, or the cost, in a few words.
        measured: the quantity, in words.
        effect: its value with an interval; a difference of scores, a ratio, a share or a count.
        form: how to write the value.
        seeds: the number of seeds.
        at: the number of training sentences, or the point.
        scenarios: the scenarios whose trials were used.
        limits: the values at which the verdict changes.
    """

    verdict: ClaimVerdict
    about: str
    measured: str
    effect: float | None
    low: float | None
    high: float | None
    form: Form
    seeds: int
    at: str
    scenarios: tuple[str, ...]
    limits: tuple[float, ...] = (0.0,)

    @property
    def strength(self) -> float:
        """How far the interval must move for the verdict to be another, in widths of the interval.

        It is infinite where the effect is exact, and 0 where an end of the interval is unknown.
        """
        if self.low is None or self.high is None:
            return 0.0
        if self.low == self.high:
            return math.inf
        to_limits = (max(self.low - limit, limit - self.high) for limit in self.limits)
        return min(map(abs, to_limits)) / (self.high - self.low)


class Evidence:
    """The results of a suite that tests of claims use."""

    def __init__(self, suite: SuiteRecord, groups: Sequence[Group]) -> None:
        self.suite, self.groups = suite, groups

    @cached_property
    def base(self) -> Group:
        """Where claims about one size and recipe are tested: the best settings, or the point with
        the most sentences.
        """
        if across.settings_only(self.groups):
            return across.chosen(self.groups)[0]
        return max(self.sizes or self.groups, key=lambda group: group.sentences or 0)

    @property
    def staged(self) -> bool:
        """Whether trials started from checkpoints."""
        return bool(self.suite.experiment.get("start"))

    @cached_property
    def sizes(self) -> list[Group]:
        """Points of growing size that train for comparable lengths; empty where points are settings."""
        return across.sizes(self.groups)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks with test scores."""
        return tuple(
            task for task in self.base.every if any(task in group.tasks for group in self.groups)
        )

    @property
    def labels(self) -> Task | None:
        """The first task with one label a sentence; ``None`` without one."""
        return next((task for task in self.tasks if task.kind.one_label), None)

    @property
    def entities(self) -> Task | None:
        """The first task with entities; ``None`` without one."""
        return next((task for task in self.tasks if task.kind.spans), None)

    def chance(self, group: Group, task: Task) -> float | None:
        """Accuracy of a guess among all labels of a task."""
        facts = self.suite.data.get(group.label) or next(iter(self.suite.data.values()), {})
        names = facts.get("tasks", {}).get(task.name, {}).get("names")
        return 1 / len(names) if names else None


def read(directory: Path) -> Evidence:
    """The results of the suite in a folder.

    Raises:
        UserError: there is no suite, or a record cannot be read.
    """
    suite, trials = Journal(directory).read()
    return Evidence(suite, groups(suite, trials))


def at(group: Group) -> str:
    """The place of a finding: the number of sentences, or the point."""
    return f"{group.sentences:,} sentences" if group.sentences else group.label


def two(group: Group, kind: Kind, other: Kind) -> tuple[str, str] | None:
    """The scenarios of two kinds, where a group has both."""
    names = kinds.find(group, kind), kinds.find(group, other)
    return None if names[0] is None or names[1] is None else (names[0], names[1])


def decide(
    interval: Interval, above: ClaimVerdict, below: ClaimVerdict, nothing: float = 0.0
) -> ClaimVerdict:
    """The verdict for an interval that lies above ``nothing``, or below it."""
    verdicts: dict[Side, ClaimVerdict] = {"above": above, "below": below}
    return verdicts.get(intervals.side(interval, nothing), "open")


def judge(contrast: Contrast, above: ClaimVerdict, below: ClaimVerdict) -> ClaimVerdict:
    """The verdict for a pair of which the first is better, or worse; where the two are equivalent, a
    claim that they differ is contradicted.
    """
    verdicts: dict[Verdict, ClaimVerdict] = {
        "better": above,
        "worse": below,
        "equivalent": "contradicted",
    }
    return verdicts.get(contrast.verdict, "open")


def as_good(interval: Interval, margin: float, *, good: bool) -> ClaimVerdict:
    """The verdict on the claim that a score is at least as good as another: that it loses less than
    the margin.

    Args:
        interval: of the one minus the other.
        margin: of the task.
        good: whether it is shown to be at least as good.
    """
    if good:
        return "supported"
    lost = interval.high is not None and interval.high < -margin
    return "contradicted" if lost else "open"


def scores(
    group: Group, kind: Kind, other: Kind, above: ClaimVerdict, below: ClaimVerdict
) -> Iterator[Finding]:
    """One kind's test score minus another's, task by task."""
    for task in group.tasks:
        yield from score(group, task, kind, other, above, below)


def score(
    group: Group,
    task: Task,
    kind: Kind,
    other: Kind,
    above: ClaimVerdict,
    below: ClaimVerdict,
) -> Iterator[Finding]:
    """One kind's test score on a task minus another's."""
    contrast = across.lead(group, task, kind, other)
    if contrast is not None:
        yield of_pair(judge(contrast, above, below), contrast, group)


def of_pair(
    verdict: ClaimVerdict,
    contrast: Contrast,
    group: Group,
    note: str = "",
    names: Sequence[str] = (),
    limits: tuple[float, ...] = (),
) -> Finding:
    """A finding about two scenarios at a task, with the interval that the pair has everywhere.

    Args:
        verdict: on the claim.
        contrast: the pair.
        group: whose trials it compares.
        note: a remark on the measured quantity.
        names: the scenarios whose trials were used; the pair's by default.
        limits: the effects at which the verdict changes; by default those of the pair's own
            verdict.
    """
    margin = contrast.task.margin
    of_verdict = (-margin, margin) if contrast.verdict == "equivalent" else (0.0,)
    measured = (
        f"{contrast.task.metric_title} on test, {contrast.scenario} minus {contrast.other}{note}"
    )
    return finding(
        verdict,
        contrast.task.title,
        measured,
        contrast.interval,
        group,
        names or (contrast.scenario, contrast.other),
        limits=limits or of_verdict,
    )


def of_good(contrast: Contrast, group: Group, note: str = "") -> Finding:
    """A finding about the claim that the first of a pair is at least as good."""
    limits = (-contrast.task.margin,)
    verdict = as_good(contrast.interval, contrast.task.margin, good=contrast.as_good)
    return of_pair(verdict, contrast, group, note, limits=limits)


def finding(
    verdict: ClaimVerdict,
    about: str,
    measured: str,
    interval: Interval,
    group: Group,
    names: Sequence[str],
    form: Form = "difference",
    limits: tuple[float, ...] = (0.0,),
) -> Finding:
    """A finding from its interval."""
    return Finding(
        verdict,
        about,
        measured,
        interval.mean,
        interval.low,
        interval.high,
        form,
        interval.n,
        at(group),
        tuple(names),
        limits,
    )


def cost(group: Group, kind: Kind, other: Kind, column: str, words: str) -> Iterator[Finding]:
    """One kind's cost over another's, with the interval that the table of costs has; cheaper
    supports.
    """
    pair = two(group, kind, other)
    if pair:
        values = group.values(column)
        costs = {name: values[name] for name in pair}
        yield from ratio(costs, pair, words, group, contrasts=max(1, len(group.scenarios) - 1))


def ratio(
    values: Values, pair: tuple[str, str], words: str, group: Group, contrasts: int
) -> Iterator[Finding]:
    """One scenario's cost over another's, paired by seed; a ratio below 1 supports.

    Args:
        values: scenario to seed to cost.
        pair: the two scenarios.
        words: what the cost is.
        group: with their trials.
        contrasts: how many ratios are judged together.
    """
    interval = comparisons.ratio(values[pair[0]], values[pair[1]], contrasts)
    if interval.mean is not None:
        yield finding(
            decide(interval, "contradicted", "supported", 1.0),
            words,
            f"{words}, {pair[0]} over {pair[1]}",
            interval,
            group,
            pair,
            form="ratio",
            limits=(1.0,),
        )
