"""Files of one JSON value: a list of sentences, or an object of splits."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from mtlab.data.reading import exports, lines, names
from mtlab.data.reading.table import Row, Table
from mtlab.plan.errors import Mistakes, UserError, noted

SPACE = re.compile(r"[ \t\n\r]*")
"""What JSON counts as white space."""
PAIR = 2
"""Items of a list that is a sentence: its words, and its gold."""


def as_object(value: Any, place: str) -> dict[str, Any]:
    """A JSON value that must be an object.

    Raises:
        UserError: it is not.
    """
    if not isinstance(value, dict):
        remedy = 'write {"tokens": [...], "ner_tags": [...], "label": "..."}'
        raise UserError(
            f"a JSON {type(value).__name__}, not an object", remedy, where=place, code="wrong-type"
        )
    return value


def reason(error: Exception) -> str:
    """Why a text is not JSON."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def read(path: Path, mistakes: Mistakes) -> Table:
    """The sentences of a file: a list, or the list below ``data``.

    Raises:
        UserError: it is not JSON, or has no such list.
    """
    text, value = _loaded(path)
    if (
        isinstance(value, dict)
        and not isinstance(value.get("data"), list)
        and (splits := splits_in(value))
    ):
        remedy = f"pass the file as the source, and name a split with --data.splits.train {splits[0]} where it is not called so"
        raise UserError(
            f"holds splits ({', '.join(splits)})", remedy, where=str(path), code="wrong-type"
        )
    if not isinstance(value.get("data") if isinstance(value, dict) else value, list):
        if (rows := exports.rows_in(value)) is not None:
            return _table(path, str(path), enumerate(rows, start=1), mistakes, " row ")
        raise UserError(
            "not a list of objects",
            'write [{...}, ...] or {"data": [{...}, ...]}',
            where=str(path),
            code="wrong-type",
        )
    key = "data" if isinstance(value, dict) else None
    return _table(path, str(path), _items(text, key), mistakes)


def splits_in(value: Any) -> list[str]:
    """The keys of an object that hold lists, if some of them are names of splits; else none."""
    if not isinstance(value, dict):
        return []
    keys = [key for key, rows in value.items() if isinstance(rows, list)]
    return keys if any(names.claim(key).exact for key in keys) else []


def of_splits(path: Path, mistakes: Mistakes = None) -> dict[str, Table] | None:
    """The splits of a file that holds an object of them, by its names; None for another file.

    Raises:
        UserError: it cannot be read.
    """
    if path.suffix.lower() != ".json" or _begins(path) != "{" or _is_of_lines(path):
        return None
    with noted(mistakes):
        text, value = _loaded(path)
        if isinstance(value, dict) and isinstance(value.get("data"), list):
            return None
        keys = splits_in(value)
        return {
            key: _table(path, f"{path} {key}", _items(text, key), mistakes)
            for key in keys
            if value[key]
        } or _of_columns(path, value, mistakes)
    return None


def _of_columns(path: Path, value: Any, mistakes: Mistakes) -> dict[str, Table] | None:
    """The splits of a file, if each is an object with rows in it, such as an object of columns."""
    by_split = value if isinstance(value, dict) else {}
    if not any(names.claim(key).exact for key in by_split):
        return None
    if any(exports.rows_in(rows) is None for rows in by_split.values()):
        return None
    return {
        key: _table(
            path,
            f"{path} {key}",
            enumerate(exports.rows_in(rows) or (), start=1),
            mistakes,
            " row ",
        )
        for key, rows in by_split.items()
    }


def _is_row(item: Any) -> bool:
    return isinstance(item, dict) or _is_pair(item)


def _is_of_lines(path: Path) -> bool:
    """Whether a file has several lines with an object on each."""
    first_values = (
        [_parsed(line) for _, line in islice(_filled(path), PAIR)] if _several(path) else []
    )
    return len(first_values) == PAIR and all(isinstance(value, dict) for value in first_values)


def _several(path: Path) -> bool:
    """Whether a file has several lines that are not blank."""
    try:
        return len(list(islice(_filled(path), PAIR))) == PAIR
    except UserError:
        return False


