"""The line above the decision figure. It says only what the figure's verdicts and costs show."""

from collections.abc import Mapping, Sequence

from mtlab.report.comparison import decisions, training_failures
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group
from mtlab.report.figures.costs import Costs
from mtlab.report.figures.looks import shown
from mtlab.report.markdown import listing
from mtlab.report.tasks import Task, together
from mtlab.report.wording import verdict

NAMED = 2
"""The most scenarios that are named; more scenarios are only counted."""


def takeaway(group: Group, costs: Costs, tasks: Sequence[Task]) -> str:
    """One or two clauses on costs and verdicts, or the reason why there are none.

    Args:
        group: the results at one point.
        costs: the costs of its scenarios.
        tasks: the tasks that the figure shows.
    """
    by_scenario = _by_scenario(group, tasks)
    why_not = _why_not(group, by_scenario)
    if why_not:
        return why_not
    control = shown(group.control or "")
    cheaper = [
        name for name in by_scenario if name in costs.ratios and costs.side(name) == "cheaper"
    ]
    good = [name for name in cheaper if all(contrast.as_good for contrast in by_scenario[name])]
    if good:
        verb = "is" if len(good) == 1 else "are"
        return (
            f"{_named(good)} {verb} clearly cheaper than {control} and at least as good at "
            f"{together(tasks)}"
        )
    if cheaper:
        return _cheaper(cheaper, by_scenario, len(by_scenario))
    better, worse = (_verdict(by_scenario, word) for word in ("better", "worse"))
    if better:
        return f"{better}; no trained scenario is clearly cheaper than {control}"
    clause = worse or "none is shown to be better or worse"
    return f"No trained scenario is clearly cheaper than {control}; {clause}"


def _why_not(group: Group, by_scenario: Mapping[str, Sequence[Contrast]]) -> str:
    """Why the figure has no takeaway; empty if it has one."""
    if group.control is None:
        return "No scenario is the control: these are the mean scores"
    if not group.of(group.control):
        return f"The control {shown(group.control)} has no result: these are the mean scores"
    if len(group.seeds) < 2:
        return "One seed: a difference may be luck"
    return "" if by_scenario else f"Only {shown(group.control)} trains and has a result"


def _by_scenario(group: Group, tasks: Sequence[Task]) -> dict[str, list[Contrast]]:
    """Scenario to its contrasts with the control, for scenarios that train something and have a
    result.
    """
    names = [
        name
        for name in group.scenarios
        if name != group.control and group.of(name) and training_failures.trains(group, name)
    ]
    by_task = [decisions.of_task(group, task) for task in tasks]
    return {name: [contrasts[name] for contrasts in by_task if name in contrasts] for name in names}


def _cheaper(
    cheaper: Sequence[str], by_scenario: Mapping[str, Sequence[Contrast]], scenarios: int
) -> str:
    """The sentence on scenarios that are cheaper but not shown to be at least as good everywhere,
    with the tasks at which they are worse.
    """
    only, single = "Only " if len(cheaper) < scenarios else "", len(cheaper) == 1
    named = f"{only}{_named(cheaper)}"
    if len(cheaper) > NAMED:
        named = f"{len(cheaper)} of {scenarios} scenarios"
    start = f"{named} {'is' if single else 'are'} clearly cheaper"
    worse = [name for name in cheaper if _at(by_scenario[name], "worse")]
    lost = _where([by_scenario[name] for name in worse], "worse")
    if single:
        unclear = _where([by_scenario[cheaper[0]]], "unclear")
        return f"{start}; {f'it is worse at {lost}' if worse else f'its quality is unclear at {unclear}'}"
    if not worse:
        return f"{start}; none is shown to be at least as good"
    if len(worse) == len(cheaper):
        return f"{start}; each is worse at {lost}"
    worse_names = f"{len(worse)} of them" if len(worse) > NAMED else _named(worse)
    return f"{start}; {worse_names} {'is' if len(worse) == 1 else 'are'} worse at {lost}"


def _verdict(by_scenario: Mapping[str, Sequence[Contrast]], word: str) -> str:
    """The scenarios with this verdict at some task, and the tasks; empty without such scenarios."""
    names = [name for name, contrasts in by_scenario.items() if _at(contrasts, word)]
    if not names:
        return ""
    where = _where([by_scenario[name] for name in names], word)
    return f"{_named(names)} {'is' if len(names) == 1 else 'are'} {word} at {where}"


def _where(several: Sequence[Sequence[Contrast]], word: str) -> str:
    """The tasks at which all of several scenarios have this verdict, in words."""
    if not several:
        return ""
    tasks = [contrast.task for contrast in several[0]]
    common = [task for task in tasks if all(task in _at(contrasts, word) for contrasts in several)]
    if len(common) > 1 and len(common) == len(tasks):
        return together(common)
    return listing([shown(task.title) for task in common]) if common else "a task or more"


def _at(contrasts: Sequence[Contrast], word: str) -> list[Task]:
    """The tasks with this verdict."""
    return [contrast.task for contrast in contrasts if verdict(contrast) == word]


def _named(names: Sequence[str]) -> str:
    if len(names) <= NAMED:
        return listing([shown(name) for name in names])
    return f"{len(names)} scenarios"
