"""Kinds of tasks: what is particular to each of them, a class a kind."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
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


class Classification(Kind):
    """One class a sentence."""

    of_words = False

    def targets(self, gold: str | None, numbers: Mapping[str, int]) -> int:
        """The number of the class; ``IGNORE`` where there is none, or training does not have it."""
        return IGNORE if gold is None else numbers.get(gold, IGNORE)


class Tagging(Kind):
    """One tag a word, which spans of words are read from."""

    of_words = True

    def targets(self, gold: tuple[str, ...] | None, numbers: Mapping[str, int]) -> np.ndarray:
        """(words,): the number of each tag, ``IGNORE`` for one that training does not have."""
        return np.asarray([numbers.get(tag, IGNORE) for tag in gold or ()], dtype=np.int64)


KINDS: Mapping[str, Kind] = {"classifier": Classification(), "ner": Tagging()}
"""Task to its kind."""
