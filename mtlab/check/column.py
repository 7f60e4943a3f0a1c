"""The form of a column's values: the kinds of gold that they may be."""

import re
from collections import Counter
from functools import cached_property

from mtlab.check.cell_values import CellValues, alone, mostly
from mtlab.data.reading import listed, spans
from mtlab.tasks.spelling import respelt
from mtlab.tasks.tags import are_tags, bare_types

MANY = 100
"""The largest number of different tags, or of different labels in lists, that a column may have."""

FEW = 10
"""Up to this number, different whole numbers may be classes; more are numbers."""

MARKED = 0.1
"""Smallest share of texts with marked entities in a column of marked texts. It is small, because
many sentences have no entity."""

WORDS = 3
"""Smallest mean length of lists in which other spellings of tags are recognised. The items of
shorter lists may be labels."""

NUMBERS = {"id", "ids", "idx", "index"}
"""Words in the names of columns that number the rows."""

SEVERAL = 4
"""Lists of labels have a smaller mean length than this; longer lists are sentences."""


class Column(CellValues):
    """One column of a table, and the form of its values."""

    @cached_property
    def several(self) -> bool:
        """Whether its cells are text with several labels each."""
        return self.sign is not None or self._printed_lists

    @cached_property
    def tags(self) -> bool:
        """Whether its cells are lists of tags, not all of them ``O``."""
        spelling = respelt(self.items) if self.items.total() >= WORDS * len(self.values) else {}
        tag_lists = [
            None if items is None else [spelling.get(text, text) for text in self.texts(items)]
            for items in self.lists
        ]
        several = any(items and set(items) != {"O"} for items in tag_lists)
        spelt = Counter(text for items in tag_lists for text in items or ())
        return bare_types(spelt) or (
            several and mostly(tag_lists, lambda items: bool(items) and are_tags(items))
        )

    @cached_property
    def entities(self) -> bool:
        """Whether its cells are lists of entities, each with the places of its first and its last
        character in a text.
        """
        every = [spans.items_of(value, self.flat) for value in self.values if value is not None]
        return any(every) and mostly(
            every, lambda items: items is not None and all(map(spans.is_entity, items))
        )

    @cached_property
    def marks(self) -> bool:
        """Whether its cells are text in which entities of several types are marked."""
        every = [spans.marked(value) for value in self.values if isinstance(value, str)]
        kinds = {span.kind for marked in every if marked is not None for span in marked[1]}
        marked = sum(marked is not None for marked in every)
        return self.text and len(kinds) > 1 and marked >= MARKED * len(self.values)

    @cached_property
    def token_lists(self) -> bool:
        """Whether its cells are lists of texts, and not text that is read as a list."""
        return mostly(
            self.values,
            lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
        )

    @cached_property
    def worded(self) -> bool:
        """Whether its cells are lists of texts, or text that is read as such a list."""
        return mostly(
            self.lists,
            lambda items: items is not None and all(isinstance(item, str) for item in items),
        )

    @cached_property
    def name_lists(self) -> bool:
        """Whether its cells are short lists of few names, without a repetition in a list."""
        count = self.items.total()
        return (
            2 <= len(self.items) <= min(MANY, count / 2)
            and all(map(str.strip, self.items))
            and count < SEVERAL * len(self.values)
            and mostly(
                zip(self.values, self.lists, strict=True),
                lambda pair: (
                    pair[1] is not None
                    and (isinstance(pair[0], list) or bool(self.sign) or pair[0].startswith("["))
                    and len(pair[1]) == len(set(self.texts(pair[1])))
                ),
            )
        )

    @cached_property
    def one_value(self) -> bool:
        """Whether its cells hold one text or one whole number, or all of them a truth value."""
        truths = all(isinstance(value, bool) for value in self.values)
        return truths or mostly(
            map(alone, self.values),
            lambda value: isinstance(value, str | int) and not isinstance(value, bool),
        )

    @cached_property
    def label(self) -> bool:
        """Whether each cell has one label: there are few different values, at least two, and each
        occurs at least twice on average.
        """
        return (
            self.one_value
            and 2 <= self.distinct <= len(self.values) / 2
            and not (self.numbers and self.fractions)
            and not self.several
        )

    @cached_property
    def _printed_lists(self) -> bool:
        """Whether its cells are lists of several items, printed as text."""
        printed = self.flat and mostly(
            self.values, lambda value: isinstance(value, str) and listed.is_in_brackets(value)
        )
        return printed and any(len(items or ()) > 1 for items in self.lists)

    @cached_property
    def numbers(self) -> bool:
        """Whether its cells hold numbers that are neither classes nor numbers of rows: more than
        two different numbers, some with a fraction; or more than :data:`FEW` different whole
        numbers, each at least twice on average.
        """
        if self.classes or not mostly(self.numeric, lambda number: number is not None):
            return False
        different = len({number for number in self.numeric if number is not None})
        again = FEW < different <= len(self.values) / 2
        return different > 2 if self.fractions else again


def words_of(name: str) -> set[str]:
    """The words of a column's name, and the whole name, in lower case."""
    return {name.casefold(), *re.split(r"[^a-z]+", name.casefold())}
