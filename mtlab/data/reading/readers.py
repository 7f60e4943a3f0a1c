"""Reading one local file of labelled sentences into rows that know their place: .jsonl .json .csv
.tsv .parquet .conll .txt.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from mtlab.data import disk
from mtlab.data.reading import cells, marked, misread, names
from mtlab.data.reading.table import Reads, Row, Summary, Table, gathered
from mtlab.plan.errors import Mistakes, UserError, noted
from mtlab.plan.words import counted

SPACE = re.compile(r"[ \t\n\r]*")
"""What JSON counts as white space."""


def read(path: Path, mistakes: Mistakes = None) -> Table:
    """Read one file; its extension says how.

    - ``.jsonl``: one object a line. ``.json``: a list of objects, or ``{"data": [...]}``.
    - ``.csv``, ``.tsv``: separated by commas, or tabs, with a header (``cells.py``); a line
      ``sep=;`` above it says otherwise. Cells are text, whatever they hold (``NA``, ``null`` and
      ``007`` stay). A cell of tokens or tags is a JSON list where it begins with ``[`` and ends
      with ``]``, and items separated by blanks, tabs or line breaks elsewhere. A column without a
      name is not read.
    - ``.conll``: a token a line, token in the first column and tag in the last, separated by tabs,
      or by blanks where a line has no tab. Blank lines and ``-DOCSTART-`` lines end a sentence.
      Columns are called ``tokens`` and ``ner_tags``.
    - ``.txt``: marked text, ``label | text with [TYPE names]`` (``mtlab.data.reading.marked``).
      Blank lines are skipped.
    - ``.parquet``: class numbers are kept with their names where the file has Hugging Face's
      metadata.

    Text is UTF-8, with or without a byte-order mark; lines end in LF or CRLF.

    Where mistakes are gathered, lines that cannot be read are left out, and of a file that cannot
    be read there is an empty table.

    Raises:
        UserError: one line with file, line and what is wrong: an unknown extension, not UTF-8, not
            what the extension says.
    """
    with noted(mistakes):
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            packed = "unpack it, and " if path.suffix.lower() in COMPRESSED else ""
            raise UserError(
                f"unknown kind of file {path.suffix!r}",
                f"{packed}use one of {' '.join(EXTENSIONS)}",
                where=str(path),
                code="unknown-kind",
            )
        try:
            return reader(path, mistakes)
        except OSError as error:
            raise UserError(
                f"cannot be read ({error.strerror or type(error).__name__})",
                where=str(path),
                code="unreadable",
            ) from None
    return Table(str(path), (), [])


def decoded(lines: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    """Lines of UTF-8 and their numbers, without a byte-order mark before the first, and without LF
    or CRLF.

    Only LF ends a line: text files would also be cut at CR, and ``splitlines`` at U+2028 and
    others.

    Args:
        lines: as they stand in a file that is open to be read as bytes.
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


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        yield from decoded(file, str(path))


def _table(path: Path, read: Reads, mistakes: Mistakes, skipped: str = "", **more: Any) -> Table:
    """The table of a file; ``skipped`` is what lines are called that are skipped."""
    if path.suffix.lower() in TEXT:
        _check_text(path)
    rows, summary = gathered(read, path.stat().st_size > disk.FILE, mistakes)
    notes = (f"{path}: {skipped} lines skipped: {summary.skipped:,}.",) if summary.skipped else ()
    return Table(str(path), tuple(summary.columns), rows, (*notes, *summary.notes), **more)


def _check_text(path: Path) -> None:
    """See that a file is UTF-8 before anything is said of what stands in it."""
    for _ in _lines(path):
        pass


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        remedy = 'write {"tokens": [...], "ner_tags": [...], "label": "..."}'
        raise UserError(
            f"a JSON {type(value).__name__}, not an object", remedy, where=place, code="wrong-type"
        )
    return value


def _line_by_line(
    path: Path, parse: Callable[[str, str], dict[str, Any]], mistakes: Mistakes
) -> Table:
    """A file with a sentence on every line; ``parse`` makes the columns of a line and its
    ``file:line``.
    """

    def read(mistakes: Mistakes, summary: Summary) -> Iterator[Row]:
        for number, line in _lines(path):
            if is_blank(line):
                summary.skipped += 1
                continue
            values = None
            with noted(mistakes):
                values = parse(line, f"{path}:{number}")
            if values is not None:
                yield Row(values, str(path), number)

    return _table(path, read, mistakes, "blank")


def is_blank(line: str) -> bool:
    """Whether nothing stands on a line."""
    return not line.strip(" \t\r")


