"""Where labelled sentences come from: local files, directories or the hub; checked whole before
anything is trained.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtlab.data import alike, sentences, splits, spoil
from mtlab.data.reading import cells, locate, names
from mtlab.data.reading.locate import Located
from mtlab.data.reading.names import SPLITS
from mtlab.data.sentences import Reading
from mtlab.data.stored import Sentence, collect, joined
from mtlab.data.tags import entity_type
from mtlab.plan.errors import Found, UserError, did_you_mean, noted, printable, shown
from mtlab.plan.selectors import TASKS
from mtlab.plan.settings import Data, Source


@dataclass(frozen=True)
class Corpus:
    """The sentences of an experiment, and everything that was done to get them."""

    splits: dict[str, Sequence[Sentence]]
    """``train`` (the subset where there is one), ``validation`` and ``test``; of two sources the
    classifier's come first."""
    labels: tuple[str, ...]
    """Sorted; of the whole training split as it was given, before any cut or subset. Other splits
    may have labels that are not here where ``unseen_labels`` allows it."""
    tags: tuple[str, ...]
    """``O``, then the IOB2 tags of the whole training split, sorted. Other splits may have an
    ``I-x`` that is not here."""
    notes: tuple[str, ...]
    """What was converted, cut and counted, a sentence each."""
    fingerprint: str
    """SHA-256 of splits, labels and tags as used: of the content, not of where it lies."""
    tasks: tuple[tuple[str, ...], ...]
    """For each source, those of ``TASKS`` that it has labels for."""
    forms: tuple[str, ...]
    """For each source, how all of its sentences are read: as raw ``text``, or as ``words``."""

    @property
    def inputs(self) -> dict[str, str]:
        """Task to how its sentences are read."""
        return {
            task: form for tasks, form in zip(self.tasks, self.forms, strict=True) for task in tasks
        }


@dataclass
class Part:
    """One source on its way into the corpus.

    Where mistakes are gathered, what a mistake leaves no sense in is left undone.
    """

    name: str
    reading: Reading
    splits: dict[str, Sequence[Sentence]]
    notes: list[str]
    form: str
    """How its sentences are read: as raw ``text``, or as ``words``."""
    missed: dict[str, str] = field(default_factory=dict)
    """Splits that it lacks to what was not read, and may be them."""
    labels: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    """Where sentences of train had to be left out: every word there, for the labels and types that
    train has all the same."""


def load(data: Data, data_seed: int, option: str = "data", directory: Path | None = None) -> Corpus:
    """Read, check, cut and subset the data of an experiment.

    Sentences in are sentences out: none is dropped but by ``labels`` and ``train_size``, and what
    is cut off train becomes another split.

    Args:
        data: the experiment's ``data``.
        data_seed: draws cuts and subsets; the same seed draws the same, whatever else changes.
        option: what the experiment calls them.
        directory: where sentences are put that are too many for memory; None is the system's folder
            for temporary files.

    Raises:
        UserError: ``file:line field: problem; remedy`` of the first mistake.
    """
    parts = []
    for index, (source, tasks, place) in enumerate(asked(data, option)):
        part = gather(source, index, tasks, place, locate.read(source, place), directory=directory)
        parts.append(settle(part, data, data_seed))
    return join(parts)


def asked(data: Data, option: str = "data") -> list[tuple[Source, tuple[str, ...], str]]:
    """The sources of an experiment, the tasks that each is for, and what the experiment calls
    it.
    """
    if data.source is not None:
        return [(data, TASKS, option)]
    return [
        (source, (task,), f"{option}.{task}")
        for task in TASKS
        if (source := getattr(data, task)) is not None
    ]


def join(parts: Sequence[Part]) -> Corpus:
    """The corpus of sources that are settled."""
    merged = {split: joined([part.splits[split] for part in parts]) for split in SPLITS}
    labels = tuple(sorted(set().union(*(part.labels for part in parts))))
    tags = ("O", *sorted(set().union(*(part.tags for part in parts)) - {"O"}))
    notes = tuple(printable(note) for part in parts for note in part.notes)
    tasks = tuple(part.reading.tasks for part in parts)
    return Corpus(
        merged,
        labels,
        tags,
        notes,
        _fingerprint(merged, labels, tags),
        tasks,
        tuple(part.form for part in parts),
    )


