"""Kinds of tasks: what is particular to each of them, a class a kind."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, ClassVar

import numpy as np

IGNORE = -100
"""The target of positions that no loss counts; torch's cross-entropy ignores it."""


class Kind(ABC):
    """What a head learns, whatever its task is called.

    Attributes:
        of_words: whether each word has gold, or else each sentence.
        gold_title: what a sentence's gold is called.
        value_title: what one of :meth:`values` is called.
        wrong: says of several of those that they are wrong.
    """

    of_words: ClassVar[bool]
    gold_title: ClassVar[str]
    value_title: ClassVar[str]
    wrong: ClassVar[str]

    @abstractmethod
    def targets(self, gold: Any, numbers: Mapping[str, int]) -> Any:
        """The gold of a sentence as numbers.

        Args:
            gold: of the sentence; None where it has none.
            numbers: names of classes to their numbers.
        """

    @abstractmethod
    def predicted(self, best: Any, names: Sequence[str], words: np.ndarray) -> Any:
        """What was predicted of a sentence, as its gold is written.

        Args:
            best: the number of the most likely class; where words have gold, of every token.
            names: of the classes.
            words: where each word's first sub-word stands, -1 for a word that has none.
        """

    @abstractmethod
    def values(self, gold: Any) -> list[str]:
        """The values of a sentence's gold that a mistake could make another of: none, one, or as many
        as there are entities.
        """

    @abstractmethod
    def with_value(self, gold: Any, at: int, value: str) -> Any:
        """The gold with another one at a place among :meth:`values`."""

    def may_be(self, gold: Any, at: int, known: Iterable[str], longer: Iterable[str]) -> list[str]:
        """The other values that could stand at a place among :meth:`values`.

        Args:
            gold: of a sentence.
            at: the place.
            known: all values of the training split.
            longer: those of them that occur over several words.
        """
        return [value for value in known if value != self.values(gold)[at]]

    def longer(self, gold: Any) -> set[str]:
        """The values that stand over several words of a sentence."""
        return set()


class Classification(Kind):
    """One class a sentence."""

    of_words = False
    gold_title, value_title, wrong = "label", "label", "labels are wrong"

    def targets(self, gold: str | None, numbers: Mapping[str, int]) -> int:
        """The number of the class; ``IGNORE`` where there is none, or training does not have it."""
        return IGNORE if gold is None else numbers.get(gold, IGNORE)

    def predicted(self, best: Any, names: Sequence[str], words: np.ndarray) -> str:
        """The name of the class."""
        return names[best]

    def values(self, gold: str | None) -> list[str]:
        """The label."""
        return [] if gold is None else [gold]

    def with_value(self, gold: str | None, at: int, value: str) -> str:
        """The other label."""
        return value


class Tagging(Kind):
    """One tag a word, in IOB2, from which entities are read."""

    of_words = True
    gold_title, value_title, wrong = "tags", "type", "entities have a wrong type"

    def targets(self, gold: tuple[str, ...] | None, numbers: Mapping[str, int]) -> np.ndarray:
        """(words,): the number of each tag, ``IGNORE`` for one that training does not have."""
        return np.asarray([numbers.get(tag, IGNORE) for tag in gold or ()], dtype=np.int64)

    def predicted(self, best: Any, names: Sequence[str], words: np.ndarray) -> list[str]:
        """A tag a word; a word without a sub-word counts, as ``O``."""
        return [names[best[position]] if position >= 0 else "O" for position in words]

    def values(self, gold: tuple[str, ...] | None) -> list[str]:
        """The type of each entity."""
        return [tag[2:] for tag in gold or () if tag.startswith("B-")]

    def with_value(self, gold: tuple[str, ...] | None, at: int, value: str) -> tuple[str, ...]:
        """Tags of which one entity has another type."""
        tags, (begin, end) = gold or (), self._spans(gold)[at]
        return (
            *tags[:begin],
            f"B-{value}",
            *(f"I-{value}" for _ in tags[begin + 1 : end]),
            *tags[end:],
        )

    def may_be(
        self, gold: tuple[str, ...] | None, at: int, known: Iterable[str], longer: Iterable[str]
    ) -> list[str]:
        """The other types; for an entity of several words, those that have such."""
        begin, end = self._spans(gold)[at]
        return super().may_be(gold, at, longer if end > begin + 1 else known, longer)

    def longer(self, gold: tuple[str, ...] | None) -> set[str]:
        """The types of entities of several words."""
        return {tag[2:] for tag in gold or () if tag.startswith("I-")}

    def _spans(self, gold: tuple[str, ...] | None) -> list[tuple[int, int]]:
        """Where entities begin, and where they end."""
        tags, spans = gold or (), []
        for begin, tag in enumerate(tags):
            if tag.startswith("B-"):
                longer = takewhile(lambda tag: tag.startswith("I-"), tags[begin + 1 :])
                spans.append((begin, begin + 1 + len(list(longer))))
        return spans


KINDS: Mapping[str, Kind] = {"classifier": Classification(), "ner": Tagging()}
"""Task to its kind."""
