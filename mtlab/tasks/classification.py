"""Tasks with one class per sentence."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from mtlab.tasks.kind import (
    IGNORE,
    BadValue,
    Codes,
    Columns,
    Context,
    Kind,
    Scored,
    largest_share,
    named,
)


class Classification(Kind):
    """One class per sentence; the metric is accuracy."""

    name = "classification"
    one_label = True
    loss = "cross-entropy"
    metrics = MappingProxyType({"accuracy": "accuracy", "macro_f1": "macro F1"})
    note = "Macro F1 is the mean of F1 over the labels that are gold or predicted, each as much as any other."
    title = "sentence classification"
    short = "classification"
    gold_title, value_title, wrong = "label", "label", "labels are wrong"
    wants = "a label a sentence"
    usual = (
        "label", "intent", "category", "class", "topic", "target", "sentiment", "labels", "domain",
    )  # fmt: skip
    code = '{facts}["names"][{logits}.argmax()]'

    def read(self, value: Any, names: Sequence[str] | None, words: int | None) -> str:
        """The label; without ``names``, a whole number is a label itself."""
        if isinstance(value, list) and len(value) > 1:
            remedy = "keep one, or read them for a task of the kind `multilabel`"
            raise BadValue("the sentence has several labels, {}", remedy, value)
        if isinstance(value, int) and not isinstance(value, bool) and names is None:
            return str(value)
        label = named(value, names, "the label")
        if not label.strip():
            raise BadValue("the label is empty", "give the sentence a label, or remove it")
        return label

    def values(self, gold: str | None) -> list[str]:
        """The label."""
        return [] if gold is None else [gold]

    def stratum(self, gold: str | None) -> str | None:
        """The label."""
        return gold

    def lack(self, codes: Codes) -> tuple[str, str] | None:
        """There must be two labels."""
        if len(codes.names) > 1:
            return None
        label = repr(codes.names[0]) if codes.names else "none"
        problem = f"every training sentence has the label {label}"
        return problem, "classification needs two labels or more"

    def targets(self, gold: str | None, codes: Codes) -> int:
        """The number of the class; ``IGNORE`` where the sentence has no gold or training does not
        have its class.
        """
        return IGNORE if gold is None else codes.numbers.get(gold, IGNORE)

    def predicted(self, raw: np.ndarray, codes: Codes, words: np.ndarray) -> str:
        """The name of the likeliest class."""
        return codes.names[int(raw)]

    def answer(self, predicted: str, context: Context, codes: Codes) -> dict[str, Any]:
        """The label and its probability."""
        return {"label": predicted, "score": round(float(context.chances.max()), 6)}

    def score(self, pairs: Sequence[tuple[str, str]]) -> Scored:
        """See :func:`right_classes`."""
        return right_classes(*zip(*pairs, strict=True))

    def constant_score(self, golds: Sequence[str]) -> float:
        """The accuracy of the most frequent label."""
        return largest_share(golds)

    def columns(self, pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[int | float, ...]]:
        """``right``: 1 where the label is right, 0 where it is wrong."""
        return {"right": tuple(int(gold == predicted) for gold, predicted in pairs)}

    def linear(self, columns: Columns) -> np.ndarray | None:
        """1 for each right label and 0 for each wrong one."""
        right = np.array(columns["right"], dtype=float)
        return right if len(right) else None


def right_classes(gold: Sequence[str], predicted: Sequence[str]) -> Scored:
    """Accuracy and macro F1, as scikit-learn computes them; undefined where there is no gold."""
    from sklearn.metrics import accuracy_score, f1_score  # this import takes a second

    if not gold:
        return Scored({"accuracy": None, "macro_f1": None})
    macro = f1_score(gold, predicted, average="macro", zero_division=0.0)
    return Scored({"accuracy": float(accuracy_score(gold, predicted)), "macro_f1": float(macro)})
