"""Results across points: over sizes of the training data, over settings, and over the blocks that
train.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mtlab.plan.scenario import SETTING
from mtlab.record.records import EpochRecord, TrialRecord
from mtlab.report.comparison import decisions, kinds
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.comparison.kinds import Kind
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.intervals import Interval

SIZE = "data.train_size"
"""The key of the number of training sentences."""

SHARES = (0.90, 0.95, 0.99)
"""Shares of full fine-tuning's score for which the frontier is computed."""


@dataclass(frozen=True)
class Crossing:
    """Where a difference that falls over x passes through 0, with the bounds that its intervals
    give; ``None``: outside the range.
    """

    at: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Reached:
    """How many top blocks must train to reach a share of full fine-tuning's score.

    Attributes:
        share: of the score.
        blocks: the fewest whose mean validation score reaches the share; ``None`` if no number of
            blocks that was run does.
        low: the fewest that the test scores do not show to be too few.
        high: the fewest for which the test scores show that this and every larger number reaches
            the share; ``None`` if they do not show it.
        ratio: mean test score at ``blocks`` over full fine-tuning's.
    """

    share: float
    blocks: int | None
    low: int | None
    high: int | None
    ratio: float | None

    @property
    def allowed(self) -> str:
        """The numbers of blocks that the test scores allow, in words."""
        if self.low is None:
            return "none"
        return f"{self.low} or more" if self.high is None else f"{self.low} to {self.high}"


Varied = Mapping[str, Sequence[object]]
"""Key of the experiment to its value at each point, of those that differ."""


def varied(groups: Sequence[Group]) -> Varied:
    """What differs between points."""
    keys = [key for key in groups[0].point if key != SETTING]
    values = {key: [group.point.get(key) for group in groups] for key in keys}
    return {key: several for key, several in values.items() if len(set(map(str, several))) > 1}


def condition(varied: Varied, at: int) -> str:
    """A point in words: what differs from the first one, or the values of the first."""
    changed = {
        key: values[at] for key, values in varied.items() if at == 0 or values[at] != values[0]
    }
    by_value: dict[tuple[str, str], list[str]] = {}
    for key, value in changed.items():
        kind, _, task = key.removeprefix("data.").partition(".")
        value_text = f"{value:g}" if isinstance(value, float) else str(value)
        by_value.setdefault((kind.replace("_", " "), value_text), []).append(task)
    return ", ".join(
        f"{' and '.join(tasks)} {kind} {value_text}".strip()
        for (kind, value_text), tasks in by_value.items()
    )


def settings_only(groups: Sequence[Group]) -> bool:
    """Whether the points differ in settings of scenarios alone: in rates or epochs, not in data or
    encoder.
    """
    return len(groups) > 1 and all(set(group.point) == {SETTING} for group in groups)


def chosen(groups: Sequence[Group]) -> tuple[Group, dict[str, Group]]:
    """Each scenario at its best setting: one group, and scenario to the setting's group.

    The best is that with the highest mean validation score over seeds, ties to the earlier; the
    test split is not used. A setting that lacks a seed's result is not chosen, unless all do.
    """
    picked: dict[str, Group] = {}
    for name in groups[0].scenarios:
        whole = [group for group in groups if len(group.of(name)) == len(group.seeds_of(name))]
        picked[name] = max(whole or groups, key=lambda group: validation_score(group.of(name)))
    trials = tuple(
        trial for name, group in picked.items() for trial in group.trials if trial.scenario == name
    )
    return replace(groups[0], point={}, trials=trials, fellows=[]), picked


def validation_score(trials: Sequence[TrialRecord]) -> float:
    """Mean over trials of the validation score of the selected weights; -1 without any."""
    scores = [
        trial.selection.score
        for trial in trials
        if trial.selection and trial.selection.score is not None
    ]
    return sum(scores) / len(scores) if scores else -1.0


PLATEAU, EPOCHS, UPDATES = "each to its plateau", "equal epochs", "equal updates"
"""What points of growing size have in common."""


