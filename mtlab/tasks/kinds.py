"""Kinds of tasks: what is particular to each of them, a class a kind."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

IGNORE = -100
"""The target of positions that no loss counts; torch's cross-entropy ignores it."""


class Kind(ABC):
    """What a head learns, whatever its task is called.

    Attributes:
        of_words: whether each word has gold, or else each sentence.
    """

    of_words: ClassVar[bool]

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


class Classification(Kind):
    """One class a sentence."""

    of_words = False

    def targets(self, gold: str | None, numbers: Mapping[str, int]) -> int:
        """The number of the class; ``IGNORE`` where there is none, or training does not have it."""
        return IGNORE if gold is None else numbers.get(gold, IGNORE)

    def predicted(self, best: Any, names: Sequence[str], words: np.ndarray) -> str:
        """The name of the class."""
        return names[best]


class Tagging(Kind):
    """One tag a word, which spans of words are read from."""

    of_words = True

    def targets(self, gold: tuple[str, ...] | None, numbers: Mapping[str, int]) -> np.ndarray:
        """(words,): the number of each tag, ``IGNORE`` for one that training does not have."""
        return np.asarray([numbers.get(tag, IGNORE) for tag in gold or ()], dtype=np.int64)

    def predicted(self, best: Any, names: Sequence[str], words: np.ndarray) -> list[str]:
        """A tag a word; a word without a sub-word counts, as ``O``."""
        return [names[best[position]] if position >= 0 else "O" for position in words]


KINDS: Mapping[str, Kind] = {"classifier": Classification(), "ner": Tagging()}
"""Task to its kind."""
