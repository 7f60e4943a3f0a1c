"""The records of a file of separated cells, and its layout."""

import csv
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from mtlab.data import disk
from mtlab.data.reading import lines
from mtlab.data.reading.misread import (
    BREAK,
    NAMES,
    TITLES,
    Values,
    doubtful,
    holds_rows,
    must_be_names,
    swallowed,
)
from mtlab.plan.errors import Mistakes, UserError, noted, shown
from mtlab.tasks.tags import TAG

SEPARATORS = {".csv": ",", ".tsv": "\t"}
DECLARED = re.compile('"?sep=([,;|:^~\t])"?[\r\n]*', re.IGNORECASE)
"""The first line of a file in which a spreadsheet names the separator."""
csv.field_size_limit(disk.FILE)
LOOK = 1_000
"""Lines that are read to find out whether a file is a table."""


def separator_of(path: Path) -> str:
    """What separates the cells of a file: its extension decides, else its first line, else it is a
    tab.
    """
    return SEPARATORS.get(path.suffix.lower()) or _by_header(path) or "\t"


def is_table(path: Path) -> bool:
    """Whether a file is a table by its content, for names that do not say it."""
    return has_tabs(path) or _by_header(path) is not None


def _by_header(path: Path) -> str | None:
    """What separates the names of columns on the first line; None if that line does not name
    columns, or lines have other numbers of cells.
    """
    try:
        first_lines = [line for _, line in islice(lines.lines_of(path), LOOK) if line.strip()]
    except UserError:
        return None
    for sign in NAMES if first_lines else ():
        header = _cells(first_lines[0], sign) or []
        known = sum(name.strip().casefold() in TITLES for name in header)
        counts = {len(_cells(line, sign) or ()) for line in first_lines}
        if known > 1 and counts == {len(header)}:
            return sign
    return None


def has_tabs(path: Path) -> bool:
    """Whether a file is a table: its lines have the same number of tabs, and most of them a cell of
    several words.
    """
    counts, several, bars = Counter[int](), 0, 0
    try:
        for _, line in islice(lines.lines_of(path), LOOK):
            if not lines.is_blank(line):
                counts[line.count("\t")] += 1
                several += any(" " in cell.strip() for cell in line.split("\t"))
                bars += "|" in line
    except UserError:
        return False
    total = counts.total()
    return len(counts) == 1 and 0 not in counts and 2 * several > total and bars < total


@dataclass(frozen=True)
class Shape:
    """How the cells of a file are laid out.

    Attributes:
        separator: of cells.
        header: the cells of the first record.
        line: the line of that record.
        values: of the columns, below the header.
    """

    separator: str
    header: list[str]
    line: int
    values: Values

    @cached_property
    def columns(self) -> dict[int, str]:
        """Place to name, for the columns that have a name."""
        return {place: name for place, name in enumerate(self.header) if name.strip()}

    def notes(self, path: Path) -> list[str]:
        """Notes on the file's layout, where it is unusual."""
        notes = []
        if self.separator != SEPARATORS.get(path.suffix.lower(), "\t"):
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
    """Find the layout of a file, which is UTF-8, before it is read.

    Raises:
        UserError: the first record is not a header: it has no names or a name twice, another sign
            separates the cells, or it is a row like those below.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
    declared = DECLARED.fullmatch(first)
    separator = declared[1] if declared else separator_of(path)
    if not declared and _cells(first, separator) is None:
        _separated_otherwise(first.rstrip("\r\n"), separator, path, f"{path}:1")
    filled_records = ((line, cells) for line, _, cells in records(path, separator, []) if cells)
    line, header = next(filled_records, (1, list[str]()))
    where = f"{path}:{line}"
    named = [name for name in header if name.strip()]
    twice = [name for name in named if named.count(name) > 1]
    if twice:
        raise UserError(
            f"the header has two columns {twice[0]!r}",
            "name columns differently",
            where=where,
            code="twice",
        )
    if header and not named:
        raise UserError(
            "the header has no names",
            "name the columns that are to be read",
            where=where,
            code="misread-table",
        )
    if doubtful(header, Values(len(header), ()), separator):
        raise UserError(
            "the header has a name of several lines",
            "close the quote that opens it",
            where=where,
            code="malformed",
        )
    if len(header) == 1:
        _separated_otherwise(header[0], separator, path, where)
    values = Values(len(header), (cells for _, cells in filled_records))
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
                code="malformed",
            )


def _cells(line: str, separator: str) -> list[str] | None:
    """The cells of a line by itself; None where its quotes do not match."""
    try:
        return next(csv.reader([line], strict=True, delimiter=separator), [])
    except csv.Error:
        return None


class _Feed(Iterator[str]):
    """The lines of a file; those of the current record can be read again."""

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
    path: Path, separator: str, mistakes: Mistakes, sieve: "Sieve | None" = None
) -> Iterator[tuple[int, int, list[str]]]:
    """The records of a file: first line, last line, and cells. A blank line has no cells.

    If mistakes are collected, reading continues after a wrong record at the line after its first
    one.

    Args:
        path: the file, in UTF-8.
        separator: of cells.
        mistakes: a list that collects mistakes; None raises the first one.
        sieve: finds records that were misread.

    Raises:
        UserError: a record's quotes do not match, or the sieve refuses it.
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
                with noted(mistakes):
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
    return UserError(problem, remedy, where=f"{path}:{line}", code="malformed")


@dataclass(frozen=True)
class Sieve:
    """Refuses records that were misread.

    Attributes:
        name: of the file.
        shape: how it is laid out.
    """

    name: str
    shape: Shape

    def check(self, cells: Sequence[str], first: int, last: int) -> None:
        """Check a record of the lines ``first`` to ``last``.

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
                signs = {",": "commas", "\t": "tabs"}.get(
                    self.shape.separator, self.shape.separator
                )
                remedy = f"put cells that hold {signs} in double quotes"
            problem = f"{len(cells)} cells, the header has {len(self.shape.header)}{span}"
            raise UserError(problem, remedy, where=f"{self.name}:{first}", code="malformed")
        column = holds_rows(cells, self.shape.values, self.shape.separator) if span else None
        if column is not None:
            line = first + sum(len(BREAK.findall(cell)) for cell in cells[:column])
            raise swallowed(
                cells[column], f"{self.name}:{line} {self.shape.header[column]}", remedy
            )


def items(cell: str) -> list[str]:
    """The words or tags in a cell, separated by blanks, tabs or line breaks; a no-break
    space belongs to its word. Tags may be separated by other signs.
    """
    words = [item for item in re.split("[ \t\r\n]+", cell) if item]
    for sign in ",;|":
        tags = [part.strip() for part in cell.split(sign)]
        if len(tags) > 1 and len(tags) >= len(words) and all(map(TAG.fullmatch, tags)):
            return tags if not any(" " in tag or sign in tag for tag in tags) else words
    return words
