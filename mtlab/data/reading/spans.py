"""Entities as parts of a text, from one character to another, or marked within the text: how tools
for annotation export them.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import regex

from mtlab.data.reading import listed
from mtlab.data.reading.table import Table
from mtlab.data.reading.words import WORD
from mtlab.tasks.kind import BadValue

STARTS = ("start", "start_offset", "begin", "startPos")
ENDS = ("end", "end_offset", "stop", "endPos")
TYPES = ("label", "type", "tag", "entity", "entity_group", "labels", "name", "category")
"""Keys of an entity that is written as an object."""
MARKS = (
    regex.compile(r"\[(?P<kind>[\w.-]+) : (?P<name>[^\[\]]*)\]"),
    regex.compile(r"\[(?P<name>[^\[\]]*)\]\((?P<kind>[\w.-]+)\)"),
)
"""Entities marked within a text: ``[city : New York]`` and ``[New York](city)``."""
UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
"""Letters of languages that put no blanks between words: each is taken for a word."""
ALIKE = "write [start, end, type] with the places of characters"


class Span(NamedTuple):
    """An entity: characters ``start`` to before ``end`` of a text."""

    start: int
    end: int
    kind: str


class Annotated(NamedTuple):
    """A text, its words, and where they begin and end."""

    text: str
    words: tuple[str, ...]
    bounds: tuple[tuple[int, int], ...]


def annotated(text: str) -> Annotated:
    """Cut a text into words, whatever is marked in it."""
    bounds: list[tuple[int, int]] = []
    for match in WORD.finditer(text):
        bounds += _letters(match.span(), text)
    return Annotated(text, tuple(text[start:end] for start, end in bounds), tuple(bounds))


def _letters(bounds: tuple[int, int], text: str) -> list[tuple[int, int]]:
    """The bounds of a word; those of its letters, if its language puts no blanks between words."""
    start, end = bounds
    cuts = {start, end}
    for letter in UNSPACED.finditer(text, start, end):
        cuts |= {*letter.span()}
    places = sorted(cuts)
    return list(itertools.pairwise(places))


def in_column(table: Table, column: str) -> bool:
    """Whether a column holds lists of entities: the first list that is not empty decides."""
    for row in table.rows:
        items = items_of(row.values.get(column), table.flat)
        if items:
            return all(is_entity(item) for item in items)
        if items is None and row.values.get(column) is not None:
            return False
    return False


def items_of(cell: Any, flat: bool) -> list[Any] | None:
    """The list in a cell; None if it is not a list. In a cell of text it is JSON, or as Python
    prints it.
    """
    if flat and isinstance(cell, str) and cell.startswith("["):
        try:
            cell = listed.parsed(cell)
        except (ValueError, RecursionError):
            return None
    return cell if isinstance(cell, list) else None


def is_entity(item: Any) -> bool:
    """Whether an item of a list is an entity: places of characters, and a type."""
    if isinstance(item, dict):
        return all(any(key in item for key in keys) for keys in (STARTS, ENDS, TYPES))
    return (
        isinstance(item, list)
        and len(item) >= 3
        and [type(value) for value in item[:2]] == [int, int]
    )


def marked(text: str) -> tuple[str, list[Span]] | None:
    """The bare text and the entities of a text with marks; None where it has none."""
    for mark in MARKS:
        if mark.search(text):
            return _unmarked(text, mark)
    return None


def _unmarked(text: str, mark: regex.Pattern[str]) -> tuple[str, list[Span]]:
    bare, spans, end = "", [], 0
    for match in mark.finditer(text):
        bare += text[end : match.start()]
        name = match["name"].strip()
        spans.append(Span(len(bare), len(bare) + len(name), match["kind"]))
        bare += name
        end = match.end()
    return bare + text[end:], spans


def tags(sentence: Annotated, entities: Iterable[Any]) -> list[str]:
    """A tag in IOB2 for each word.

    Args:
        sentence: with its words.
        entities: in it, each ``[start, end, type]``, an object with such keys, or a span.

    Raises:
        BadValue: one of them is not an entity, lies outside of the text, cuts through a word, or
            has a word of another one.
    """
    tags = ["O"] * len(sentence.words)
    for entity in entities:
        start, end, kind = span = _trimmed(_span(entity), sentence.text)
        inside = [
            place
            for place, (left, right) in enumerate(sentence.bounds)
            if left < end and right > start
        ]
        name = f"{list(span)} ({sentence.text[start:end]!r})"
        if (
            not inside
            or sentence.bounds[inside[0]][0] != start
            or sentence.bounds[inside[-1]][1] != end
        ):
            raise BadValue(f"{name} does not begin and end with whole words", "move its ends")
        if any(tags[place] != "O" for place in inside):
            raise BadValue(f"{name} has a word that another entity has too", "keep one of them")
        tags[inside[0] : inside[-1] + 1] = [f"B-{kind}"] + [f"I-{kind}"] * (len(inside) - 1)
    return tags


def _span(entity: Any) -> Span:
    if isinstance(entity, Span):
        return entity
    if isinstance(entity, dict):
        start, end = (_first(entity, keys) for keys in (STARTS, ENDS))
        kind = _first(entity, TYPES)
        if (
            isinstance(end, int) and "endPos" in entity
        ):  # LUIS gives the place of the last character
            end += 1
    elif isinstance(entity, list) and len(entity) >= 3:
        start, end, kind = entity[:3]
    else:
        raise BadValue("an entity is {}", ALIKE, entity)
    kind = kind[0] if isinstance(kind, list) and len(kind) == 1 else kind
    numbers = all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end))
    if not numbers or not isinstance(kind, str) or not kind.strip():
        raise BadValue("an entity is {}", ALIKE, entity)
    return Span(start, end, kind)


def _first(entity: dict[str, Any], keys: Sequence[str]) -> Any:
    return next((entity[key] for key in keys if key in entity), None)


def _trimmed(span: Span, text: str) -> Span:
    """A span without the white space at its ends."""
    start, end, kind = span
    if not 0 <= start < end <= len(text):
        problem = f"{list(span)} lies outside of the text, which has {len(text)} characters"
        raise BadValue(problem, "correct its places")
    inside = text[start:end]
    start += len(inside) - len(inside.lstrip())
    return Span(start, start + len(inside.strip()), kind)
