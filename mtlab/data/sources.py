"""Where labelled sentences come from: local files, directories or the hub; checked whole before
anything is trained.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mtlab.data import alike, splits, spoil
from mtlab.data.gather import Part, gather
from mtlab.data.reading import locate
from mtlab.data.reading.names import SPLITS
from mtlab.data.stored import Sentence, joined
from mtlab.data.tags import entity_type
from mtlab.plan.errors import Mistakes, UserError, noted, printable
from mtlab.plan.selectors import TASKS
from mtlab.plan.settings import Data, Source


@dataclass(frozen=True)
class Corpus:
    """The sentences of an experiment, with notes on how they were read, cut and changed."""

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
    def names(self) -> dict[str, tuple[str, ...]]:
        """Task to the names of its classes."""
        return {"classifier": self.labels, "ner": self.tags}

    @property
    def inputs(self) -> dict[str, str]:
        """Task to how its sentences are read."""
        return {
            task: form for tasks, form in zip(self.tasks, self.forms, strict=True) for task in tasks
        }


def load(data: Data, data_seed: int, option: str = "data", directory: Path | None = None) -> Corpus:
    """Read, check, cut and subset the data of an experiment.

    Sentences in are sentences out: none is dropped but by ``labels`` and ``train_size``, and what
    is cut off train becomes another split.

    Args:
        data: the experiment's ``data``.
        data_seed: draws cuts and subsets; the same seed draws the same, whatever else changes.
        option: their name in the experiment.
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
    lines = [*alike.notes(labels, "label"), *alike.notes(types, "entity type")]
    known = "\n".join(note for corpus in corpora for note in corpus.notes)
    new = tuple(
        f"in the data of both phases: {line}."
        for line in map(printable, lines)
        if line not in known
    )
    return [
        replace(
            corpus,
            labels=labels,
            tags=tags,
            notes=corpus.notes + new,
            fingerprint=_fingerprint(corpus.splits, labels, tags),
        )
        for corpus in corpora
    ]


def settle(part: Part, data: Data, data_seed: int, mistakes: Mistakes = None) -> Part:
    """Collect labels and tags, cut missing splits off train, compare the splits, and take the
    training sentences that the experiment asks for.

    Args:
        part: a source as it was given.
        data: of the experiment.
        data_seed: draws cuts and subsets.
        mistakes: where mistakes of this source are gathered, if they are.

    Raises:
        UserError: the first mistake.
    """
    if mistakes and not part.splits["train"]:
        return part
    _learn(part, mistakes)
    with noted(mistakes):
        _cut(part, data, data_seed)
    _compare(part, data, mistakes)
    if not mistakes:
        option = part.reading.option
        _take(
            part,
            data.train_size,
            data_seed,
            option if len(part.reading.tasks) > 1 else option.rpartition(".")[0],
        )
        _spoil(part, data, data_seed)
    return part


def _learn(part: Part, mistakes: Mistakes) -> None:
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
        with noted(mistakes):
            raise UserError(
                problem,
                "classification needs two labels or more",
                where=f"{part.name} {_column(part, 'label')}",
                code="too-few-labels",
            )
    if "ner" in part.reading.tasks and part.tags == {"O"}:
        with noted(mistakes):
            raise UserError(
                "no training sentence has an entity",
                "tag some",
                where=f"{part.name} {_column(part, 'ner_tags')}",
                code="too-few-labels",
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
                "no test split",
                remedy.format(option=part.reading.option) + missed,
                where=part.name,
                code="no-split",
            )
        share = fraction * whole / len(part.splits["train"])
        if share >= 1 or len(part.splits["train"]) < 2:
            problem = f"{whole:,} training sentences are too few to cut off {split}"
            raise UserError(
                problem,
                "add some, or lower the fractions",
                where=part.name,
                code="too-few-sentences",
            )
        part.splits["train"], part.splits[split] = splits.cut(
            part.splits["train"],
            share,
            _generator(part, data_seed, purpose),
            part.reading.directory,
        )
        count = len(part.splits[split])
        note = f"no {split} split: {count:,} of {whole:,} training sentences cut off, stratified, data_seed {data_seed}"
        part.notes.append(f"{part.name}: {note}{missed}.")


def _compare(part: Part, data: Data, mistakes: Mistakes) -> None:
    """Compare validation and test with train."""
    types = {kind for tag in part.tags | part.written if (kind := entity_type(tag)) is not None}
    known = {"label": part.labels | part.written, "ner_tags": types}
    for split in ("validation", "test"):
        kept = part.splits.get(split, [])
        notes = splits.unseen(kept, known, data.unseen_labels, part.reading.columns, mistakes)
        notes += splits.duplicates(split, part.splits["train"], kept, data.max_duplicates, mistakes)
        part.notes += [f"{part.name} {split}: {note}." for note in notes]


def _take(part: Part, size: int | str, data_seed: int, option: str) -> None:
    """Keep ``size`` training sentences; ``option`` is what the experiment calls the data, of one
    source or of two.
    """
    train = part.splits["train"]
    if isinstance(size, int):
        if size > len(train):
            remedy = f"pass {len(train)} at most, or full"
            problem = f"{size:,} is above the {len(train):,} training sentences of {part.name}"
            raise UserError(problem, remedy, where=f"{option}.train_size", code="out-of-range")
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
                part.splits["train"], note = change(
                    part.splits["train"], task, asked[task], known, rng, part.reading.directory
                )
                part.notes.append(f"{part.name}: {note}, data_seed {data_seed}.")


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
