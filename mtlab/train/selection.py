"""Which epoch's weights a stage hands on: decided on validation alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from mtlab.plan.scenario import Stage
from mtlab.record.metrics import Prediction
from mtlab.record.quality import Metrics, selection_score
from mtlab.record.records import EpochRecord
from mtlab.record.records import Selection as SelectionRecord


@dataclass(frozen=True)
class Best:
    """The best weights of a stage so far.

    Attributes:
        score: on validation.
        epoch: of the trial.
        piece: of the trial that the epoch belongs to.
        weights: the weights that the stage trains, as they were after this epoch, by name, on the
            CPU.
    """

    score: float
    epoch: int
    piece: int
    weights: Mapping[str, Tensor]


@dataclass
class Choice:
    """Which weights a stage may hand on.

    Attributes:
        best: the best of the stage so far, by name (:func:`watched`).
        moved: names of the parameters that have trained in it.
        standing: the epoch whose weights the network has; None before the first.
        first: the stage's first piece, by its place in the trial.
        start: the weights that the stage trains, as they were when it began, by name, on the CPU;
            kept only for a stage that averages weights.
    """

    best: dict[str, Best] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    standing: int | None = None
    first: int = 0
    start: Mapping[str, Tensor] = field(default_factory=dict)


def watched(stage: Stage) -> dict[str, tuple[str, ...]]:
    """The names under which a stage keeps its best weights, each with the tasks that judge them;
    empty where the stage takes the last epoch's weights.
    """
    if stage.select == "best":
        return {"": stage.judged}
    return {task: (task,) for task in stage.losses} if stage.select == "each" else {}


def better(stage: Stage, best: Mapping[str, Best], metrics: Metrics) -> dict[str, float]:
    """The names under which an epoch is the best of its stage so far, each with its score; of equal
    scores, the earlier epoch's counts as better.
    """
    scores = {name: selection_score(metrics, tasks) for name, tasks in watched(stage).items()}
    return {
        name: score
        for name, score in scores.items()
        if name not in best or score > best[name].score
    }


def settled(stage: Stage, best: Mapping[str, Best], standing: EpochRecord) -> SelectionRecord:
    """The selection in a trial's last stage.

    Args:
        stage: the last one.
        best: its best weights.
        standing: the epoch whose weights the network has; selected where ``best`` is empty.
    """
    averaged = "" if stage.average is None else ", averaged with the start of the stage"
    if "" in best:
        rule = "best of the last stage on validation" + averaged
        return SelectionRecord(rule=rule, epoch=best[""].epoch, score=best[""].score)
    if best:
        by_task = {task: best_of_task.epoch for task, best_of_task in best.items()}
        mean = sum(best_of_task.score for best_of_task in best.values()) / len(best)
        rule = "each task's best of the last stage on validation"
        return SelectionRecord(rule=rule, epoch=max(by_task.values()), score=mean, by_task=by_task)
    return SelectionRecord(
        rule="last epoch" + averaged,
        epoch=standing.epoch,
        score=selection_score(standing.validation, stage.judged),
    )


def merged(metrics: Metrics, by_task: Mapping[str, Metrics]) -> Metrics:
    """Metrics in which the scores of each task in ``by_task`` are replaced by those given there."""
    own_scores = {
        task: theirs.by_task[task] for task, theirs in by_task.items() if task in theirs.by_task
    }
    return Metrics(by_task={**metrics.by_task, **own_scores})


def with_task(prediction: Prediction, other: Prediction, task: str) -> Prediction:
    """A prediction in which that of one task is replaced by another model's."""
    if task not in other.predicted:
        return prediction
    predicted = {**prediction.predicted, task: other.predicted[task]}
    return replace(prediction, predicted=predicted)