def _begins(path: Path) -> str:
    """The first character of a file that is not white space."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return file.read(4096).lstrip()[:1]
    except OSError:
        return ""


def _loaded(path: Path) -> tuple[str, Any]:
    lines.check_text(path)
    text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    try:
        return text, json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"not JSON ({reason(error)})",
            "one object a line is `.jsonl`",
            where=f"{path}:{error.lineno}",
            code="malformed",
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON ({reason(error)})", where=str(path), code="malformed") from None


def of_lines(path: Path, mistakes: Mistakes) -> Table:
    """The rows of a file with a list on each line: a sentence and its gold."""
    lines.check_text(path)
    items = []
    for number, line in lines.lines_of(path):
        if not lines.is_blank(line):
            with noted(mistakes):
                items.append((number, _of_line(line, f"{path}:{number}")))
    return _table(path, str(path), items, mistakes)


def _of_line(line: str, place: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"not JSON ({reason(error)})", "write a list a line", where=place, code="malformed"
        ) from None


def layout(path: Path) -> str:
    """The layout of JSON in a file, by its first two lines: ``objects`` or ``pairs`` on lines, one
    ``value``, or empty for anything else.
    """
    if _begins(path) not in ("{", "["):
        return ""
    if not _several(path):
        if path.suffix.lower() == ".json":
            return "value"
        value = next((_parsed(line) for _, line in _filled(path)), None)
        return "value" if isinstance(value, list) and all(map(_is_row, value)) else ""
    first, second = (line for _, line in islice(_filled(path), PAIR))
    value, other = _parsed(first), _parsed(second)
    if isinstance(value, dict) and isinstance(other, dict):
        return "objects"
    if _is_pair(value) and _is_pair(other):
        return "pairs"
    opens_value = first.lstrip("\ufeff").strip()[:1] == "[" or first.strip("\ufeff \r\t") == "{"
    return "value" if value is None and other is None and opens_value else ""


def _filled(path: Path) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in lines.lines_of(path) if not lines.is_blank(line))


def _parsed(line: str) -> Any:
    """The JSON object or list on a line; None for anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _table(
    path: Path,
    name: str,
    listed: Iterable[tuple[int, Any]],
    mistakes: Mistakes,
    unit: str = ":",
) -> Table:
    """The rows of a list, each with the number of its line, or of the row."""
    numbered = list(listed)
    opened = exports.opened([item for _, item in numbered])
    items = list(zip([number for number, _ in numbered], opened, strict=True))
    pairs = bool(items) and all(_is_pair(item) for _, item in items)
    turned = pairs and _turned([item for _, item in items])
    rows = []
    for line, item in items:
        with noted(mistakes):
            values = _of_pair(item, turned) if pairs else as_object(item, f"{path}{unit}{line}")
            rows.append(Row(values, str(path), line, unit))
    columns = tuple(dict.fromkeys(column for row in rows for column in row.values))
    names = " and ".join(columns)
    notes = (f"{name}: rows without names of columns are read as {names}.",) if pairs else ()
    return Table(name, columns, rows, notes)


def _is_pair(item: Any) -> bool:
    """Whether a list is a sentence and its gold: text and label, words and tags, words and label,
    or text and an object with other columns.
    """
    if not isinstance(item, list) or len(item) != PAIR:
        return False
    first, second = map(type, item)
    return (first, second) in ((str, str), (list, list), (str, dict), (list, str))


def _turned(items: list[list[Any]]) -> bool:
    """Whether the label comes before the text: it has no more different values, and fewer words."""
    if not all(isinstance(value, str) for item in items for value in item):
        return False
    distinct = [len({item[place] for item in items}) for place in range(PAIR)]
    words = [sum(len(item[place].split()) for item in items) for place in range(PAIR)]
    return distinct[0] <= distinct[1] and words[0] < words[1]


def _of_pair(item: list[Any], turned: bool) -> dict[str, Any]:
    first, second = reversed(item) if turned else item
    if isinstance(second, dict):
        return {**second, "text": first}
    return {
        "tokens" if isinstance(first, list) else "text": first,
        "ner_tags" if isinstance(second, list) else "label": second,
    }


def _items(text: str, wanted: str | None) -> Iterator[tuple[int, Any]]:
    """The items of a list in a JSON text that is known to be valid, and the lines on which they
    begin, which the json module does not give.
    """
    decode = json.JSONDecoder().raw_decode
    at = _past_space(text, 0)
    while wanted is not None and text[at] in "{,":  # step over the keys before the wanted one
        key, at = decode(text, _past_space(text, at + 1))
        at = _past_space(text, _past_space(text, at) + 1)
        if key != wanted:
            at = _past_space(text, decode(text, at)[1])
        else:
            break
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
