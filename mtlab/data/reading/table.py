"""Rows that know their place, and tables of rows: the results of every reader."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from mtlab.plan.errors import Mistakes


@dataclass(frozen=True, slots=True)
class Row:
    """One sentence as its file has it: values by column, and where they stand."""

    values: dict[str, Any]
    file: str
    number: int
    """The line (or, with another ``unit``, the row), counted from 1."""
    unit: str = ":"
    """What stands between file and number: ``:`` for lines, `` row `` for rows of binary files."""
    line_per_token: bool = False
    """Whether every token has a line of its own, as in CoNLL files."""

    def place(self, token: int = 0) -> str:
        """``file:line`` of the sentence, or of one of its tokens where these have lines of their
        own.
        """
        return f"{self.file}{self.unit}{self.number + token * self.line_per_token}"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one split."""

    name: str
    """The file, or the data set and split, as messages call it."""
    columns: tuple[str, ...]
    rows: Collection[Row]
    """A list, or what reads them anew each time it is gone through."""
    notes: tuple[str, ...] = ()
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For columns that hold class numbers: the names of the classes."""
    flat: bool = False
    """Whether a list of tokens or tags may be written as text, as in the cells of a CSV file."""


@dataclass
class Summary:
    """What a reader notes of a file, besides its rows, as it goes through it."""

    columns: dict[str, None] = field(default_factory=dict)
    skipped: int = 0
    """Lines outside sentences."""
    notes: list[str] = field(default_factory=list)


Reads = Callable[[Mistakes, Summary], Iterator[Row]]
"""Goes through a source, row by row."""


class Again(Collection[Row]):
    """Rows that are too many for memory: they are read anew each time.

    Args:
        read: goes through them.
        count: how many there are.
    """

    def __init__(self, read: Callable[[], Iterator[Row]], count: int) -> None:
        self._read, self._count = read, count

    def __iter__(self) -> Iterator[Row]:
        return self._read()

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: object) -> bool:
        return any(row == other for other in self)


def gathered(read: Reads, large: bool, mistakes: Mistakes) -> tuple[Collection[Row], Summary]:
    """The rows of a source and its summary, by going through it once.

    Args:
        read: goes through it.
        large: whether its rows are too many for memory.
        mistakes: where mistakes are gathered, if they are: this once, however often the rows are read.
    """
    summary, kept, count = Summary(), list[Row](), 0
    for row in read(mistakes, summary):
        count += 1
        summary.columns.update(dict.fromkeys(row.values))
        if not large:
            kept.append(row)
    return Again(
        lambda: read(None if mistakes is None else [], Summary()), count
    ) if large else kept, summary
