"""Reading one local file of labelled sentences into rows with their places: .jsonl .json .csv
.tsv .parquet .conll .txt.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from mtlab.data import disk
from mtlab.data.reading import cells, conll, inline, lines, marked, misread, objects
from mtlab.data.reading.form import form
from mtlab.data.reading.lines import check_text, is_blank, lines_of
from mtlab.data.reading.table import Form, Row, Summary, Table
from mtlab.plan.errors import Mistakes, UserError, noted
from mtlab.plan.words import counted


def read(
    path: Path, mistakes: Mistakes = None, like: Form | None = None, every: bool = False
) -> Table:
    """Read one file; its extension says how, unless it has a token a line.

    - ``.jsonl``: one object a line. ``.json``: a list of objects, or ``{"data": [...]}``.
    - ``.csv``, ``.tsv``: separated by commas, or tabs, with a header (``cells.py``); a line
      ``sep=;`` above it says otherwise. Cells are text, whatever they hold (``NA``, ``null`` and
      ``007`` stay). A cell of tokens or tags is a JSON list where it begins with ``[`` and ends
      with ``]``, and items separated by blanks, tabs or line breaks elsewhere. A column without a
      name is not read.
    - ``.conll``, and files by any other name that are like it: a token a line, columns separated by
      tabs, or by blanks where a line has no tab. Blank lines and ``-DOCSTART-`` lines end a sentence.
      Columns are called ``tokens`` and ``ner_tags``; values decide which they are
      (``conll.py``).
    - ``.txt``: marked text, ``label | text with [TYPE names]`` (``mtlab.data.reading.marked``).
      Blank lines are skipped.
    - ``.parquet``: class numbers are kept with their names where the file has Hugging Face's
      metadata.

    Text is UTF-8, with or without a byte-order mark; lines end in LF or CRLF.

    If mistakes are collected, lines that cannot be read are left out, and a file that cannot be
    read gives an empty table.

    Args:
        path: of the file.
        mistakes: a list that collects mistakes; None raises the first one.
        like: the form of another file of the same source; used if both have as many columns.
        every: if a file has a token a line and more than two columns: whether to read each of them
            under its number, too.

    Raises:
        UserError: one line with file, line and what is wrong: an unknown extension, not UTF-8, not
            what the extension says.
    """
    with noted(mistakes):
        return _read(path, mistakes, like, every)
    return Table(str(path), (), [])


def _read(path: Path, mistakes: Mistakes, like: Form | None, every: bool) -> Table:
    """Read one file in the way that its content, or else its extension, decides.

    Raises:
        UserError: as above.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None and is_marked(path):
        reader = _conll
    if reader is None and is_inline(path):
        reader = _inline
    if reader is None:
        packed = "unpack it, and " if path.suffix.lower() in COMPRESSED else ""
        raise UserError(
            f"unknown kind of file {path.suffix!r}",
            f"{packed}use one of {' '.join(EXTENSIONS)}",
            where=str(path),
            code="unknown-kind",
        )
    try:
        if is_inline(path):
            return _inline(path, mistakes)
        if (by_content := _of_content(path)) is not None:
            return by_content(path, mistakes)
        misled = path.suffix.lower() in MISLEADING
        if reader is _conll or (misled and (is_marked(path) or _is_like(path, like))):
            return _conll(path, mistakes, like, every)
        _must_not_be_columns(path)
        return reader(path, mistakes)
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror or type(error).__name__})",
            where=str(path),
            code="unreadable",
        ) from None


Reader = Callable[[Path, Mistakes], Table]
NUMBERED = 4
"""The fewest columns of a file of numbered words that has no tags of entities."""


def is_marked(path: Path) -> bool:
    """Whether a file has a token a line, and tags of entities or numbered words, whatever its name.
    If it has the extension of a table, it must have blank lines between its sentences.
    """
    try:
        shape = form(path)
    except OSError:
        return False
    table = path.suffix.lower() in cells.SEPARATORS
    if shape is None:
        return False
    numbered = shape.ranges and shape.width >= NUMBERED and shape.apart and not table
    return numbered or (shape.tagged and (shape.apart or not table))


def _is_like(path: Path, like: Form | None) -> bool:
    """Whether a file, which may have no entities, has the columns of another one."""
    shape = form(path) if like is not None else None
    return shape is not None and like is not None and shape.apart and shape.width == like.width


def _must_not_be_columns(path: Path) -> None:
    """Refuse a file with the extension of marked text that has a token a line.

    Raises:
        UserError: it has, and its columns cannot be recognised.
    """
    shape = form(path) if path.suffix.lower() == ".txt" else None
    if shape is not None and shape.regular and not any("|" in line for _, line in lines_of(path)):
        raise UserError(
            f"has {shape.width} columns, a token a line, and none of them holds tags of entities",
            f"call the file {path.stem}.conll to take the last one for tags",
            where=str(path),
            code="misread-table",
        )


def is_inline(path: Path) -> bool:
    """Whether a file without an extension of ours, or with that of text, has words with tags, or
    labels, in its lines.
    """
    if path.suffix.lower() in EXTENSIONS and path.suffix.lower() != ".txt":
        return False
    try:
        return not is_marked(path) and inline.sign(path) is not None
    except OSError:
        return False


def _inline(path: Path, mistakes: Mistakes) -> Table:
    sign = inline.sign(path) or ""
    return _line_by_line(path, lambda line, place: inline.parse(line, sign, place), mistakes)


