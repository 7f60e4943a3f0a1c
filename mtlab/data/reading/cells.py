"""The records of a file of separated cells, and what in a table cannot be meant: rows within a
cell, a header that is a row.
"""

import csv
import re
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from mtlab.data import disk
from mtlab.data.alike import normal
from mtlab.data.tags import TAG
from mtlab.plan.errors import Found, UserError, noted, shown

SEPARATORS = {".csv": ",", ".tsv": "\t"}
NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "|"}
"""What separates cells, and what messages call it."""
DECLARED = re.compile('"?sep=([,;|:^~\t])"?[\r\n]*', re.IGNORECASE)
"""The first line of a file in which a spreadsheet says what separates cells."""
BREAK = re.compile("\r\n|\r|\n")
csv.field_size_limit(disk.FILE)

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
}
TITLES |= {
    "label",
    "labels",
    "intent",
    "category",
    "class",
    "topic",
    "target",
    "sentiment",
    "domain",
    "split",
    "lang",
    "language",
}
TITLES |= {"tags", "ner_tags", "ner", "slots", "bio", "iob"}
"""What columns are called, and rarely a sentence or its label."""

LONGEST = 256
"""Characters that no column's name has."""
NUMBER = re.compile(r"[-+]?\d+")
FEW = 10
"""Records that say too little of what stands in columns."""
USUAL = 3
"""Cells of several lines that may be mistakes; more of them are a kind of text."""

CERTAIN = 8
"""Lines of a cell that are rows if every one of them could be one, where text of several lines is
not usual. Of the first and the last line a part may stand in other cells."""


class Values:
    """What stands in the columns of a table, as far as few values come again and again there.

    Args:
        width: the number of columns.
        records: of the table; those of another width are left out, and so are cells of several
            lines.

    Attributes:
        width: the number of columns.
        records: how many there are.
        of_lines: cells of several lines among them.
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
        """Whether a cell begins with white space only if those of its column do: a comma within a
        text has a blank after it.
        """
        return not cell[:1].isspace() or 2 * self._indented[column] > self._counts[column].total()

    def filled(self, column: int) -> bool:
        """Whether there is more than white space in a column."""
        return any(cell.strip() for cell in self._counts[column])


def _kind(cell: str) -> str:
    """What a cell is counted as: lists of tags are all alike, and of a long text its beginning will
    do.
    """
    return "O" if TAG.match(cell) and all(map(TAG.fullmatch, cell.split())) else cell[:LONGEST]


@dataclass(frozen=True)
class Shape:
    """How the cells of a file are laid out.

    Attributes:
        separator: what stands between cells.
        header: the cells of the first record.
        line: where that is.
        values: what stands in the columns below.
    """

    separator: str
    header: list[str]
    line: int
    values: Values

    @cached_property
    def columns(self) -> dict[int, str]:
        """The columns that have a name, by place."""
        return {place: name for place, name in enumerate(self.header) if name.strip()}

    def notes(self, path: Path) -> list[str]:
        """What is said of the file's layout, where it is not the usual one."""
        notes = []
        if self.separator != SEPARATORS[path.suffix.lower()]:
            notes.append(
                f"{path}: cells are separated by {NAMES.get(self.separator, self.separator)}, as its first line says."
            )
        nameless = [
            str(place + 1)
            for place in range(len(self.header))
            if place not in self.columns and self.values.filled(place)
        ]
        if nameless:
            notes.append(
                f"{path}: not read, because the header has no name there: column {', '.join(nameless)}."
            )
        return notes


