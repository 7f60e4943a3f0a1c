"""From rows to sentences: columns are found, class numbers decoded, every value checked, tags brought to IOB2."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NoReturn

from mtlab.data import tags as schemes
from mtlab.data.readers import Row, Table
from mtlab.plan.errors import Found, UserError, did_you_mean, noted, shown

Words = tuple[tuple[str, ...] | None, str | None, tuple[str, ...] | None]
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence with what its source says about it."""

    place: str
    """``file:line``, for messages."""
    source: int
    """Index of the source it comes from."""
    tokens: tuple[str, ...] | None
    """Its words, or None where the source gives raw text only."""
    text: str | None
    """Its raw text, where there are no tokens."""
    tags: tuple[str, ...] | None
    """IOB2, one a token; None where the source has no tags."""
    label: str | None
    """None where the source has no labels."""

    @property
    def surface(self) -> str:
        """The text, or the tokens joined by blanks."""
        return " ".join(self.tokens) if self.tokens is not None else self.text or ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read one source: which columns, for which tasks, and the option that experiments set them with."""

    source: int
    tasks: tuple[str, ...]
    columns: dict[str, str]
    option: str
    """``data``, ``data.classifier`` or ``data.ner``."""

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
        raise UserError(problem, f"{hint} pass --{self.option}.columns.{name} COLUMN".lstrip(), where=table.name)


def parse(table: Table, reading: Reading, found: Found = None) -> list[Sentence]:
    """The sentences of one split, one a row, tags as the source writes them.

    Where mistakes are gathered, rows that cannot be used are left out.

    Raises:
        UserError: ``file:line field: problem; remedy`` of the first value that cannot be used.
    """
    wanted = ["text" if _has_text(table, reading) else "tokens"]
    wanted += [name for task, name in (("ner", "ner_tags"), ("classifier", "label")) if task in reading.tasks]
    columns: dict[str, str] = {}
    for name in wanted:
        with noted(found):
            columns[name] = reading.column(table, name)
    sentences: list[Sentence] = []
    for row in table.rows if len(columns) == len(wanted) else ():
        words: Words | None = None
        label: str | None = None
        with noted(found):
            words = _words(row, columns, table)
        with noted(found):
            label = _label(row, columns["label"], table) if "label" in columns else None
        if words is not None and (label is not None or "label" not in columns):
            sentences.append(Sentence(row.place(), reading.source, *words, label))
    return sentences


def _words(row: Row, columns: dict[str, str], table: Table) -> Words:
    """Tokens, or the text where there are none, and tags."""
    if "tokens" not in columns:
        return None, _checked(row, columns["text"], row.values.get(columns["text"]), "text"), None
    tokens = _tokens(row, columns["tokens"], table)
    return tokens, None, _tags(row, columns["ner_tags"], table, len(tokens)) if "ner_tags" in columns else None


def _has_text(table: Table, reading: Reading) -> bool:
    """Whether raw text is read. NER needs tokens; a classifier's source is read as text unless only tokens are there or named."""
    if "ner" in reading.tasks:
        return False
    named = reading.columns.keys() & {"text", "tokens"}
    return "text" in named or (not named and ("text" in table.columns or "tokens" not in table.columns))


def to_iob2(
    splits: dict[str, list[Sentence]], tables: dict[str, Table], reading: Reading, found: Found = None
) -> tuple[dict[str, list[Sentence]], str | None]:
    """The sentences with IOB2 tags, and a note where the source has another scheme; all splits are taken together.

    Where mistakes are gathered, sentences with wrong tags are left out.

    Raises:
        UserError: a tag that no scheme has, or that the source's scheme does not allow where it stands.
    """
    sentences = list(chain.from_iterable(splits.values()))
    sequences = [sentence.tags or () for sentence in sentences]
    if found is not None and (mistakes := schemes.mistakes(sequences)):
        rows = _by_place(tables)
        found += [_misplaced(error, sentences, rows, reading) for error in mistakes]
        wrong = {id(sentences[error.sequence]) for error in mistakes}
        right = {split: [sentence for sentence in kept if id(sentence) not in wrong] for split, kept in splits.items()}
        try:
            return to_iob2(right, tables, reading)
        except UserError:  # two schemes at once, of which a mistake tells
            return right, None
    try:
        scheme = schemes.detect(sequences)
        converted = schemes.to_iob2(sequences, scheme)
    except schemes.TagError as error:
        raise _misplaced(error, sentences, _by_place(tables), reading) from None
    if scheme == "IOB2":
        return splits, None
    changed = sum(old != new for olds, news in zip(sequences, converted, strict=True) for old, new in zip(olds, news, strict=True))
    renewed = iter([replace(sentence, tags=tags) for sentence, tags in zip(sentences, converted, strict=True)])
    note = f"tags are {scheme}: converted to IOB2, which rewrote {changed:,} of {sum(map(len, sequences)):,} tags."
    return {split: [next(renewed) for _ in kept] for split, kept in splits.items()}, note


