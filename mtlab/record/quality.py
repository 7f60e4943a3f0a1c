"""How well a split was predicted: scores by task, and what each sentence adds to them.

Quality metrics lie in [0, 1]; ``None`` means undefined (never NaN).
"""

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer


class Value(BaseModel):
    """A frozen value of the record; an unknown field is an error, so that nothing is lost when it
    is read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassifierMetrics(Value):
    """Sentence classification on one split."""

    accuracy: float | None
    macro_f1: float | None
    """Unweighted mean of F1 over the classes that occur among gold or predicted labels of the
    split."""
    loss: float | None
    sentences: int

    primary_title: ClassVar[str] = "accuracy"

    @property
    def primary(self) -> float | None:
        """The metric that judges the task."""
        return self.accuracy


class EntityMetrics(Value):
    """Precision, recall and F1 of entities, micro-averaged; F1 is ``None`` without gold entities."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    """Gold entities."""


class NerMetrics(Value):
    """Named-entity recognition on one split, in the field's mode and strictly."""

    default: EntityMetrics
    """seqeval's default mode, which is conlleval's: the field's number."""
    strict: EntityMetrics
    """seqeval's ``mode="strict", scheme=IOB2``."""
    by_type: dict[str, EntityMetrics]
    """Default mode, one entry an entity type."""
    loss: float | None
    sentences: int

    primary_title: ClassVar[str] = "entity F1"

    @property
    def primary(self) -> float | None:
        """The metric that judges the task."""
        return self.default.f1


TaskMetrics = ClassifierMetrics | NerMetrics


class Metrics(Value):
    """Both tasks on one split; ``None`` for a task of which the split has no labels."""

    classifier: ClassifierMetrics | None = None
    ner: NerMetrics | None = None

    @property
    def by_task(self) -> dict[str, TaskMetrics]:
        """Those of the tasks of which the split has gold."""
        return {task: scored for task, scored in self if scored is not None}

    def primary(self, task: str) -> float | None:
        """The metric that judges a task; None where it is undefined."""
        scored = self.by_task.get(task)
        return None if scored is None else scored.primary


def _numbers(value: object) -> object:
    return tuple(map(int, value.split())) if isinstance(value, str) else value


Counts = Annotated[
    tuple[int, ...],
    BeforeValidator(_numbers),
    PlainSerializer(lambda counts: " ".join(map(str, counts)), when_used="json"),
]
"""Whole numbers, one a sentence; a file has them as one string, separated by blanks."""


class Contributions(Value):
    """What each test sentence adds to the scores: enough to compute them anew over any choice of
    sentences.

    Each list holds the sentences that have gold of its task, in the split's order, which is the
    same for all trials on the same data.
    """

    labels_right: Counts = ()
    """1 where the label is right, 0 where it is wrong."""
    entities_right: Counts = ()
    """Entities that are gold and predicted, in seqeval's default mode."""
    entities_predicted: Counts = ()
    entities_gold: Counts = ()
