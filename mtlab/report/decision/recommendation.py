"""What to train, in words: what a scenario freezes, and why it is recommended."""

from mtlab.plan.words import counted
from mtlab.report.comparison import forgetting, kinds
from mtlab.report.comparison.groups import Group
from mtlab.report.comparison.winner import Winner, validation
from mtlab.report.markdown import fixed, name, text
from mtlab.report.statistics import comparisons


def sentence(group: Group, winner: Winner | None) -> str:
    """The recommendation in one or two short sentences; a reason where there is none."""
    if winner is None:
        return "No recommendation: a trial has no result."
    do = how(group, winner.scenario)
    if len(group.seeds) < 2:
        return f"{do}: best on validation, but one seed shows nothing."
    if not winner.shown and winner.scenario == group.control:
        return f"{do}: nothing cheaper is shown to be at least as good."
    if not winner.shown:
        return f"{do}: best on validation{_lead(group, winner.scenario)}."
    cheap = "cheaper, and " if _cheaper(group, winner.scenario) else ""
    return f"{do}: {cheap}shown to be at least as good."


def _lead(group: Group, scenario: str) -> str:
    """By how much a scenario's mean validation score is above the control's."""
    if group.control is None or not group.of(group.control):
        return ""
    lead = validation(group, scenario) - validation(group, group.control)
    return f", by {fixed(lead)}"


def _cheaper(group: Group, scenario: str) -> bool:
    """Whether a scenario is shown to cost less than the control."""
    costs = comparisons.costs(group.values(group.cost), group.control or "")
    return any(cost.cheaper for cost in costs if cost.scenario == scenario)


def how(group: Group, scenario: str) -> str:
    """What a scenario freezes, with its name: *Freeze the encoder (`backbone_frozen`)*."""
    by_scenario = {
        other: kinds.kind(trials[0].stages)
        for other in group.scenarios
        if (trials := group.of(other) or [own for own in group.pilot if own.scenario == other])
    }
    kind = by_scenario.get(scenario, kinds.OTHER)
    alike = [other for other, its in by_scenario.items() if its == kind]
    freezing = _freezing(kind) if len(alike) == 1 and not forgetting.staged(group) else ""
    return f"{freezing} ({name(scenario)})" if freezing else f"Use {name(scenario)}"


def _freezing(kind: kinds.Kind) -> str:
    """What a kind of scenario freezes, in a few words; empty for kinds that need more words."""
    words = {
        kinds.NOTHING.name: "Train nothing",
        kinds.HEADS.name: "Freeze the encoder",
        kinds.FULL.name: "Freeze nothing",
        kinds.GRADUAL.name: "Unfreeze the encoder gradually",
        "head frozen": f"Freeze the {text(kind.task)} head",
        "top blocks": f"Train the heads and the top {counted(kind.top, 'block')} alone",
        "single task": f"Train for {text(kind.task)} alone",
    }
    return words.get(kind.name, "")
