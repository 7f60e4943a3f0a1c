"""Signs that a table was misread: rows within a cell, a header that is a row."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from mtlab.data import disk
from mtlab.data.alike import normal
from mtlab.data.reading.table import Row
from mtlab.plan.errors import UserError, shown
from mtlab.tasks.registry import KINDS
from mtlab.tasks.tags import TAG

BREAK = re.compile("\r\n|\r|\n")


TITLES = {
    "id",
    "idx",
    "index",
    "text",
    "sentence",
    "utterance",
    "query",
    "message",
    "content",
    "body",
    "title",
    "tokens",
    "token",
    "words",
    "split",
    "lang",
    "language",
    *(name for kind in KINDS.values() for name in kind.usual),
}
"""Usual names of columns; a sentence or label is rarely one of these."""


LONGEST = 256
"""No column's name has as many characters."""


NUMBER = re.compile(r"[-+]?\d+")


FEW = 10
"""With fewer records, the values of columns are too few to compare with."""


USUAL = 3
"""Up to this many cells of several lines may be mistakes; if there are more, such text is usual."""


CERTAIN = 8
"""In a cell with at least this many lines, these are rows if each of them could be one and text of
several lines is not usual. The first and the last line do not count: they may be cut."""


NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "|"}
"""Signs that separate cells, to their names in messages."""


class Values:
    """How often each value is in each column, to find columns with few different values.

    Args:
        width: the number of columns.
        records: of the table; those of another width are left out, and so are cells of several
            lines.

    Attributes:
        width: the number of columns.
        records: how many there are.
        of_lines: how many of their cells have several lines.
    """

    def __init__(self, width: int, records: Iterable[Sequence[Any]]) -> None:
        self._counts = [Counter[str]() for _ in range(width)]
        self._indented = [0] * width
        self.width = width
        self.records = self.of_lines = 0
        for record in islice(records, disk.SENTENCES):
            if len(record) == width:
                self.records += 1
                for column, cell in enumerate(record):
                    if isinstance(cell, str):
                        self._add(column, cell)

    def _add(self, column: int, cell: str) -> None:
        if BREAK.search(cell):
            self.of_lines += 1
        else:
            self._counts[column][_kind(cell)] += 1
            self._indented[column] += cell[:1].isspace()

    def has(self, column: int, cell: str) -> bool:
        """Whether a column has few values, and the cell holds one of them."""
        counts = self._counts[column]
        return bool(cell.strip()) and 2 * len(counts) <= counts.total() and _kind(cell) in counts

    def begins_like(self, column: int, cell: str) -> bool:
        """Whether a cell may be of a column by its first character: white space only if most cells
        of the column begin with it. A comma within a text has a blank after it.
        """
        return not cell[:1].isspace() or 2 * self._indented[column] > self._counts[column].total()

    def filled(self, column: int) -> bool:
        """Whether there is more than white space in a column."""
        return any(cell.strip() for cell in self._counts[column])


def _kind(cell: str) -> str:
    """The value as which a cell is counted: all lists of tags count as one value, and of a long
    text only its beginning counts.
    """
    return "O" if TAG.match(cell) and all(map(TAG.fullmatch, cell.split())) else cell[:LONGEST]


def must_be_names(header: Sequence[str], values: Values, where: str) -> None:
    """Refuse a header that is a row like those below it.

    Raises:
        UserError: the name of a column is one of its few values, and no other column has a usual
            name.
    """
    for column, name in enumerate(header):
        others = {other.strip().casefold() for place, other in enumerate(header) if place != column}
        if len(header) > 1 and values.has(column, name) and not others & TITLES:
            problem = f"the header seems to be a row: {shown(name)} is the name of column {column + 1} and one of its values"
            raise UserError(
                problem,
                "put a line with the names of columns above it, or rename the column",
                where=where,
                code="misread-table",
            )


def swallowed(cell: str, where: str, remedy: str) -> UserError:
    """The mistake about a cell that holds rows."""
    problem = f"a stray quote seems to open a cell of {_lines(cell):,} lines that look like rows of the table"
    return UserError(
        problem,
        f"{remedy}; if the cell is meant so, write the data as .jsonl",
        where=where,
        code="misread-table",
    )


def doubtful(cells: Sequence[str], values: Values, separator: str) -> int:
    """The number of lines of the longest cell in which a line has the separators of a row; 0 if
    there is no such cell.
    """
    several = [(column, cell) for column, cell in enumerate(cells) if BREAK.search(cell)]
    return max(
        (_lines(cell) for column, cell in several if any(_rows(cell, column, values, separator))),
        default=0,
    )


def _lines(cell: str) -> int:
    return len(BREAK.findall(cell)) + 1


