"""What the rest of mtlab needs from a task of any kind: to read its gold, to convert gold to
numbers and back, and to score predictions.

A :class:`Kind` does not belong to one task. A :class:`Task` is a name, a kind, and the
:class:`Codes` learnt from the training split.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

IGNORE = -100
"""The target of an item that counts in no loss; torch's cross-entropy ignores it."""

Score = int | float | None
Columns = Mapping[str, Sequence[int | float]]
"""Name of a quantity to its values, one per test sentence."""


class BadValue(ValueError):
    """Gold that cannot be used.

    Attributes:
        problem: what is wrong, with ``{}`` as the place for the value.
        remedy: what to do.
        value: the value to show; ``...`` where no value is shown.
        at: the index of the wrong word in the sentence, from 0.
    """

    def __init__(self, problem: str, remedy: str, value: Any = ..., at: int = 0) -> None:
        self.problem, self.remedy, self.value, self.at = problem, remedy, value, at
        super().__init__(problem)


@dataclass(frozen=True)
class Codes:
    """How gold is converted to numbers. Codes are learnt from the whole training split, before any
    of it is cut off or changed.

    Attributes:
        names: the names of the classes, in the order of their numbers; empty where gold is a
            number.
        center: what is subtracted from a number.
        spread: what the difference is divided by.
    """

    names: tuple[str, ...] = ()
    center: float = 0.0
    spread: float = 1.0

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Names of classes to their numbers."""
        return {name: number for number, name in enumerate(self.names)}


class Shape(NamedTuple):
    """The output of a task's head: how many numbers, and whether they are for each token."""

    outputs: int
    of_words: bool


class Context(NamedTuple):
    """A user's sentence, and the probabilities that a head gives for it.

    Attributes:
        text: the text of the sentence.
        places: the start and the end of each word in the text.
        words: the position of each word's first sub-word, -1 for a word without a sub-word.
        chances: the probability of each class: (classes,), or (tokens, classes) for a task of
            words.
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
        by_name: the scores of each part of the task, such as an entity type, with ``support``: how
            many of them are gold.
    """

    scores: dict[str, Score]
    by_name: dict[str, dict[str, Score]] = field(default_factory=dict)


