"""How well a split was predicted: the scores of each task, and what each sentence adds to them.

``None`` means undefined (never NaN).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from mtlab.plan.words import unset
from mtlab.tasks.kind import Score


class Value(BaseModel):
    """An immutable part of a record. An unknown field is an error, so that no data is lost when a
    record is read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskMetrics(Value):
    """How well one task was predicted on a split."""

    scores: dict[str, Score]
    """Metric to its value, the metric that judges the task first (``metrics`` of the task's kind)."""
    by_name: dict[str, dict[str, Score]] = Field(default_factory=dict)
    """The scores of each part of the task, such as an entity type, with ``support``: how many of
    them are gold."""
    loss: float | None
    sentences: int
    """The number of sentences that have gold of the task."""
    constant: float | None = Field(default=None, exclude_if=unset)
    """The score of the best constant answer, the same for every sentence, by the metric that judges
    the task (``constant_score`` of the task's kind); ``None`` in records without this field."""

    @property
    def primary(self) -> float | None:
        """The value of the metric that judges the task."""
        return next(iter(self.scores.values()), None)


class Metrics(Value):
    """The metrics of one split, for the tasks that it has gold of."""

    by_task: dict[str, TaskMetrics] = Field(default_factory=dict)

    def primary(self, task: str) -> float | None:
        """The value of the metric that judges a task; None where it is undefined."""
        scored = self.by_task.get(task)
        return None if scored is None else scored.primary


def primaries(metrics: Metrics | None) -> dict[str, float | None]:
    """``TASK METRIC`` to the value of the metric that judges each task."""
    by_task = {} if metrics is None else metrics.by_task
    return {
        f"{task} {next(iter(scored.scores))}": scored.primary for task, scored in by_task.items()
    }


def selection_score(metrics: Metrics, tasks: Sequence[str]) -> float:
    """The score by which weights are selected: the mean, over ``tasks``, of the metrics that judge
    them. An undefined metric counts as 0.
    """
    return sum(metrics.primary(task) or 0.0 for task in tasks) / len(tasks)


def _numbers(value: object) -> object:
    return tuple(map(_number, value.split())) if isinstance(value, str) else value


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


Numbers = Annotated[
    tuple[int | float, ...],
    BeforeValidator(_numbers),
    PlainSerializer(lambda numbers: " ".join(map(str, numbers)), when_used="json"),
]
"""Numbers, one per sentence; a file has them as one string, separated by spaces."""


class Contributions(Value):
    """What each test sentence adds to the metrics that judge the tasks. From these numbers the
    metrics can be computed again for any subset of the sentences.
    """

    by_task: Mapping[str, dict[str, Numbers]] = Field(default_factory=dict)
    """Task to named numbers (``columns`` of the task's kind) of the sentences that have gold of it, in
    the split's order, which is the same for all trials on the same data."""
