"""Quality metrics from predictions: the field's own scorers, applied to plain lists of names.

seqeval decides which words are an entity: its default mode, which reads tags as conlleval does, and
strict IOB2. Its reports parse every tag four times; here each side is parsed once, and the sets are
counted. seqeval takes part of a type's name for markup (its strict mode strips hyphens, so that
``grade-`` and ``grade`` become equal), so types go in as numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Entities
from sklearn.metrics import accuracy_score, f1_score

from mtlab.record.quality import (
    ClassifierMetrics,
    Contributions,
    EntityMetrics,
    Metrics,
    NerMetrics,
)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one sentence has and was given, by task; without the tasks that it has no gold of."""

    gold: Mapping[str, Any]
    predicted: Mapping[str, Any]


class Entity(NamedTuple):
    """An entity: words ``start`` to ``end`` of a sentence, both included."""

    sentence: int
    type: str
    start: int
    end: int


def score(
    predictions: Sequence[Prediction], losses: dict[str, float | None] | None = None
) -> Metrics:
    """Score a split.

    Args:
        predictions: one a sentence.
        losses: task to mean loss on the split, where known.
    """
    losses = losses or {}
    labelled, tagged = _pairs(predictions, "classifier"), _tags(predictions)
    return Metrics(
        classifier=_classifier(labelled, losses.get("classifier")) if labelled else None,
        ner=_ner(tagged, losses.get("ner")) if tagged else None,
    )


def selection_score(metrics: Metrics, tasks: Sequence[str]) -> float:
    """The score that selects weights: the mean of the metrics that judge some tasks; an undefined
    one counts as 0.
    """
    return sum(metrics.primary(task) or 0.0 for task in tasks) / len(tasks)


def contributions(predictions: Sequence[Prediction]) -> Contributions:
    """What each sentence adds to the scores of :func:`score`."""
    entities = [[set(_read(tags, False)) for tags in pair] for pair in _tags(predictions)]
    return Contributions(
        labels_right=tuple(
            int(gold == predicted) for gold, predicted in _pairs(predictions, "classifier")
        ),
        entities_right=tuple(len(gold & predicted) for gold, predicted in entities),
        entities_predicted=tuple(len(predicted) for _, predicted in entities),
        entities_gold=tuple(len(gold) for gold, _ in entities),
    )


def _pairs(predictions: Sequence[Prediction], task: str) -> list[tuple[Any, Any]]:
    """Gold and prediction of each sentence that has gold of a task."""
    return [
        (prediction.gold[task], prediction.predicted[task])
        for prediction in predictions
        if task in prediction.gold
    ]


def _tags(predictions: Sequence[Prediction]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return [(tuple(gold), tuple(predicted)) for gold, predicted in _pairs(predictions, "ner")]


def _classifier(pairs: list[tuple[str, str]], loss: float | None) -> ClassifierMetrics:
    gold, predicted = zip(*pairs, strict=True)
    macro = f1_score(gold, predicted, average="macro", zero_division=0.0)
    return ClassifierMetrics(
        accuracy=float(accuracy_score(gold, predicted)),
        macro_f1=float(macro),
        loss=loss,
        sentences=len(pairs),
    )


def _ner(pairs: list[tuple[tuple[str, ...], tuple[str, ...]]], loss: float | None) -> NerMetrics:
    entities = {
        strict: [_entities([pair[side] for pair in pairs], strict) for side in (0, 1)]
        for strict in (False, True)
    }
    types = [_by_type(side) for side in entities[False]]
    return NerMetrics(
        default=_micro(*entities[False]),
        strict=_micro(*entities[True]),
        by_type={
            name: _micro(*(side.get(name, set()) for side in types))
            for name in sorted(types[0].keys() | types[1].keys())
        },
        loss=loss,
        sentences=len(pairs),
    )


def _entities(sentences: Sequence[tuple[str, ...]], strict: bool) -> set[Entity]:
    return {
        Entity(number, *span)
        for number, tags in enumerate(sentences)
        for span in _read(tags, strict)
    }


@lru_cache(maxsize=1 << 16)
def _read(tags: tuple[str, ...], strict: bool) -> tuple[tuple[str, int, int], ...]:
    """Type, first and last word of a sentence's entities as seqeval reads them: by default, or with
    ``mode="strict", scheme=IOB2``.

    Remembered, for gold tags come again in every epoch, and so do most predictions.
    """
    types = list(dict.fromkeys(tag[2:] for tag in tags if tag != "O"))
    numbers = {name: number for number, name in enumerate(types)}
    neutral = [tag if tag == "O" else f"{tag[0]}-{numbers[tag[2:]]}" for tag in tags]
    if strict:
        spans = [
            (entity.tag, entity.start, entity.end - 1)
            for entity in Entities([neutral], IOB2).entities[0]
        ]
    else:
        spans = get_entities(neutral)
    return tuple((types[int(number)], first, last) for number, first, last in spans)


def _by_type(entities: set[Entity]) -> dict[str, set[Entity]]:
    by_type: dict[str, set[Entity]] = {}
    for entity in entities:
        by_type.setdefault(entity.type, set()).add(entity)
    return by_type


def _micro(gold: set[Entity], predicted: set[Entity]) -> EntityMetrics:
    """Without gold entities recall and F1 are undefined, and 0.0 would mislead."""
    if not gold:
        return EntityMetrics(precision=None, recall=None, f1=None, support=0)
    right = len(gold & predicted)
    precision = right / len(predicted) if predicted else 0.0
    return EntityMetrics(
        precision=precision,
        recall=right / len(gold),
        f1=2 * right / (len(gold) + len(predicted)),
        support=len(gold),
    )
