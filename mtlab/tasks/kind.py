"""What the rest of mtlab asks of a task, whatever its kind: to read gold, to make it numbers and back,
to score.

A kind without its task is a :class:`Kind`; a task is a name, a kind, and the :class:`Codes` that it
learnt from its training split.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

IGNORE = -100
"""The target of an item that no loss counts; torch's cross-entropy ignores it."""

Score = int | float | None
Columns = Mapping[str, Sequence[int | float]]
"""Numbers of test sentences, one each, by what they are."""


class BadValue(ValueError):
    """Gold that cannot be used.

    Attributes:
        problem: with ``{}`` where the value belongs.
        remedy: what to do.
        value: that is shown; ``...`` where none is.
        at: among the words of the sentence, counted from 0.
    """

    def __init__(self, problem: str, remedy: str, value: Any = ..., at: int = 0) -> None:
        self.problem, self.remedy, self.value, self.at = problem, remedy, value, at
        super().__init__(problem)


@dataclass(frozen=True)
class Codes:
    """How gold becomes numbers: learnt from the whole training split, as it was given.

    Attributes:
        names: of the classes, in the order of their numbers; empty where gold is a number.
        center: what is taken off a number.
        spread: what the rest is divided by.
    """

    names: tuple[str, ...] = ()
    center: float = 0.0
    spread: float = 1.0

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Names of classes to their numbers."""
        return {name: number for number, name in enumerate(self.names)}


class Shape(NamedTuple):
    """A task's head: how many numbers it gives, and whether it gives them of each token."""

    outputs: int
    of_words: bool


class Context(NamedTuple):
    """A sentence that a user gave, and how sure a head is.

    Attributes:
        text: of the sentence.
        places: where each word begins and ends in the text.
        words: where each word's first sub-word stands, -1 for a word that has none.
        chances: the probability of each class; where words have gold, of every token.
    """

    text: str
    places: Sequence[tuple[int, int]]
    words: Sequence[int]
    chances: np.ndarray


@dataclass(frozen=True)
class Scored:
    """How well a task was predicted on a split.

    Attributes:
        scores: metric to its value in the kind's order, the metric that judges the task first;
            None where it is undefined.
        by_name: the same for parts of it, such as entity types, with ``support``: how many there are.
    """

    scores: dict[str, Score]
    by_name: dict[str, dict[str, Score]] = field(default_factory=dict)


