"""Lists in cells that are text: JSON, or as Python and NumPy print them."""

import ast
import json
import re
from collections.abc import Iterable
from typing import Any

SIGNS = (",", ";", "|")
"""Signs that may separate labels."""
TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
ITEM = re.compile(rf"{TEXT}|[-+]?\d+(?:\.\d*)?")
"""A text or a number as Python prints it."""
FLAT = re.compile(
    rf"\[\s*(?:(?:{ITEM.pattern})(?:\s*,\s*(?:{ITEM.pattern}))*,?|(?:{ITEM.pattern})(?:\s+(?:{ITEM.pattern}))*)?\s*\]"
)
"""A list with commas, or one without, as NumPy prints it."""
JOINED = re.compile(rf"(?:{TEXT})\s*(?:{TEXT})")
"""Two texts that Python would join into one."""


def is_in_brackets(cell: str) -> bool:
    """Whether a cell may be a printed list."""
    return cell.startswith("[") and cell.endswith("]")


def are_printed(values: Iterable[Any]) -> bool:
    """Whether there are cells, and every one is a list that is printed as text."""
    has_cells = False
    for value in values:
        if not isinstance(value, str) or not is_in_brackets(value):
            return False
        has_cells = True
    return has_cells


def separator(values: Iterable[Any]) -> str | None:
    """The sign between the labels of a column whose cells have several; None if there is no such
    sign. The sign must cut the cells into parts so that fewer parts differ than cells.
    """
    texts = {value for value in values if isinstance(value, str) and value.strip()}
    for sign in SIGNS:
        parts = {part.strip() for text in texts for part in text.split(sign)}
        if any(sign in text for text in texts) and len(parts) < len(texts):
            return None if any(map(is_in_brackets, texts)) else sign
    return None


def parsed(cell: str) -> Any:
    """The list in a cell that stands in brackets.

    Raises:
        ValueError: the cell is not a list.
        RecursionError: it is nested too deeply.
    """
    try:
        return json.loads(cell)
    except ValueError:
        if FLAT.fullmatch(cell):
            return [ast.literal_eval(item) for item in ITEM.findall(cell)]
        if JOINED.search(cell):
            raise
        return _plain(_evaluated(cell))


def _evaluated(cell: str) -> Any:
    try:
        return ast.literal_eval(cell)
    except (SyntaxError, TypeError, MemoryError) as error:
        raise ValueError(str(error)) from None


def _plain(value: Any) -> Any:
    """A value with lists where Python has tuples."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
