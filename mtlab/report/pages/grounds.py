"""The verdicts that advice rests on: what all reports say of a pair of scenarios."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from mtlab.plan.values import Strict
from mtlab.report.comparison import across, decisions, forgetting
from mtlab.report.comparison.groups import Group
from mtlab.report.markdown import fixed, measured, signed, times
from mtlab.report.pages.reports import COSTS, Reports, cost
from mtlab.report.statistics import intervals, scale
from mtlab.report.statistics.intervals import Interval

Clear = Literal["better", "worse", "equivalent", "at least as good", "cheaper", "costlier"]
"""Clear verdicts on scores, and on costs."""

Word = Clear | Literal["unclear"]

BEFORE = "start"
"""What a kept task is compared with: the source checkpoint, the key of experiments that gives it."""


class Ground(Strict):
    """A scenario, what it is compared with, and the verdicts that support the advice.

    The verdicts of all reports are read. Those that are clear and do not support the advice
    contradict it.
    """

    measure: Literal["score", "cost", "kept", "mitigation"] = "score"
    """What is compared: test scores; costs; the scores of a task that is not trained, after training
    and before; or these scores with a mitigation and without it."""
    scenario: str
    other: str | None = None
    """What its scores and costs are compared with; the control of each report by default."""
    tasks: tuple[str, ...] = ()
    """Whose scores are compared."""
    most_sentences: int | None = None
    """The largest training data that the advice is about."""
    staged: bool = False
    """Whether it is about training that starts from a source checkpoint."""
    supports: tuple[Clear, ...] = Field(min_length=1)
    """The verdicts that support the advice."""


@dataclass(frozen=True)
class Verdict:
    """A verdict of a report.

    Attributes:
        report: its name.
        point: where the scenarios were compared, in a report with several points.
        measured: the metric or the cost, with the task.
        pair: the scenario and the other one.
        word: the verdict.
        interval: of the difference of scores, or of the ratio of costs.
        weights: digests of the weights of all compared trials, each with ``measured``.
    """

    report: str
    point: str
    measured: str
    pair: tuple[str, str]
    word: Word
    interval: Interval
    weights: frozenset[tuple[str, str]]

    @property
    def effect(self) -> str:
        """The difference or ratio with its interval."""
        if self._ratio:
            return times(self.interval.mean, self.interval.low, self.interval.high)
        return measured(self.interval.mean, self.interval.low, self.interval.high, sign=True)

    @property
    def mean(self) -> str:
        """The difference or ratio alone."""
        mean = self.interval.mean
        return f"{fixed(mean, 2)}×" if self._ratio else signed(mean)

    @property
    def strength(self) -> float:
        """The size of the effect, in widths of its interval."""
        mean, low, high = self.interval.mean, self.interval.low, self.interval.high
        if mean is None or low is None or high is None:
            return 0.0
        size = abs(mean - (1.0 if self._ratio else 0.0))
        return size / (high - low) if high > low else math.inf

    @property
    def _ratio(self) -> bool:
        return self.measured in COSTS.values()


def verdicts(ground: Ground, reports: Reports) -> list[Verdict]:
    """The verdicts of all reports, the clearest first.

    Reports share trials. Of verdicts on the same trials, the one on the most seeds counts.
    """
    every = (verdict for name in reports.folders for verdict in _of_report(ground, name, reports))
    kept: list[Verdict] = []
    for verdict in sorted(every, key=lambda verdict: -len(verdict.weights)):
        if not any(verdict.weights <= other.weights for other in kept):
            kept.append(verdict)
    return sorted(kept, key=lambda verdict: -verdict.strength)


def _of_report(ground: Ground, name: str, reports: Reports) -> Iterator[Verdict]:
    if reports.evidence(name).staged != ground.staged:
        return
    points = reports.points(name)
    varied = across.varied(points)
    for at, group in enumerate(points):
        most = ground.most_sentences
        if group.of(ground.scenario) and (most is None or (group.sentences or 0) <= most):
            for quantity, pair, word, interval in _MEASURES[ground.measure](ground, group):
                trials = (trial for scenario in pair for trial in group.of(scenario))
                weights = frozenset((quantity, trial.final_digest) for trial in trials)
                yield Verdict(
                    name, across.condition(varied, at), quantity, pair, word, interval, weights
                )


Measured = tuple[str, tuple[str, str], Word, Interval]
"""What was compared, the scenarios, the verdict and its interval."""


def _scores(ground: Ground, group: Group) -> Iterator[Measured]:
    for pair in _pairs(ground, group):
        for task in group.tasks:
            contrast = decisions.pair(group, task, *pair)
            if task.name in ground.tasks and contrast.reason != decisions.ONE_SEED:
                word = _word(contrast.verdict, contrast.as_good)
                yield task.metric_title, pair, word, contrast.interval


def _costs(ground: Ground, group: Group) -> Iterator[Measured]:
    words: dict[intervals.Side, Word] = {"below": "cheaper", "above": "costlier"}
    for pair in _pairs(ground, group):
        ratio, title = cost(group, *pair)
        if ratio.low is not None:
            yield title, pair, words.get(intervals.side(ratio, 1.0), "unclear"), ratio


def _kept(ground: Ground, group: Group) -> Iterator[Measured]:
    for task in forgetting.kept_tasks(group):
        if task.name in ground.tasks:
            change = forgetting.change(group, ground.scenario, task)
            word = _word(
                scale.verdict(change, task.margin), scale.at_least_as_good(change, task.margin)
            )
            yield f"kept {task.metric_title}", (ground.scenario, BEFORE), word, change


def _mitigations(ground: Ground, group: Group) -> Iterator[Measured]:
    for task in forgetting.kept_tasks(group):
        for effect in forgetting.effects(group, task):
            if task.name in ground.tasks and effect.scenario == ground.scenario:
                verdict = scale.verdict(effect.retained, task.margin)
                word = _word(verdict, scale.at_least_as_good(effect.retained, task.margin))
                pair = effect.scenario, effect.without
                yield f"kept {task.metric_title}", pair, word, effect.retained


_MEASURES = {"score": _scores, "cost": _costs, "kept": _kept, "mitigation": _mitigations}


def _pairs(ground: Ground, group: Group) -> Iterator[tuple[str, str]]:
    """The scenario and the other one; nothing where the other one has no result."""
    other = ground.other or group.control
    if other is not None and other != ground.scenario and group.of(other):
        yield ground.scenario, other


def _word(verdict: scale.Verdict, as_good: bool) -> Word:
    return "at least as good" if verdict == "unclear" and as_good else verdict