class Kind(ABC):
    """A kind of task: what a head learns.

    Attributes:
        name: the name of the kind in experiment files.
        options: the settings that only tasks of this kind have, and that its class takes as
            arguments.
        of_words: whether each word has gold; otherwise each sentence has.
        many: whether the cell of a sentence is a list.
        one_label: whether gold is one of a few names.
        spans: whether gold is tags that mark entities.
        loss: a name in :data:`mtlab.model.losses.LOSSES`.
        metrics: metric to its title; the first judges the task.
        limits: the least and the greatest value of the metric that judges the task.
        margin: a difference of that metric below which two scenarios count as equally good.
        note: how to read the metrics, in markdown and whole sentences.
        distance: the name of the distance between a head's outputs at two times.
        title: the title of a task of this kind that has no title of its own.
        short: the name of the kind in messages; by default its title.
        gold_title: the word for a sentence's gold.
        value_title: the word for one of :meth:`values`.
        wrong: a clause that says that several values are wrong.
        wants: a phrase for what the cell of a sentence has to contain.
        usual: frequent names of columns with such gold, likeliest first.
        code: Python code that makes a prediction from ``{logits}`` with the names in ``{facts}``,
            for users of an exported model who do not have mtlab.
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
            value: the content of the cell; a list where :attr:`many` is true.
            names: the names of the classes, where the source writes them as numbers.
            words: the number of words in the sentence; None where the source has only raw text.

        Raises:
            BadValue: the gold cannot be used.
        """

    def values(self, gold: Any) -> list[str]:
        """The labels, tags or entity types in a sentence's gold: none, one, or several."""
        return []

    def known(self, codes: Codes) -> list[str]:
        """All different :meth:`values` of the training split, sorted."""
        return sorted(codes.names)

    def stratum(self, gold: Any) -> str | None:
        """The stratum of a sentence with this gold; None where gold does not define one."""
        return None

    # numbers

    def learn(self, golds: Iterable[Any]) -> Codes:
        """The codes of some gold: the classes are its :meth:`values`, sorted."""
        return self.join([Codes(tuple({name for gold in golds for name in self.values(gold)}))])

    def join(self, codes: Sequence[Codes]) -> Codes:
        """One set of codes for data with several: the classes of all of them, sorted."""
        return Codes(tuple(sorted({name for part in codes for name in part.names})))

    def lack(self, codes: Codes) -> tuple[str, str] | None:
        """Why nothing can be learnt from a training split with these codes, and what to do; None
        where it can.
        """
        return None

    def outputs(self, codes: Codes) -> int:
        """How many outputs the head has for a sentence or a token."""
        return len(codes.names)

    @property
    def gold_titles(self) -> str:
        """The word for the gold of several sentences."""
        return f"{self.gold_title.removesuffix('s')}s"

    def summary(self, codes: Codes) -> str:
        """How many different values there are, in words."""
        return f"{len(codes.names):,} {self.gold_titles}"

    @abstractmethod
    def targets(self, gold: Any, codes: Codes) -> Any:
        """The gold of a sentence as numbers.

        Args:
            gold: the gold of the sentence; None where it has none.
            codes: of the task.
        """

    @abstractmethod
    def predicted(self, raw: np.ndarray, codes: Codes, words: np.ndarray) -> Any:
        """A prediction, in the form of gold.

        Args:
            raw: the head's output after ``decide`` of its loss (:mod:`mtlab.model.losses`); for a
                task of words, one for each token.
            codes: of the task.
            words: the position of each word's first sub-word, -1 for a word without a sub-word.
        """

    def answer(self, predicted: Any, context: Context, codes: Codes) -> dict[str, Any]:
        """The answer to a user, as values that JSON can hold.

        Args:
            predicted: the prediction for the sentence, from :meth:`predicted`.
            context: the sentence.
            codes: of the task.
        """
        return {"value": predicted}

    # scores

    @abstractmethod
    def score(self, pairs: Sequence[tuple[Any, Any]]) -> Scored:
        """The scores of at least one pair of gold and prediction."""

    def constant_score(self, golds: Sequence[Any]) -> float:
        """The score, by the metric that judges the task, of the best constant answer: one that is
        the same for every sentence, or for every word. 0 where no such answer scores above 0.

        Args:
            golds: the gold of at least one sentence.
        """
        return 0.0

    @abstractmethod
    def columns(self, pairs: Sequence[tuple[Any, Any]]) -> dict[str, tuple[int | float, ...]]:
        """What each sentence adds to the metric that judges the task. From these numbers the metric
        can be computed again for any subset of the sentences.
        """

    @abstractmethod
    def linear(self, columns: Columns) -> np.ndarray | None:
        """One value per sentence, (sentences,). Their mean is the metric that judges the task, and
        their spread is that of the metric's linear part (:mod:`mtlab.tasks.linear`). None where the
        metric is undefined.
        """

    # gold in other words, or made wrong on purpose

    def with_value(self, gold: Any, at: int, value: str) -> Any:
        """The gold with ``value`` in place of number ``at`` of :meth:`values`."""
        return value

    def renamed(self, gold: Any, names: Mapping[str, str]) -> Any:
        """The gold with new names for those of :meth:`values` that ``names`` contains."""
        for at, value in enumerate(self.values(gold)):
            if value in names:
                gold = self.with_value(gold, at, names[value])
        return gold

    def within(self, gold: Any, known: Collection[str]) -> Any:
        """The gold where all of its :meth:`values` are in ``known``; otherwise None."""
        return gold if all(value in known for value in self.values(gold)) else None

    def may_be(self, gold: Any, at: int, known: Iterable[str], longer: Iterable[str]) -> list[str]:
        """The values that could replace number ``at`` of :meth:`values`.

        Args:
            gold: of a sentence.
            at: the index of the value to replace.
            known: all values of the training split.
            longer: the values in ``known`` that occur as entities of several words.
        """
        present = self.values(gold)
        return [value for value in known if value not in present]

    def longer(self, gold: Any) -> set[str]:
        """The values in a sentence that span several words."""
        return set()


@dataclass(frozen=True)
class Task:
    """A task with the codes that were learnt for it.

    Attributes:
        name: the name in the experiment file.
        kind: what its head learns.
        codes: how its gold is converted to numbers.
    """

    name: str
    kind: Kind
    codes: Codes

    @property
    def of_words(self) -> bool:
        """Whether each word has gold; otherwise each sentence has."""
        return self.kind.of_words

    @property
    def shape(self) -> Shape:
        """The shape of its head."""
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
    """The share of the most frequent value; 0 where there are no values."""
    counts = Counter(values)
    return max(counts.values()) / counts.total() if counts else 0.0


def named(value: Any, names: Sequence[str] | None, what: str, at: int = 0) -> str:
    """A label or tag as text; numbers are looked up in ``names``.

    Raises:
        BadValue: the value is neither text nor a number with a name.
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
    if names:  # some published test splits hide a label as -1
        problem = f"{what} is {value}, none of the {len(names)} classes"
        raise BadValue(problem, "use a split that has its labels", at=at)
    problem = f"{what} is the number {value}, and the source does not say what numbers stand for"
    raise BadValue(problem, remedy, at=at)
