"""The report's section on the pilot of a recommendation: what each scenario scored on validation, and
what became of it.
"""

from mtlab.plan.looks import SAVES
from mtlab.report import markdown
from mtlab.report.comparison import choice
from mtlab.report.comparison.groups import Group
from mtlab.report.markdown import fixed, listing, name, text


def section(group: Group) -> str:
    """A row a scenario; empty without a pilot."""
    by_scenario = {pilot.scenario: pilot for pilot in choice.pilots(group)}
    if not group.pilot:
        return ""
    references, candidate = choice.references(group), choice.candidate(group)
    control = by_scenario.get(group.control or "")
    rows = []
    for trial in group.pilot:
        pilot = by_scenario.get(trial.scenario)
        scores = [fixed(pilot.scores.get(task.name) if pilot else None) for task in group.every]
        share = (
            f"{pilot.flops / control.flops:.2f}×" if pilot and control and control.flops else "–"
        )
        rows.append(
            [name(trial.scenario), *scores, share, _state(group, trial.scenario, pilot, references)]
        )
    titles = [f"{text(task.metric_title)}, validation" for task in group.every]
    table = markdown.table(["scenario", *titles, "training FLOPs", "what became of it"], rows)
    fresh = (
        f"The candidate ran with {len(group.seeds)} fresh seeds, against {listing(list(map(name, references)))}. "
        if candidate
        else ""
    )
    return (
        f"{table}\n\n{_left_out(group)}The candidate is the cheapest that costs less than the control and is within the margin of the best "
        f"at every task. {fresh}The pilot's test scores are in no comparison."
    )


def _state(group: Group, scenario: str, pilot: choice.Pilot | None, references: list[str]) -> str:
    if pilot is None:
        return "no result"
    if scenario in references:
        return "the control" if scenario == group.control else "best on validation"
    if scenario == choice.candidate(group):
        return choice.judged(group, scenario) if group.trials else "candidate"
    titles = {task.name: text(task.title) for task in group.every}
    if pilot.behind:
        return f"dropped: loses more than the margin at {titles[pilot.behind]}"
    return "dropped: does not cost less" if _dear(group, pilot) else "dropped: another costs less"


def _dear(group: Group, pilot: choice.Pilot) -> bool:
    """Whether a scenario took as many FLOPs as the control."""
    return any(
        other.scenario == group.control and pilot.flops >= other.flops
        for other in choice.pilots(group)
    )


def _left_out(group: Group) -> str:
    """The scenarios that a pilot does not try."""
    tried = {trial.scenario for trial in group.pilot}
    every = group.experiment.get("scenarios", {})
    untried = [name(scenario) for scenario in every if scenario not in tried]
    if not untried:
        return "Every scenario trained with one pilot seed. "
    return (
        f"One pilot seed each. {listing(untried)} {'was' if len(untried) == 1 else 'were'} not tried: at most {SAVES:.0%} of the control's "
        "computing would be saved. "
    )
