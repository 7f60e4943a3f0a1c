"""The sentences of one source, read from its tables and checked, before anything is cut."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mtlab.data import alike, iob2, sentences
from mtlab.data.reading import misread, names
from mtlab.data.reading.cells import SEPARATORS
from mtlab.data.reading.locate import Located
from mtlab.data.reading.names import SPLITS
from mtlab.data.reading.table import Table
from mtlab.data.sentences import Reading
from mtlab.data.stored import Sentence, collect
from mtlab.plan.data import Source
from mtlab.plan.errors import Mistakes, UserError, did_you_mean, noted, shown
from mtlab.plan.tasks import Task
from mtlab.tasks.kind import Codes


@dataclass
class Part:
    """One source on its way into the corpus.

    Where mistakes are gathered, steps that a mistake makes senseless are skipped.
    """

    name: str
    reading: Reading
    splits: dict[str, Sequence[Sentence]]
    notes: list[str]
    form: str
    """How its sentences are read: as raw ``text``, or as ``words``."""
    missed: dict[str, str] = field(default_factory=dict)
    """Missing splits to a description of unread files that may be them."""
    codes: dict[str, Codes] = field(default_factory=dict)
    """Task to what was learnt of its gold from the whole of train."""
    written: set[str] = field(default_factory=set)
    """Where mistakes left sentences of train out: all their words, among them labels and tags."""


def gather(
    source: Source,
    index: int,
    tasks: Mapping[str, Task],
    option: str,
    located: Located,
    mistakes: Mistakes = None,
    directory: Path | None = None,
) -> Part:
    """The sentences of one source as its tables have them, with tags in IOB2.

    Args:
        source: its settings in the experiment.
        index: its number.
        tasks: those that it is for.
        option: its name in the experiment.
        located: its splits, opened; train comes first where there is one.
        mistakes: where mistakes are gathered, if they are.
        directory: where sentences are put that are too many for memory.

    Raises:
        UserError: the first mistake.
    """
    tables = located.tables
    for split, table in tables.items():
        _examine(split, table, mistakes)
    columns = {str(ours): theirs for ours, theirs in source.columns.items()}
    reading = Reading(index, tasks, columns, option, directory)
    reading = replace(reading, signs=sentences.signs(tables.values(), reading))
    form = "words"
    with noted(mistakes):
        if some := [table for table in tables.values() if table.rows]:
            form = sentences.form(some, reading)
    parsed: dict[str, Sequence[Sentence]] = {
        split: sentences.parse(table, reading, mistakes) if table.rows else []
        for split, table in tables.items()
    }
    first = next(iter(tables))
    notes = [*located.notes, *_reading_notes(source.title, reading, located)]
    part = Part(source.title, reading, _with_labels(parsed, source, reading, mistakes), notes, form)
    part.missed = {
        split: located.missed(split, reading.names) for split in SPLITS if split not in tables
    }
    for task, kind in reading.kinds.items():
        if kind.spans:
            parsed, note = iob2.to_iob2(task, parsed, tables, reading, mistakes)
            part.notes += [f"{part.name}: {note}"] if note else []
            part.splits = _with_labels(parsed, source, reading, mistakes)
    part.notes += [f"{part.name}: {line}." for line in _alike(parsed[first], source, reading)]
    train = tables[first].rows
    if mistakes and len(parsed[first]) < len(train):
        values = (value for row in train for value in row.values.values())
        part.written = {text for value in values for text in _texts(value)}
    if source.labels:
        part.notes.append(_count_labelled(part, source, parsed, mistakes))
    return part


def _examine(split: str, table: Table, mistakes: Mistakes) -> None:
    """Refuse a table without rows, or one that was misread."""
    if Path(table.name).suffix.lower() not in SEPARATORS:  # the reader of these has looked
        with noted(mistakes):
            misread.examine(table.name, table.columns, table.rows)
    if not table.rows and not any(error.where.startswith(table.name) for error in mistakes or ()):
        with noted(mistakes):
            raise UserError(
                "no sentences", f"the {split} split needs some", where=table.name, code="empty"
            )


def _count_labelled(
    part: Part, source: Source, parsed: Mapping[str, Sequence[Sentence]], mistakes: Mistakes
) -> str:
    """How many sentences have the labels asked for; no split may be left without any."""
    for split, labelled in part.splits.items():
        if not labelled and parsed[split]:
            with noted(mistakes):
                raise UserError(
                    f"no sentence of the {split} split has one of these labels",
                    "name others",
                    where=f"{part.reading.option}.labels",
                    code="unknown-value",
                )
    count, every = (sum(map(len, splits.values())) for splits in (part.splits, parsed))
    return (
        f"{part.name}: {count:,} of {every:,} sentences have the labels {', '.join(source.labels)}."
    )


def _reading_notes(title: str, reading: Reading, located: Located) -> Iterator[str]:
    """Notes on guessed splits, and on files and columns that are not read."""
    for split, choice in located.guesses.items():
        yield f"{title}: {split} is {shown(choice.name)}, {choice.why}."
    if located.unread:
        yield f"{title}: {located.skipped}."
    train, *others = located.tables.values()
    yield from _guessed_columns(train, others, reading)
    for table in located.tables.values():
        for column, counts in names.in_columns(table, reading.names).items():
            counted = ", ".join(f"{shown(value)} {count:,}" for value, count in counts.items())
            problem = f"column {shown(column)} holds names of splits ({counted}) and is not read"
            yield f"{table.name}: {problem}: {_remedy(column, located, reading)}."
        for column, counts in names.dividing(table, reading.names).items():
            if len(located.tables) == 1:
                yield _may_divide(table, column, counts, reading)
    for table in located.tables.values():
        yield from table.notes


def _guessed_columns(table: Table, others: Sequence[Table], reading: Reading) -> Iterator[str]:
    """Notes on which columns of a file with a token a line are read, where nobody said it."""
    form = table.form
    if form is None:
        return
    for other in others:
        if other.form is not None and other.form.width != form.width:
            width = f"{other.form.width} columns, and {table.name} has {form.width}"
            yield f"{other.name}: {width}: of each, words are read from the first, and tags from the last."
    if form.usual:
        return
    ours = ["tokens", *(task.column for task in reading.tasks.values())]
    by_number = {
        name: form.numbers[name]
        for name in ours
        if name in form.numbers and name not in reading.columns
    }
    if by_number:
        parts = " and ".join(f"{name} from number {number}" for name, number in by_number.items())
        also = names.listed([str(place + 1) for place in form.others])
        more = f"; number {also} has tags too" if also else ""
        yield f"{table.name}: of {form.width} columns, {parts}, a guess by their values{more}."


def _may_divide(table: Table, column: str, counts: Counter[str], reading: Reading) -> str:
    """A note on a column that may say the splits in words of its own."""
    counted = ", ".join(f"{shown(value)} {count:,}" for value, count in counts.most_common())
    options = f"--{reading.option}.split_column {shlex.quote(column)} --{reading.option}.splits.train VALUE"
    problem = f"column {shown(column)} ({counted}) may say the split of each row and is not read"
    return f"{table.name}: {problem}: if it does, pass {options}, and the same for validation and test."


def _remedy(column: str, located: Located, reading: Reading) -> str:
    """What to do about a column that holds names of splits."""
    if len(located.tables) == 1:
        return (
            f"pass --{reading.option}.split_column {shlex.quote(column)} to take the splits from it"
        )
    return "write the rows of each split to their own file"


def _alike(train: Sequence[Sentence], source: Source, reading: Reading) -> Iterator[str]:
    """Notes on labels, tags and types of train that look alike; where the experiment names labels,
    on labels that look like these.
    """
    for task, kind in reading.kinds.items():
        counts = Counter(
            value for sentence in train for value in kind.values(sentence.gold.get(task))
        )
        asked = source.labels if task == _labelled(reading) else ()
        wanted = set(map(alike.look, asked or counts))
        yield from alike.notes(
            [value for value, _ in counts.most_common() if alike.look(value) in wanted],
            kind.value_title,
        )


def _labelled(reading: Reading) -> str | None:
    """The first task with one label a sentence."""
    return next((task for task, kind in reading.kinds.items() if kind.one_label), None)


def _texts(value: Any) -> Iterator[str]:
    """The texts in a cell: the whole, and its words or items."""
    if isinstance(value, str):
        yield from (value, *value.split())
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))


def _with_labels(
    parsed: dict[str, Sequence[Sentence]], source: Source, reading: Reading, mistakes: Mistakes
) -> dict[str, Sequence[Sentence]]:
    """The sentences that have one of the labels asked for."""
    if not source.labels:
        return parsed
    task = _labelled(reading) or ""
    first = next(iter(parsed))
    known = sorted({label for sentence in parsed[first] if (label := sentence.gold.get(task))})
    for label in source.labels:
        if label not in known:
            with noted(mistakes):
                where = f"{reading.option}.labels"
                raise UserError(
                    f"no {'training' if first == 'train' else first} sentence has the label {label!r}",
                    did_you_mean(label, known),
                    where=where,
                    code="unknown-value",
                )
    rows_by_split = {
        split: (sentence for sentence in rows if sentence.gold.get(task) in source.labels)
        for split, rows in parsed.items()
    }
    return {split: collect(rows, reading.directory) for split, rows in rows_by_split.items()}