def together(corpora: Sequence[Corpus]) -> list[Corpus]:
    """The same corpora with the labels and tags of all of them, for a network that meets one after
    another.
    """
    labels = tuple(sorted({label for corpus in corpora for label in corpus.labels}))
    tags = ("O", *sorted({tag for corpus in corpora for tag in corpus.tags} - {"O"}))
    types = sorted({kind for tag in tags if (kind := entity_type(tag)) is not None})
    lines = [*alike.told(labels, "label"), *alike.told(types, "entity type")]
    known = "\n".join(note for one in corpora for note in one.notes)
    new = tuple(
        f"in the data of both phases: {line}."
        for line in map(printable, lines)
        if line not in known
    )
    return [
        replace(
            one,
            labels=labels,
            tags=tags,
            notes=one.notes + new,
            fingerprint=_fingerprint(one.splits, labels, tags),
        )
        for one in corpora
    ]


def gather(
    source: Source,
    index: int,
    tasks: tuple[str, ...],
    option: str,
    located: Located,
    found: Found = None,
    directory: Path | None = None,
) -> Part:
    """The sentences of one source as its tables have them, with tags in IOB2.

    Args:
        source: what the experiment says of it.
        index: its number.
        tasks: those of ``TASKS`` that it is for.
        option: what the experiment calls it.
        located: what was opened.
        found: where mistakes are gathered, if they are.
        directory: where sentences are put that are too many for memory.

    Raises:
        UserError: the first mistake.
    """
    tables = located.tables
    for split, table in tables.items():
        if (
            Path(table.name).suffix.lower() not in cells.SEPARATORS
        ):  # the reader of these has looked
            with noted(found):
                cells.examine(table.name, table.columns, table.rows)
        if not table.rows and not any(error.where.startswith(table.name) for error in found or ()):
            with noted(found):
                raise UserError("no sentences", f"the {split} split needs some", where=table.name)
    reading = Reading(
        index,
        tasks,
        {str(ours): theirs for ours, theirs in source.columns.items()},
        option,
        directory,
    )
    form = "words"
    with noted(found):
        if some := [table for table in tables.values() if table.rows]:
            form = sentences.form(some, reading)
    parsed: dict[str, Sequence[Sentence]] = {
        split: sentences.parse(table, reading, found) if table.rows else []
        for split, table in tables.items()
    }
    notes = [
        *located.notes,
        *_told(source.title, reading, located),
        *(note for table in tables.values() for note in table.notes),
    ]
    part = Part(source.title, reading, _with_labels(parsed, source, reading, found), notes, form)
    part.missed = {
        split: located.missed(split, reading.names) for split in SPLITS if split not in tables
    }
    if "ner" in tasks:
        parsed, note = sentences.to_iob2(parsed, tables, reading, found)
        part.notes += [f"{part.name}: {note}"] if note else []
        part.splits = _with_labels(parsed, source, reading, found)
    part.notes += [f"{part.name}: {line}." for line in _alike(parsed["train"], source)]
    if found and len(parsed["train"]) < len(tables["train"].rows):
        part.written = {
            text
            for row in tables["train"].rows
            for value in row.values.values()
            for text in _texts(value)
        }
    if source.labels:
        for split, rows in part.splits.items():
            if not rows and parsed[split]:
                with noted(found):
                    raise UserError(
                        f"no sentence of the {split} split has one of these labels",
                        "name others",
                        where=f"{option}.labels",
                    )
        kept, all_of = (sum(map(len, some.values())) for some in (part.splits, parsed))
        part.notes.append(
            f"{part.name}: {kept:,} of {all_of:,} sentences have the labels {', '.join(source.labels)}."
        )
    return part


