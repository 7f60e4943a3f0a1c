"""Which scenarios may be recommended: a pilot seed proposes candidates on validation, and fresh seeds
confirm them on test.

A candidate is cheaper than the control and, on the pilot's validation, within the margin of the best
at every task; there are at most two. It is accepted at the first look that shows it to lose less than
the margin at every task, against the control and against the best on validation. The pilot's test
scores are in no interval, so that choosing on it costs nothing. A candidate that loses as much as the
margin at a task is accepted in at most 2.5% of suites, whatever it does at the others (Berger 1982:
each task is a condition), so that with two candidates a wrong one is accepted in at most 5%.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mtlab.plan.scenario import Pair
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report.comparison import decisions
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.tasks import Task

MOST = 2
"""Candidates: each spends its own part of the error."""

State = Literal["accepted", "rejected", "open"]


@dataclass(frozen=True)
class Pilot:
    """What a scenario did in the pilot.

    Attributes:
        scenario: its name.
        scores: task to its score on validation.
        flops: of training.
        behind: the first task at which it is further behind the best than the margin; empty where it
            is not.
    """

    scenario: str
    scores: Mapping[str, float]
    flops: int
    behind: str

    @property
    def mean(self) -> float:
        """Of its scores."""
        return sum(self.scores.values()) / len(self.scores)


def pilots(group: Group) -> list[Pilot]:
    """The scenarios whose pilot ended well, with a score at every task that is trained, in their
    order.
    """
    scores = {trial.scenario: _scores(trial, group.every) for trial in group.pilot if trial.ok}
    trained = [task for task in group.every if any(task.name in mine for mine in scores.values())]
    whole = {
        name: mine for name, mine in scores.items() if all(task.name in mine for task in trained)
    }
    best = {task.name: max(mine[task.name] for mine in whole.values()) for task in trained if whole}
    flops = {trial.scenario: trial.train_flops or 0 for trial in group.pilot}
    return [
        Pilot(name, mine, flops[name], _behind(mine, best, trained))
        for name, mine in whole.items()
        if mine
    ]


def _scores(trial: TrialRecord, tasks: Sequence[Task]) -> dict[str, float]:
    if trial.validation is None:
        return {}
    scores = {task.name: trial.validation.primary(task.name) for task in tasks}
    return {task: score for task, score in scores.items() if score is not None}


def _behind(mine: Mapping[str, float], best: Mapping[str, float], tasks: Sequence[Task]) -> str:
    return next(
        (task.name for task in tasks if mine[task.name] < best[task.name] - task.margin), ""
    )


def references(group: Group) -> list[str]:
    """The scenarios that a candidate must match: the control, and the best in the mean of the
    pilot's validation scores, if that is another; the control first.
    """
    known = pilots(group)
    best = max(known, key=lambda pilot: (pilot.mean, pilot.scenario == group.control), default=None)
    names = [group.control or "", *([best.scenario] if best else [])]
    return [name for name in dict.fromkeys(names) if name]


def candidates(group: Group) -> list[str]:
    """The scenarios that may be recommended in place of the control, the cheapest first."""
    known = pilots(group)
    control = next((pilot for pilot in known if pilot.scenario == group.control), None)
    if control is None:
        return []
    cheaper = [pilot for pilot in known if pilot.flops < control.flops and not pilot.behind]
    cheaper.sort(key=lambda pilot: pilot.flops)
    return [pilot.scenario for pilot in cheaper[:MOST]]


def still_open(suite: SuiteRecord, trials: Sequence[TrialRecord], look: int) -> set[Pair]:
    """The points and scenarios that run with the next seeds: candidates that are neither accepted nor
    rejected, unless a cheaper one is accepted, and what they must match.

    Args:
        suite: with a pilot.
        trials: its records so far.
        look: seeds so far, the pilot's among them.
    """
    pilot = suite.experiment["pilot"]
    wanted: set[Pair] = set()
    for group in groups(suite, trials):
        names = candidates(group) if look <= pilot else list(_open(group, look - pilot))
        if names:
            point = tuple(group.point.items())
            wanted |= {(point, name) for name in (*names, *references(group))}
    return wanted


def _open(group: Group, look: int) -> Iterator[str]:
    """The candidates that are open at a look, up to the first that is accepted."""
    for name in candidates(group):
        state = judged(group, name, look)
        if state == "accepted":
            return
        if state == "open":
            yield name


def judged(group: Group, scenario: str, look: int | None = None) -> State:
    """What fresh seeds say of a candidate.

    Args:
        group: with the trials of fresh seeds.
        scenario: its name.
        look: so many of the seeds; all where nothing is said.
    """
    contrasts = [
        decisions.pair(group, task, scenario, other, look)
        for other in references(group)
        if other != scenario
        for task in group.tasks
    ]
    if contrasts and all(contrast.as_good for contrast in contrasts):
        return "accepted"
    lost = any(
        contrast.verdict == "worse" or contrast.reason in (decisions.FAILED, decisions.UNTRAINED)
        for contrast in contrasts
        if not contrast.as_good
    )
    return "rejected" if lost else "open"


def lines(suite: SuiteRecord, trials: Sequence[TrialRecord], look: int) -> Iterator[str]:
    """For the user: the candidates of the pilot, or how each stands after a look at fresh seeds.

    Args:
        suite: with a pilot.
        trials: its records so far.
        look: seeds so far, the pilot's among them.
    """
    pilot = suite.experiment["pilot"]
    for group in groups(suite, trials):
        at = f"{group.label}: " if group.label else ""
        named = candidates(group)
        best = (references(group) or ["none"])[-1]
        if look <= pilot:
            flops = {known.scenario: known.flops for known in pilots(group)}
            shares = [
                f"{name} ({flops[name] / flops[group.control or '']:.2f} of the FLOPs)"
                for name in named
            ]
            proposed = ", ".join(shares) or "none is cheaper and within the margin on validation"
            yield f"{at}pilot: best on validation is {best}; candidates, which cost less: {proposed}"
            continue
        for name in named:
            yield f"{at}after {look - pilot} fresh seeds: {name} is {judged(group, name, look - pilot)}"
