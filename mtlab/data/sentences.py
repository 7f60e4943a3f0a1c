"""From rows to sentences: columns are found, class numbers decoded, every value checked, tags
brought to IOB2.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from mtlab.data.alike import normal
from mtlab.data.reading import cells, misread
from mtlab.data.reading.table import Row, Table
from mtlab.data.stored import Joined, Sentence, collect
from mtlab.plan.errors import Mistakes, UserError, did_you_mean, noted, shown
from mtlab.plan.tasks import WORDS, Task
from mtlab.tasks import tags as schemes
from mtlab.tasks.kind import BadValue, Kind
from mtlab.tasks.tags import Tags

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Reading:
    """How to read one source: which columns, for which tasks, and the option that experiments set
    them with.
    """

    source: int
    tasks: Mapping[str, Task]
    columns: dict[str, str]
    option: str
    """``data``, or ``data.TASK``."""
    directory: Path | None = None
    """Where sentences are put that are too many for memory; None is the system's folder for
    temporary files."""

    @property
    def names(self) -> list[str]:
        """What the source calls the columns that may be read."""
        ours = (*WORDS, *(task.column for task in self.tasks.values()))
        return [self.columns.get(name, name) for name in ours]

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Task to its kind."""
        return {name: task.as_kind for name, task in self.tasks.items()}

    @property
    def of_words(self) -> bool:
        """Whether a task has gold of words, so that there must be some."""
        return any(kind.of_words for kind in self.kinds.values())

    def column(self, table: Table, name: str) -> str:
        """The table's column for our ``name``.

        Raises:
            UserError: there is none; the line lists those that there are.
        """
        theirs = self.columns.get(name, name)
        if theirs in table.columns:
            return theirs
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


def parse(table: Table, reading: Reading, mistakes: Mistakes = None) -> Sequence[Sentence]:
    """The sentences of one split, one a row, tags as the source writes them.

    Where mistakes are gathered, rows that cannot be used are left out.

    Raises:
        UserError: ``file:line field: problem; remedy`` of the first value that cannot be used.
    """
    wanted = ["text" if _has_text(table, reading) else "tokens"]
    wanted += [task.column for task in reading.tasks.values()]
    columns: dict[str, str] = {}
    for name in wanted:
        with noted(mistakes):
            columns[name] = reading.column(table, name)
    return collect(
        _parsed(table, columns, reading, mistakes) if len(columns) == len(wanted) else (),
        reading.directory,
    )


def form(tables: Iterable[Table], reading: Reading) -> str:
    """How the sentences of a source are read: as raw ``text``, or as ``words``, of which a
    tokenizer may make other sub-words.

    Raises:
        UserError: not all of its tables are read alike, so that it would be trained on the one and
            tested on the other.
    """
    forms = {table.name: "text" if _has_text(table, reading) else "words" for table in tables}
    (first, wanted), *others = forms.items()
    for name, other in others:
        if other != wanted:
            problem = f"is read as {other}, and {first} as {wanted}"
            remedy = f"give all splits a column `text`, or one of words that --{reading.option}.columns.tokens names"
            raise UserError(problem, remedy, where=name, code="forms-differ")
    return wanted


def given(row: Row, table: Table) -> Sentence:
    """A sentence without gold, as a model is given it to read: a row's ``tokens``, its ``text``, or
    both.

    Raises:
        UserError: the row has neither, or one of them is what a source may not hold either.
    """
    has = {name for name in ("tokens", "text") if row.values.get(name) is not None}
    if not has:
        remedy = 'write {"text": "..."} or {"tokens": ["..."]}'
        raise UserError(
            "neither `tokens`, a list of words, nor `text`",
            remedy,
            where=row.place(),
            code="column-missing",
        )
    tokens = _tokens(row, "tokens", table) if "tokens" in has else None
    text = _checked(row, "text", row.values["text"], "text") if "text" in has else None
    return Sentence(row.place(), 0, tokens, text)


def _parsed(
    table: Table, columns: dict[str, str], reading: Reading, mistakes: Mistakes
) -> Iterator[Sentence]:
    names = sorted(map(normal, table.columns))
    for row in table.rows:
        if misread.repeats(names, row.values.values()):
            with noted(mistakes):
                raise UserError(
                    "the row holds the names of the columns",
                    "remove it",
                    where=row.place(),
                    code="misread-table",
                )
            continue
        tokens: tuple[str, ...] | None = None
        text: str | None = None
        with noted(mistakes):
            if "tokens" in columns:
                tokens = _tokens(row, columns["tokens"], table)
            else:
                text = _checked(row, columns["text"], row.values.get(columns["text"]), "text")
        gold: dict[str, Any] = {}
        for name, task in reading.tasks.items():
            kind, column = reading.kinds[name], columns[task.column]
            if tokens is not None or not kind.of_words:
                with noted(mistakes):
                    gold[name] = _gold(row, column, table, kind, tokens)
        if len(gold) == len(reading.tasks) and (tokens or text):
            yield Sentence(row.place(), reading.source, tokens, text, gold)


