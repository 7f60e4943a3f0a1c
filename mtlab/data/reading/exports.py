"""The rows in JSON that annotation tools and data frames write, whatever is around them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SENTENCES = ("text", "utterance", "tokens", "sentence", "words", "query", "data", "row")
"""An object is a sentence if it has at least one of these keys."""
DEPTH = 3
"""How many levels of nested objects are searched."""
MARKS = ("labels", "hypertextlabels")
"""Kinds of Label Studio's results that mark parts of a text."""


def rows_in(value: Any) -> list[Any] | None:
    """The rows in a JSON object; None if it is not an object, or its rows cannot be found."""
    if not isinstance(value, dict) or not value:
        return None
    return _of_columns(value) or _by_name(value) or _inside(value)


def is_columns(value: Any) -> bool:
    """Whether an object has a list for each column, all of the same length."""
    if not isinstance(value, dict) or len(value) < 2:
        return False
    lists = [column for column in value.values() if isinstance(column, list)]
    return len(lists) == len(value) and len(set(map(len, lists))) == 1 and bool(lists[0])


def _of_columns(value: Mapping[str, Any]) -> list[Any] | None:
    """The rows of an object of columns: lists, or objects with the same numbers as keys, as pandas
    writes them.
    """
    if is_columns(value):
        return [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
    columns = list(value.values())
    if len(columns) < 2 or not all(isinstance(column, dict) for column in columns):
        return None
    keys = list(columns[0])
    numbered = bool(keys) and all(str(key).isdigit() for key in keys)
    if not numbered or any(list(column) != keys for column in columns):
        return None
    return [{name: column[key] for name, column in value.items()} for key in keys]


def _by_name(value: Mapping[str, Any]) -> list[Any] | None:
    """The rows of an object that has a sentence under each of its keys."""
    rows = list(value.values())
    return rows if len(rows) > 2 and all(map(_is_sentence, rows)) else None


def _inside(value: Mapping[str, Any]) -> list[Any] | None:
    """The only list of sentences within an object."""
    lists = list(_lists(value, DEPTH))
    return lists[0] if len(lists) == 1 else None


def _lists(value: Any, depth: int) -> Iterator[list[Any]]:
    for item in value.values() if isinstance(value, dict) and depth else ():
        if isinstance(item, list) and item and all(map(_is_row, item)):
            yield item
        yield from _lists(item, depth - 1)


def _is_sentence(row: Any) -> bool:
    return isinstance(row, dict) and any(key in row for key in SENTENCES)


def _is_row(row: Any) -> bool:
    pair = isinstance(row, list) and len(row) == 2 and isinstance(row[0], str)
    return _is_sentence(row) or (pair and isinstance(row[1], dict))


def opened(rows: Sequence[Any]) -> list[Any]:
    """Rows without the objects that some tools (the hub's viewer, Label Studio) put around each."""
    if rows and all(isinstance(row, dict) and isinstance(row.get("row"), dict) for row in rows):
        return [row["row"] for row in rows]
    if rows and all(map(_is_task, rows)):
        return [_of_task(row) for row in rows]
    return list(rows)


def _is_task(row: Any) -> bool:
    """Whether a row is a task of Label Studio."""
    has_data = isinstance(row, dict) and isinstance(row.get("data"), dict)
    return has_data and isinstance(row.get("annotations", row.get("completions")), list)


def _of_task(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a task: its data, the entities, and choices under the name of their control.
    A task with no annotation, or with several, has no entities and no choices.
    """
    fields: dict[str, Any] = {**row["data"], "entities": None}
    annotations = [
        annotation
        for annotation in row.get("annotations", row.get("completions"))
        if isinstance(annotation, dict) and not annotation.get("was_cancelled")
    ]
    if len(annotations) != 1:
        return fields
    fields["entities"] = []
    for result in annotations[0].get("result") or ():
        kind, value = result.get("type"), result.get("value") or {}
        if kind in MARKS:
            fields["entities"].append({**value, "label": value.get(kind)})
        elif kind == "choices":
            choices = value.get("choices") or []
            fields[str(result.get("from_name"))] = choices[0] if len(choices) == 1 else choices
    return fields
