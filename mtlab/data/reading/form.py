"""Finds out which lines of a file with a token a line hold tokens, and which columns hold words and
tags.

Values decide this: such a file may be called ``.conll``, ``.tsv``, ``.txt``, ``.bio`` or have no
extension, a number may come before the words, and chunks after the tags.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, islice, pairwise
from pathlib import Path

from mtlab.data.reading import brackets, lines
from mtlab.data.reading.table import Form
from mtlab.plan.errors import UserError
from mtlab.tasks.registry import KINDS
from mtlab.tasks.spelling import respelt
from mtlab.tasks.tags import TAG, TYPELESS, bare_types

LOOK = 20_000
"""Lines that are read to find out what the columns hold."""
MOST = 0.9
"""Share of lines that decides what a column, or a file, is: the others may be mistakes."""
SURE = 10
"""With fewer lines, a line with another number of columns does not count as a mistake."""
CHUNKS = {
    "NP",
    "VP",
    "PP",
    "ADVP",
    "ADJP",
    "SBAR",
    "PRT",
    "CONJP",
    "INTJ",
    "LST",
    "UCP",
    "NC",
    "VC",
    "PC",
}
"""Types of tags that mark phrases, not entities."""
NUMBER = re.compile(r"\d+")
DOCUMENT = re.compile(r"#(begin|end) document\b")
"""A line between the documents of CoNLL-2012."""
RANGE = re.compile(r"\d+[-.]\d+")
"""The number of a line in CoNLL-U that is not a word: of two words written as one, or of a word
that is left out."""
NAMES = {
    "chunk",
    "form",
    "id",
    "idx",
    "index",
    "lemma",
    "pos_tag",
    "text",
    "token",
    "tokens",
    "word",
    "words",
    "xpos",
    *(name for kind in KINDS.values() for name in kind.usual),
    *(f"{name}_tag" for kind in KINDS.values() for name in kind.usual),
}
"""Names of columns, where the first line has names and not a token."""

SEPARATORS = (",", ";", "|")
"""What may separate columns, besides tabs and blanks."""
CODED = re.compile(r"[a-z]{2,3}(-[a-z]+)*:(?=.)")
"""The code of a language before a word."""
Block = list[list[str]]
"""The lines of a sentence, each cut into columns."""


def cut(content: str, by: str = "", width: int = 0) -> list[str]:
    """The columns of a line: tabs separate them, or blanks where there is no tab.

    Args:
        content: of the line.
        by: another sign that separates columns; empty for tabs and blanks.
        width: how many there are, where that is known.
    """
    if by:
        quoted = content.startswith('"') or f'{by}"' in content
        cells = next(csv.reader([content], delimiter=by), []) if quoted else content.split(by)
        cells = content.rsplit(by, width - 1) if width and len(cells) != width else cells
        return [cell.strip(" ") or cell for cell in cells]
    if "\t" in content:
        return [cell.strip(" ") or cell for cell in content.split("\t")]
    return re.split(" +", content.lstrip(" "))


def form(path: Path) -> Form | None:
    """The columns of a file; None if it does not have a token a line.

    Raises:
        OSError: it cannot be read.
    """
    status = path.stat()
    return _form(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _form(path: Path, size: int, changed: int) -> Form | None:
    """The form of a file; a new size or time of change makes a new entry of the cache."""
    form = _form_by(path, "")
    for by in SEPARATORS if form is None else ():
        other = _form_by(path, by)
        if other is not None and other.tagged and other.apart and not other.header:
            return other
    return form


def _form_by(path: Path, by: str) -> Form | None:
    try:
        blocks, comments = _blocks(path, by)
    except UserError:
        return None
    widths = Counter(len(cells) for block in blocks for cells in block)
    if not widths:
        return None
    width, count = widths.most_common(1)[0]
    if width < 2 or count < MOST * widths.total():
        return None
    header = _names(blocks[0][0])
    rows = [[cells for cells in block if len(cells) == width] for block in blocks]
    rows[0] = rows[0][1:] if header else rows[0]
    rows = [block for block in rows if block]
    if not any(len(block) > 1 for block in rows):
        return None
    shape = _of_rows(rows, width, by)
    if by and not (shape.tagged and fits(blocks[0][0], shape)):
        return None
    shape = replace(shape, regular=count >= SURE, header=header, apart=_are_apart(rows, count))
    fitting = sum(fits(cells, shape) for cells in comments.values())
    return replace(shape, comments=(len(comments) - fitting) / max(len(blocks), len(comments)))


def _of_rows(rows: list[Block], width: int, by: str) -> Form:
    """The columns of a file, from some of its sentences."""
    marked = tuple(
        place
        for place in range(width)
        if brackets.are([[cells[place] for cells in block] for block in rows])
    )
    rows = [_with_tags(block, marked) for block in rows] if marked else rows
    ranges = _counts(rows)
    tokens, tags, others = _columns(rows, width, ranges)
    tagged = tags is not None and tags >= 0
    plain = [cells[tags or 0] for cells in chain(*rows)]
    bare = tagged and (bool(marked) or not any(is_tag(tag) for tag in plain if tag != "O"))
    coded = tagged and all(CODED.match(cells[tokens]) for cells in chain(*rows))
    return Form(
        width, tokens, tags, others, ranges=ranges, tagged=tagged, bare=bare,
        by=by, brackets=marked, coded=coded,
    )  # fmt: skip


def _with_tags(block: Block, places: Sequence[int]) -> Block:
    """Lines with tags instead of brackets in some columns."""
    rows = [list(cells) for cells in block]
    for place in places:
        for cells, tag in zip(rows, brackets.to_tags([line[place] for line in block]), strict=True):
            cells[place] = tag
    return rows


def _are_apart(rows: Sequence[Block], count: int) -> bool:
    """Whether there are several sentences, and few of their lines have a comma within."""
    commas = sum(
        len(cell) > 1 and "," in cell for block in rows for cells in block for cell in cells
    )
    return len(rows) > 1 and 2 * commas < count


def _blocks(path: Path, by: str) -> tuple[list[Block], dict[int, list[str]]]:
    """The sentences at the beginning of a file, without the lines before them that begin with
    ``#``; and the number of a sentence to the first of such lines before it.
    """
    blocks: list[Block] = []
    comments: dict[int, list[str]] = {}
    block: Block = []
    for _, line in islice(lines.lines_of(path), LOOK):
        content = line.rstrip(" \t\r")
        if "\0" in content:
            return [], {}
        if not content or content.startswith("-DOCSTART-"):
            blocks += [block] if block else []
            block = []
        elif DOCUMENT.match(content):
            continue
        elif content.startswith("#") and not block:
            comments.setdefault(len(blocks), cut(content, by))
        elif not RANGE.fullmatch((cells := cut(content, by))[0]):
            block.append(cells)
    return [*blocks, *([block] if block else [])], comments


def _names(cells: Sequence[str]) -> bool:
    return all(cell.strip().casefold() in NAMES for cell in cells)


def is_tag(text: str) -> bool:
    """Whether a text is a tag of an entity, with a type or without."""
    return bool(TAG.fullmatch(text) and " " not in text) or bool(TYPELESS.fullmatch(text))


def fits(cells: Sequence[str], shape: Form) -> bool:
    """Whether a line may hold a token."""
    if len(cells) != shape.width:
        return False
    return not shape.tagged or shape.bare or is_tag(cells[shape.tags or 0])


def _columns(
    rows: Sequence[Block], width: int, counted: bool
) -> tuple[int, int | None, tuple[int, ...]]:
    """The places of words and of tags, and of further columns that look like tags.

    Where no column looks like tags, the last one is taken for them. If the lines are numbered, none
    is: such files hold other things.
    """
    columns = [
        _as_spelt([cells[place] for block in rows for cells in block]) for place in range(width)
    ]
    tagged = [place for place, column in enumerate(columns) if _are_tags(column)]
    tagged = tagged or [place for place in range(width) if bare_types(Counter(columns[place]))][:1]
    words = [place for place in range(width) if place not in tagged]
    if not words:
        return 0, -1, ()
    tokens = _of_words(rows, columns, words)
    if not tagged:
        return (tokens, None, ()) if counted and width > 2 else (0, -1, ())
    entities = [place for place in tagged if not _are_chunks(columns[place])] or tagged
    entities = [place for place in entities if not _are_all_over(columns[place])] or entities
    amounts = {place: sum(tag != "O" for tag in columns[place]) for place in entities}
    fullest = [place for place in entities if amounts[place] == max(amounts.values())]
    tags = fullest[0] if tokens else fullest[-1]
    return tokens, tags, tuple(place for place in tagged if place != tags)


def _as_spelt(column: Sequence[str]) -> Sequence[str]:
    """A column, with its tags in our spelling."""
    spelling = respelt(Counter(column))
    return [spelling.get(text, text) for text in column] if spelling else column


def _are_tags(column: Sequence[str]) -> bool:
    """Whether a column holds tags, of which some are of entities."""
    counts = Counter(column)
    tags = sum(count for text, count in counts.items() if is_tag(text))
    return tags >= MOST * len(column) and any(is_tag(text) and text != "O" for text in counts)


def _are_chunks(column: Sequence[str]) -> bool:
    """Whether tags have the types of phrases."""
    types = {tag[2:] for tag in set(column) if TAG.fullmatch(tag) and tag != "O"}
    return bool(types) and types <= CHUNKS


def _are_all_over(column: Sequence[str]) -> bool:
    """Whether more than three quarters of the words have a tag, as where tags mark phrases."""
    return column.count("O") < len(column) / 4


def _of_words(
    rows: Sequence[Block], columns: Sequence[Sequence[str]], places: Sequence[int]
) -> int:
    """The column of the words: the first that does not hold numbers and that changes within a
    sentence; another such column only if it has more than twice as many different values.
    """
    varying = [place for place in places if not _is_constant(rows, place)] or list(places)
    several = [place for place in varying if not _are_numbers(columns[place])]
    if not several:
        return varying[0]
    distinct = {place: len(set(columns[place])) for place in several}
    best = max(several, key=lambda place: distinct[place])
    return several[0] if 2 * distinct[several[0]] >= distinct[best] else best


def _are_numbers(column: Sequence[str]) -> bool:
    return sum(bool(NUMBER.fullmatch(text)) for text in column) >= MOST * len(column)


def _is_constant(rows: Sequence[Block], place: int) -> bool:
    long = [block for block in rows if len(block) > 1]
    same = sum(len({cells[place] for cells in block}) == 1 for block in long)
    return bool(long) and same >= MOST * len(long)


def _counts(rows: Sequence[Block]) -> bool:
    """Whether the first column counts the words of each sentence."""
    steps = [
        NUMBER.fullmatch(before[0]) is not None and after[0] == str(int(before[0]) + 1)
        for block in rows
        for before, after in pairwise(block)
    ]
    return bool(steps) and sum(steps) >= MOST * len(steps)