def shape(path: Path) -> Shape:
    """Look at a file, which is UTF-8, before it is read.

    Raises:
        UserError: the header is none: columns are called the same, something else separates cells,
            or it is a row like those below.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
    declared = DECLARED.fullmatch(first)
    separator = declared[1] if declared else SEPARATORS[path.suffix.lower()]
    if not declared and _cells(first, separator) is None:
        _separated_otherwise(first.rstrip("\r\n"), separator, path, f"{path}:1")
    every = ((line, cells) for line, _, cells in records(path, separator, []) if cells)
    line, header = next(every, (1, list[str]()))
    where = f"{path}:{line}"
    named = [name for name in header if name.strip()]
    twice = [name for name in named if named.count(name) > 1]
    if twice:
        raise UserError(
            f"the header has two columns {twice[0]!r}", "name columns differently", where=where
        )
    if header and not named:
        raise UserError(
            "the header has no names", "name the columns that are to be read", where=where
        )
    if doubtful(header, Values(len(header), ()), separator):
        raise UserError(
            "the header has a name of several lines", "close the quote that opens it", where=where
        )
    if len(header) == 1:
        _separated_otherwise(header[0], separator, path, where)
    values = Values(len(header), (cells for _, cells in every))
    must_be_names(header, values, where)
    return Shape(separator, header, line, values)


def _separated_otherwise(header: str, separator: str, path: Path, where: str) -> None:
    for other, name in NAMES.items():
        if other != separator and len(_cells(header, other) or ()) > 1:
            remedy = f"save it with {NAMES.get(separator, separator)} between cells, or write `sep={other}` as a line above"
            if other == "\t":
                remedy = f"call the file {path.stem}.tsv"
            raise UserError(
                f"one column, {shown(header)}: cells seem to be separated by {name}",
                remedy,
                where=where,
            )


def _cells(line: str, separator: str) -> list[str] | None:
    """The cells of a line by itself; None where its quotes do not match."""
    try:
        return next(csv.reader([line], strict=True, delimiter=separator), [])
    except csv.Error:
        return None


def must_be_names(header: Sequence[str], values: Values, where: str) -> None:
    """Refuse a header that is a row like those below it.

    Raises:
        UserError: a column is called what comes again and again in it, and no other column is
            called what columns are.
    """
    for column, name in enumerate(header):
        others = {other.strip().casefold() for place, other in enumerate(header) if place != column}
        if len(header) > 1 and values.has(column, name) and not others & TITLES:
            problem = f"the header seems to be a row: {shown(name)} is the name of column {column + 1} and one of its values"
            raise UserError(
                problem,
                "put a line with the names of columns above it, or rename the column",
                where=where,
            )


class _Feed(Iterator[str]):
    """The lines of a file, of which those of the record at hand can be taken up again."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again = deque[str]()
        self._taken: list[str] = []
        self.number = 0

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.number += 1
        self._taken.append(line)
        return line

    def begin(self) -> int:
        """Begin a record; returns the number of its first line."""
        self._taken.clear()
        return self.number + 1

    def back(self) -> None:
        """Go back to the line after the record's first one."""
        self._again.extendleft(reversed(self._taken[1:]))
        self.number -= len(self._taken[1:])
        self._taken = self._taken[:1]