def _told(title: str, reading: Reading, located: Located) -> Iterator[str]:
    """How a source came to its splits, and what of it is not read."""
    for split, choice in located.guesses.items():
        yield f"{title}: {split} is {shown(choice.name)}, {choice.why}."
    if located.unread:
        yield f"{title}: {located.skipped}."
    for table in located.tables.values():
        for column, counts in names.in_columns(table, reading.names).items():
            told = ", ".join(f"{shown(value)} {count:,}" for value, count in counts.items())
            what = f"column {shown(column)} holds names of splits ({told}) and is not read"
            yield f"{table.name}: {what}: write the rows of each split to their own file."


def _alike(train: Sequence[Sentence], source: Source) -> Iterator[str]:
    """What is said of labels and types of train that look alike; where some labels are asked for,
    of those that look like these.
    """
    labels = Counter(sentence.label for sentence in train if sentence.label is not None)
    types = Counter(
        kind
        for sentence in train
        for tag in sentence.tags or ()
        if (kind := entity_type(tag)) is not None
    )
    wanted = set(map(alike.look, source.labels or labels))
    yield from alike.told(
        [label for label, _ in labels.most_common() if alike.look(label) in wanted], "label"
    )
    yield from alike.told([kind for kind, _ in types.most_common()], "entity type")


def settle(part: Part, data: Data, data_seed: int, found: Found = None) -> Part:
    """Learn labels and tags, cut what is missing off train, hold the splits against each other, and
    take what is asked for.

    Args:
        part: a source as it was given.
        data: what the experiment asks for.
        data_seed: draws cuts and subsets.
        found: where mistakes of this source are gathered, if they are.

    Raises:
        UserError: the first mistake.
    """
    if found and not part.splits["train"]:
        return part
    _learn(part, found)
    with noted(found):
        _cut(part, data, data_seed)
    _compare(part, data, found)
    if not found:
        option = part.reading.option
        _take(
            part,
            data.train_size,
            data_seed,
            option if len(part.reading.tasks) > 1 else option.rpartition(".")[0],
        )
        _spoil(part, data, data_seed)
    return part


def _texts(value: Any) -> Iterator[str]:
    """The texts in a cell: itself, and the words or items that it may stand for."""
    if isinstance(value, str):
        yield from (value, *value.split())
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))


def _with_labels(
    parsed: dict[str, Sequence[Sentence]], source: Source, reading: Reading, found: Found
) -> dict[str, Sequence[Sentence]]:
    """The sentences that have one of the labels asked for."""
    if not source.labels:
        return parsed
    known = sorted({sentence.label for sentence in parsed["train"] if sentence.label is not None})
    for label in source.labels:
        if label not in known:
            with noted(found):
                where = f"{reading.option}.labels"
                raise UserError(
                    f"no training sentence has the label {label!r}",
                    did_you_mean(label, known),
                    where=where,
                )
    kept = {
        split: (sentence for sentence in rows if sentence.label in source.labels)
        for split, rows in parsed.items()
    }
    return {split: collect(rows, reading.directory) for split, rows in kept.items()}


def _learn(part: Part, found: Found) -> None:
    """Take labels and tags from the whole training split."""
    train = part.splits["train"]
    for sentence in train:
        if sentence.label is not None:
            part.labels.add(sentence.label)
        part.tags.update(sentence.tags or ())
    if part.written:
        return
    if "classifier" in part.reading.tasks and len(part.labels) < 2:
        problem = f"every training sentence has the label {next(iter(part.labels))!r}"
        with noted(found):
            raise UserError(
                problem,
                "classification needs two labels or more",
                where=f"{part.name} {_column(part, 'label')}",
            )
    if "ner" in part.reading.tasks and part.tags == {"O"}:
        with noted(found):
            raise UserError(
                "no training sentence has an entity",
                "tag some",
                where=f"{part.name} {_column(part, 'ner_tags')}",
            )


def _column(part: Part, name: str) -> str:
    return part.reading.columns.get(name, name)


def _generator(part: Part, data_seed: int, purpose: int) -> np.random.Generator:
    """A generator for one purpose, so that no draw depends on another."""
    return np.random.default_rng([data_seed, part.reading.source, purpose])