def by_size(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Points of growing size that train for comparable lengths, by what makes the lengths comparable;
    empty where points are settings.

    They are judged by the point with the most sentences, and by the first of several. Where stages
    end by patience, the length is a result: all are comparable. Elsewhere they train for as many
    epochs, or for about as many updates. Labels are as wrong and as scarce as at that point.
    """
    sized = [group for group in groups if group.sentences and group.good]
    if not sized or settings_only(groups):
        return {}
    largest = max(sized, key=lambda group: group.sentences or 0)
    alike = [group for group in sized if _labels(group) == _labels(largest)]
    if any(stage.ended for trial in largest.good for stage in trial.stages):
        ways = {PLATEAU: (lambda trial: 0, 0.0)}
    else:
        ways = {EPOCHS: (_sum("epochs"), 0.0), UPDATES: (_sum("steps"), 0.1)}
    return {way: _by_size(alike, largest, *how) for way, how in ways.items()}


def sizes(groups: Sequence[Group]) -> list[Group]:
    """The points of the first way of :func:`by_size`; empty without one."""
    return next(iter(by_size(groups).values()), [])


def _labels(group: Group) -> dict[str, object]:
    """What the label of a point has besides its number of sentences."""
    return {key: value for key, value in group.point.items() if key not in (SIZE, SETTING)}


def _sum(field: str) -> Callable[[TrialRecord], int]:
    return lambda trial: sum(getattr(stage, field) for stage in trial.stages)


def _by_size(
    groups: Sequence[Group], largest: Group, amount: Callable[[TrialRecord], int], slack: float
) -> list[Group]:
    wanted = {trial.scenario: amount(trial) for trial in largest.good}
    alike: dict[int, Group] = {}
    for group in groups:
        amounts = [
            (amount(trial), wanted[trial.scenario])
            for trial in group.good
            if trial.scenario in wanted
        ]
        if all(abs(actual - asked) <= slack * asked for actual, asked in amounts):
            alike.setdefault(group.sentences or 0, group)
    return [alike[size] for size in sorted(alike)]


def lead(group: Group, task: Task, kind: Kind, other: Kind) -> Contrast | None:
    """One kind of scenario against another on a task; ``None`` where either was not run."""
    names = kinds.find(group, kind), kinds.find(group, other)
    if names[0] is None or names[1] is None:
        return None
    contrast = decisions.pair(group, task, names[0], names[1])
    return contrast if contrast.interval.mean is not None else None


def crossing(points: Sequence[tuple[float, Interval]]) -> Crossing:
    """Where the mean of a difference first passes from above 0 to below it, interpolated over the
    logarithm of x.

    The bounds are where the ends of its intervals do. An end that is below 0 from the start, or
    that never falls below it, gives no bound within the range.
    """
    ends = [
        [
            (x, getattr(interval, end))
            for x, interval in points
            if getattr(interval, end) is not None
        ]
        for end in ("mean", "low", "high")
    ]
    return Crossing(*(_falls(curve) for curve in ends))


def _falls(curve: Sequence[tuple[float, float]]) -> float | None:
    for (x, above), (next_x, below) in itertools.pairwise(curve):
        if above >= 0 > below:
            share = above / (above - below)
            return math.exp(math.log(x) + share * (math.log(next_x) - math.log(x)))
    return None


def depths(group: Group) -> dict[int, str]:
    """Number of top blocks that train to the scenario that trains them and the heads; 0 is the
    heads alone.
    """
    by_depth: dict[int, str] = {}
    for name in group.scenarios:
        trials = group.of(name)
        kind = kinds.kind(trials[0].stages) if trials else kinds.OTHER
        if kind.name in (kinds.HEADS.name, "top blocks"):
            by_depth.setdefault(kind.top, name)
    return dict(sorted(by_depth.items()))


def frontier(group: Group, task: Task) -> list[Reached]:
    """How many blocks must train to reach each of :data:`SHARES`, where heads, some blocks and
    everything were trained.
    """
    full, by_depth = kinds.find(group, kinds.FULL), depths(group)
    if full is None or len(by_depth) < 3:
        return []
    samples, validation = group.samples(task), group.values(f"validation_{task.metric}")
    goal = intervals.interval(validation[full].values()).mean
    whole = intervals.estimate(samples[full]).mean
    if min(goal or 0.0, whole or 0.0) < 0:
        return []  # a share of a correlation below 0 says nothing
    reaching = []
    for share in SHARES:
        means = {
            depth: intervals.interval(validation[name].values()).mean
            for depth, name in by_depth.items()
        }
        enough = [
            depth
            for depth, mean in means.items()
            if mean is not None and goal is not None and mean >= share * goal
        ]
        over = {
            depth: comparisons.difference(samples[name], samples[full], len(by_depth), share)
            for depth, name in by_depth.items()
        }
        possible = [
            depth for depth, interval in over.items() if interval.high is None or interval.high >= 0
        ]
        shown = [
            depth
            for depth in over
            if all(_above(interval) for later, interval in over.items() if later >= depth)
        ]
        blocks = min(enough, default=None)
        reached = intervals.estimate(samples[by_depth[blocks]]).mean if blocks is not None else None
        ratio = reached / whole if reached is not None and whole else None
        reaching.append(
            Reached(share, blocks, min(possible, default=None), min(shown, default=None), ratio)
        )
    return reaching


def _above(interval: Interval) -> bool:
    return interval.low is not None and interval.low >= 0


def epoch_score(epoch: EpochRecord) -> float:
    """Mean of the metrics that judge the tasks on validation, of those that are defined."""
    scores = [scored.primary for scored in epoch.validation.by_task.values()]
    defined = [score for score in scores if score is not None]
    return sum(defined) / len(defined) if defined else 0.0
