"""Files with a token a line, whatever their names: which lines hold tokens, and which columns the
words and the tags.

Values decide: a file of this kind may be called ``.conll``, ``.tsv``, ``.txt``, ``.bio`` or nothing
at all, and the words may stand after a number, or the tags before chunks.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, islice, pairwise
from pathlib import Path

from mtlab.data.reading import lines
from mtlab.data.reading.table import Form, Row, Summary, Table
from mtlab.plan.errors import Mistakes, UserError, noted, shown
from mtlab.plan.words import counted
from mtlab.tasks.registry import KINDS
from mtlab.tasks.tags import TAG, TYPELESS, bare_types

LOOK = 20_000
"""Lines that are looked at to see what the columns hold."""
MOST = 0.9
"""Share of lines that makes a column, or a file, what it is: the others may be mistakes."""
SURE = 10
"""With fewer lines, one that has fewer columns than the others may be no mistake."""
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
"""The number of a line in CoNLL-U without a word of its own: of two words written as one, or of one left out."""
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

Block = list[list[str]]
"""The lines of a sentence, each cut into columns."""


def cut(content: str) -> list[str]:
    """The columns of a line: tabs separate them, or blanks where there is no tab."""
    return content.split("\t") if "\t" in content else re.split(" +", content.lstrip(" "))


def form(path: Path) -> Form | None:
    """What the columns of a file are; None where it has no token a line.

    Raises:
        OSError: it cannot be read.
    """
    status = path.stat()
    return _form(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _form(path: Path, size: int, changed: int) -> Form | None:
    """The form of a file in this state."""
    try:
        blocks, comments = _blocks(path)
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
    ranges = _counts(rows)
    tokens, tags, others = _columns(rows, width, ranges)
    tagged = tags is not None and tags >= 0
    commas = sum(
        len(cell) > 1 and "," in cell for block in rows for cells in block for cell in cells
    )
    apart = len(rows) > 1 and 2 * commas < count
    bare = tagged and not any(
        is_tag(cells[tags or 0]) for cells in chain(*rows) if cells[tags or 0] != "O"
    )
    shape = Form(
        width, tokens, tags, others, 0.0, count >= SURE, ranges, header, tagged, bare, apart
    )
    fitting = sum(_fits(cells, shape) for cells in comments.values())
    return replace(shape, comments=(len(comments) - fitting) / max(len(blocks), len(comments)))


def _blocks(path: Path) -> tuple[list[Block], dict[int, list[str]]]:
    """The sentences at the beginning of a file, without lines before them that begin with ``#``, and
    the first of these lines by the number of the sentence.
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
            comments.setdefault(len(blocks), cut(content))
        elif not RANGE.fullmatch((cells := cut(content))[0]):
            block.append(cells)
    return [*blocks, *([block] if block else [])], comments


def _names(cells: Sequence[str]) -> bool:
    return all(cell.strip().casefold() in NAMES for cell in cells)


def is_tag(text: str) -> bool:
    """Whether a text is a tag of an entity, with a type or without."""
    return bool(TAG.fullmatch(text) and " " not in text) or bool(TYPELESS.fullmatch(text))


def _fits(cells: Sequence[str], shape: Form) -> bool:
    """Whether a line can be that of a token."""
    if len(cells) != shape.width:
        return False
    return not shape.tagged or shape.bare or is_tag(cells[shape.tags or 0])


def _columns(
    rows: Sequence[Block], width: int, counted: bool
) -> tuple[int, int | None, tuple[int, ...]]:
    """The places of words and of tags, and of further columns that look like tags.

    Where no column looks like tags, the last one is taken for them, unless the lines are numbered:
    such files hold other things.
    """
    columns = [[cells[place] for block in rows for cells in block] for place in range(width)]
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
    most = [place for place in entities if amounts[place] == max(amounts.values())]
    tags = most[0] if tokens else most[-1]
    return tokens, tags, tuple(place for place in tagged if place != tags)


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
    """Whether nearly all words have a tag, as in phrases of any names."""
    return column.count("O") < len(column) / 4


def _of_words(
    rows: Sequence[Block], columns: Sequence[Sequence[str]], places: Sequence[int]
) -> int:
    """The column of the words: the first that counts nothing, holds other things than numbers, and changes within a
    sentence; another one only where it has twice as many different values.
    """
    some = [place for place in places if not _is_constant(rows, place)] or list(places)
    several = [place for place in some if not _are_numbers(columns[place])]
    if not several:
        return some[0]
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


