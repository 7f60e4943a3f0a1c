"""From rows to sentences: columns are found, class numbers decoded, every value checked."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from mtlab.data.alike import normal
from mtlab.data.reading import cells, listed, misread, spans
from mtlab.data.reading.table import Row, Table
from mtlab.data.stored import Sentence, collect
from mtlab.plan.errors import Mistakes, UserError, did_you_mean, noted, shown
from mtlab.plan.tasks import WORDS, Task
from mtlab.tasks.kind import BadValue, Kind

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Reading:
    """How to read one source: which columns, for which tasks, and the option that sets them in an
    experiment.
    """

    source: int
    tasks: Mapping[str, Task]
    columns: dict[str, str]
    option: str
    """``data``, or ``data.TASK``."""
    directory: Path | None = None
    """The folder for sentences that do not fit in memory; None is the system's folder for temporary
    files."""

    signs: Mapping[str, str] = field(default_factory=dict)
    """Columns of text with several labels in a cell, to the sign that separates the labels."""

    @property
    def names(self) -> list[str]:
        """The source's names of the columns that may be read."""
        ours = (*WORDS, *(task.column for task in self.tasks.values()))
        return [self.columns.get(name, name) for name in ours]

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Task to its kind."""
        return {name: task.as_kind for name, task in self.tasks.items()}

    @property
    def of_words(self) -> bool:
        """Whether a task has gold for words, so that the source must have words."""
        return any(kind.of_words for kind in self.kinds.values())

    def _is_of_text(self, table: Table) -> bool:
        """Whether a table has a text, and entities that are given as parts of the text."""
        golds = [task.column for name, task in self.tasks.items() if self.kinds[name].spans]
        places = [self.columns.get(column, column) for column in golds]
        return "text" in table.columns and any(spans.in_column(table, place) for place in places)

    def column(self, table: Table, name: str) -> str:
        """The table's column for our ``name``.

        Raises:
            UserError: there is none; the message lists the columns of the table.
        """
        theirs = self.columns.get(name, name)
        if theirs in table.columns:
            return theirs
        if name == "tokens" and theirs == name and self._is_of_text(table):
            return "text"
        near = did_you_mean(theirs, table.columns)
        hint = near if near.startswith("did you mean") else ""
        if name == "tokens" and "text" in table.columns:
            hint = "tags belong to words: write the text as a list of words, or"
        problem = f"no column {theirs!r}; the columns are {', '.join(table.columns) or 'none'}"
        raise UserError(
            problem,
            f"{hint} pass --{self.option}.columns.{name} COLUMN".lstrip(),
            where=table.name,
            code="column-missing",
        )


def signs(tables: Iterable[Table], reading: Reading) -> dict[str, str]:
    """Columns of text with several labels in a cell, to the sign that separates the labels; it is
    found from all splits together.
    """
    flat = [table for table in tables if table.flat]
    ours = [
        reading.tasks[name].column
        for name, kind in reading.kinds.items()
        if kind.many and not kind.of_words
    ]
    by_column = {}
    for column in [reading.columns.get(name, name) for name in ours] if flat else []:
        values = (row.values.get(column) for table in flat for row in table.rows)
        if sign := listed.separator(values):
            by_column[column] = sign
    return by_column


def parse(table: Table, reading: Reading, mistakes: Mistakes = None) -> Sequence[Sentence]:
    """The sentences of one split, one for each row, with tags as the source writes them.

    If mistakes are collected, rows that cannot be used are left out.

    Raises:
        UserError: ``file:line field: problem; remedy`` of the first value that cannot be used.
    """
    names = ["text" if _has_text(table, reading) else "tokens"]
    names += [task.column for task in reading.tasks.values()]
    columns: dict[str, str] = {}
    for name in names:
        with noted(mistakes):
            columns[name] = reading.column(table, name)
    whole = len(columns) == len(names)
    rows = _parsed(_Cells(table, columns, reading), mistakes) if whole else ()
    return collect(rows, reading.directory)


class _Cells:
    """Reads the cells of a table, for the tasks of its source.

    Args:
        table: a split.
        columns: our names of columns to the table's.
        reading: how its source is read.
    """

    def __init__(self, table: Table, columns: dict[str, str], reading: Reading) -> None:
        self.table, self.columns, self.reading = table, columns, reading
        golds = {name: columns[task.column] for name, task in reading.tasks.items()}
        self.spans = {
            name
            for name, column in golds.items()
            if reading.kinds[name].spans and is_apart(table, columns.get("tokens"), column)
        }
        """Tasks whose entities are given as parts of a text, and not as tags of words."""
        one_label = {golds[name] for name, kind in reading.kinds.items() if kind.one_label}
        self.lists = {column for column in one_label if _holds(table, column, list)}
        """Columns of labels that hold a list in every row."""
        self.printed = {
            column
            for column in one_label
            if table.flat and listed.are_printed(row.values.get(column) for row in table.rows)
        }
        """Columns of labels that hold a printed list in every row."""
        self.truths = {column for column in one_label if _holds(table, column, bool)}
        """Columns of labels that are true or false."""

    def text(self, row: Row, column: str) -> str:
        """The text of a sentence; entities may be marked in it."""
        return _checked(row, column, row.values.get(column), "text")

    def words(self, row: Row) -> tuple[tuple[str, ...], spans.Annotated | None]:
        """The words of a row; also its text, if entities are given as parts of the text."""
        column = self.columns["tokens"]
        if not self.spans:
            return _tokens(row, column, self.table), None
        text = self.text(row, column)
        if any(self.columns[self.reading.tasks[name].column] == column for name in self.spans):
            text, _ = spans.marked(text) or (text, [])
        sentence = spans.annotated(text)
        for word in sentence.words:
            _encodable(row, column, word)
        return sentence.words, sentence

    def gold(
        self,
        row: Row,
        task: str,
        tokens: tuple[str, ...] | None,
        sentence: spans.Annotated | None,
    ) -> Any:
        """The gold of one task in a row."""
        kind, column = self.reading.kinds[task], self.columns[self.reading.tasks[task].column]
        if task in self.spans and sentence is not None:
            return _gold(row, column, self.table, kind, tokens, self._tags(row, column, sentence))
        value = row.values.get(column)
        if column in self.printed and isinstance(value, str):
            value = _cell(row, column, value)
        if (
            (column in self.lists or column in self.printed)
            and isinstance(value, list)
            and len(value) < 2
        ):
            value = value[0] if value else None
        if column in self.truths:
            return str(value).lower()
        if column in self.reading.signs and isinstance(value, str):
            value = [
                part.strip() for part in value.split(self.reading.signs[column]) if part.strip()
            ]
        elif kind.many:
            value = _list(row, column, self.table, kind.gold_title)
        return _gold(row, column, self.table, kind, tokens, value)

    def _tags(self, row: Row, column: str, sentence: spans.Annotated) -> list[str]:
        """The tags of words, from the entities in a cell."""
        entities: Any
        if column == self.columns["tokens"]:
            _, entities = spans.marked(row.values[column]) or ("", [])
        else:
            entities = spans.items_of(row.values.get(column), self.table.flat)
        if entities is None:
            _fail(
                row, column, "entities are missing", "write a list of them, [] where there is none"
            )
        try:
            return spans.tags(sentence, entities)
        except BadValue as bad:
            problem = bad.problem if bad.value is ... else bad.problem.format(shown(bad.value))
            _fail(row, column, problem, bad.remedy)


def is_apart(table: Table, tokens: str | None, column: str) -> bool:
    """Whether entities are given as parts of a text (lists of places, or marks in the text itself),
    and not as tags of words.
    """
    return tokens is not None and (tokens == column or spans.in_column(table, column))


def _holds(table: Table, column: str, kind: type) -> bool:
    """Whether every cell of a column is of a type, and none is the number of a named class."""
    if column in table.classes or not table.rows:
        return False
    return all(isinstance(row.values.get(column), kind) for row in table.rows)


def form(tables: Iterable[Table], reading: Reading) -> str:
    """How the sentences of a source are read: as raw ``text``, or as ``words``. A tokenizer may
    make different sub-words of the two.

    Raises:
        UserError: not all of its tables are read in the same way: a model would be trained on one
            form and tested on the other.
    """
    forms = {table.name: "text" if _has_text(table, reading) else "words" for table in tables}
    (first, expected), *others = forms.items()
    for name, other in others:
        if other != expected:
            problem = f"is read as {other}, and {first} as {expected}"
            remedy = f"give all splits a column `text`, or one of words that --{reading.option}.columns.tokens names"
            raise UserError(problem, remedy, where=name, code="forms-differ")
    return expected


def given(row: Row, table: Table) -> Sentence:
    """A sentence without gold, as the input of a model: a row's ``tokens``, its ``text``, or both.

    Raises:
        UserError: the row has neither, or a value that a source may not have either.
    """
    given_columns = {name for name in ("tokens", "text") if row.values.get(name) is not None}
    if not given_columns:
        remedy = 'write {"text": "..."} or {"tokens": ["..."]}'
        raise UserError(
            "neither `tokens`, a list of words, nor `text`",
            remedy,
            where=row.place(),
            code="column-missing",
        )
    tokens = _tokens(row, "tokens", table) if "tokens" in given_columns else None
    text = _checked(row, "text", row.values["text"], "text") if "text" in given_columns else None
    return Sentence(row.place(), 0, tokens, text)


def _parsed(cells: _Cells, mistakes: Mistakes) -> Iterator[Sentence]:
    table, columns, reading = cells.table, cells.columns, cells.reading
    names = sorted(map(normal, table.columns))
    for row in table.rows:
        if (wrong := misread.row(row, names)) is not None:
            with noted(mistakes):
                raise wrong
            continue
        tokens: tuple[str, ...] | None = None
        text: str | None = None
        sentence: spans.Annotated | None = None
        with noted(mistakes):
            if "tokens" in columns:
                tokens, sentence = cells.words(row)
            else:
                text = cells.text(row, columns["text"])
        gold: dict[str, Any] = {}
        for name in reading.tasks:
            if tokens is not None or not reading.kinds[name].of_words:
                with noted(mistakes):
                    gold[name] = cells.gold(row, name, tokens, sentence)
        if len(gold) == len(reading.tasks) and (tokens or text):
            yield Sentence(row.place(), reading.source, tokens, text, gold)


def _gold(
    row: Row,
    column: str,
    table: Table,
    kind: Kind,
    tokens: tuple[str, ...] | None,
    value: Any,
) -> Any:
    """The gold of one task in a cell."""
    words = None if tokens is None else len(tokens)
    try:
        gold = kind.read(value, table.classes.get(column), words)
    except BadValue as bad:
        problem = bad.problem if bad.value is ... else bad.problem.format(shown(bad.value))
        _fail(row, column, problem, bad.remedy, bad.at)
    for text in gold if isinstance(gold, tuple) else (gold,):
        if isinstance(text, str):
            _encodable(row, column, text)
    return gold


def _has_text(table: Table, reading: Reading) -> bool:
    """Whether raw text is read. Gold for words needs tokens; other sources are read as text, unless
    they have only tokens or the user names only these.
    """
    if reading.of_words:
        return False
    named = reading.columns.keys() & {"text", "tokens"}
    return "text" in named or (
        not named and ("text" in table.columns or "tokens" not in table.columns)
    )


def _tokens(row: Row, column: str, table: Table) -> tuple[str, ...]:
    items = _list(row, column, table, "tokens")
    for position, token in enumerate(items):
        if not isinstance(token, str):
            problem = f"token {position + 1} is {shown(token)}, not text"
            _fail(row, column, problem, "quote it", position)
        _encodable(row, column, token)
    if not any(token.strip() for token in items):
        _fail(
            row,
            column,
            "the sentence has no tokens" if not items else "all tokens are blank",
            "remove the sentence",
        )
    return tuple(items)


def _list(row: Row, column: str, table: Table, what: str) -> list[Any]:
    value = row.values.get(column)
    if table.flat and isinstance(value, str):
        value = _cell(row, column, value)
    if value is None:
        _fail(row, column, f"{what} are missing", f"write a list of {what}")
    if not isinstance(value, list):
        _fail(row, column, f"{what} are {shown(value)}, not a list", f"write a list of {what}")
    return value


def _cell(row: Row, column: str, cell: str) -> Any:
    """The list in a CSV cell. In brackets it is JSON, or a list as Python prints it; otherwise its
    items are separated by blanks, tabs or line breaks.
    """
    if not listed.is_in_brackets(cell):
        return cells.items(cell)
    try:
        return listed.parsed(cell)
    except (ValueError, RecursionError):
        _fail(
            row,
            column,
            "a list in brackets that is not JSON",
            'write ["a", "b"] with double quotes, or a b without brackets',
        )


def _checked(row: Row, column: str, value: Any, what: str) -> str:
    if not isinstance(value, str):
        problem = f"{what} is missing" if value is None else f"{what} is {shown(value)}, not text"
        _fail(row, column, problem, f"write {what} as text")
    if not value.strip():
        _fail(row, column, f"{what} is blank", "remove the sentence")
    return _encodable(row, column, value)


def _encodable(row: Row, column: str, text: str) -> str:
    if LONE_SURROGATE.search(text):
        _fail(
            row,
            column,
            f"{ascii(text)[:40]} holds half of a surrogate pair",
            "write the character whole",
        )
    return text


def _fail(row: Row, column: str, problem: str, remedy: str, token: int = 0) -> NoReturn:
    raise UserError(problem, remedy, where=f"{row.place(token)} {column}", code="bad-value")
