"""The recommended scenario: the cheapest that is shown to lose less than the margin."""

from collections.abc import Mapping
from dataclasses import dataclass

from mtlab.plan.scenario import point_label
from mtlab.record.records import SuiteRecord, TrialRecord, best_on_validation
from mtlab.report import markdown
from mtlab.report.comparison import choice, decisions
from mtlab.report.comparison.groups import Group
from mtlab.report.markdown import listing, name
from mtlab.report.tasks import together


@dataclass(frozen=True)
class Winner:
    """The recommended scenario, and the reason.

    Attributes:
        scenario: its name.
        trial: its best trial on validation, whose weights are kept.
        why: the reason, as a clause in markdown.
        shown: whether the verdicts show it to be cheaper than the best and at least as good.
    """

    scenario: str
    trial: TrialRecord
    why: str
    shown: bool


def winner(group: Group) -> Winner | None:
    """The cheapest (:attr:`Group.cost`) scenario that is at least as good at every task as the
    control and as the best on validation. If there is no such scenario, the best on validation;
    but if that costs more than the control and is not shown to be better, the control.

    *At least as good*: the intervals show a loss smaller than the margin (Berger 1982: each task is
    a condition, so several tasks need no correction). Without a control, scenarios are compared
    with the best on validation alone. None if a trial has no result.
    """
    if group.pilot and not group.trials:
        return _of_pilot(group)
    if not group.complete or not group.tasks:
        return None
    scored = [name for name in group.scenarios if _scored(group, name)] or group.scenarios
    best = max(scored, key=lambda name: (validation(group, name), name == group.control))
    measures = list(dict.fromkeys([group.control or best, best]))
    both = markdown.text(together(group.tasks))
    costs = {
        scenario: sum(by_seed.values()) / len(by_seed)
        for scenario, by_seed in group.values(group.cost).items()
    }
    cheap = "the cheapest" if group.cost == "wall_plain_s" else "the cheapest (in training FLOPs)"
    cheaper = [name for name in scored if costs[name] < max(costs[other] for other in measures)]
    cheaper.sort(key=lambda scenario: costs[scenario])
    if group.pilot:  # what else ran was there to be matched, and has no error of its own to spend
        cheaper = [name for name in scored if name == choice.candidate(group)]
    for scenario in cheaper:
        others = [other for other in measures if other != scenario]
        if all(_as_good(group, scenario, other) for other in others):
            than = listing([name(other) for other in others])
            why = f"{cheap} that is shown to be at least as good as {than} at {both}"
            return _picked(group, scenario, why, shown=True)
    why = "nothing cheaper is shown to be at least as good, and"
    if len(group.seeds) < 2:
        why = "one seed shows nothing;"
    elif _in_vain(group, best, costs):
        why = f"{why} nothing costlier to be better"
        return _picked(group, group.control or best, why, shown=False)
    why = f"{why} it scored highest on validation, in the mean over {both}"
    return _picked(group, best, why, shown=False)


def _of_pilot(group: Group) -> Winner | None:
    """The best of a pilot that left no candidate; None where the control failed."""
    best = choice.best(group)
    ended = {trial.scenario: trial for trial in group.pilot if trial.ok}
    if best is None or (group.control and group.control not in ended):
        return None
    trial = ended[best.scenario]
    why = "nothing cheaper is within the margin on validation, with the pilot seed"
    return Winner(trial.scenario, trial, why, shown=False)


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
    good = " At least as good: the interval excludes a loss of the margin." if best.shown else ""
    score = markdown.fixed(best.trial.selection.score if best.trial.selection else None)
    return (
        f"{name(best.scenario)}{at}: {best.why}.{good}{kept} "
        f"Its best model on validation is that of seed {best.trial.seed} ({score}). Where it was "
        f"trained, and its weights were kept, this writes it as a model for transformers, with a card:\n\n{markdown.fenced(command, 'sh')}"
    )


def _as_good(group: Group, scenario: str, other: str) -> bool:
    return all(decisions.pair(group, task, scenario, other).as_good for task in group.tasks)


def _in_vain(group: Group, scenario: str, costs: Mapping[str, float]) -> bool:
    """Whether a scenario costs more than the control and is shown to be better at no task, or worse
    at one.
    """
    control = group.control
    if control is None or not _scored(group, control) or costs[scenario] <= costs[control]:
        return False
    words = {decisions.pair(group, task, scenario, control).verdict for task in group.tasks}
    return "better" not in words or "worse" in words


def _scored(group: Group, scenario: str) -> bool:
    """Whether a scenario has a test score at every task with every seed."""
    seeds = len(group.of(scenario))
    return all(len(group.values(task.metric)[scenario]) == seeds for task in group.tasks)


def validation(group: Group, scenario: str) -> float:
    """The mean of a scenario's validation scores over tasks and seeds; one that is not defined
    counts as 0.
    """
    of_pilot = [pilot.mean for pilot in choice.pilots(group) if pilot.scenario == scenario]
    if of_pilot:
        return of_pilot[0]
    columns = [group.values(f"validation_{task.metric}")[scenario] for task in group.tasks]
    seeds = max(1, len(group.of(scenario)))
    return sum(sum(column.values()) / seeds for column in columns) / len(columns)


def _picked(group: Group, scenario: str, why: str, *, shown: bool) -> Winner:
    return Winner(scenario, best_on_validation(group.of(scenario)), why, shown)
