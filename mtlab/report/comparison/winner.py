"""The recommended scenario: the cheapest of those that are not shown to be worse than the best."""

from dataclasses import dataclass

from mtlab.plan.scenario import point_label
from mtlab.record.records import SuiteRecord, TrialRecord, best_on_validation
from mtlab.report import markdown
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.markdown import listing, name
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.tasks import together

NEAR = 0.02
"""A scenario whose mean is at most this far below the best may count as good as it. With few seeds
intervals are so wide that they exclude nothing, and without this margin an untrained model could
win."""


@dataclass(frozen=True)
class Winner:
    """The recommended scenario, and the reason.

    Attributes:
        scenario: its name.
        trial: of its seeds the best on validation, whose weights are kept.
        why: a clause in markdown that says what it is.
    """

    scenario: str
    trial: TrialRecord
    why: str


def winner(group: Group) -> Winner | None:
    """The cheapest (:attr:`Group.cost`) of the scenarios that are as good as the best at every
    task.

    A scenario is as good if it is not shown to be worse and its mean is at most :data:`NEAR` below.
    Where none is as good at every task, or one seed or too few test sentences decide nothing, the
    scenario with the highest mean score is taken. None where a trial has no result.
    """
    if not group.complete or not group.tasks:
        return None
    scores = {scenario: _mean_score(group, scenario) for scenario in group.scenarios}
    highest = max(scores, key=lambda scenario: scores[scenario])
    behind = [_behind(group, task) for task in group.tasks]
    tied = [
        scenario
        for scenario in group.scenarios
        if all(_as_good(off.get(scenario)) for off in behind)
    ]
    both = markdown.text(together(group.tasks))
    if len(group.seeds) < 2:
        return _picked(
            group,
            highest,
            f"one seed cannot tell scenarios apart, and it scored highest (the mean over {both})",
        )
    if any(off.n > 1 and off.low is None for by_scenario in behind for off in by_scenario.values()):
        why = "too few test sentences, or results too alike, to tell all scenarios apart; it scored highest"
        return _picked(group, highest, f"{why} (the mean over {both})")
    if not tied:
        return _picked(
            group,
            highest,
            f"none is as good as the best at {both}, and its mean over them is the highest",
        )
    costs = group.values(group.cost)
    cheapest = min(tied, key=lambda scenario: sum(costs[scenario].values()) / len(costs[scenario]))
    if len(tied) == 1:
        return _picked(group, cheapest, f"the only one that is as good as the best at {both}")
    others = listing([name(scenario) for scenario in tied if scenario != cheapest])
    cheap = "the cheapest" if group.cost == "wall_plain_s" else "the cheapest (in training FLOPs)"
    return _picked(
        group,
        cheapest,
        f"{cheap} of those that are as good as the best at {both} (the others: {others})",
    )


def section(suite: SuiteRecord, group: Group) -> str:
    """The recommendation, its reason, and the command that exports it."""
    best = winner(group)
    if best is None:
        return "None: a trial has no result (see *Failures*), and so no scenario is called best."
    command = suite.command.replace("mtlab compare", "mtlab export", 1)
    point = point_label(best.trial.point.items())
    at = f" at {markdown.text(point)}" if point else ""
    if best.trial.selection is not None and best.trial.selection.by_task:
        return f"{name(best.scenario)}{at}: {best.why}. Each task has weights of its own there, so there is no one model to write."
    kept = (
        " The scores are those on the new data; what was kept of the old ones is another matter."
        if suite.experiment.get("start")
        else ""
    )
    score = markdown.fixed(best.trial.selection.score if best.trial.selection else None)
    return (
        f"{name(best.scenario)}{at}: {best.why}. As good is what is not shown to be worse, and has a mean at most {NEAR:g} below.{kept} "
        f"Of its seeds, {best.trial.seed} scored highest on validation ({score}). Where it was "
        f"trained, and its weights were kept, this writes it as a model for transformers, with a card:\n\n{markdown.fenced(command, 'sh')}"
    )


def _behind(group: Group, task: Task) -> dict[str, intervals.Interval]:
    """How far each other scenario is from the one that scored highest at a task, with Bonferroni
    over all pairs.
    """
    samples = group.samples(task)
    leader = comparisons.leader(samples)
    pairs = len(samples) * (len(samples) - 1) // 2
    return {
        scenario: comparisons.difference(samples[scenario], samples[leader], pairs)
        for scenario in samples
        if scenario != leader
    }


def _as_good(off: intervals.Interval | None) -> bool:
    """Whether a scenario so far from the leader counts as good as it; the leader itself is at no
    distance.
    """
    return off is None or (
        intervals.verdict(off) != "worse" and off.mean is not None and off.mean >= -NEAR
    )


def _mean_score(group: Group, scenario: str) -> float:
    """The mean of a scenario's test scores over tasks and seeds; one that is not defined counts as
    0.
    """
    columns = [group.values(task.metric)[scenario] for task in group.tasks]
    return sum(sum(column.values()) / len(group.seeds) for column in columns) / len(columns)


def _picked(group: Group, scenario: str, why: str) -> Winner:
    return Winner(scenario, best_on_validation(group.of(scenario)), why)
