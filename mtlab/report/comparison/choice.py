"""Which scenario may be recommended: a pilot seed proposes a candidate on validation, and fresh seeds
confirm it on test.

The candidate is the cheapest scenario that costs less than the control and, on the pilot's validation,
is within the margin of the best at every task. It is accepted at the first look that shows it to lose
less than the margin at every task, against the control, and against the best on validation if that
is better than the control by more than the margin. The pilot's test scores are in no interval, so the
choice does not bias the test. A candidate that loses the margin at one task is accepted in at most 5%
of suites, whatever its scores at the other tasks (Berger 1982: each task is a condition).

One candidate may use the whole error; two candidates would have half of it each, and need more seeds.
In simulated suites two candidates found cheaper scenarios no more often, for 1.5 times the computing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mtlab.plan.scenario import Pair
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report.comparison import decisions
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.tasks import Task

REPLAYS, LARGEST, MISSED = 133, 1.1, 30
"""Pilots of published runs that ``python -m tests.replay_recommend`` decided anew; the largest loss of
a recommendation, in margins; and how many missed a cheaper scenario that loses less than half a
margin. Most have two fresh seeds, and half of the test sentences."""

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
    trained = [
        task
        for task in group.every
        if any(task.name in task_scores for task_scores in scores.values())
    ]
    whole = {
        name: task_scores
        for name, task_scores in scores.items()
        if all(task.name in task_scores for task in trained)
    }
    best = {
        task.name: max(task_scores[task.name] for task_scores in whole.values())
        for task in trained
        if whole
    }
    flops = {trial.scenario: trial.train_flops or 0 for trial in group.pilot}
    return [
        Pilot(name, task_scores, flops[name], _behind(task_scores, best, trained))
        for name, task_scores in whole.items()
        if task_scores
    ]


def _scores(trial: TrialRecord, tasks: Sequence[Task]) -> dict[str, float]:
    if trial.validation is None:
        return {}
    scores = {task.name: trial.validation.primary(task.name) for task in tasks}
    return {task: score for task, score in scores.items() if score is not None}


def _behind(
    task_scores: Mapping[str, float], best: Mapping[str, float], tasks: Sequence[Task]
) -> str:
    return next(
        (task.name for task in tasks if task_scores[task.name] < best[task.name] - task.margin), ""
    )


def best(group: Group) -> Pilot | None:
    """The best in the mean of the pilot's validation scores; the control, where it is as good."""
    return max(
        pilots(group),
        key=lambda pilot: (pilot.mean, pilot.scenario == group.control),
        default=None,
    )


def references(group: Group) -> list[str]:
    """The scenarios that a candidate must match: the control, and the best on the pilot's validation
    where it is ahead of the control by more than the margin at a task. One seed does not tell apart
    what lies closer.
    """
    control, first = _control(group), best(group)
    names = [group.control] if group.control else []
    if control is not None and first is not None:
        ahead = any(
            first.scores[task.name] > control.scores[task.name] + task.margin
            for task in group.every
            if task.name in control.scores
        )
        names += [first.scenario] if ahead else []
    return names


def candidate(group: Group) -> str | None:
    """The scenario that may be recommended in place of the control; None if no cheaper scenario is
    within the margin.
    """
    control = _control(group)
    if control is None:
        return None
    cheaper = [pilot for pilot in pilots(group) if pilot.flops < control.flops and not pilot.behind]
    cheapest = min(cheaper, key=lambda pilot: pilot.flops, default=None)
    return cheapest.scenario if cheapest is not None else None


def _control(group: Group) -> Pilot | None:
    return next((pilot for pilot in pilots(group) if pilot.scenario == group.control), None)


def still_open(suite: SuiteRecord, trials: Sequence[TrialRecord], look: int) -> set[Pair]:
    """The points and scenarios that run with the next seeds: a candidate that is neither accepted nor
    rejected, and what it must match.

    Args:
        suite: with a pilot.
        trials: its records so far.
        look: seeds so far, the pilot's among them.
    """
    pilot = suite.experiment["pilot"]
    wanted: set[Pair] = set()
    for group in groups(suite, trials):
        name = candidate(group)
        if name and (look <= pilot or judged(group, name, look - pilot) == "open"):
            point = tuple(group.point.items())
            wanted |= {(point, scenario) for scenario in (name, *references(group))}
    return wanted


def judged(group: Group, scenario: str, look: int | None = None) -> State:
    """What the fresh seeds show of a candidate.

    Args:
        group: with the trials of fresh seeds.
        scenario: its name.
        look: the number of fresh seeds to use; all by default.
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
    """For the user: the candidate of the pilot, or how it stands after a look at fresh seeds.

    Args:
        suite: with a pilot.
        trials: its records so far.
        look: seeds so far, the pilot's among them.
    """
    pilot = suite.experiment["pilot"]
    for group in groups(suite, trials):
        at = f"{group.label}: " if group.label else ""
        name, first = candidate(group), best(group)
        if name and look > pilot:
            yield f"{at}after {look - pilot} fresh seeds: {name} is {judged(group, name, look - pilot)}"
        elif look <= pilot:
            flops = {piloted.scenario: piloted.flops for piloted in pilots(group)}
            proposed = "no candidate: nothing cheaper is within the margin on validation"
            if name:
                share = flops[name] / flops[group.control or ""]
                proposed = f"the candidate is {name}, with {share:.2f} of {group.control}'s FLOPs"
            yield f"{at}pilot: best on validation is {first.scenario if first else 'none'}; {proposed}"