def _by_place(tables: dict[str, Table]) -> dict[str, Row]:
    return {row.place(): row for table in tables.values() for row in table.rows}


def _misplaced(error: schemes.TagError, sentences: Sequence[Sentence], rows: dict[str, Row], reading: Reading) -> UserError:
    """What is wrong with a tag of one of the ``sentences``, and where that stands."""
    sentence = sentences[error.sequence]
    row = rows[sentence.place]
    problem = f"{error.problem} (token {error.position + 1}, {shown((sentence.tokens or ())[error.position])})"
    column = reading.columns.get("ner_tags", "ner_tags")
    return UserError(problem, error.remedy, where=f"{row.place(error.position)} {column}")


def _tokens(row: Row, column: str, table: Table) -> tuple[str, ...]:
    items = _list(row, column, table, "tokens")
    for position, token in enumerate(items):
        if not isinstance(token, str):
            problem = f"token {position + 1} is {shown(token)}, not text"
            _fail(row, column, problem, "quote it", position)
        _encodable(row, column, token)
    if not any(token.strip() for token in items):
        _fail(row, column, "the sentence has no tokens" if not items else "all tokens are blank", "remove the sentence")
    return tuple(items)


def _tags(row: Row, column: str, table: Table, length: int) -> tuple[str, ...]:
    items = _list(row, column, table, "tags")
    if len(items) != length:
        _fail(row, column, f"{length} tokens but {len(items)} tags", "give every token one tag")
    names = table.classes.get(column)
    return tuple(_name(row, column, item, names, position) for position, item in enumerate(items))


def _label(row: Row, column: str, table: Table) -> str:
    value = row.values.get(column)
    if isinstance(value, int) and not isinstance(value, bool) and column not in table.classes:
        return str(value)
    label = _name(row, column, value, table.classes.get(column), None)
    if not label.strip():
        _fail(row, column, "the label is empty", "give the sentence a label, or remove it")
    return label


def _name(row: Row, column: str, value: Any, names: Sequence[str] | None, position: int | None) -> str:
    """A label or tag as text; numbers are looked up in ``names``."""
    what = "the label" if position is None else f"tag {position + 1}"
    if isinstance(value, str):
        return _encodable(row, column, value)
    remedy = "write it as text"
    if value is None:
        problem = f"{what} is missing"
    elif not isinstance(value, int) or isinstance(value, bool):
        problem = f"{what} is {shown(value)}, not text"
    elif names and 0 <= value < len(names):
        return names[value]
    elif names:  # -1 stands for a label that is held back
        problem, remedy = f"{what} is {value}, none of the {len(names)} classes", "use a split that has its labels"
    else:
        problem = f"{what} is the number {value}, and the source does not say what numbers stand for"
    _fail(row, column, problem, remedy, position or 0)


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
    """The list in a CSV cell: JSON where it stands in brackets, items separated by white space elsewhere."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return cell.split()
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        _fail(row, column, "a list in brackets that is not JSON", 'write ["a", "b"] with double quotes, or a b without brackets')


def _checked(row: Row, column: str, value: Any, what: str) -> str:
    if not isinstance(value, str):
        problem = f"{what} is missing" if value is None else f"{what} is {shown(value)}, not text"
        _fail(row, column, problem, f"write {what} as text")
    if not value.strip():
        _fail(row, column, f"{what} is blank", "remove the sentence")
    return _encodable(row, column, value)


def _encodable(row: Row, column: str, text: str) -> str:
    if LONE_SURROGATE.search(text):
        _fail(row, column, f"{ascii(text)[:40]} holds half of a surrogate pair", "write the character whole")
    return text


def _fail(row: Row, column: str, problem: str, remedy: str, token: int = 0) -> NoReturn:
    raise UserError(problem, remedy, where=f"{row.place(token)} {column}")
