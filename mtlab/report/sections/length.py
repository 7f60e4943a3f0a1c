"""The report's section on how long scenarios were trained, and whether that was enough."""

from collections.abc import Mapping
from typing import Any

from mtlab.report import markdown
from mtlab.report.comparison.groups import Group
from mtlab.report.comparison.plateau import Plateau, plateaus
from mtlab.report.markdown import listing, name, text

HOW = (
    "*Gain*: the mean validation score of the last third of the last stage's epochs at constant rates, minus that of the middle third, "
    "[95% interval over seeds]. *At plateau*: shown to gain less than the margin at every task. *Still gaining*: shown to gain at one. "
    "*Not known*: neither, or fewer than six such epochs, or rates that decay."
)


def section(group: Group, experiment: Mapping[str, Any]) -> str:
    """Epochs, gains and state of each scenario that trains something; empty without one.

    Args:
        group: of one point.
        experiment: its settings, as a record has them.
    """
    all_plateaus = plateaus(group, experiment)
    if not all_plateaus:
        return ""
    header = ["scenario", "epochs", "ended by patience"]
    header += [f"gain in {text(task.metric_title)}" for task in group.every]
    rows = [
        [
            name(plateau.scenario),
            _epochs(plateau),
            f"{plateau.early} of {len(plateau.epochs)}",
            *(_gain(plateau, task.name) for task in group.every),
            plateau.state,
        ]
        for plateau in all_plateaus
    ]
    return f"{markdown.table([*header, 'state'], rows)}\n\n{HOW}"


def warning(group: Group, experiment: Mapping[str, Any]) -> str:
    """Says first that the control was still gaining, where it was; empty elsewhere."""
    for plateau in plateaus(group, experiment):
        if plateau.scenario == group.control and plateau.state == "still gaining":
            return (
                f"**The control {name(plateau.scenario)} was still gaining** when its training ended: the verdicts are about this length "
                "of training."
            )
    return ""


def states(group: Group, experiment: Mapping[str, Any]) -> str:
    """Which scenarios were trained long enough, in a sentence; empty where none trains anything."""
    by_state: dict[str, list[str]] = {}
    for plateau in plateaus(group, experiment):
        by_state.setdefault(plateau.state, []).append(name(plateau.scenario))
    sentence = "; ".join(f"{state}: {listing(scenarios)}" for state, scenarios in by_state.items())
    return f"**Length of training.** {sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def _epochs(plateau: Plateau) -> str:
    fewest, most = min(plateau.epochs), max(plateau.epochs)
    return str(most) if fewest == most else f"{fewest} to {most}"


def _gain(plateau: Plateau, task: str) -> str:
    gain = plateau.gains.get(task)
    if gain is None:
        return "–"
    return markdown.measured(gain.mean, gain.low, gain.high, sign=True)
