"""The role of each column of a table: as the user names it, by its name, or guessed from its
values.
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
    """The column that was chosen for one of ours."""

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
    """One column of a table, and the look of its values."""

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
        answers = [holds(value) for value in values]
        return bool(answers) and sum(answers) >= MOST * len(answers)


def items_of(items: Iterable[Any], classes: tuple[str, ...]) -> list[str]:
    """Tags as text: numbers of classes by their names, other values as empty text."""
    named = (
        classes[item] if isinstance(item, int) and 0 <= item < len(classes) else item
        for item in items
    )
    return [item if isinstance(item, str) else "" for item in named]


def choose(table: Table, said: Mapping[str, str], tasks: tuple[str, ...]) -> list[Choice]:
    """The columns that a source is read from for ``tasks``; roles without a column are left out.

    Args:
        table: the training split.
        said: our names to the source's, where the user gave them.
        tasks: that it is read for.
    """
    chooser = _Chooser(table, said)
    if "ner" in tasks:
        chooser.tags_and_words()
    if "classifier" in tasks:
        chooser.labels()
        if "ner" not in tasks:
            chooser.words_or_text()
    return list(chooser.choices.values())


class _Chooser:
    """Chooses one of our columns after the other: a column that is taken cannot be another."""

    def __init__(self, table: Table, said: Mapping[str, str]) -> None:
        self.table, self.said = table, said
        self.columns = {name: _column(table, name) for name in table.columns}
        self.choices: dict[str, Choice] = {}

    def tags_and_words(self) -> None:
        """Columns of tags, and of the words that they are of."""
        lists = [column for column in self.columns.values() if _lists(column)]
        self._choose(
            "ner_tags",
            lambda column: column.tags,
            lambda column: any(other is not column and column.parallel(other) for other in lists),
            lambda column: "every item is a tag" if column.tags else "as many items as words",
        )
        tags = self.choices.get("ner_tags")
        tagged = self.columns.get(tags.column) if tags is not None else None
        if tagged is not None:
            self._choose(
                "tokens",
                lambda column: not column.tags and column.parallel(tagged),
                _lists,
                lambda column: "as many words as tags",
            )

    def labels(self) -> None:
        """A column of labels."""
        partitions = names.in_columns(self.table)
        self._choose(
            "label",
            lambda column: column.label and not column.tags and column.name not in partitions,
            lambda column: column.one_value,
            lambda column: _again(column, self.table),
        )

    def words_or_text(self) -> None:
        """Columns that classification alone reads: words, or else text."""
        if not _reads(self.columns, self.said, "text"):
            self._choose(
                "tokens",
                lambda column: column.token_lists and not column.tags,
                _lists,
                lambda column: "lists of words",
            )
        if "tokens" not in self.choices:
            self._choose(
                "text",
                lambda column: column.text and not column.label,
                lambda column: column.one_value,
                lambda column: "text of several words" if column.text else "text",
            )

    def _choose(
        self,
        name: str,
        fits: Callable[[Column], bool],
        could: Callable[[Column], bool],
        why: Callable[[Column], str],
    ) -> None:
        taken = {choice.column for choice in self.choices.values()} | {
            column for ours, column in self.said.items() if ours != name
        }
        free = [column for column in self.columns.values() if column.name not in taken]
        choice = _choice(name, self.said.get(name), free, fits, could, why)
        if choice is not None:
            self.choices[name] = choice


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
        column.name
        for column in columns
        if any(
            isinstance(value, list) and value and isinstance(value[0], dict)
            for value in column.values
        )
    ]


def _reads(columns: Mapping[str, Column], said: Mapping[str, str], name: str) -> bool:
    """Whether classification reads text: the user or the name says so, or the columns hold no lists
    of words.
    """
    if said.keys() & {"text", "tokens"}:
        return name in said
    if columns.keys() & {"text", "tokens"}:
        return "text" in columns
    return not any(column.token_lists and not column.tags for column in columns.values())


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
    fitting = sorted(
        (column for column in free if fits(column)), key=lambda column: _rank(column.name, name)
    )
    called = next((column for column in free if column.name == name), None)
    if called is not None and (called in fitting or could(called) or not fitting):
        return Choice(
            name,
            name,
            others=tuple(
                column.name
                for column in fitting
                if column is not called and _is_called(column.name, name)
            ),
        )
    if not fitting:  # reading reports what is wrong with its values
        fitting = [column for column in free if _is_called(column.name, name) and could(column)][:1]
    if not fitting:
        return None
    best, *others = fitting
    reasons = [*(["its name"] if _is_called(best.name, name) else []), f"its values ({why(best)})"]
    return Choice(
        name, best.name, f"by {' and '.join(reasons)}", tuple(column.name for column in others)
    )


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
