"""The values of a column: as lists, as numbers, as text."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from mtlab.data.reading import cells, listed
from mtlab.data.reading.table import Table

MOST = 0.9
"""Smallest share of a column's cells that determines its form. The other cells may be mistakes."""


def mostly(values: Iterable[Any], holds: Callable[[Any], bool]) -> bool:
    """Whether something holds for most values; false if there are no values."""
    answers = [holds(value) for value in values]
    return bool(answers) and sum(answers) >= MOST * len(answers)


def alone(value: Any) -> Any:
    """The item of a list with one item; any other value unchanged."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


@dataclass(frozen=True)
class CellValues:
    """The values of one column of a table.

    Attributes:
        name: the name of the column.
        values: a value for each row; None for a row without a value.
        classes: the names of its classes, if the source has them.
        flat: whether all cells are text, as in a ``.csv`` file.
    """

    name: str
    values: tuple[Any, ...]
    classes: tuple[str, ...]
    flat: bool

    @classmethod
    def of(cls, table: Table, name: str) -> Self:
        """The column of this name."""
        values = tuple(row.values.get(name) for row in table.rows)
        return cls(name, values, table.classes.get(name, ()), table.flat)

    @cached_property
    def text(self) -> bool:
        """Whether its cells are text, with at least two words on average."""
        texts = [value for value in self.values if isinstance(value, str)]
        several = sum(len(text.split()) for text in texts) >= 2 * len(texts)
        return several and mostly(self.values, lambda value: isinstance(value, str))

    @cached_property
    def sign(self) -> str | None:
        """The sign that separates several labels in a cell of text; None if there is none."""
        return listed.separator(self.values) if self.flat and not self.text else None

    @cached_property
    def lists(self) -> tuple[list[Any] | None, ...]:
        """Each cell as a list; None for a cell that is not a list."""
        return tuple(map(self._list, self.values))

    @cached_property
    def has_lists(self) -> bool:
        """Whether any cell is a list with at least one item."""
        return any(self.lists)

    @cached_property
    def items(self) -> Counter[str]:
        """Each text in its lists to how often it occurs."""
        return Counter(text for items in self.lists for text in self.texts(items or ()))

    @cached_property
    def distinct(self) -> int:
        """How many different texts or whole numbers it has."""
        return len({value for value in map(alone, self.values) if isinstance(value, str | int)})

    @cached_property
    def numeric(self) -> tuple[float | None, ...]:
        """Each cell as a number; None for a cell that is not a number."""
        types = str | int | float if self.flat else int | float
        return tuple(_number(value) if isinstance(value, types) else None for value in self.values)

    @cached_property
    def fractions(self) -> bool:
        """Whether any number is not whole."""
        return any(number is not None and not number.is_integer() for number in self.numeric)

    def texts(self, items: Iterable[Any]) -> list[str]:
        """Items as text: text stays, numbers of classes become names, other values empty text."""
        named = (
            self.classes[item] if isinstance(item, int) and 0 <= item < len(self.classes) else item
            for item in items
        )
        return [item if isinstance(item, str) else "" for item in named]

    def _list(self, value: Any) -> list[Any] | None:
        if self.flat and isinstance(value, str):
            if self.sign and self.sign in value:
                return [part.strip() for part in value.split(self.sign)]
            try:
                value = listed.parsed(value) if listed.is_in_brackets(value) else cells.items(value)
            except (ValueError, RecursionError):
                return None
        return value if isinstance(value, list) else None


def _number(value: str | int | float) -> float | None:
    """A value as a finite number; None for a value that is not a number, and for a truth value."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
