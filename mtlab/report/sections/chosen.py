"""The report's section on blocks that did not train all the time: for how many epochs each did."""

from mtlab.plan.words import counted
from mtlab.record import pieces
from mtlab.report import markdown
from mtlab.report.comparison.groups import Group
from mtlab.report.markdown import name, text
from mtlab.report.wording import HOW


def section(group: Group) -> str:
    """A row a trial; empty where all blocks that a stage names train throughout."""
    rows = []
    blocks: list[str] = []
    for scenario in group.scenarios:
        for trial in group.of(scenario):
            stages = [stage for stage in trial.stages if stage.chooses]
            if not stages:
                continue
            epochs = pieces.epochs_of(stages)
            blocks = blocks or list(epochs)
            how = HOW[stages[0].chooses]
            rows.append([name(scenario), str(trial.seed), how, *map(str, epochs.values())])
    if not rows:
        return ""
    lead = (
        f"In {counted(len(rows), 'trial')} not all blocks that the stage names train all the time. "
        "The table has the epochs in which each block trains. "
        "With each change the optimizer begins anew."
    )
    header = ["scenario", "seed", "blocks", *map(text, blocks)]
    return f"{lead}\n\n{markdown.table(header, rows, words=3)}"
