"""Tests whether two columns of a table, or a column and a kind of task, fit each other."""

from collections.abc import Iterable, Iterator

from mtlab.check.cell_values import mostly
from mtlab.check.column import MANY, Column
from mtlab.tasks.kind import BadValue, Kind


def parallel(column: Column, other: Column) -> bool:
    """Whether the lists of two columns have the same length in most rows."""
    pairs = list(zip(column.lists, other.lists, strict=True))
    return mostly(pairs, lambda pair: None not in pair and len(pair[0]) == len(pair[1]))


def _plain_tags_of(column: Column, words: Column) -> bool:
    """Whether lists look like plain tags (not of entities) for the words of another column: equally
    many tags as words, and few different tags that recur often.
    """
    count = column.items.total()
    lists = [items for items in column.lists if items]
    return (
        2 <= len(column.items) <= min(MANY, count / 4)
        and len(column.items) < len(words.items)
        and count >= 2 * len(column.values)
        and not column.tags
        and not _echoes(column, words)
        and not all(map(str.isdigit, column.items))
        and any(
            len({*items}) > 1
            for items in lists
            if all(isinstance(item, str | int) for item in items)
        )
        and all(map(str.strip, column.items))
        and parallel(column, words)
    )


def is_plain_tags(column: Column, others: Iterable[Column]) -> bool:
    """Whether lists look like plain tags of the words of any of the other columns."""
    return any(_plain_tags_of(column, words) for words in others)


def _echoes(column: Column, words: Column) -> bool:
    """Whether more than a third of the items equal their words, as in a column of lemmas."""
    pairs = [
        (str(item).casefold(), str(word).casefold())
        for items, of_sentence in zip(column.lists, words.lists, strict=True)
        for item, word in zip(items or (), of_sentence or (), strict=False)
    ]
    return 3 * sum(item == word for item, word in pairs) > len(pairs)


def could_be(column: Column, kind: Kind) -> bool:
    """Whether most cells can be read as gold of a kind."""
    return mostly(_readable(column, kind), bool)


def is_whole(column: Column, kind: Kind) -> bool:
    """Whether all cells can be read as gold of a kind."""
    return all(_readable(column, kind))


def _readable(column: Column, kind: Kind) -> Iterator[bool]:
    """For each cell, whether it can be read as gold of a kind."""
    for value, items in zip(column.values, column.lists, strict=True):
        cell = items if kind.many else value
        try:
            if cell is not None:
                kind.read(cell, column.classes or None, len(items or ()))
        except BadValue:
            cell = None
        yield cell is not None
