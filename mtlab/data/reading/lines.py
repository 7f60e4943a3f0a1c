"""The lines of text files, and tables that are read line by line."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mtlab.data import disk
from mtlab.data.reading.table import Reads, Table, gathered
from mtlab.plan.errors import Mistakes, UserError

BINARY = (".parquet",)
"""Kinds of files that are not text."""


def decoded(lines: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    """Lines of UTF-8 and their numbers, without a byte-order mark before the first, and without LF
    or CRLF.

    Only LF ends a line: text files would also be cut at CR, and ``splitlines`` at U+2028 and
    others.

    Args:
        lines: of a file that is open in binary mode.
        name: of the file in messages.

    Raises:
        UserError: a line is not UTF-8.
    """
    before = 0
    for number, line in enumerate(lines, start=1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"not UTF-8 at byte {before + error.start}",
                "save the file as UTF-8",
                where=f"{name}:{number}",
                code="not-utf-8",
            ) from None
        before += len(line)
        yield (
            number,
            (text.removeprefix("\ufeff") if number == 1 else text)
            .removesuffix("\n")
            .removesuffix("\r"),
        )


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file, and their numbers."""
    with path.open("rb") as file:
        yield from decoded(file, str(path))


def is_blank(line: str) -> bool:
    """Whether a line is empty, or has only blanks, tabs and CR."""
    return not line.strip(" \t\r")


def check_text(path: Path) -> None:
    """Check that a file is UTF-8, before other mistakes in it are reported.

    Raises:
        UserError: it is not.
    """
    for _ in lines_of(path):
        pass


def table(path: Path, read: Reads, mistakes: Mistakes, skipped: str = "", **more: Any) -> Table:
    """The table of a file.

    Args:
        path: of the file.
        read: reads its rows.
        mistakes: a list that collects mistakes; None raises the first one.
        skipped: the word for skipped lines in the note.
        more: other fields of the table.
    """
    if path.suffix.lower() not in (*BINARY, ".csv", ".tsv"):  # their reader has checked this
        check_text(path)
    rows, summary = gathered(read, path.stat().st_size > disk.FILE, mistakes)
    notes = (f"{path}: {skipped} lines skipped: {summary.skipped:,}.",) if summary.skipped else ()
    return Table(str(path), tuple(summary.columns), rows, (*notes, *summary.notes), **more)