def _of_content(path: Path) -> Reader | None:
    """The reader of a file whose name misleads: JSON of another layout, or a table with tabs."""
    kind = path.suffix.lower()
    if kind not in (".json", ".jsonl", ".txt"):
        return None
    readers: dict[str, Reader] = {
        "objects": READERS[".jsonl"],
        "pairs": objects.of_lines,
        "value": objects.read,
    }
    layout = objects.layout(path)
    usual = {".jsonl": "objects", ".json": "value", ".txt": ""}[kind]
    if layout and layout != usual and not (kind == ".txt" and layout == "value"):
        return readers[layout]
    return _separated if kind == ".txt" and cells.is_table(path) else None


def _conll(path: Path, mistakes: Mistakes, like: Form | None = None, every: bool = False) -> Table:
    shape = form(path)
    if shape is not None and like is not None and like.width == shape.width:
        shape = replace(
            shape, tokens=like.tokens, tags=like.tags, others=like.others, tagged=like.tagged,
            brackets=shape.brackets or like.brackets,
        )  # fmt: skip
    return conll.read(path, mistakes, shape, every)


def _line_by_line(
    path: Path, parse: Callable[[str, str], dict[str, Any]], mistakes: Mistakes
) -> Table:
    """A file with a sentence on every line; ``parse`` makes the columns from a line and its
    ``file:line``.
    """

    def read(mistakes: Mistakes, summary: Summary) -> Iterator[Row]:
        for number, line in lines_of(path):
            if is_blank(line):
                summary.skipped += 1
                continue
            values = None
            with noted(mistakes):
                values = parse(line, f"{path}:{number}")
            if values is not None:
                yield Row(values, str(path), number)

    return lines.table(path, read, mistakes, "blank")


def json_line(line: str, place: str) -> dict[str, Any]:
    """The JSON object on a line; ``place`` is its ``file:line``.

    Raises:
        UserError: the line is not JSON, or not an object.
    """
    try:
        return objects.as_object(json.loads(line), place)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"not JSON ({objects.reason(error)})",
            "write one JSON object a line",
            where=place,
            code="malformed",
        ) from None


def _marked_line(line: str, place: str) -> dict[str, Any]:
    label, tokens, tags = marked.parse(line, place)
    return {"tokens": tokens, "ner_tags": tags, "label": label}


def _separated(path: Path, mistakes: Mistakes) -> Table:
    check_text(path)
    shape = cells.shape(path)

    def read(mistakes: Mistakes, summary: Summary) -> Iterator[Row]:
        summary.columns.update(dict.fromkeys(shape.columns.values()))
        several: dict[int, int] = {}
        for line, last, record in cells.records(
            path, shape.separator, mistakes, cells.Sieve(str(path), shape)
        ):
            if not record:
                summary.skipped += 1
            elif line > shape.line:
                if last > line and (
                    lines := misread.doubtful(record, shape.values, shape.separator)
                ):
                    several[line] = lines
                yield Row(
                    {name: record[place] for place, name in shape.columns.items()}, str(path), line
                )
        if several:
            longest = max(several, key=several.__getitem__)
            summary.notes.append(
                f"{path}: read as text, although their lines could be rows: {counted(len(several), 'cell')}; "
                f"the longest has {several[longest]:,} lines (line {longest:,})."
            )

    table = lines.table(path, read, mistakes, "blank", flat=True)
    return replace(table, notes=(*shape.notes(path), *table.notes))


def _parquet(path: Path, mistakes: Mistakes) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    def read(mistakes: Mistakes, summary: Summary) -> Iterator[Row]:
        try:
            with parquet.ParquetFile(path, buffer_size=1 << 20) as file:
                summary.columns.update(dict.fromkeys(file.schema_arrow.names))
                every = chain.from_iterable(
                    batch.to_pylist() for batch in file.iter_batches(disk.CHUNK)
                )
                for number, row in enumerate(every, start=1):
                    yield Row(row, str(path), number, " row ")
        except (pa.ArrowException, ArithmeticError, ValueError) as error:
            raise UserError(
                f"not a Parquet file ({type(error).__name__})",
                "write it as Parquet again",
                where=str(path),
                code="unreadable",
            ) from None

    table = lines.table(path, read, mistakes)
    schema, classes = parquet.read_schema(path), {}
    from_hub = b"huggingface" in (schema.metadata or {})
    if from_hub:
        from datasets import Features

        try:
            classes = class_names(Features.from_arrow_schema(schema))
        except Exception as error:  # datasets fails in many ways on other programs' files
            problem = f"what it says of its own columns cannot be read ({type(error).__name__})"
            raise UserError(
                problem,
                "write the file again, without the metadata `huggingface`",
                where=str(path),
                code="unreadable",
            ) from error
    return replace(
        table, classes=classes, flat=from_hub
    )  # several data sets of the hub have a sentence's words in one text


def class_names(features: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Names of the classes of those ``features`` (of the datasets library) that are class numbers,
    or lists of them.
    """
    named = {
        column: getattr(getattr(kind, "feature", kind), "names", None)
        for column, kind in features.items()
    }
    return {column: tuple(names) for column, names in named.items() if names}


READERS: dict[str, Callable[[Path, Mistakes], Table]] = {
    ".jsonl": lambda path, mistakes: _line_by_line(path, json_line, mistakes),
    ".json": objects.read,
    ".csv": _separated,
    ".tsv": _separated,
    ".parquet": _parquet,
    ".conll": _conll,
    ".txt": lambda path, mistakes: _line_by_line(path, _marked_line, mistakes),
}
EXTENSIONS = tuple(READERS)
MISLEADING = (".csv", ".tsv", ".txt")
"""Kinds of files that may have a token a line although their extension says otherwise."""
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
