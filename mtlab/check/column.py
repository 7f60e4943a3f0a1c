"""The look of a column's values: what they may be gold of."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mtlab.data.reading import cells, listed, spans
from mtlab.data.reading.table import Table
from mtlab.tasks.kind import BadValue, Kind
from mtlab.tasks.spelling import respelt
from mtlab.tasks.tags import are_tags, bare_types

MOST = 0.9
"""Share of its cells that make a column what it is: the others may be mistakes."""

MANY = 100
"""More different tags, or labels of which a sentence has several, nobody has."""

FEW = 10
"""So many different whole numbers may be classes; more are numbers."""

MARKED = 0.1
"""Share of texts with marks that makes them marked texts: many sentences have no entity."""

WORDS = 3
"""Words a sentence, on average: shorter lists may be labels."""

NUMBERS = {"id", "ids", "idx", "index"}
"""Words in the names of columns that number something."""

SEVERAL = 4
"""Labels a sentence, on average: lists as long are sentences."""


@dataclass(frozen=True)
class Column:
    """One column of a table, and the look of its values."""

    name: str
    values: tuple[Any, ...]
    classes: tuple[str, ...]
    flat: bool

    @classmethod
    def of(cls, table: Table, name: str) -> "Column":
        """The column of this name."""
        values = tuple(row.values.get(name) for row in table.rows)
        return cls(name, values, table.classes.get(name, ()), table.flat)

    @cached_property
    def lists(self) -> tuple[list[Any] | None, ...]:
        """Each cell as a list; None where it is none."""
        return tuple(map(self._list, self.values))

    @cached_property
    def sign(self) -> str | None:
        """What separates the labels in its cells, where they have several in a text."""
        return listed.separator(self.values) if self.flat and not self.text else None

    @cached_property
    def several(self) -> bool:
        """Whether its cells are text with several labels each."""
        return self.sign is not None or self._printed_lists

    @cached_property
    def has_lists(self) -> bool:
        """Whether a cell is a list with something in it."""
        return any(self.lists)

    @cached_property
    def items(self) -> Counter[str]:
        """How often each text stands in its lists."""
        return Counter(text for items in self.lists for text in self._texts(items or ()))

    @cached_property
    def distinct(self) -> int:
        """How many different texts or numbers it has."""
        return len({value for value in map(_alone, self.values) if isinstance(value, str | int)})

    @cached_property
    def tags(self) -> bool:
        """Whether its cells are lists of tags, not all of them ``O``."""
        spelling = respelt(self.items) if self.items.total() >= WORDS * len(self.values) else {}
        tag_lists = [
            None if items is None else [spelling.get(text, text) for text in self._texts(items)]
            for items in self.lists
        ]
        several = any(items and set(items) != {"O"} for items in tag_lists)
        spelt = Counter(text for items in tag_lists for text in items or ())
        return bare_types(spelt) or (
            several and self._mostly(tag_lists, lambda items: bool(items) and are_tags(items))
        )

    @cached_property
    def entities(self) -> bool:
        """Whether its cells are lists of entities, each from one character of a text to another."""
        every = [spans.items_of(value, self.flat) for value in self.values if value is not None]
        return any(every) and self._mostly(
            every, lambda items: items is not None and all(map(spans.is_entity, items))
        )

    @cached_property
    def marks(self) -> bool:
        """Whether entities are marked in its cells, which are text."""
        every = [spans.marked(value) for value in self.values if isinstance(value, str)]
        kinds = {span.kind for marked in every if marked is not None for span in marked[1]}
        marked = sum(marked is not None for marked in every)
        return self.text and len(kinds) > 1 and marked >= MARKED * len(self.values)

    @cached_property
    def token_lists(self) -> bool:
        """Whether its cells are lists of words, written as lists."""
        return self._mostly(
            self.values,
            lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
        )

    @cached_property
    def worded(self) -> bool:
        """Whether its cells are lists of texts."""
        return self._mostly(
            self.lists,
            lambda items: items is not None and all(isinstance(item, str) for item in items),
        )

    @cached_property
    def name_lists(self) -> bool:
        """Whether its cells are short lists of few names, written as lists."""
        count = self.items.total()
        return (
            2 <= len(self.items) <= min(MANY, count / 2)
            and all(map(str.strip, self.items))
            and count < SEVERAL * len(self.values)
            and self._mostly(
                zip(self.values, self.lists, strict=True),
                lambda pair: (
                    pair[1] is not None
                    and (isinstance(pair[0], list) or bool(self.sign) or pair[0].startswith("["))
                    and len(pair[1]) == len(set(self._texts(pair[1])))
                ),
            )
        )

    @cached_property
    def text(self) -> bool:
        """Whether its cells are text, of several words."""
        texts = [value for value in self.values if isinstance(value, str)]
        several = sum(len(text.split()) for text in texts) >= 2 * len(texts)
        return several and self._mostly(self.values, lambda value: isinstance(value, str))

    @cached_property
    def one_value(self) -> bool:
        """Whether its cells hold one text, or one whole number."""
        truths = all(isinstance(value, bool) for value in self.values)
        return truths or self._mostly(
            map(_alone, self.values),
            lambda value: isinstance(value, str | int) and not isinstance(value, bool),
        )

    @cached_property
    def label(self) -> bool:
        """Whether few values come again and again."""
        return (
            self.one_value
            and 2 <= self.distinct <= len(self.values) / 2
            and not (self.numbers and self._fractions)
            and not self.several
        )

    @cached_property
    def _printed_lists(self) -> bool:
        """Whether its cells are lists of several items, printed as text."""
        printed = self.flat and self._mostly(
            self.values, lambda value: isinstance(value, str) and listed.is_in_brackets(value)
        )
        return printed and any(len(items or ()) > 1 for items in self.lists)

    @cached_property
    def numbers(self) -> bool:
        """Whether its cells hold numbers that are neither classes nor the sentence's own: some have
        a fraction, or there are many, and they come again.
        """
        if self.classes or not self._mostly(self.numeric, lambda number: number is not None):
            return False
        different = len({number for number in self.numeric if number is not None})
        again = FEW < different <= len(self.values) / 2
        return different > 2 if self._fractions else again

    @cached_property
    def numeric(self) -> tuple[float | None, ...]:
        """Each cell as a number; None where it is none."""
        return tuple(map(self._number, self.values))

    @staticmethod
    def of_texts(items: Iterable[Any]) -> bool:
        """Whether a list has texts or numbers."""
        return all(isinstance(item, str | int) for item in items)

    def parallel(self, other: "Column") -> bool:
        """Whether its lists are as long as those of ``other``."""
        pairs = list(zip(self.lists, other.lists, strict=True))
        return self._mostly(pairs, lambda pair: None not in pair and len(pair[0]) == len(pair[1]))

    def plain_tags_of(self, other: "Column") -> bool:
        """Whether its lists look like tags, not of entities, of the words of ``other``: as many, and
        few different ones that come again and again.
        """
        count = self.items.total()
        return (
            2 <= len(self.items) <= min(MANY, count / 4)
            and len(self.items) < len(other.items)
            and count >= 2 * len(self.values)
            and not self.tags
            and not self._echoes(other)
            and not all(map(str.isdigit, self.items))
            and any(len({*items}) > 1 for items in self.lists if items and self.of_texts(items))
            and all(map(str.strip, self.items))
            and self.parallel(other)
        )

    def _echoes(self, other: "Column") -> bool:
        """Whether many items are the words of ``other``, as those of a column of lemmas are."""
        pairs = [
            (str(item).casefold(), str(word).casefold())
            for items, words in zip(self.lists, other.lists, strict=True)
            for item, word in zip(items or (), words or (), strict=False)
        ]
        return 3 * sum(item == word for item, word in pairs) > len(pairs)

    def could_be(self, kind: Kind) -> bool:
        """Whether most of its cells can be read as gold of a kind."""
        return self._mostly(self._readable(kind), bool)

    def is_whole(self, kind: Kind) -> bool:
        """Whether all of its cells can be read as gold of a kind."""
        return all(self._readable(kind))

    def _readable(self, kind: Kind) -> Iterable[bool]:
        for value, items in zip(self.values, self.lists, strict=True):
            cell = items if kind.many else value
            try:
                if cell is not None:
                    kind.read(cell, self.classes or None, len(items or ()))
            except BadValue:
                cell = None
            yield cell is not None

    @cached_property
    def _fractions(self) -> bool:
        return any(number is not None and not number.is_integer() for number in self.numeric)

    def _number(self, value: Any) -> float | None:
        types = str | int | float if self.flat else int | float
        if isinstance(value, bool) or not isinstance(value, types):
            return None
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    def _list(self, value: Any) -> list[Any] | None:
        if self.flat and isinstance(value, str):
            if self.sign and self.sign in value:
                return [part.strip() for part in value.split(self.sign)]
            try:
                value = listed.parsed(value) if listed.is_in_brackets(value) else cells.items(value)
            except (ValueError, RecursionError):
                return None
        return value if isinstance(value, list) else None

    def _texts(self, items: Iterable[Any]) -> list[str]:
        """Items as text: numbers of classes by their names, other values as empty text."""
        named = (
            self.classes[item] if isinstance(item, int) and 0 <= item < len(self.classes) else item
            for item in items
        )
        return [item if isinstance(item, str) else "" for item in named]

    @staticmethod
    def _mostly(values: Iterable[Any], holds: Callable[[Any], bool]) -> bool:
        answers = [holds(value) for value in values]
        return bool(answers) and sum(answers) >= MOST * len(answers)


def _alone(value: Any) -> Any:
    """The one item of a list of one; any other value as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def words_of(name: str) -> set[str]:
    """The words of a column's name, and the whole of it."""
    return {name.casefold(), *re.split(r"[^a-z]+", name.casefold())}