def records(
    path: Path, separator: str, found: Found, sieve: "Sieve | None" = None
) -> Iterator[tuple[int, int, list[str]]]:
    """The records of a file: first line, last line, and cells. A blank line has no cells.

    Where mistakes are gathered, what comes after a record that cannot be is read from the line
    after its first one.

    Args:
        path: the file, in UTF-8.
        separator: what stands between cells.
        found: where mistakes are gathered, if they are.
        sieve: finds records that cannot be.

    Raises:
        UserError: a record's quotes do not match, or the sieve holds it back.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        feed = _Feed(file)
        reader = csv.reader(feed, strict=True, delimiter=separator)
        while True:
            line = feed.begin()
            try:
                cells = next(reader, [])
                if feed.number < line:
                    return
                if sieve is not None:
                    sieve.check(cells, line, feed.number)
            except (csv.Error, UserError) as error:
                with noted(found):
                    raise (
                        error if isinstance(error, UserError) else _mismatched(error, path, line)
                    ) from None
                feed.back()
                reader = csv.reader(feed, strict=True, delimiter=separator)
                continue
            if line > 1 or not DECLARED.fullmatch(separator.join(cells)):
                yield line, feed.number, cells


def _mismatched(error: csv.Error, path: Path, line: int) -> UserError:
    problem, remedy = (
        f"not {path.suffix[1:].upper()} ({error})",
        "close quotes, and double those inside quoted cells",
    )
    return UserError(problem, remedy, where=f"{path}:{line}")


@dataclass(frozen=True)
class Sieve:
    """Holds back records that cannot be meant.

    Attributes:
        name: of the file.
        shape: how it is laid out.
    """

    name: str
    shape: Shape

    def check(self, cells: Sequence[str], first: int, last: int) -> None:
        """Look at a record of the lines ``first`` to ``last``.

        Raises:
            UserError: it has too many or too few cells, or one of them holds rows.
        """
        if (
            (first == last and len(cells) == len(self.shape.header))
            or not cells
            or first <= self.shape.line
        ):
            return
        span = f", in lines {first:,} to {last:,}" if last > first else ""
        remedy = "remove the quote, close it on its line, or put the cell in quotes and double the quotes inside"
        if len(cells) != len(self.shape.header):
            if not span:
                what = {",": "commas", "\t": "tabs"}.get(self.shape.separator, self.shape.separator)
                remedy = f"put cells that hold {what} in double quotes"
            problem = f"{len(cells)} cells, the header has {len(self.shape.header)}{span}"
            raise UserError(problem, remedy, where=f"{self.name}:{first}")
        column = holds_rows(cells, self.shape.values, self.shape.separator) if span else None
        if column is not None:
            line = first + sum(len(BREAK.findall(cell)) for cell in cells[:column])
            raise _swallowed(
                cells[column], f"{self.name}:{line} {self.shape.header[column]}", remedy
            )


def _swallowed(cell: str, where: str, remedy: str) -> UserError:
    problem = f"a stray quote seems to open a cell of {_lines(cell):,} lines that look like rows of the table"
    return UserError(
        problem, f"{remedy}; if the cell is meant so, write the data as .jsonl", where=where
    )


def items(cell: str) -> list[str]:
    """The words or tags that stand in a cell, separated by blanks, tabs or line breaks; a no-break
    space belongs to its word.
    """
    return [item for item in re.split("[ \t\r\n]+", cell) if item]


def doubtful(cells: Sequence[str], values: Values, separator: str) -> int:
    """How many lines the longest of those cells has in which a line could be a row by its
    separators; 0 where there are none.
    """
    several = [(column, cell) for column, cell in enumerate(cells) if BREAK.search(cell)]
    return max(
        (_lines(cell) for column, cell in several if any(_rows(cell, column, values, separator))),
        default=0,
    )


def _lines(cell: str) -> int:
    return len(BREAK.findall(cell)) + 1


def holds_rows(cells: Sequence[Any], values: Values, separator: str) -> int | None:
    """The column of a record's cell that holds rows of the table, as a quote makes it that opens a
    cell and is closed rows later.

    Text of several lines may hold separators too. Rows are told from it by what stands in the
    columns that its lines would have: at least one value of a column that has few of them in every
    second line. Where such text is usual, numbers count from three lines on. Where it is not, many
    lines that could all be rows are rows, whatever their values.

    Args:
        cells: of a record that has as many as the header.
        values: what stands in the columns elsewhere.
        separator: what stands between cells.
    """
    for column, cell in enumerate(cells):
        if not isinstance(cell, str) or not BREAK.search(cell):
            continue
        rows = list(_rows(cell, column, values, separator))
        if len(rows) >= CERTAIN and all(rows[1:-1]) and values.of_lines <= USUAL:
            return column
        if _known(rows, values, values.of_lines > USUAL):
            return column
        whole = [list(row.values()) for row in rows if len(row) == len(cells)]
        nearly_all = values.records < FEW and len(whole) > 3
        if nearly_all and _known(rows, Values(len(cells), whole), True):
            return column
    return None


def _rows(cell: str, column: int, values: Values, separator: str) -> Iterator[dict[int, str]]:
    """The lines of a cell as the rows that they would be, without a quote that opens it: place to
    value, nothing where that cannot be.
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
    """Whether every second line has a value that its column has; where text of several lines is
    ``usual``, numbers take three.
    """
    known = [[piece for place, piece in row.items() if values.has(place, piece)] for row in rows]
    speaking = sum(map(bool, known))
    numbers = all(NUMBER.fullmatch(piece) for pieces in known for piece in pieces)
    return speaking >= (3 if numbers and usual else 1) and 2 * speaking >= len(rows) - 1


def examine(name: str, columns: Sequence[str], rows: Collection[Any]) -> None:
    """Refuse a table that somebody else has read out of separated cells, and not as they were
    meant.

    Args:
        name: of the table.
        columns: their names.
        rows: with ``values`` by column and a ``place``, of which the first ones are looked at.

    Raises:
        UserError: the columns are called as a row is, or a cell holds rows.
    """
    some = [
        ([row.values.get(column) for column in columns], row)
        for row in islice(rows, disk.SENTENCES)
    ]
    values = Values(len(columns), (cells for cells, _ in some))
    must_be_names(columns, values, name)
    for cells, row in some:
        if not any(isinstance(cell, str) and BREAK.search(cell) for cell in cells):
            continue
        for separator in NAMES:
            column = holds_rows(cells, values, separator)
            if column is not None:
                raise _swallowed(
                    cells[column],
                    f"{row.place()} {columns[column]}",
                    "correct the file that it was read from",
                )


def repeats(names: Sequence[str], cells: Collection[Any]) -> bool:
    """Whether a row holds the names of the columns, as where files with a header were put one after
    another.

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
