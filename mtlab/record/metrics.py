"""Quality metrics from predictions: the field's own scorers, applied to plain lists of names.

Entity scores are seqeval's: its default mode, which scores as conlleval does, and strict IOB2 beside it.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score, f1_score

from mtlab.record.records import ClassifierMetrics, EntityMetrics, Metrics, NerMetrics


@dataclass(frozen=True, slots=True)
class Prediction:
    """Gold and predicted names for one sentence; ``None`` for a task that it has no gold for."""

    label: str | None
    predicted_label: str | None
    tags: Sequence[str] | None
    predicted_tags: Sequence[str] | None


def score(predictions: Sequence[Prediction], losses: dict[str, float | None] | None = None) -> Metrics:
    """Score a split.

    Args:
        predictions: one a sentence.
        losses: task to mean loss on the split, where known.
    """
    losses = losses or {}
    labelled = [(p.label, p.predicted_label) for p in predictions if p.label is not None]
    tagged = [(list(p.tags), list(p.predicted_tags or ())) for p in predictions if p.tags is not None]
    return Metrics(
        classifier=_classifier(labelled, losses.get("classifier")) if labelled else None,
        ner=_ner(tagged, losses.get("ner")) if tagged else None,
    )


def _classifier(pairs: list[tuple[str, str | None]], loss: float | None) -> ClassifierMetrics:
    gold, predicted = [pair[0] for pair in pairs], [pair[1] or "" for pair in pairs]
    macro = f1_score(gold, predicted, average="macro", zero_division=0.0)
    return ClassifierMetrics(accuracy=float(accuracy_score(gold, predicted)), macro_f1=float(macro), loss=loss, sentences=len(pairs))


def _ner(pairs: list[tuple[list[str], list[str]]], loss: float | None) -> NerMetrics:
    default, strict = _report(pairs), _report(pairs, mode="strict", scheme=IOB2)
    averages = ("micro avg", "macro avg", "weighted avg")
    return NerMetrics(
        default=_entities(default.get("micro avg", {})),
        strict=_entities(strict.get("micro avg", {})),
        by_type={name: _entities(row) for name, row in sorted(default.items()) if name not in averages},
        loss=loss,
        sentences=len(pairs),
    )


def _report(pairs: list[tuple[list[str], list[str]]], **options: object) -> dict[str, dict[str, float]]:
    gold, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if all(tag == "O" for tags in (*gold, *predicted) for tag in tags):
        return {}  # seqeval fails where neither side has an entity
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of undefined scores; they are told as None below
        return classification_report(gold, predicted, output_dict=True, zero_division=0, **options)


def _entities(row: dict[str, float]) -> EntityMetrics:
    """A row of seqeval's report. Without gold entities recall and F1 are undefined, and seqeval's 0.0 would mislead."""
    support = int(row.get("support", 0))
    if not support:
        return EntityMetrics(precision=None, recall=None, f1=None, support=0)
    return EntityMetrics(precision=float(row["precision"]), recall=float(row["recall"]), f1=float(row["f1-score"]), support=support)
