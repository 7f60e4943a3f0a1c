"""Tasks with any number of labels per sentence."""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from mtlab.tasks import linear
from mtlab.tasks.kind import IGNORE, BadValue, Codes, Columns, Context, Kind, Score, Scored, named

Labels = tuple[str, ...]


class Multilabel(Kind):
    """Any number of labels per sentence; the metric is micro-averaged F1 of labels."""

    name = "multilabel"
    many = True
    loss = "binary cross-entropy"
    margin = 0.04
    metrics = MappingProxyType({"f1": "label F1", "macro_f1": "macro F1", "exact": "exact match"})
    note = "Label F1 is micro-averaged over labels; exact match is the share of sentences whose labels are all right."
    title = "multi-label classification"
    gold_title, value_title, wrong = "labels", "label", "labels are wrong"
    wants = "a list of labels a sentence"
    usual = ("labels", "tags", "categories", "topics", "intents", "classes", "tones", "emotions")
    code = '[name for name, logit in zip({facts}["names"], {logits}) if logit > 0]'

    def read(self, value: list[Any], names: Sequence[str] | None, words: int | None) -> Labels:
        """The labels, sorted; a repeated label counts once."""
        labels = [named(item, names, f"label {place}") for place, item in enumerate(value, start=1)]
        if not all(label.strip() for label in labels):
            raise BadValue("a label is empty", "take it out of the list")
        return tuple(sorted(set(labels)))

    def values(self, gold: Labels | None) -> list[str]:
        """The labels."""
        return list(gold or ())

    def stratum(self, gold: Labels | None) -> str | None:
        """The combination of labels."""
        return None if gold is None else "+".join(gold) or "none"

    def lack(self, codes: Codes) -> tuple[str, str] | None:
        """There must be at least one label."""
        problem = "no training sentence has a label", "give some sentences labels"
        return None if codes.names else problem

    def targets(self, gold: Labels | None, codes: Codes) -> np.ndarray:
        """(labels,): 1 for the labels that the sentence has and 0 for the others; all ``IGNORE``
        without gold. Labels that training does not have are left out.
        """
        if gold is None:
            return np.full(len(codes.names), IGNORE)
        return np.array([int(name in gold) for name in codes.names], dtype=np.int64)

    def predicted(self, raw: np.ndarray, codes: Codes, words: np.ndarray) -> list[str]:
        """The labels with a probability above 0.5."""
        return [name for name, present in zip(codes.names, raw.tolist(), strict=True) if present]

    def answer(self, predicted: list[str], context: Context, codes: Codes) -> dict[str, Any]:
        """The predicted labels and their probabilities."""
        chances = zip(codes.names, context.chances.tolist(), strict=True)
        labels = [(name, chance) for name, chance in chances if name in predicted]
        return {"labels": [{"label": name, "score": round(chance, 6)} for name, chance in labels]}

    def score(self, pairs: Sequence[tuple[Labels, Labels]]) -> Scored:
        """F1, macro F1 and the share of sentences whose labels are all right, as scikit-learn
        computes them; both F1 are undefined where no sentence has a gold label.
        """
        from sklearn.metrics import accuracy_score, f1_score  # this import takes a second

        known = sorted({label for pair in pairs for labels in pair for label in labels})
        gold, predicted = (
            np.array([[name in pair[side] for name in (*known, None, None)] for pair in pairs])
            for side in (0, 1)
        )  # two empty columns are added: scikit-learn reads a single column as binary classes
        exact = float(accuracy_score(gold, predicted))
        if not gold.any():
            return Scored({"f1": None, "macro_f1": None, "exact": exact})
        micro = float(f1_score(gold, predicted, average="micro", zero_division=0.0))
        by_label = f1_score(gold, predicted, average=None, zero_division=0.0)[: len(known)]
        support = gold.sum(axis=0).tolist()
        by_name: dict[str, dict[str, Score]] = {
            name: {"f1": value if count else None, "support": count}
            for name, value, count in zip(known, by_label.tolist(), support, strict=False)
        }
        return Scored({"f1": micro, "macro_f1": float(by_label.mean()), "exact": exact}, by_name)

    def constant_score(self, golds: Sequence[Labels]) -> float:
        """F1 of the best constant set of labels: of each size, the most frequent labels."""
        counts = Counter(label for labels in golds for label in labels)
        right, best = 0, 0.0
        for size, (_, count) in enumerate(counts.most_common(), start=1):
            right += count
            best = max(best, 2 * right / (size * len(golds) + counts.total()))
        return best

    def columns(self, pairs: Sequence[tuple[Labels, Labels]]) -> dict[str, tuple[int | float, ...]]:
        """How many labels of each sentence are right, predicted, and gold."""
        return linear.overlaps((set(gold), set(predicted)) for gold, predicted in pairs)

    def linear(self, columns: Columns) -> np.ndarray | None:
        """See :func:`mtlab.tasks.linear.f1`."""
        values = {name: np.array(numbers) for name, numbers in columns.items()}
        return linear.f1(values["right"], values["predicted"], values["gold"])

    def with_value(self, gold: Labels | None, at: int, value: str) -> Labels:
        """The labels with one of them replaced."""
        labels = gold or ()
        return tuple(sorted({*labels[:at], value, *labels[at + 1 :]}))

    def renamed(self, gold: Labels | None, names: Mapping[str, str]) -> Labels:
        """The labels, some of them with new names."""
        return tuple(sorted({names.get(label, label) for label in gold or ()}))
