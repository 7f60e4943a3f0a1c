"""A file with all splits, and a column that says which split each row belongs to."""

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from mtlab.data.reading import names
from mtlab.data.reading.names import SPLITS
from mtlab.data.reading.table import Again, Row, Table
from mtlab.plan.data import Source
from mtlab.plan.errors import UserError, did_you_mean, shown


def column_of(tables: Mapping[str, Table], read: Collection[str] = ()) -> str | None:
    """The column with names of splits, train among them; None unless the source has one split and
    one such column.

    Args:
        tables: the splits of a source.
        read: columns that are read for another purpose.
    """
    if tables.keys() != {"train"}:
        return None
    columns = names.in_columns(tables["train"], read)
    fitting = [
        column
        for column, counts in columns.items()
        if any(names.claim(value.strip()).split == "train" for value in counts)
    ]
    return fitting[0] if len(fitting) == 1 else None


def divided(
    tables: Mapping[str, Table], source: Source, option: str
) -> tuple[dict[str, Table], tuple[str, ...]]:
    """The splits of a source by a column of its one table, and descriptions of the rows that belong
    to none.

    Args:
        tables: of the source.
        source: its settings.
        option: of the source on the command line, for messages.

    Raises:
        UserError: there are several splits already, no such column, no rows of train, or a row
            without a value there.
    """
    column, where = str(source.split_column), f"{option}.split_column"
    if tables.keys() != {"train"}:
        raise UserError(
            f"the source has the splits {names.listed(list(tables))} in files of their own",
            "leave it out, or pass the one file as the source",
            where=where,
            code="conflict",
        )
    table = tables["train"]
    if column not in table.columns:
        raise UserError(
            f"no column {column!r}",
            did_you_mean(column, table.columns),
            where=where,
            code="column-missing",
        )
    counts = Counter(_said(row, column) for row in table.rows)
    chosen = _chosen(counts, source, option)
    if "train" not in chosen:
        raise UserError(
            f"no row is of train; the values are {names.listed(list(counts))}",
            f"write train for the rows to train on, or pass --{option}.splits.train VALUE",
            where=where,
            code="no-split",
        )
    values = {split: chosen[split] for split in SPLITS if split in chosen}
    rows_by_split = {
        split: _rows_of(table, column, value, counts[value]) for split, value in values.items()
    }
    unread = tuple(
        f"rows with {column} {value}" for value in counts if value not in values.values()
    )
    return rows_by_split, unread


def _chosen(said: Collection[str], source: Source, option: str) -> dict[str, str]:
    """Split to its value in the column.

    Raises:
        UserError: two values mean the same split, or no row has a value that the user names.
    """
    named = {str(split): name for split, name in source.splits.items()}
    for split, name in named.items():
        if name not in said:
            raise UserError(
                f"no row has {name!r} in column {source.split_column!r}",
                did_you_mean(name, said),
                where=f"{option}.splits.{split}",
                code="no-split",
            )
    free = {name: name for name in said if name not in named.values()}
    try:
        choices = names.assign(free, named, option)
    except UserError as error:
        options = f"with --{option}.split_column {shlex.quote(str(source.split_column))} --"
        raise UserError(
            f"column {source.split_column!r}: {error.problem}",
            error.remedy.replace("with --", options, 1),
            where=str(source.source),
            code=error.code,
        ) from None
    return named | {split: choice.name for split, choice in choices.items()}


def _said(row: Row, column: str) -> str:
    value = row.values.get(column)
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise UserError(
            f"the split of the row is {shown(value)}",
            "write train, validation or test",
            where=f"{row.place()} {column}",
            code="bad-value",
        )
    return value.strip()


def _rows_of(table: Table, column: str, value: str, count: int) -> Table:
    def read() -> Iterator[Row]:
        return (row for row in table.rows if _said(row, column) == value)

    rows = list(read()) if isinstance(table.rows, list) else Again(read, count)
    return replace(table, rows=rows, notes=table.notes if value == "train" else ())
