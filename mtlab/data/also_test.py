"""The sentences of out-of-distribution test sets, with gold in the experiment's names."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mtlab.data import changed, splits
from mtlab.data.changed import Tally
from mtlab.data.gather import Part, gather
from mtlab.data.reading import locate
from mtlab.data.reading.locate import Located
from mtlab.data.reading.names import listed
from mtlab.data.reading.table import Table
from mtlab.data.sources import Corpus, fingerprint_of
from mtlab.data.stored import Sentence, collect
from mtlab.plan.also_test import AlsoTest
from mtlab.plan.errors import UserError, did_you_mean, printable, shown
from mtlab.plan.experiment import Experiment
from mtlab.plan.tasks import Task
from mtlab.plan.words import counted
from mtlab.tasks.kind import Kind

TEST = "test"
"""The one split of a set."""


def load(
    experiment: Experiment, corpus: Corpus, directory: Path | None = None
) -> dict[str, Corpus]:
    """The out-of-distribution test sets of an experiment, each a corpus with only a test split.

    Args:
        experiment: at a point of its sweep.
        corpus: its data, with the codes that its networks have.
        directory: the folder for sentences that do not fit in memory.

    Raises:
        UserError: ``file:line field: problem; remedy`` of the first mistake.
    """
    sets = {}
    for name, entry in experiment.also_test.items():
        make = _changed if entry.of else _elsewhere
        sentences, notes = make(name, entry, experiment, corpus, directory)
        test_only = {TEST: sentences}
        sets[name] = replace(
            corpus,
            splits=test_only,
            notes=tuple(printable(f"{name}: {note}") for note in notes),
            fingerprint=fingerprint_of(test_only, corpus.tasks),
        )
    return sets


def _changed(
    name: str, asked: AlsoTest, experiment: Experiment, corpus: Corpus, directory: Path | None
) -> tuple[Sequence[Sentence], list[str]]:
    """The experiment's test split with a change."""
    test, tally = corpus.splits[TEST], Tally()
    kinds = {task: known.kind for task, known in corpus.tasks.items()}
    seed = experiment.data_seed
    sentences = collect(changed.change(test, name, asked, kinds, seed, tally), directory)
    verb = "cut off" if tally.cut else "changed"
    note = f"{tally.cut or tally.changed:,} of {tally.words:,} words {verb}, in {tally.sentences:,} of {len(test):,} sentences"
    drawn = f", data_seed {seed}" if asked.change == "typos" else ""
    return sentences, [f"{asked.called(name)}: {note}{drawn}."]


def _elsewhere(
    name: str, asked: AlsoTest, experiment: Experiment, corpus: Corpus, directory: Path | None
) -> tuple[Sequence[Sentence], list[str]]:
    """The sentences of another source, with gold of the tasks whose columns it has."""
    option = f"also_test.{name}"
    located, about = _opened(asked, option)
    tasks = _tasks_in(located.tables[TEST], asked, experiment.tasks)
    part = gather(asked, 0, tasks, option, located, directory=directory)
    part.splits[TEST] = collect(_renamed(part, asked, corpus), directory)
    part.splits[TEST], unseen = _known(part, asked, corpus, directory)
    sentences = part.splits[TEST]
    if not any(sentence.gold for sentence in sentences):
        raise UserError(
            "no sentence has gold that train knows",
            "rename it, or take the set out",
            where=option,
            code="unseen-label",
        )
    limit = experiment.data.max_duplicates
    twice = splits.duplicates(name, corpus.splits["train"], sentences, limit)
    others = [task for task in experiment.tasks if task not in tasks]
    lines = [*unseen, *twice, *_read_otherwise(part, corpus)]
    if others:
        lines.append(f"not scored there: {listed(others)}")
    size = f"{part.name}: {counted(len(sentences), 'sentence')}, {about}."
    return sentences, [*part.notes, *(f"{line}." for line in lines), size]


def _opened(asked: AlsoTest, option: str) -> tuple[Located, str]:
    """The split of a source that is the test set, and a description of it: the split that the user
    named, else the test split, else all of a source without splits.

    Raises:
        UserError: it has splits, and none of them is test.
    """
    named = asked.splits.get("test")
    if named is not None:
        return _taken(_alone(asked, named, option), "train"), f"its split {shown(named)}"
    try:
        located = locate.read(asked, option)
    except UserError as error:
        if error.code != "no-split":
            raise
        try:  # a source may have a test split alone
            return _taken(_alone(asked, TEST, option), "train"), "its test split"
        except UserError as other:
            if other.code not in ("no-split", "file-missing"):
                raise
            raise _no_test(error.where, option) from None
    if TEST in located.tables:
        return _taken(located, TEST), "its test split"
    if len(located.tables) > 1:
        raise _no_test(str(asked.source), option)
    return _taken(located, "train"), "all that it has"


def _alone(asked: AlsoTest, named: str, option: str) -> Located:
    """A source with only one split, which is read under the name ``train``."""
    return locate.read(asked.model_copy(update={"splits": {"train": named}}), option)


