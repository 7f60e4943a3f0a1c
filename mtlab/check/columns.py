"""Which of a table's columns holds what: as it is said, as it is called, or guessed from its values
and its name.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mtlab.data.reading import cells, names
from mtlab.data.reading.table import Table
from mtlab.data.tags import TAG

NAMES = {
    "ner_tags": ("ner_tags", "ner", "tags", "tag", "entities", "slots", "bio", "iob", "labels"),
    "tokens": ("tokens", "token", "words", "sentence", "text"),
    "label": (
        "label",
        "intent",
        "category",
        "class",
        "topic",
        "target",
        "sentiment",
        "labels",
        "domain",
    ),
    "text": (
        "text",
        "sentence",
        "utterance",
        "query",
        "question",
        "message",
        "content",
        "body",
        "title",
    ),
}
"""Our names of columns to what others call them, likeliest first."""

MOST = 0.9
"""Share of its cells that make a column what it is: the others may be mistakes."""


@dataclass(frozen=True)
class Choice:
    """The column that was taken for one of ours."""

    name: str
    """Ours."""
    column: str
    """Theirs."""
    guess: str = ""
    """Why, where that was a guess."""
    others: tuple[str, ...] = ()
    """Columns that it might have been as well."""


@dataclass(frozen=True)
class Column:
    """One column of a table, and what its values look like."""

    name: str
    values: tuple[Any, ...]
    classes: tuple[str, ...]
    flat: bool

    @cached_property
    def lists(self) -> tuple[list[Any] | None, ...]:
        """Each cell as a list; None where it is none."""
        return tuple(map(self._list, self.values))

    @cached_property
    def distinct(self) -> int:
        """How many different texts or numbers it has."""
        return len({value for value in self.values if isinstance(value, str | int)})

    @cached_property
    def tags(self) -> bool:
        """Whether its cells are lists of tags, not all of them ``O``."""
        entities = [
            items for items in self.lists if items and set(items_of(items, self.classes)) != {"O"}
        ]
        return bool(entities) and self._mostly(
            self.lists, lambda items: bool(items) and all(map(TAG.fullmatch, self._texts(items)))
        )

    @cached_property
    def token_lists(self) -> bool:
        """Whether its cells are lists of words, written as lists."""
        return self._mostly(
            self.values,
            lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
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
        return self._mostly(
            self.values, lambda value: isinstance(value, str | int) and not isinstance(value, bool)
        )

    @cached_property
    def label(self) -> bool:
        """Whether few values come again and again."""
        return self.one_value and 2 <= self.distinct <= len(self.values) / 2

    def parallel(self, other: "Column") -> bool:
        """Whether its lists are as long as those of ``other``."""
        pairs = list(zip(self.lists, other.lists, strict=True))
        return self._mostly(pairs, lambda pair: None not in pair and len(pair[0]) == len(pair[1]))

    def _list(self, value: Any) -> list[Any] | None:
        if self.flat and isinstance(value, str):
            try:
                value = (
                    json.loads(value)
                    if value.startswith("[") and value.endswith("]")
                    else cells.items(value)
                )
            except (ValueError, RecursionError):
                return None
        return value if isinstance(value, list) else None

    def _texts(self, items: Iterable[Any]) -> list[str]:
        return items_of(items, self.classes)

    @staticmethod
    def _mostly(values: Iterable[Any], holds: Callable[[Any], bool]) -> bool:
        found = [holds(value) for value in values]
        return bool(found) and sum(found) >= MOST * len(found)


def items_of(items: Iterable[Any], classes: tuple[str, ...]) -> list[str]:
    """Tags as text: numbers of classes by their names, what is no tag as nothing."""
    named = (
        classes[item] if isinstance(item, int) and 0 <= item < len(classes) else item
        for item in items
    )
    return [item if isinstance(item, str) else "" for item in named]


def choose(table: Table, said: Mapping[str, str], tasks: tuple[str, ...]) -> list[Choice]:
    """The columns that a source is read from for ``tasks``; what is not found is left out.

    Args:
        table: the training split.
        said: our names to the source's, where the user gave them.
        tasks: what it is to be read for.
    """
    columns = {name: _column(table, name) for name in table.columns}
    partitions = names.in_columns(table)
    made: dict[str, Choice] = {}

    def choose_one(
        name: str,
        fits: Callable[[Column], bool],
        could: Callable[[Column], bool],
        why: Callable[[Column], str],
    ) -> None:
        taken = {choice.column for choice in made.values()} | {
            column for ours, column in said.items() if ours != name
        }
        free = [column for column in columns.values() if column.name not in taken]
        choice = _choice(name, said.get(name), free, fits, could, why)
        if choice is not None:
            made[name] = choice

    if "ner" in tasks:
        beside = [column for column in columns.values() if _lists(column)]
        choose_one(
            "ner_tags",
            lambda one: one.tags,
            lambda one: any(other is not one and one.parallel(other) for other in beside),
            lambda one: "every item is a tag" if one.tags else "as many items as words",
        )
        tagged = columns.get(made["ner_tags"].column) if "ner_tags" in made else None
        if tagged is not None:
            choose_one(
                "tokens",
                lambda one: not one.tags and one.parallel(tagged),
                _lists,
                lambda one: "as many words as tags",
            )
    if "classifier" in tasks:
        choose_one(
            "label",
            lambda one: one.label and not one.tags and one.name not in partitions,
            lambda one: one.one_value,
            lambda one: _again(one, table),
        )
        if "ner" not in tasks and not _reads(columns, said, "text"):
            choose_one(
                "tokens",
                lambda one: one.token_lists and not one.tags,
                _lists,
                lambda one: "lists of words",
            )
        if "ner" not in tasks and "tokens" not in made:
            choose_one(
                "text",
                lambda one: one.text and not one.label,
                lambda one: one.one_value,
                lambda one: "text of several words" if one.text else "text",
            )
    return list(made.values())


def not_read(table: Table, choices: Iterable[Choice]) -> list[str]:
    """Columns that nothing is read from."""
    read = {choice.column for choice in choices}
    return [column for column in table.columns if column not in read]


def spans(table: Table) -> list[str]:
    """Columns that hold lists of objects, as annotations of characters from one place to another
    do.
    """
    columns = (_column(table, name) for name in table.columns)
    return [
        one.name
        for one in columns
        if any(
            isinstance(value, list) and value and isinstance(value[0], dict) for value in one.values
        )
    ]


def _reads(columns: Mapping[str, Column], said: Mapping[str, str], name: str) -> bool:
    """Whether classification reads the text: what is said or called so, and otherwise what is not a
    list.
    """
    if said.keys() & {"text", "tokens"}:
        return name in said
    if columns.keys() & {"text", "tokens"}:
        return "text" in columns
    return not any(one.token_lists and not one.tags for one in columns.values())


def _choice(
    name: str,
    said: str | None,
    free: list[Column],
    fits: Callable[[Column], bool],
    could: Callable[[Column], bool],
    why: Callable[[Column], str],
) -> Choice | None:
    if said is not None:
        return Choice(name, said)
    fitting = sorted((one for one in free if fits(one)), key=lambda one: _rank(one.name, name))
    called = next((one for one in free if one.name == name), None)
    if called is not None and (called in fitting or could(called) or not fitting):
        return Choice(
            name,
            name,
            others=tuple(
                one.name for one in fitting if one is not called and _is_called(one.name, name)
            ),
        )
    if not fitting:  # what is wrong with its values is told when they are read
        fitting = [one for one in free if _is_called(one.name, name) and could(one)][:1]
    if not fitting:
        return None
    best, *others = fitting
    reasons = [*(["its name"] if _is_called(best.name, name) else []), f"its values ({why(best)})"]
    return Choice(name, best.name, f"by {' and '.join(reasons)}", tuple(one.name for one in others))


def _column(table: Table, name: str) -> Column:
    values = tuple(row.values.get(name) for row in table.rows)
    return Column(name, values, table.classes.get(name, ()), table.flat)


def _lists(column: Column) -> bool:
    return any(items for items in column.lists)


def _again(column: Column, table: Table) -> str:
    return f"{column.distinct:,} different in {len(table.rows):,} rows"


def _rank(column: str, name: str) -> int:
    """How likely a column of this name is meant: the place in the list of names, or past its
    end.
    """
    words = {column.casefold(), *re.split(r"[^a-z]+", column.casefold())}
    return next(
        (place for place, known in enumerate(NAMES[name]) if known in words), len(NAMES[name])
    )


def _is_called(column: str, name: str) -> bool:
    return _rank(column, name) < len(NAMES[name])
