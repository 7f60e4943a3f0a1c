"""The report's section on guidance: each decision, its epoch, and the numbers behind it."""

from mtlab.plan.words import counted
from mtlab.record.records import Decision
from mtlab.report import markdown
from mtlab.report.comparison.groups import Group
from mtlab.report.markdown import fixed, name, text

DONE = {
    "slow": "slower",
    "refreeze": "frozen again",
    "advance": "on to the next stage",
    "stop": "all frozen: the stage ends",
}


def section(group: Group) -> str:
    """The ledger; empty where guidance decided nothing."""
    rows = [
        [
            name(trial.scenario),
            str(trial.seed),
            str(decision.epoch),
            text(decision.task or "all"),
            DONE.get(decision.action, text(decision.action)),
            _why(decision),
        ]
        for scenario in group.scenarios
        for trial in group.of(scenario)
        for decision in trial.ledger
    ]
    if not rows:
        return ""
    trials = [trial for trial in group.good if trial.ledger]
    quiet = sorted(
        {name(trial.scenario) for trial in group.good} - {name(trial.scenario) for trial in trials}
    )
    lead = (
        f"Guidance checked each task's validation score after every epoch. It made {counted(len(rows), 'decision')} in "
        f"{counted(len(trials), 'trial')}."
    )
    lead += f" It made none in {markdown.listing(quiet)}." if quiet else ""
    ledger = markdown.table(
        ["scenario", "seed", "epoch", "task", "decision", "because"], rows, words=6
    )
    return f"{lead}\n\n{ledger}"


def _why(decision: Decision) -> str:
    if decision.best_epoch is None:
        return (
            f"no task gained in {decision.waited} validations"
            if decision.action == "advance"
            else "no task still trains"
        )
    best = f"best {fixed(decision.best)} at epoch {decision.best_epoch}"
    return f"{fixed(decision.value)} now, {best}: no gain in {decision.waited} validations"