def _cut(part: Part, data: Data, data_seed: int) -> None:
    """Cut the splits that the source lacks off train."""
    whole = len(part.splits["train"])
    for purpose, (split, fraction) in enumerate(
        {"test": data.test_fraction, "validation": data.validation_fraction}.items()
    ):
        if split in part.splits:
            continue
        missed = f"; {part.missed[split]}" if part.missed.get(split) else ""
        if fraction is None:
            remedy = "add one, name it with --{option}.splits.test NAME, or cut one off train with --data.test_fraction 0.1"
            raise UserError(
                "no test split", remedy.format(option=part.reading.option) + missed, where=part.name
            )
        share = fraction * whole / len(part.splits["train"])
        if share >= 1 or len(part.splits["train"]) < 2:
            problem = f"{whole:,} training sentences are too few to cut off {split}"
            raise UserError(problem, "add some, or lower the fractions", where=part.name)
        part.splits["train"], part.splits[split] = splits.cut(
            part.splits["train"],
            share,
            _generator(part, data_seed, purpose),
            part.reading.directory,
        )
        count = len(part.splits[split])
        told = f"no {split} split: {count:,} of {whole:,} training sentences cut off, stratified, data_seed {data_seed}"
        part.notes.append(f"{part.name}: {told}{missed}.")


def _compare(part: Part, data: Data, found: Found) -> None:
    """Hold validation and test against train."""
    types = {kind for tag in part.tags | part.written if (kind := entity_type(tag)) is not None}
    known = {"label": part.labels | part.written, "ner_tags": types}
    for split in ("validation", "test"):
        kept = part.splits.get(split, [])
        told = splits.unseen(kept, known, data.unseen_labels, part.reading.columns, found)
        told += splits.duplicates(split, part.splits["train"], kept, data.max_duplicates, found)
        part.notes += [f"{part.name} {split}: {note}." for note in told]


def _take(part: Part, size: int | str, data_seed: int, option: str) -> None:
    """Keep ``size`` training sentences; ``option`` is what the experiment calls the data, of one
    source or of two.
    """
    train = part.splits["train"]
    if isinstance(size, int):
        if size > len(train):
            remedy = f"pass {len(train)} at most, or full"
            problem = f"{size:,} is above the {len(train):,} training sentences of {part.name}"
            raise UserError(problem, remedy, where=f"{option}.train_size")
        part.splits["train"] = splits.subset(
            train, size, _generator(part, data_seed, 2), part.reading.directory
        )
        part.notes.append(
            f"{part.name}: {size:,} of {len(train):,} training sentences taken, stratified, data_seed {data_seed}."
        )
    counts = ", ".join(f"{len(part.splits[split]):,} {split}" for split in SPLITS)
    part.notes.append(f"{part.name}: {counts} sentences.")


def _spoil(part: Part, data: Data, data_seed: int) -> None:
    """Make training labels wrong, and take some away, as the experiment asks."""
    for purpose, task in enumerate(part.reading.tasks, start=3):
        known = sorted(
            part.labels
            if task == "classifier"
            else {kind for tag in part.tags if (kind := entity_type(tag)) is not None}
        )
        for draw, (asked, change) in enumerate(
            ((data.label_noise, spoil.mislabel), (data.labelled, spoil.hide))
        ):
            if task in asked:
                rng = _generator(part, data_seed, 10 * purpose + draw)
                part.splits["train"], told = change(
                    part.splits["train"], task, asked[task], known, rng, part.reading.directory
                )
                part.notes.append(f"{part.name}: {told}, data_seed {data_seed}.")


def _fingerprint(
    merged: dict[str, Sequence[Sentence]], labels: tuple[str, ...], tags: tuple[str, ...]
) -> str:
    digest = hashlib.sha256()
    for line in _content(merged, labels, tags):
        digest.update(json.dumps(line).encode() + b"\n")
    return digest.hexdigest()


def _content(
    merged: dict[str, Sequence[Sentence]], labels: tuple[str, ...], tags: tuple[str, ...]
) -> Iterator[object]:
    yield labels, tags
    for split, kept in merged.items():
        yield split
        for sentence in kept:
            yield sentence.source, sentence.tokens, sentence.text, sentence.tags, sentence.label
