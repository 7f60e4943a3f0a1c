"""Predictions of a split, and their scores by task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtlab.record.quality import Contributions, Metrics, TaskMetrics
from mtlab.tasks.kind import Task


@dataclass(frozen=True, slots=True)
class Prediction:
    """Gold and prediction of one sentence, by task, for the tasks that it has gold of."""

    gold: Mapping[str, Any]
    predicted: Mapping[str, Any]


def score(
    tasks: Mapping[str, Task],
    predictions: Sequence[Prediction],
    losses: Mapping[str, float | None] | None = None,
) -> Metrics:
    """Score a split.

    Args:
        tasks: by name.
        predictions: one per sentence.
        losses: task to its mean loss on the split, where this is known.
    """
    by_task = {}
    for name, task in tasks.items():
        if pairs := _pairs(predictions, name):
            scored = task.kind.score(pairs)
            by_task[name] = TaskMetrics(
                scores=scored.scores,
                by_name=scored.by_name,
                loss=(losses or {}).get(name),
                constant=task.kind.constant_score([gold for gold, _ in pairs]),
                sentences=len(pairs),
            )
    return Metrics(by_task=by_task)


def contributions(tasks: Mapping[str, Task], predictions: Sequence[Prediction]) -> Contributions:
    """What each sentence adds to the metrics that judge the tasks."""
    pairs = {name: _pairs(predictions, name) for name in tasks}
    return Contributions(
        by_task={
            name: tasks[name].kind.columns(of_task) for name, of_task in pairs.items() if of_task
        }
    )


def _pairs(predictions: Sequence[Prediction], task: str) -> list[tuple[Any, Any]]:
    """Gold and prediction of each sentence that has gold of a task."""
    return [
        (prediction.gold[task], prediction.predicted[task])
        for prediction in predictions
        if task in prediction.gold
    ]
