"""Rows with their places, and tables of rows: the results of every reader."""

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
    lines: tuple[int, ...] = ()
    """The line of each token, if other lines are between them."""

    def place(self, token: int = 0) -> str:
        """``file:line`` of the sentence, or of one of its tokens where these have lines of their
        own.
        """
        at = self.lines[token] if self.lines else self.number + token * self.line_per_token
        return f"{self.file}{self.unit}{at}"


@dataclass(frozen=True, slots=True)
class Form:
    """The columns of a file with a token a line."""

    width: int = 2
    """How many there are."""
    tokens: int = 0
    """The place of the words, from 0."""
    tags: int | None = -1
    """The place of the tags; -1 is the last one, None where no column has any."""
    others: tuple[int, ...] = ()
    """Places of further columns that look like tags of entities."""
    comments: float = 0.0
    """The share of sentences before which a line begins with ``#`` and holds no token."""
    regular: bool = False
    """Whether nearly all lines have this number of columns."""
    ranges: bool = False
    """Whether the first column counts words, so that a line that begins with ``1-2`` is not a
    word."""
    header: bool = False
    """Whether the first line names the columns."""
    tagged: bool = False
    """Whether a column holds tags of entities."""
    bare: bool = False
    """Whether the tags are types without prefixes."""
    apart: bool = False
    """Whether there are several sentences, and few of their lines have a comma within."""
    by: str = ""
    """What separates columns, where that is neither a tab nor a blank."""
    brackets: tuple[int, ...] = ()
    """Places of columns that mark entities by brackets (``brackets.py``)."""
    coded: bool = False
    """Whether each word stands after the code of its language: ``en:word``."""

    @property
    def aliases(self) -> dict[str, str]:
        """The numbers, from 1, of the columns of words and of tags, to our names; empty if the form
        is the usual one.
        """
        if self.usual:
            return {}
        words = {str(self.tokens + 1): "tokens"}
        return (
            words if self.tags is None else {**words, str(self.tags % self.width + 1): "ner_tags"}
        )

    @property
    def numbers(self) -> dict[str, str]:
        """Our names of columns to their numbers."""
        return {ours: number for number, ours in self.aliases.items()}

    @property
    def of_ends(self) -> bool:
        """Whether the first column holds the words, and the last one the tags."""
        return self.tokens == 0 and self.tags in (-1, self.width - 1)

    @property
    def usual(self) -> bool:
        """Whether there are a column of words and one of tags, in this order."""
        return self.width < 3 and self.tokens == 0


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one split."""

    name: str
    """The file, or the data set and split, as messages call it."""
    columns: tuple[str, ...]
    rows: Collection[Row]
    """A list, or a collection that reads them again each time."""
    notes: tuple[str, ...] = ()
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For columns that hold class numbers: the names of the classes."""
    flat: bool = False
    """Whether a list of tokens or tags may be written as text, as in the cells of a CSV file."""
    form: Form | None = None
    """The columns of the file, if it has a token a line. Each can also be read under its number,
    unless the form is the usual one."""

    @property
    def aliases(self) -> dict[str, str]:
        """Columns that have another name too, to that name."""
        return {} if self.form is None else self.form.aliases


@dataclass
class Summary:
    """What a reader records about a file, besides its rows, while it reads it."""

    columns: dict[str, None] = field(default_factory=dict)
    skipped: int = 0
    """Lines outside sentences."""
    notes: list[str] = field(default_factory=list)


Reads = Callable[[Mistakes, Summary], Iterator[Row]]
"""Reads a source, row by row."""


class Again(Collection[Row]):
    """Rows that are too many for memory: they are read again each time.

    Args:
        read: reads them.
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
    """The rows of a source and its summary, after reading it once.

    Args:
        read: reads its rows.
        large: whether its rows are too many for memory.
        mistakes: a list that collects mistakes of this first reading; None raises the first one.
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