def read(path: Path, mistakes: Mistakes, shape: Form | None, every: bool = False) -> Table:
    """The sentences of a file.

    Args:
        path: of the file.
        mistakes: where mistakes are gathered, if they are.
        shape: what its columns are; None where nobody knows: the first holds words, the last tags.
        every: whether each column is read, under its number, unless the form is the usual one.
    """
    made = shape or Form()

    def rows(mistakes: Mistakes, summary: Summary) -> Iterator[Row]:
        ours = ("tokens",) if made.tags is None else ("tokens", "ner_tags")
        more = map(str, range(1, made.width + 1)) if every and not made.usual else ()
        summary.columns.update(dict.fromkeys((*ours, *more)))
        yield from _Reader(path, made, every, mistakes, summary)

    return lines.table(path, rows, mistakes, "-DOCSTART-", form=made)


class _Reader:
    """Goes through the lines of a file, sentence by sentence."""

    def __init__(
        self, path: Path, form: Form, every: bool, mistakes: Mistakes, summary: Summary
    ) -> None:
        self._path, self._form, self._mistakes, self._summary = path, form, mistakes, summary
        self._every = every and not form.usual
        self._cells: Block = []
        self._lines: list[int] = []
        self._whole, self._begun = True, False
        self._left_out: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Row]:
        header = self._form.header
        for number, line in lines.lines_of(self._path):
            content = line.rstrip(" \t\r")
            if not content or content.startswith("-DOCSTART-"):
                self._summary.skipped += bool(content)
                yield from self._sentence()
                continue
            cells = cut(content)
            if self._is_comment(content, cells):
                self._left_out["comment"] += 1
            elif header:
                header, self._left_out["header"] = False, 1
            elif self._form.ranges and RANGE.fullmatch(cells[0]):
                self._left_out["range"] += 1
            else:
                self._token(number, cells)
        yield from self._sentence()
        self._note()

    def _token(self, number: int, cells: list[str]) -> None:
        self._begun = True
        try:
            self._check(cells, f"{self._path}:{number} ner_tags")
        except UserError as error:
            self._whole = False
            with noted(self._mistakes):
                raise error from None
        else:
            self._cells.append(cells)
            self._lines.append(number)

    def _check(self, cells: Sequence[str], where: str) -> None:
        """Refuse a line that has too few columns, or not as many as nearly all others."""
        if len(cells) < 2:
            raise UserError(
                f"one column ({cells[0]!r})",
                "a line holds a token and its tag",
                where=where,
                code="column-missing",
            )
        width = self._form.width
        if self._form.regular and len(cells) != width:
            raise UserError(
                f"{len(cells)} columns, of which the first is {shown(cells[0])}; other lines have {width}",
                f"write {width} columns",
                where=where,
                code="malformed",
            )

    def _is_comment(self, content: str, cells: Sequence[str]) -> bool:
        """Whether a line before a sentence is none of its tokens, although it begins with ``#`` as
        some tokens do.
        """
        if DOCUMENT.match(content):
            return True
        if self._begun or not content.startswith("#"):
            return False
        shape, apart = self._form, content[1:2] in (" ", "\t")
        if _fits(cells, shape):
            comment = shape.comments >= MOST and apart and not self._left_out["here"]
        else:
            several = shape.regular and apart and len(content.split()) > shape.width
            comment = shape.comments >= MOST / 2 or (several and len(cells) != shape.width)
        self._left_out["here"] += comment
        return comment

    def _sentence(self) -> Iterator[Row]:
        if self._cells and self._whole:
            first, last = self._lines[0], self._lines[-1]
            apart = tuple(self._lines) if last - first >= len(self._lines) else ()
            yield Row(self._values(), str(self._path), first, line_per_token=True, lines=apart)
        self._cells, self._lines, self._whole, self._begun = [], [], True, False
        self._left_out["here"] = 0

    def _values(self) -> dict[str, list[str]]:
        made = self._form
        values = {"tokens": [_at(cells, made.tokens, made.width) for cells in self._cells]}
        if made.tags is not None:
            values["ner_tags"] = [_at(cells, made.tags, made.width) for cells in self._cells]
        if self._every:
            for place in range(made.width):
                values[str(place + 1)] = [_at(cells, place, made.width) for cells in self._cells]
        return values

    def _note(self) -> None:
        """Say what was skipped."""
        path, notes = self._path, self._summary.notes
        if count := self._left_out["comment"]:
            notes.append(f"{path}: {counted(count, 'comment line')} before sentences skipped.")
        if count := self._left_out["range"]:
            notes.append(f"{path}: {counted(count, 'line')} skipped, whose numbers are no words'.")
        if self._left_out["header"]:
            notes.append(f"{path}: the first line names the columns and is not read.")


def _at(cells: Sequence[str], place: int, width: int) -> str:
    """A column of a line; of one that has another number of columns, the first or the last."""
    if len(cells) == width or place <= 0:
        return cells[place]
    return cells[-1] if place == width - 1 else cells[min(place, len(cells) - 1)]