def _gold(row: Row, column: str, table: Table, kind: Kind, tokens: tuple[str, ...] | None) -> Any:
    """The gold of one task in a row."""
    value = _list(row, column, table, kind.gold_title) if kind.many else row.values.get(column)
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
    """Whether raw text is read. Gold of words needs tokens; other sources are read as text unless
    only tokens are there or named.
    """
    if reading.of_words:
        return False
    named = reading.columns.keys() & {"text", "tokens"}
    return "text" in named or (
        not named and ("text" in table.columns or "tokens" not in table.columns)
    )


def to_iob2(
    task: str,
    splits: Mapping[str, Sequence[Sentence]],
    tables: Mapping[str, Table],
    reading: Reading,
    mistakes: Mistakes = None,
) -> tuple[dict[str, Sequence[Sentence]], str | None]:
    """The sentences with a task's tags in IOB2, and a note where the source has another scheme; all
    splits are taken together.

    Where mistakes are gathered, sentences with wrong tags are left out.

    Raises:
        UserError: a tag that no scheme has, or that the source's scheme does not allow where it
            stands.
    """
    sentences = Joined(list(splits.values()))
    sequences = _TagsOf(sentences, task)
    if mistakes is not None and (errors := schemes.mistakes(sequences)):
        mistakes += _misplaced(task, errors, sentences, tables, reading)
        wrong = {error.sequence for error in errors}
        numbered = enumerate(sentences)
        right = {}
        for split, kept in splits.items():
            some = (
                sentence for number, sentence in islice(numbered, len(kept)) if number not in wrong
            )
            right[split] = collect(some, reading.directory)
        try:
            return to_iob2(task, right, tables, reading)
        except UserError:  # two schemes at once, of which a mistake tells
            return right, None
    try:
        scheme = schemes.detect(sequences)
        converted = schemes.to_iob2(sequences, scheme)
    except schemes.TagError as error:
        raise _misplaced(task, [error], sentences, tables, reading)[0] from None
    if scheme == "IOB2":
        return dict(splits), None
    changed = total = 0
    for old, new in zip(sequences, converted, strict=True):
        changed, total = changed + sum(map(str.__ne__, old, new)), total + len(old)
    note = f"tags are {scheme}: converted to IOB2, which rewrote {changed:,} of {total:,} tags."
    renewed = (
        sentence.with_gold(task, tags)
        for sentence, tags in zip(sentences, schemes.to_iob2(sequences, scheme), strict=True)
    )
    return {
        split: collect(islice(renewed, len(kept)), reading.directory)
        for split, kept in splits.items()
    }, note


class _TagsOf(Sequence[Tags]):
    """A task's tags of sentences, each an empty sequence where it has none."""

    def __init__(self, sentences: Sequence[Sentence], task: str) -> None:
        self._sentences, self._task = sentences, task

    def __len__(self) -> int:
        return len(self._sentences)

    def __iter__(self) -> Iterator[Tags]:
        return (sentence.gold.get(self._task, ()) for sentence in self._sentences)

    def __getitem__(self, index: Any) -> Any:
        return self._sentences[index].gold.get(self._task, ())


def _misplaced(
    task: str,
    errors: Sequence[schemes.TagError],
    sentences: Sequence[Sentence],
    tables: Mapping[str, Table],
    reading: Reading,
) -> list[UserError]:
    """What is wrong with tags of some of the ``sentences``, and where that stands."""
    wrong = {error.sequence: sentences[error.sequence] for error in errors}
    places = {sentence.place for sentence in wrong.values()}
    rows = {
        place: row
        for table in tables.values()
        for row in table.rows
        if (place := row.place()) in places
    }
    ours = reading.tasks[task].column
    column, problems = reading.columns.get(ours, ours), []
    for error in errors:
        sentence = wrong[error.sequence]
        problem = f"{error.problem} (token {error.position + 1}, {shown((sentence.tokens or ())[error.position])})"
        problems.append(
            UserError(
                problem,
                error.remedy,
                where=f"{rows[sentence.place].place(error.position)} {column}",
                code="bad-tags",
            )
        )
    return problems


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
    """The list in a CSV cell: JSON where it stands in brackets, items separated by blanks, tabs or
    line breaks elsewhere.
    """
    if not (cell.startswith("[") and cell.endswith("]")):
        return cells.items(cell)
    try:
        return json.loads(cell)
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