def holds_rows(cells: Sequence[Any], values: Values, separator: str) -> int | None:
    """The column of a cell that holds rows of the table; None if none does. A cell holds rows if a
    quote opens it and is closed some rows later.

    Text of several lines may hold separators too. Its lines are rows if at least every second of
    them, read as a row, has one of the values of a column with few different values. Where such
    text is usual and these values are all numbers, at least three lines must have one. Where it is
    not usual, many lines that could all be rows are rows, whatever their values.

    Args:
        cells: of a record that has as many as the header.
        values: of the columns elsewhere.
        separator: of cells.
    """
    for column, cell in enumerate(cells):
        if not isinstance(cell, str) or not BREAK.search(cell):
            continue
        rows = list(_rows(cell, column, values, separator))
        if len(rows) >= CERTAIN and all(rows[1:-1]) and values.of_lines <= USUAL:
            return column
        if _known(rows, values, values.of_lines > USUAL):
            return column
        complete = [list(row.values()) for row in rows if len(row) == len(cells)]
        nearly_all = values.records < FEW and len(complete) > 3
        if nearly_all and _known(rows, Values(len(cells), complete), True):
            return column
    return None


def _rows(cell: str, column: int, values: Values, separator: str) -> Iterator[dict[int, str]]:
    """The lines of a cell, each as the row that it would be without the quote that opens the cell:
    place to value; empty if the line cannot be a row.
    """
    lines = [line for line in BREAK.split(cell) if line.strip()]
    for number, line in enumerate(lines):
        pieces = next(csv.reader([line], delimiter=separator), [])
        before = column if number == 0 else 0
        after = values.width - 1 - column if number == len(lines) - 1 else 0
        row = {before + place: piece for place, piece in enumerate(pieces)}
        fits = len(pieces) > 1 and before + len(pieces) + after == values.width
        one_number = (
            len(pieces) == 2 and pieces[0][-1:].isdigit() and pieces[1][:1].isdigit()
        )  # 1,000 or 0,5
        yield (
            row
            if fits and not one_number and all(values.begins_like(*piece) for piece in row.items())
            else {}
        )


def _known(rows: Sequence[dict[int, str]], values: Values, usual: bool) -> bool:
    """Whether at least every second line has a value that its column often has. Where text of
    several lines is ``usual`` and these values are all numbers, at least three lines must have one.
    """
    known = [[piece for place, piece in row.items() if values.has(place, piece)] for row in rows]
    speaking = sum(map(bool, known))
    numbers = all(NUMBER.fullmatch(piece) for pieces in known for piece in pieces)
    return speaking >= (3 if numbers and usual else 1) and 2 * speaking >= len(rows) - 1


def examine(name: str, columns: Sequence[str], rows: Collection[Any]) -> None:
    """Refuse a table that another program made from separated cells, and misread.

    Args:
        name: of the table.
        columns: their names.
        rows: with ``values`` by column and a ``place``; only the first ones are checked.

    Raises:
        UserError: the names of the columns are a row, or a cell holds rows.
    """
    records = [
        ([row.values.get(column) for column in columns], row)
        for row in islice(rows, disk.SENTENCES)
    ]
    values = Values(len(columns), (cells for cells, _ in records))
    must_be_names(columns, values, name)
    for cells, row in records:
        if not any(isinstance(cell, str) and BREAK.search(cell) for cell in cells):
            continue
        for separator in NAMES:
            column = holds_rows(cells, values, separator)
            if column is not None:
                raise swallowed(
                    cells[column],
                    f"{row.place()} {columns[column]}",
                    "correct the file that it was read from",
                )


def repeats(names: Sequence[str], cells: Collection[Any]) -> bool:
    """Whether a row holds the names of the columns, as after joining several files with a header.

    Args:
        names: in their normal form, sorted.
        cells: of the row.
    """
    if (
        len(cells) != len(names)
        or len(names) < 2
        or not all(isinstance(cell, str) and len(cell) < LONGEST for cell in cells)
    ):
        return False
    return sorted(map(normal, cells)) == names


REJECTED = ("reject", "ignore")
"""What Prodigy writes as the ``answer`` of a row whose annotation was not accepted."""


def row(some: Row, names: Sequence[str]) -> UserError | None:
    """Why a row cannot be learnt from; None where it can.

    Args:
        some: the row.
        names: of the columns, normal and sorted.
    """
    if repeats(names, some.values.values()):
        problem = "the row holds the names of the columns"
        return UserError(problem, "remove it", where=some.place(), code="misread-table")
    answer = some.values.get("answer")
    if answer in REJECTED and not some.values.keys().isdisjoint(("spans", "_input_hash")):
        problem, where = f"the annotation was not accepted ({answer})", f"{some.place()} answer"
        return UserError(problem, "take the row out", where=where, code="bad-value")
    return None
