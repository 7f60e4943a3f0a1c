"""Tables with a token a row: rows that belong to one sentence become one row.

Such a table says in one of four ways where sentences begin: a column changes there, or is filled
only there, or counts the tokens of each sentence; or blank lines separate sentences.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from typing import Any

from mtlab.data.reading.table import Again, Row, Table
from mtlab.plan.errors import Mistakes, UserError, noted, shown
from mtlab.tasks.spelling import respelt
from mtlab.tasks.tags import TAG, bare_types

PEEK = 200
"""Rows that are read to find out whether a table may have a token a row."""
LOOK = 20_000
"""Rows that are read to find out how it separates sentences."""
MOST = 0.9
"""Share of rows that decides what a column is: the others may be mistakes."""
SENTENCE = {"sentence", "sent", "sentenceid", "sentid", "sentences", "utterance"}
"""Words in the name of a column that identifies the sentence."""


@dataclass(frozen=True)
class Shape:
    """How a table with a token a row says which sentence each token belongs to.

    Attributes:
        tags: the column of tags.
        words: the column of words.
        how: by a column that ``changes``, is ``filled`` or ``counted``; by ``blank`` lines; or by
            ``nothing``.
        column: the column that says it; None for ``blank`` and ``nothing``.
        whole: columns that hold one value for each sentence.
        outer: the columns of the document, and of its paragraph, if sentences are numbered anew in
            each.
    """

    tags: str
    words: str
    how: str
    column: str | None
    whole: frozenset[str]
    outer: tuple[str, ...] = ()


def regrouped(table: Table, mistakes: Mistakes = None, like: Shape | None = None) -> Table:
    """A table with a sentence a row; the same table if it does not have a token a row.

    Args:
        table: as it was read.
        mistakes: a list that collects mistakes; None raises the first one.
        like: the shape of another split.

    Raises:
        UserError: rows hold tokens, and nothing says of which sentence; a column of the other split
            is missing; or rows of a sentence come after those of another one.
    """
    shape = like or shape_of(table)
    if shape is None:
        return table
    with noted(mistakes):
        for column in filter(None, (shape.tags, shape.words, shape.column)):
            if column not in table.columns:
                raise UserError(
                    f"no column {column!r}, which says the tokens or sentences of train",
                    "name the columns of all splits alike",
                    where=table.name,
                    code="column-missing",
                )
        if shape.how == "nothing":
            problem = f"a row holds one token ({shown(shape.words)}, {shown(shape.tags)}), and no column says of which sentence"
            raise UserError(
                problem,
                "add a column that numbers the sentences, or leave a blank line after each",
                where=table.name,
                code="misread-table",
            )
        return _made(table, shape, mistakes)
    return replace(table, rows=[])


def _made(table: Table, shape: Shape, mistakes: Mistakes) -> Table:
    _check_order(table, shape, mistakes)
    count = sum(1 for _ in _groups(table, shape))
    rows = Again(partial(_rows, table, shape), count)
    how = {
        "changes": f"column {shown(shape.column)} changes",
        "filled": f"column {shown(shape.column)} is filled",
        "counted": f"column {shown(shape.column)} begins again",
        "blank": "a blank line stands",
    }[shape.how]
    note = f"{table.name}: a row holds one token; a sentence begins where {how}: {count:,} sentences in {len(table.rows):,} rows."
    kept = list(rows) if isinstance(table.rows, list) else rows
    return replace(table, rows=kept, notes=(*table.notes, note), flat=False)


def _rows(table: Table, shape: Shape) -> Iterator[Row]:
    for group in _groups(table, shape):
        first = group[0]
        values: dict[str, Any] = {}
        for name in table.columns:
            cells = [row.values.get(name) for row in group]
            values[name] = cells[0] if name in shape.whole else cells
        apart = tuple(row.number for row in group)
        yield replace(first, values=values, line_per_token=True, lines=apart)


def shape_of(table: Table) -> Shape | None:
    """How a table separates sentences; None if its rows are not tokens."""
    peek = list(islice(table.rows, PEEK))
    tags = next((name for name in reversed(table.columns) if _are_tags(peek, name)), None)
    if tags is None:
        return None
    first_rows = list(islice(table.rows, LOOK))
    if not _are_tags(first_rows, tags):
        return None
    others = [name for name in table.columns if name != tags and _are_words(first_rows, name)]
    match = _how(table, first_rows, [name for name in table.columns if name != tags])
    if match is None or not (
        words := [name for name in others if name not in (match[1], *match[2])]
    ):
        return None
    how, column, outer = match
    distinct = {name: len(set(_cells(first_rows, name))) for name in words}
    best = max(words, key=lambda name: (name.casefold() in ("word", "token"), distinct[name]))
    shape = Shape(tags, best, how, column, frozenset(), outer)
    if how == "nothing" and not _runs_on(first_rows, tags):  # a row may be a sentence of one word
        return None
    return replace(shape, whole=_whole(table, shape))


def _cells(rows: Sequence[Row], name: str) -> list[Any]:
    return [_plain(row.values.get(name)) for row in rows]


def _plain(cell: Any) -> Any:
    """A cell in a form that can be counted: lists and objects become a text of several words."""
    return f"several values {cell!r}" if isinstance(cell, list | dict) else cell


def _number(cell: Any) -> int | None:
    """The whole number in a cell."""
    text = str(cell) if isinstance(cell, int | str) else ""
    return int(text) if text.isdecimal() else None


def _are_tags(rows: Sequence[Row], name: str) -> bool:
    """Whether a column holds one tag a row, among them tags of entities and ``O``. The tags may be
    only prefixes, or only types.
    """
    cells = _cells(rows, name)
    if all(isinstance(cell, str) for cell in cells):
        counts = Counter(cell for cell in cells if cell.strip())
        spelling = respelt(counts)
        if set(cells) in ({"B", "I", "O"}, {"B", "O"}) or bare_types(counts):
            return True
        # blank cells may be forgotten tags, which are reported later
        cells = [spelling.get(cell, cell) if cell.strip() else "O" for cell in cells]
        counts = Counter(cells)
        if spelling and bare_types(counts):
            return True
    fits = sum(
        isinstance(cell, str) and bool(TAG.fullmatch(cell)) and " " not in cell for cell in cells
    )
    return len(cells) > 1 and fits >= MOST * len(cells) and "O" in cells and set(cells) != {"O"}


def _are_words(rows: Sequence[Row], name: str) -> bool:
    """Whether a column holds text without blanks."""
    cells = _cells(rows, name)
    fits = sum(isinstance(cell, str) and bool(cell.strip()) and " " not in cell for cell in cells)
    return fits >= MOST * len(cells)


def _how(
    table: Table, rows: Sequence[Row], names: Sequence[str]
) -> tuple[str, str | None, tuple[str, ...]] | None:
    """How the table separates sentences, by which column, and within which outer columns."""
    named = [name for name in names if _words_in(name) & SENTENCE]
    for name in [*named, *(name for name in names if name not in named)]:
        if _is_filled(_cells(rows, name)):
            return "filled", name, ()
    changing = [(name,) for name in names if _changes(_cells(rows, name), name in named)]
    within = _within(rows, changing, names)
    if not {path[-1] for path in (*changing, *within)} & {*named}:
        deeper = _within(rows, within, named)
        within += deeper
    if changing:
        paths = [*changing, *within]
        best = max(
            paths, key=lambda path: (path[-1] in named, _runs_of(rows, path), len(path) == 1)
        )
        return "changes", best[-1], best[:-1]
    counting = [name for name in names if _counts(_cells(rows, name))]
    if counting:
        return "counted", counting[0], ()
    numbers = [row.number for row in rows]
    if any(after - before == 2 for before, after in pairwise(numbers)):
        return "blank", None, ()
    return "nothing", None, ()


def _within(
    rows: Sequence[Row], outer: Sequence[tuple[str, ...]], names: Sequence[str]
) -> list[tuple[str, ...]]:
    """Columns that separate sentences within the parts of other columns, such as documents; each
    after these columns.
    """
    paths = [(*path, name) for path in outer for name in names if name not in path]
    return [
        path
        for path in paths
        if _changes(list(zip(*(_cells(rows, name) for name in path), strict=True)))
    ]


def _words_in(name: str) -> set[str]:
    cleaned = "".join(letter if letter.isalpha() else " " for letter in name.casefold())
    return {*cleaned.split(), cleaned.replace(" ", "")}


def _blank(cell: Any) -> bool:
    return (
        cell is None
        or (isinstance(cell, str) and not cell.strip())
        or (isinstance(cell, float) and math.isnan(cell))
    )


def _is_filled(cells: Sequence[Any]) -> bool:
    """Whether a column is filled in the first row and in at most 70 % of all, each time with
    another value.
    """
    filled = [cell for cell in cells if not _blank(cell)]
    return (
        bool(cells)
        and not _blank(cells[0])
        and 1 < len(filled) <= 0.7 * len(cells)
        and len(set(filled)) == len(filled)
    )


def _runs_of(rows: Sequence[Row], path: tuple[str, ...]) -> int:
    cells = [_cells(rows, name) for name in path]
    return _runs(list(zip(*cells, strict=True)))


def _runs(cells: Sequence[Any]) -> int:
    return 1 + sum(before != after for before, after in pairwise(cells))


def _changes(cells: Sequence[Any], named: bool = False) -> bool:
    """Whether nearly every value of a column is in rows that follow one another, on average in 1.5
    rows or more.
    """
    if any(_blank(cell) or str(cell).startswith("several values ") for cell in cells):
        return False
    runs, distinct = _runs(cells), len(set(cells))
    return 1 < runs <= len(cells) / 1.5 and runs <= distinct + max(named, distinct // 50)


def _counts(cells: Sequence[Any]) -> bool:
    """Whether a column counts from a first number to a last one, again and again."""
    numbers = list(map(_number, cells))
    if None in numbers or not numbers:
        return False
    begins = numbers[0]
    pairs = list(pairwise(numbers))
    steps = [after == before + 1 or after == begins for before, after in pairs]  # type: ignore[operator]
    return all(steps) and sum(after == begins for _, after in pairs) >= 1


def _runs_on(rows: Sequence[Row], tags: str) -> bool:
    """Whether entities extend over several rows, so that a row is a token and not a sentence."""
    cells = [str(cell) for cell in _cells(rows, tags)]
    pairs = list(pairwise(cells))
    inside = [after[:2] == "I-" for _, after in pairs]
    fits = [
        after[:2] == "I-" and before[:2] in ("B-", "I-") and before[2:] == after[2:]
        for before, after in pairs
    ]
    return len(rows) > 20 and sum(inside) > 0 and sum(fits) >= MOST * sum(inside)


def _begins(shape: Shape) -> Callable[[Row, Row | None], bool]:
    """A function that says whether a row begins a sentence; it also takes the row before."""
    name = shape.column or ""

    def begins(row: Row, before: Row | None) -> bool:
        if before is None:
            return True
        cell = row.values.get(name)
        if shape.how == "filled":
            return not _blank(cell)
        if shape.how == "changes":
            return _key(row, shape) != _key(before, shape)
        if shape.how == "counted":
            return (_number(cell) or 0) <= (_number(before.values.get(name)) or 0)
        return row.number > before.number + 1

    return begins


def _key(row: Row, shape: Shape) -> tuple[Any, ...]:
    """The values that identify the sentence of a row."""
    return tuple(_plain(row.values.get(name or "")) for name in (*shape.outer, shape.column))


def _groups(table: Table, shape: Shape) -> Iterator[list[Row]]:
    begins, group = _begins(shape), list[Row]()
    for row in table.rows:
        if begins(row, group[-1] if group else None) and group:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _check_order(table: Table, shape: Shape, mistakes: Mistakes) -> None:
    """Refuse a sentence whose name comes again after another sentence."""
    if shape.how not in ("changes", "filled"):
        return
    runs: Counter[Any] = Counter()
    for group in _groups(table, shape):
        key = _key(group[0], shape)
        runs[key] += 1
        if runs[key] == 2:
            with noted(mistakes):
                raise UserError(
                    f"sentence {shown(group[0].values.get(shape.column or ''))} has begun before, and others stand between",
                    "keep the rows of a sentence together, and give each a name of its own",
                    where=group[0].place(),
                    code="misread-table",
                )


def _whole(table: Table, shape: Shape) -> frozenset[str]:
    """Columns with one value in each sentence, where cells after the first may be blank; never
    those of words and tags.
    """
    names = {name for name in table.columns if name not in (shape.words, shape.tags)}
    several = False
    for group in _groups(table, shape):
        several = several or len(group) > 1
        if len(group) > 1:
            names -= {
                name
                for name in names
                if any(
                    row.values.get(name) != group[0].values.get(name)
                    and not _blank(row.values.get(name))
                    for row in group[1:]
                )
            }
    return frozenset(names) if several else frozenset()