def json_line(line: str, place: str) -> dict[str, Any]:
    """The object that stands on a line, of which ``place`` is the ``file:line``.

    Raises:
        UserError: it is not JSON, or no object.
    """
    try:
        return _object(json.loads(line), place)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"not JSON ({_reason(error)})",
            "write one JSON object a line",
            where=place,
            code="malformed",
        ) from None


def _marked_line(line: str, place: str) -> dict[str, Any]:
    label, tokens, tags = marked.parse(line, place)
    return {"tokens": tokens, "ner_tags": tags, "label": label}


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _json(path: Path, mistakes: Mistakes) -> Table:
    _check_text(path)
    text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"not JSON ({_reason(error)})",
            "one object a line is `.jsonl`",
            where=f"{path}:{error.lineno}",
            code="malformed",
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON ({_reason(error)})", where=str(path), code="malformed") from None
    if not isinstance(value.get("data") if isinstance(value, dict) else value, list):
        splits = (
            [
                key
                for key, rows in value.items()
                if names.claim(key).exact and isinstance(rows, list)
            ]
            if isinstance(value, dict)
            else []
        )
        if splits:
            raise UserError(
                f"holds splits ({', '.join(splits)})",
                f"write each into a file of its own, as {splits[0]}.json",
                where=str(path),
                code="wrong-type",
            )
        raise UserError(
            "not a list of objects",
            'write [{...}, ...] or {"data": [{...}, ...]}',
            where=str(path),
            code="wrong-type",
        )
    rows = []
    for line, item in _items(text):
        with noted(mistakes):
            rows.append(Row(_object(item, f"{path}:{line}"), str(path), line))
    return Table(
        str(path), tuple(dict.fromkeys(column for row in rows for column in row.values)), rows
    )


def _items(text: str) -> Iterator[tuple[int, Any]]:
    """The objects of a JSON text that is known to be valid, and the lines they begin on: the json
    module keeps no places.
    """
    decode = json.JSONDecoder().raw_decode
    at = _past_space(text, 0)
    while text[at] in "{,":  # step over the keys before `data`
        key, at = decode(text, _past_space(text, at + 1))
        at = _past_space(text, _past_space(text, at) + 1)
        if key != "data":
            at = _past_space(text, decode(text, at)[1])
    line, counted = 1, 0
    at = _past_space(text, at + 1)
    while text[at] != "]":
        line, counted = line + text.count("\n", counted, at), at
        item, at = decode(text, at)
        yield line, item
        at = _past_space(text, at)
        if text[at] == ",":
            at = _past_space(text, at + 1)


def _past_space(text: str, at: int) -> int:
    match = SPACE.match(text, at)
    return match.end() if match else at


def _separated(path: Path, mistakes: Mistakes) -> Table:
    _check_text(path)
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

    table = _table(path, read, mistakes, "blank", flat=True)
    return replace(table, notes=(*shape.notes(path), *table.notes))


def _conll(path: Path, mistakes: Mistakes) -> Table:
    def read(mistakes: Mistakes, summary: Summary) -> Iterator[Row]:
        summary.columns.update(tokens=None, ner_tags=None)
        tokens: list[str] = []
        tags: list[str] = []
        number, whole = 0, True
        for number, line in _lines(path):
            content = line.rstrip(" \t\r")
            if not content or content.startswith("-DOCSTART-"):
                summary.skipped += bool(content)
                if tokens and whole:
                    yield _in_lines(path, number, tokens, tags)
                tokens, tags, whole = [], [], True
                continue
            columns = (
                content.split("\t") if "\t" in content else re.split(" +", content.lstrip(" "))
            )
            if len(columns) < 2:
                where, whole = f"{path}:{number} ner_tags", False
                with noted(mistakes):
                    raise UserError(
                        f"one column ({columns[0]!r})",
                        "a line holds a token and its tag",
                        where=where,
                        code="column-missing",
                    )
            tokens.append(columns[0])
            tags.append(columns[-1])
        if tokens and whole:
            yield _in_lines(path, number + 1, tokens, tags)

    return _table(path, read, mistakes, "-DOCSTART-")


def _in_lines(path: Path, end: int, tokens: list[str], tags: list[str]) -> Row:
    """A sentence with a token a line, and ``end`` the line after it."""
    return Row(
        {"tokens": tokens, "ner_tags": tags}, str(path), end - len(tokens), line_per_token=True
    )


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

    table = _table(path, read, mistakes)
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
    )  # several sets of the hub join words by blanks


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
    ".json": _json,
    ".csv": _separated,
    ".tsv": _separated,
    ".parquet": _parquet,
    ".conll": _conll,
    ".txt": lambda path, mistakes: _line_by_line(path, _marked_line, mistakes),
}
EXTENSIONS = tuple(READERS)
TEXT = (".jsonl", ".json", ".conll", ".txt")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
