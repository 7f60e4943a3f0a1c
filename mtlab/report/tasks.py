"""Tasks, with the words that a report uses for them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlab.plan.looks import ANY_LOSS
from mtlab.plan.tasks import Task as Settings
from mtlab.record.quality import Contributions
from mtlab.report.markdown import listing
from mtlab.tasks.kind import Kind
from mtlab.tasks.registry import USUAL


@dataclass(frozen=True)
class Task:
    """A task of an experiment.

    Attributes:
        name: its name in records, columns and selectors.
        title: its name in words.
        kind: what its head learns.
        metric_title: the metric that judges it, in words.
        margin: a difference of that metric below which two scenarios count as equally good.
    """

    name: str
    title: str
    kind: Kind
    metric_title: str
    margin: float

    @property
    def counts(self) -> bool:
        """Whether the task counts in a choice. With a margin of :data:`~mtlab.plan.looks.ANY_LOSS`
        or more it does not, because no loss is too large.
        """
        return self.margin < ANY_LOSS

    @property
    def heading(self) -> str:
        """The title with a capital first letter."""
        return self.title[:1].upper() + self.title[1:]

    @property
    def metric(self) -> str:
        """The column of the metric that judges the task."""
        return f"{self.name}_{next(iter(self.kind.metrics))}"

    def contributed(self, contributions: Contributions) -> np.ndarray | None:
        """(sentences,): what each test sentence adds to the metric that judges the task; the metric
        is the mean of these values. None if it is undefined.
        """
        columns = contributions.by_task.get(self.name)
        return None if columns is None else self.kind.linear(columns)


def of_experiment(experiment: Mapping[str, Any]) -> tuple[Task, ...]:
    """The tasks of an experiment, from its recorded settings."""
    settings = {
        name: Settings.model_validate(task)
        for name, task in (experiment.get("tasks") or USUAL).items()
    }
    kinds = {name: task.as_kind for name, task in settings.items()}
    metrics = {name: next(iter(kind.metrics.values())) for name, kind in kinds.items()}
    titles = {name: task.title or name for name, task in settings.items()}
    times, alike = Counter(metrics.values()), Counter(titles.values())
    margins, tasks = experiment.get("margins") or {}, []
    for name in settings:
        title = titles[name] if alike[titles[name]] == 1 else f"{titles[name]} ({name})"
        metric = metrics[name] if times[metrics[name]] == 1 else f"{title} {metrics[name]}"
        margin = margins.get(name, kinds[name].margin)
        tasks.append(Task(name, title, kinds[name], metric, margin))
    return tuple(tasks)


def together(tasks: Sequence[Task]) -> str:
    """The title of one task, "both tasks", or how many there are."""
    if len(tasks) < 2:
        return "".join(task.title for task in tasks)
    return "both tasks" if len(tasks) == 2 else f"all {len(tasks)} tasks"


def mean_score(tasks: Sequence[Task]) -> str:
    """The mean of the metrics that judge some tasks, in words."""
    titles = [task.metric_title for task in tasks]
    if len(titles) > 3:
        return "the mean of the tasks' main metrics"
    return titles[0] if len(titles) == 1 else f"the mean of {listing(titles)}"