class Kind(ABC):
    """What a head learns.

    Attributes:
        name: as experiment files write it.
        options: settings of a task of this kind alone, which its class takes.
        of_words: whether each word has gold, or else each sentence.
        many: whether the cell of a sentence holds a list.
        one_label: whether gold is one of a few names.
        spans: whether gold is tags from which entities are read.
        loss: a name in :data:`mtlab.model.losses.LOSSES`.
        metrics: metric to its title; the first judges the task.
        limits: the least and the greatest value of the metric that judges the task.
        margin: a difference of that metric below which two scenarios count as equally good.
        note: says in markdown, in whole sentences, how to read the metrics.
        distance: what the distance between two states of a head's outputs is called.
        title: what a task of this kind is called, where it has no title of its own.
        short: what messages call the kind; its title where nothing is said.
        gold_title: what a sentence's gold is called.
        value_title: what one of :meth:`values` is called.
        wrong: says of several of those that they are wrong.
        wants: says of a sentence's cell what it holds.
        usual: names that columns of such gold often have, likeliest first.
        code: Python that makes a prediction of ``{logits}`` with the names of ``{facts}``, for people
            who read an exported model without mtlab.
    """

    name: ClassVar[str]
    options: ClassVar[frozenset[str]] = frozenset()
    of_words: ClassVar[bool] = False
    many: ClassVar[bool] = False
    one_label: ClassVar[bool] = False
    spans: bool = False
    loss: ClassVar[str]
    metrics: Mapping[str, str]
    limits: ClassVar[tuple[float, float]] = (0.0, 1.0)
    margin: float = 0.02
    note: str = ""
    distance: ClassVar[str] = "KL"
    title: str
    short: str = ""
    gold_title: ClassVar[str]
    value_title: str
    wrong: str
    wants: ClassVar[str]
    usual: tuple[str, ...] = ()
    code: ClassVar[str] = "{logits}.tolist()"

    def __init_subclass__(cls) -> None:
        cls.short = cls.short or getattr(cls, "title", "")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(type(self))

    # gold

    @abstractmethod
    def read(self, value: Any, names: Sequence[str] | None, words: int | None) -> Any:
        """The gold in a cell.

        Args:
            value: of the cell; a list where :attr:`many` says so.
            names: of the classes, where the source numbers them.
            words: of the sentence; None where it has raw text alone.

        Raises:
            BadValue: it cannot be used.
        """

    def values(self, gold: Any) -> list[str]:
        """What stands in a sentence's gold and is one of a known set: none, one, or several."""
        return []

    def known(self, codes: Codes) -> list[str]:
        """Every one of :meth:`values` that the training split has, sorted."""
        return sorted(codes.names)

    def stratum(self, gold: Any) -> str | None:
        """The stratum of a sentence with this gold; None where gold gives none."""
        return None

    # numbers

    def learn(self, golds: Iterable[Any]) -> Codes:
        """The codes of some gold: its :meth:`values`, sorted, are the classes."""
        return self.join([Codes(tuple({name for gold in golds for name in self.values(gold)}))])

    def join(self, codes: Sequence[Codes]) -> Codes:
        """One set of codes for data that have several: the classes of all, sorted."""
        return Codes(tuple(sorted({name for some in codes for name in some.names})))

    def lack(self, codes: Codes) -> tuple[str, str] | None:
        """Why nothing can be learnt from a training split with these codes, and what to do; None
        where it can.
        """
        return None

    def outputs(self, codes: Codes) -> int:
        """How many numbers a head gives."""
        return len(codes.names)

    @property
    def gold_titles(self) -> str:
        """What the gold of sentences is called."""
        return f"{self.gold_title.removesuffix('s')}s"

    def summary(self, codes: Codes) -> str:
        """How many different values there are, in words."""
        return f"{len(codes.names):,} {self.gold_titles}"

    @abstractmethod
    def targets(self, gold: Any, codes: Codes) -> Any:
        """The gold of a sentence as numbers.

        Args:
            gold: of the sentence; None where it has none.
            codes: of the task.
        """

    @abstractmethod
    def predicted(self, raw: np.ndarray, codes: Codes, words: np.ndarray) -> Any:
        """A prediction, as gold is written.

        Args:
            raw: what the loss reads of a head's output (``mtlab.model.losses``); where words have
                gold, of every token.
            codes: of the task.
            words: where each word's first sub-word stands, -1 for a word that has none.
        """

    def answer(self, predicted: Any, context: Context, codes: Codes) -> dict[str, Any]:
        """What a user is answered, for JSON.

        Args:
            predicted: of the sentence, by :meth:`predicted`.
            context: the sentence.
            codes: of the task.
        """
        return {"value": predicted}

    # scores

    @abstractmethod
    def score(self, pairs: Sequence[tuple[Any, Any]]) -> Scored:
        """The scores of pairs of gold and prediction, at least one."""

    def constant_score(self, golds: Sequence[Any]) -> float:
        """The score, in the metric that judges the task, of the best answer that is the same for
        every sentence, or for every word; 0 where no such answer scores.

        Args:
            golds: of the sentences that have gold, at least one.
        """
        return 0.0

    @abstractmethod
    def columns(self, pairs: Sequence[tuple[Any, Any]]) -> dict[str, tuple[int | float, ...]]:
        """What each sentence adds to the metric that judges the task: enough to compute it anew over
        any choice of sentences.
        """

    @abstractmethod
    def linear(self, columns: Columns) -> np.ndarray | None:
        """(sentences,): numbers whose mean over the sentences is the metric that judges the task, and
        whose spread is that of its linear part; None where it is undefined.
        """

    # gold in other words, or made wrong on purpose

    def with_value(self, gold: Any, at: int, value: str) -> Any:
        """The gold with another one at a place among :meth:`values`; where there is one, that."""
        return value

    def renamed(self, gold: Any, names: Mapping[str, str]) -> Any:
        """The gold with other names for some of :meth:`values`."""
        for at, value in enumerate(self.values(gold)):
            if value in names:
                gold = self.with_value(gold, at, names[value])
        return gold

    def within(self, gold: Any, known: Collection[str]) -> Any:
        """The gold where all of :meth:`values` are known; elsewhere None."""
        return gold if all(value in known for value in self.values(gold)) else None

    def may_be(self, gold: Any, at: int, known: Iterable[str], longer: Iterable[str]) -> list[str]:
        """The other values that could stand at a place among :meth:`values`.

        Args:
            gold: of a sentence.
            at: the place.
            known: all values of the training split.
            longer: those of them that occur over several words.
        """
        present = self.values(gold)
        return [value for value in known if value not in present]

    def longer(self, gold: Any) -> set[str]:
        """The values that stand over several words of a sentence."""
        return set()


@dataclass(frozen=True)
class Task:
    """A task of which codes were learnt.

    Attributes:
        name: as the experiment file has it.
        kind: what its head learns.
        codes: how its gold becomes numbers.
    """

    name: str
    kind: Kind
    codes: Codes

    @property
    def of_words(self) -> bool:
        """Whether each word has gold, or else each sentence."""
        return self.kind.of_words

    @property
    def shape(self) -> Shape:
        """Of its head."""
        return Shape(self.kind.outputs(self.codes), self.kind.of_words)

    @property
    def summary(self) -> str:
        """How many different values of its gold there are, in words."""
        return self.kind.summary(self.codes)

    def targets(self, gold: Any) -> Any:
        """See :meth:`Kind.targets`."""
        return self.kind.targets(gold, self.codes)

    def predicted(self, raw: np.ndarray, words: np.ndarray) -> Any:
        """See :meth:`Kind.predicted`."""
        return self.kind.predicted(raw, self.codes, words)


def largest_share(values: Iterable[str]) -> float:
    """The share of the most frequent value; 0 where there is none."""
    counts = Counter(values)
    return max(counts.values()) / counts.total() if counts else 0.0


def named(value: Any, names: Sequence[str] | None, what: str, at: int = 0) -> str:
    """A label or tag as text; numbers are looked up in ``names``.

    Raises:
        BadValue: it is neither.
    """
    if isinstance(value, str):
        return value
    remedy = "write it as text"
    if value is None:
        raise BadValue(f"{what} is missing", remedy, at=at)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadValue(f"{what} is {{}}, not text", remedy, value, at)
    if names and 0 <= value < len(names):
        return names[value]
    if names:  # -1 stands for a label that is held back
        problem = f"{what} is {value}, none of the {len(names)} classes"
        raise BadValue(problem, "use a split that has its labels", at=at)
    problem = f"{what} is the number {value}, and the source does not say what numbers stand for"
    raise BadValue(problem, remedy, at=at)