def _no_test(where: str, option: str) -> UserError:
    return UserError(
        "no test split",
        f"say which sentences with --{option}.splits.test NAME",
        where=where,
        code="no-split",
    )


def _taken(located: Located, split: str) -> Located:
    """One split of a source as the test set, with its notes; without the note that two splits are
    the same, which does not matter here.
    """
    notes = tuple(note for note in located.notes if " is both the " not in note)
    choices = {TEST: located.choices[split]} if split in located.choices else {}
    return Located({TEST: located.tables[split]}, notes, choices)


def _tasks_in(table: Table, asked: AlsoTest, tasks: Mapping[str, Task]) -> dict[str, Task]:
    """The tasks that a table may have gold of: the requested ones, else those whose column is in
    the table or in ``columns``; else all, so that the reader reports what is missing.
    """
    if asked.tasks:
        return {name: tasks[name] for name in asked.tasks}
    present = {
        name: task
        for name, task in tasks.items()
        if task.column in asked.columns or task.column in table.columns
    }
    return present or dict(tasks)


def _renamed(part: Part, asked: AlsoTest, corpus: Corpus) -> Iterator[Sentence]:
    """The sentences with the experiment's names for labels, tags and types.

    Raises:
        UserError: no sentence has a name that is to be replaced, or train lacks the new name.
    """
    kinds = part.reading.kinds
    labels_of = {
        task: {
            value
            for sentence in part.splits[TEST]
            for value in kind.values(sentence.gold.get(task))
        }
        for task, kind in kinds.items()
    }
    for old, new in asked.rename.items():
        having = [task for task, values in labels_of.items() if old in values]
        where = f"{part.reading.option}.rename.{old}"
        if not having:
            near = did_you_mean(old, sorted(set().union(*labels_of.values())))
            raise UserError(
                f"no sentence has {shown(old)}", near, where=where, code="unknown-value"
            )
        for task in having:
            known = kinds[task].known(corpus.tasks[task].codes)
            if new not in known:
                problem = f"train has no {kinds[task].value_title} {shown(new)}"
                near = did_you_mean(new, known)
                raise UserError(problem, near, where=where, code="unknown-value")
    for sentence in part.splits[TEST]:
        gold = {
            task: kinds[task].renamed(of_task, asked.rename)
            for task, of_task in sentence.gold.items()
        }
        yield replace(sentence, gold=gold)


def _known(
    part: Part, asked: AlsoTest, corpus: Corpus, directory: Path | None
) -> tuple[Sequence[Sentence], list[str]]:
    """The sentences, and notes on labels, tags and types that train does not have.

    Raises:
        UserError: there are some, and ``unseen_labels`` is ``error``.
    """
    sentences, notes = part.splits[TEST], list[str]()
    for task, kind in part.reading.kinds.items():
        known = set(kind.known(corpus.tasks[task].codes))
        values = Counter(
            value for sentence in sentences for value in kind.values(sentence.gold.get(task))
        )
        strange = {value: count for value, count in values.most_common() if value not in known}
        if not strange:
            continue
        names = listed([f"{shown(value)} ({count:,})" for value, count in strange.items()])
        if asked.unseen_labels == "error":
            raise _unseen(part, task, strange, names)
        if asked.unseen_labels == "count_as_error":
            notes += splits.unseen(sentences, part.reading, task, known, "count_as_error")
            continue
        sentences = collect(_within(sentences, task, kind, known), directory)
        notes.append(f"{task}: left out, for train has no {kind.value_title} {names}")
    return sentences, notes


def _within(
    sentences: Iterable[Sentence], task: str, kind: Kind, known: Collection[str]
) -> Iterator[Sentence]:
    """The sentences, without the labels or entities of a task that are not ``known``."""
    for sentence in sentences:
        gold = sentence.gold.get(task)
        yield sentence if gold is None else sentence.with_gold(task, kind.within(gold, known))


def _unseen(part: Part, task: str, strange: Collection[str], names: str) -> UserError:
    """The mistake about labels, tags or types that train does not have."""
    kind, ours, option = (
        part.reading.kinds[task],
        part.reading.tasks[task].column,
        part.reading.option,
    )
    first = next(
        sentence
        for sentence in part.splits[TEST]
        if any(value in strange for value in kind.values(sentence.gold.get(task)))
    )
    return UserError(
        f"train has no {kind.value_title} {names}",
        f"name the one of train that each is with --{option}.rename, or pass --{option}.unseen_labels leave_out or count_as_error",
        where=f"{first.place} {part.reading.columns.get(ours, ours)}",
        code="unseen-label",
    )


def _read_otherwise(part: Part, corpus: Corpus) -> Iterator[str]:
    """Notes on tasks whose sentences are read as words here, and as text in train, or the reverse."""
    for task in part.reading.tasks:
        if corpus.inputs[task] != part.form:
            yield f"{task}: sentences are read as {part.form}, and those of train as {corpus.inputs[task]}"
