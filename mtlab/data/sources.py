"""Where labelled sentences come from: local files, directories or the hub. All are checked before
any training.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mtlab.data import alike, splits, spoil
from mtlab.data.gather import Part, gather
from mtlab.data.reading import locate
from mtlab.data.reading.names import SPLITS
from mtlab.data.stored import Sentence, joined
from mtlab.plan.data import Data, Source
from mtlab.plan.errors import Mistakes, UserError, noted, printable
from mtlab.plan.tasks import Task
from mtlab.tasks import kind as kinds


@dataclass(frozen=True)
class Corpus:
    """The sentences of an experiment, with notes on how they were read, cut and changed."""

    splits: dict[str, Sequence[Sentence]]
    """``train`` (the subset where there is one), ``validation`` and ``test``; of several sources in
    the order of their tasks."""
    tasks: dict[str, kinds.Task]
    """With the codes that were learnt from the whole training split as it was given, before any cut
    or subset. Other splits may have labels without a code where ``unseen_labels`` allows it, and
    tags ``I-x``."""
    notes: tuple[str, ...]
    """What was converted, cut and counted, a sentence each."""
    fingerprint: str
    """SHA-256 of splits and codes as used: of the content, whatever files it comes from."""
    served: tuple[tuple[str, ...], ...]
    """For each source, the tasks that it has gold of."""
    forms: tuple[str, ...]
    """For each source, how all of its sentences are read: as raw ``text``, or as ``words``."""

    @property
    def shapes(self) -> dict[str, kinds.Shape]:
        """Task to the shape of its head."""
        return {name: task.shape for name, task in self.tasks.items()}

    @property
    def inputs(self) -> dict[str, str]:
        """Task to how its sentences are read."""
        return {
            task: form
            for tasks, form in zip(self.served, self.forms, strict=True)
            for task in tasks
        }


def load(
    data: Data,
    tasks: Mapping[str, Task],
    data_seed: int,
    option: str = "data",
    directory: Path | None = None,
) -> Corpus:
    """Read, check, cut and subset the data of an experiment.

    No sentence is dropped, except by ``labels`` and ``train_size``; sentences that are cut off
    train become another split.

    Args:
        data: the experiment's ``data``.
        tasks: the experiment's.
        data_seed: draws cuts and subsets; the same seed draws the same, whatever else changes.
        option: the name of the data in the experiment.
        directory: the folder for sentences that do not fit in memory; None is the system's folder
            for temporary files.

    Raises:
        UserError: ``file:line field: problem; remedy`` of the first mistake.
    """
    parts = []
    for index, (source, tasks_of_source, place) in enumerate(asked(data, tasks, option)):
        part = gather(
            source, index, tasks_of_source, place, locate.read(source, place), directory=directory
        )
        parts.append(settle(part, data, data_seed))
    return join(parts)


def asked(
    data: Data, tasks: Mapping[str, Task], option: str = "data"
) -> list[tuple[Source, dict[str, Task], str]]:
    """The sources of an experiment, each with its tasks and its name in the experiment."""
    if data.source is not None:
        return [(data, dict(tasks), option)]
    return [
        (data.by_task[name], {name: task}, f"{option}.{name}")
        for name, task in tasks.items()
        if name in data.by_task
    ]


def join(parts: Sequence[Part]) -> Corpus:
    """The corpus of sources, after :func:`settle`."""
    merged = {split: joined([part.splits[split] for part in parts]) for split in SPLITS}
    tasks = {
        name: kinds.Task(name, kind, part.codes[name])
        for part in parts
        for name, kind in part.reading.kinds.items()
    }
    return Corpus(
        merged,
        tasks,
        tuple(printable(note) for part in parts for note in part.notes),
        fingerprint_of(merged, tasks),
        tuple(tuple(part.reading.tasks) for part in parts),
        tuple(part.form for part in parts),
    )


def together(corpora: Sequence[Corpus]) -> list[Corpus]:
    """The same corpora, each with the labels and tags of all of them, for a network that is trained
    on one after another.
    """
    tasks = {
        name: replace(task, codes=task.kind.join([corpus.tasks[name].codes for corpus in corpora]))
        for name, task in corpora[0].tasks.items()
    }
    lines = [
        line
        for task in tasks.values()
        for line in alike.notes(task.kind.known(task.codes), task.kind.value_title)
    ]
    known = "\n".join(note for corpus in corpora for note in corpus.notes)
    new = tuple(
        f"in the data of both phases: {line}."
        for line in map(printable, lines)
        if line not in known
    )
    return [
        replace(
            corpus,
            tasks=tasks,
            notes=corpus.notes + new,
            fingerprint=fingerprint_of(corpus.splits, tasks),
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
        mistakes: a list that collects mistakes of this source; None raises the first one.

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
            option if data.source is not None else option.rpartition(".")[0],
        )
        _spoil(part, data, data_seed)
    return part


def _learn(part: Part, mistakes: Mistakes) -> None:
    """Take labels, tags and numbers from the whole training split."""
    train = part.splits["train"]
    for name, kind in part.reading.kinds.items():
        codes = kind.learn(sentence.gold.get(name) for sentence in train)
        part.codes[name] = codes
        lack = None if part.written else kind.lack(codes)
        if lack is not None:
            ours = part.reading.tasks[name].column
            with noted(mistakes):
                raise UserError(
                    lack[0],
                    lack[1],
                    where=f"{part.name} {part.reading.columns.get(ours, ours)}",
                    code="too-few-labels",
                )


def _generator(part: Part, data_seed: int, purpose: int) -> np.random.Generator:
    """A generator for one purpose, so that no draw depends on another."""
    return np.random.default_rng([data_seed, part.reading.source, purpose])


def _cut(part: Part, data: Data, data_seed: int) -> None:
    """Cut the splits that the source lacks off train."""
    total = len(part.splits["train"])
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
        share = fraction * total / len(part.splits["train"])
        if share >= 1 or len(part.splits["train"]) < 2:
            problem = f"{total:,} training sentences are too few to cut off {split}"
            raise UserError(
                problem,
                "add some, or lower the fractions",
                where=part.name,
                code="too-few-sentences",
            )
        part.splits["train"], part.splits[split] = splits.cut(
            part.splits["train"], share, _generator(part, data_seed, purpose), part.reading
        )
        count = len(part.splits[split])
        note = f"no {split} split: {count:,} of {total:,} training sentences cut off, stratified, data_seed {data_seed}"
        part.notes.append(f"{part.name}: {note}{missed}.")


def _compare(part: Part, data: Data, mistakes: Mistakes) -> None:
    """Compare validation and test with train."""
    for split in ("validation", "test"):
        sentences = part.splits.get(split, [])
        notes = []
        for name, kind in part.reading.kinds.items():
            known = {*kind.known(part.codes[name]), *part.written}
            notes += splits.unseen(
                sentences, part.reading, name, known, data.unseen_labels, mistakes
            )
        notes += splits.duplicates(
            split, part.splits["train"], sentences, data.max_duplicates, mistakes
        )
        part.notes += [f"{part.name} {split}: {note}." for note in notes]


def _take(part: Part, size: int | str, data_seed: int, option: str) -> None:
    """Keep ``size`` training sentences; ``option`` is the experiment's name of the data, also where
    it has several sources.
    """
    train = part.splits["train"]
    if isinstance(size, int):
        if size > len(train):
            remedy = f"pass {len(train)} at most, or full"
            problem = f"{size:,} is above the {len(train):,} training sentences of {part.name}"
            raise UserError(problem, remedy, where=f"{option}.train_size", code="out-of-range")
        part.splits["train"] = splits.subset(
            train, size, _generator(part, data_seed, 2), part.reading
        )
        part.notes.append(
            f"{part.name}: {size:,} of {len(train):,} training sentences taken, stratified, data_seed {data_seed}."
        )
    counts = ", ".join(f"{len(part.splits[split]):,} {split}" for split in SPLITS)
    part.notes.append(f"{part.name}: {counts} sentences.")


def _spoil(part: Part, data: Data, data_seed: int) -> None:
    """Make training labels wrong, and take some away, as the experiment asks."""
    for purpose, (task, kind) in enumerate(part.reading.kinds.items(), start=3):
        known = kind.known(part.codes[task])
        for draw, (shares, change) in enumerate(
            ((data.label_noise, spoil.mislabel), (data.labelled, spoil.hide))
        ):
            if task in shares:
                rng = _generator(part, data_seed, 10 * purpose + draw)
                part.splits["train"], note = change(
                    part.splits["train"], part.reading, task, shares[task], known, rng
                )
                part.notes.append(f"{part.name}: {note}, data_seed {data_seed}.")


def fingerprint_of(merged: dict[str, Sequence[Sentence]], tasks: dict[str, kinds.Task]) -> str:
    """SHA-256 of the content of splits, and of the codes of their tasks."""
    digest = hashlib.sha256()
    for line in _content(merged, tasks):
        digest.update(json.dumps(line).encode() + b"\n")
    return digest.hexdigest()


def _content(
    merged: dict[str, Sequence[Sentence]], tasks: dict[str, kinds.Task]
) -> Iterator[object]:
    yield [task.codes.names or (task.codes.center, task.codes.spread) for task in tasks.values()]
    backwards = list(reversed(tasks))  # keep this order: fingerprints in records depend on it
    for split, sentences in merged.items():
        yield split
        for sentence in sentences:
            gold = [sentence.gold.get(task) for task in backwards]
            yield sentence.source, sentence.tokens, sentence.text, *gold
