"""Tasks that the user did not name, guessed from columns that are not used otherwise."""

import re
import shlex
from collections.abc import Collection, Mapping

from mtlab.check import columns, pairs
from mtlab.check.column import NUMBERS, Column, words_of
from mtlab.data.reading import names
from mtlab.data.reading.table import Table
from mtlab.plan.data import Data
from mtlab.plan.tasks import TASK, WORDS, Task
from mtlab.tasks.kind import Kind
from mtlab.tasks.registry import KINDS


def tasks(
    table: Table, read: Collection[str], existing: Mapping[str, Task]
) -> dict[str, tuple[Task, str]]:
    """Name to task and reason, for columns that could be gold: their cells look like gold of a kind
    and can be read as such.

    Args:
        table: the training split.
        read: columns that are used already.
        existing: tasks that exist already.
    """
    every = [Column.of(table, name) for name in table.columns]
    lists = [column for column in every if column.has_lists]
    ours = {*WORDS, *(task.column for task in existing.values())}
    partitions = names.in_columns(table)
    guesses: dict[str, tuple[Task, str]] = {}
    for column in every:
        if column.name in (*read, *ours, *partitions, *table.aliases) or _holds_no_gold(column):
            continue
        kind = next((kind for kind in _kinds() if _is(column, kind, lists)), None)
        name = _name(column.name, {*existing, *guesses})
        if kind is not None and name is not None and column.name.isprintable():
            options = {key: getattr(kind, key) for key in kind.options}
            task = Task(kind=kind.name, column=column.name, **options)
            guesses[name] = task, columns.reason(column, kind)
    return guesses


def options(tasks: Mapping[str, Task]) -> str:
    """Tasks as options of the command line."""
    return " ".join(
        f"--tasks.{name}.{key} {shlex.quote(str(value).lower() if value in (True, False) else str(value))}"
        for name, task in tasks.items()
        for key, value in task.model_dump(exclude_defaults=True).items()
        if key != "title"
    )


def _kinds() -> list[Kind]:
    """Every kind, in order: the kinds with the strictest conditions on a column come first."""
    kinds = [
        kind(**options)
        for kind in KINDS.values()
        for options in ([{"spans": True}, {"spans": False}] if "spans" in kind.options else [{}])
    ]
    return sorted(
        kinds, key=lambda kind: (not kind.of_words, not kind.spans, not kind.many, kind.one_label)
    )


def _is(column: Column, kind: Kind, lists: list[Column]) -> bool:
    if not columns.looks_like(column, kind, lists):
        return False
    if kind.spans and (column.entities or column.marks):
        return True
    if kind.of_words and not any(
        other is not column and not other.tags and pairs.parallel(column, other) for other in lists
    ):
        return False
    return not (kind.one_label and column.text) and pairs.is_whole(column, kind)


def _holds_no_gold(column: Column) -> bool:
    """Whether a column cannot be gold: its name says that it numbers the sentences; or its name is
    usual for words, and it holds lists of texts, or text.
    """
    if NUMBERS & words_of(column.name):
        return True
    called = any(columns.is_called(column.name, synonyms) for synonyms in columns.NAMES.values())
    return called and (column.token_lists or column.text)


def _name(column: str, taken: Collection[str]) -> str | None:
    """The name of a task, made from the name of a column; None if that gives no valid name."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", column).strip("_")
    name = f"column_{name}" if name.isdigit() else name
    if name in (*Data.model_fields, "total", *taken):
        name = f"task_{name}"
    return name if TASK.fullmatch(name) and name not in taken else None
