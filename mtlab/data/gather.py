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
    """One source, while it is prepared for the corpus.

    If mistakes are collected, steps that make no sense after a mistake are skipped.
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
    """Task to the codes that were learnt from its gold in the whole of train."""
    written: set[str] = field(default_factory=set)
    """If mistakes left out sentences of train: every text in the rows of train, labels and tags
    included."""


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
        tasks: those that it has gold of.
        option: its name in the experiment.
        located: its splits, opened; train comes first where there is one.
        mistakes: a list that collects mistakes; None raises the first one.
        directory: the folder for sentences that do not fit in memory.

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
        if filled_tables := [table for table in tables.values() if table.rows]:
            form = sentences.form(filled_tables, reading)
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
    if Path(table.name).suffix.lower() not in SEPARATORS:  # their reader has checked this
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
    """A note on how many sentences have the requested labels; refuse a split without any."""
    for split, labelled in part.splits.items():
        if not labelled and parsed[split]:
            with noted(mistakes):
                raise UserError(
                    f"no sentence of the {split} split has one of these labels",
                    "name others",
                    where=f"{part.reading.option}.labels",
                    code="unknown-value",
                )
    count, total = (sum(map(len, splits.values())) for splits in (part.splits, parsed))
    return (
        f"{part.name}: {count:,} of {total:,} sentences have the labels {', '.join(source.labels)}."
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
    """Notes on the columns that are read from a file with a token a line, where the user did not
    name them.
    """
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
    """A note on a column that may say the split of each row, but not in the usual words."""
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
    """Notes on labels, tags and types of train that look alike; if the experiment requests labels,
    only on labels that look like a requested one.
    """
    for task, kind in reading.kinds.items():
        counts = Counter(
            value for sentence in train for value in kind.values(sentence.gold.get(task))
        )
        requested = source.labels if task == _labelled(reading) else ()
        looks = set(map(alike.look, requested or counts))
        yield from alike.notes(
            [value for value, _ in counts.most_common() if alike.look(value) in looks],
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
    """The sentences that have one of the requested labels; all, if no labels are requested."""
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
