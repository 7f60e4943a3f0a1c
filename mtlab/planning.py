"""The plan of an experiment as an object. It says what the experiment would train, freeze, cost and
show; nothing is trained.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import pandas as pd

from mtlab.plan.experiment import Experiment
from mtlab.report import power
from mtlab.train.measure import dry_run
from mtlab.train.measure.dry_run import Row


@dataclass(frozen=True)
class Plan:
    """A plan; ``str()`` gives it as `mtlab plan` prints it.

    Attributes:
        table: one row per scenario (:class:`mtlab.train.measure.dry_run.Row` documents the
            columns). With a sweep, the index has the point before the scenario.
    """

    text: str = field(repr=False)
    table: pd.DataFrame = field(compare=False)

    def __str__(self) -> str:
        return self.text


def plan(experiment: Experiment, say: Callable[[str], object] = lambda line: None) -> Plan:
    """Plan an experiment.

    Args:
        experiment: the experiment, which is not trained.
        say: called with each line as soon as it is ready.

    Raises:
        UserError: something is wrong with the experiment, its data or its encoder.
    """
    settings, rows, lines = experiment.model_dump(mode="json"), list[Row](), list[str]()
    for line in dry_run.lines(
        experiment,
        lambda fingerprint: power.lines(settings, experiment.output, fingerprint),
        rows.append,
    ):
        lines.append(line)
        say(line)
    index = ["point", "scenario"] if len(experiment.points) > 1 else ["scenario"]
    table = pd.DataFrame([asdict(row) for row in rows]).set_index(index)
    return Plan("\n".join(lines), table if len(index) > 1 else table.drop(columns="point"))
