"""The report's section on the pilot of a recommendation: what each scenario scored on validation, and
what became of it.
"""

from mtlab.report import markdown
from mtlab.report.comparison import choice
from mtlab.report.comparison.groups import Group
from mtlab.report.markdown import fixed, listing, name, text


def section(group: Group) -> str:
    """A row a scenario; empty without a pilot."""
    known = {pilot.scenario: pilot for pilot in choice.pilots(group)}
    if not group.pilot:
        return ""
    references, candidates = choice.references(group), choice.candidates(group)
    control = known.get(group.control or "")
    rows = []
    for trial in group.pilot:
        pilot = known.get(trial.scenario)
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
        f"Candidates ran with {len(group.seeds)} fresh seeds, against {listing(list(map(name, references)))}. "
        if candidates
        else ""
    )
    return (
        f"{table}\n\nEvery scenario trained with one pilot seed. A candidate costs less than the control, and is within the margin of the "
        f"best at every task; there are at most {choice.MOST}. {fresh}The pilot's test scores are in no comparison."
    )


def _state(group: Group, scenario: str, pilot: choice.Pilot | None, references: list[str]) -> str:
    if pilot is None:
        return "no result"
    if scenario in references:
        return "the control" if scenario == group.control else "best on validation"
    if scenario in choice.candidates(group):
        return choice.judged(group, scenario) if group.trials else "candidate"
    titles = {task.name: text(task.title) for task in group.every}
    if pilot.behind:
        return f"dropped: loses more than the margin at {titles[pilot.behind]}"
    return "dropped: others cost less"
