"""One source of data: its splits, the tasks for which it has columns, and its mistakes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mtlab.check import columns, guesses
from mtlab.check.columns import Choice
from mtlab.data.gather import Part
from mtlab.data.reading import columned, locate
from mtlab.data.reading.locate import Located
from mtlab.data.reading.table import Table
from mtlab.data.stored import Sentence
from mtlab.plan.data import Source
from mtlab.plan.errors import UserError, noted, shown
from mtlab.plan.tasks import WORDS, Task
from mtlab.tasks.registry import USUAL

USUAL_TASKS = {name: Task(**task) for name, task in USUAL.items()}
"""The tasks of an experiment that names no tasks."""


@dataclass
class SourceCheck:
    """One source, and what the check found in it."""

    given: str
    """As the user wrote it."""
    option: str
    """Its key in an experiment: ``data``, or ``data.TASK``."""
    wanted: dict[str, Task]
    """The tasks that the experiment assigns to it."""
    source: Source
    """Its settings, with guesses."""
    located: Located
    """Its splits, and the choices that led to them."""
    can: tuple[str, ...]
    """The tasks for which it has columns."""
    mistakes: list[UserError]
    left_out: list[str] = field(default_factory=list)
    """The usual tasks that are not in the file, and why."""
    every: dict[str, Task] = field(default_factory=dict)
    """All tasks of the experiment."""
    split_column: str | None = None
    """The column that says the split of each row, if that was guessed."""
    guessed: dict[str, str] = field(default_factory=dict)
    """Tasks of the file that the user did not name, and why it has them."""
    possible: dict[str, tuple[Task, str]] = field(default_factory=dict)
    """Further tasks for which its columns could be gold, and why."""
    choices: list[Choice] = field(default_factory=list)
    whole: dict[str, Sequence[Sentence]] = field(default_factory=dict)
    """Its splits before anything is cut off, with tags in IOB2."""
    early: list[str] = field(default_factory=list)
    """Notes from reading them, before anything was cut."""
    part: Part | None = None
    lengths: np.ndarray | None = None
    """The length of each sentence in sub-words; None if the tokenizer is missing."""
    lost_words: int = 0
    """Number of words with a tag that have no sub-word because their sentence is truncated."""
    lost: list[str] = field(default_factory=list)
    """Notes on words without a sub-word, as a run would give them."""

    @property
    def tables(self) -> dict[str, Table]:
        """Split to its table."""
        return self.located.tables

    @property
    def tasks(self) -> dict[str, Task]:
        """The assigned tasks for which it has columns."""
        return {name: task for name, task in self.wanted.items() if name in self.can}

    @property
    def said(self) -> dict[str, str]:
        """Names of columns in mtlab to their names in the source, as far as they are known."""
        return {str(name): column for name, column in self.source.columns.items()}

    @property
    def usual(self) -> bool:
        """Whether each of its tasks is a task that an experiment has by default."""
        return all(task == USUAL_TASKS.get(name) for name, task in self.tasks.items())

    @property
    def train(self) -> Table | None:
        """The first split with rows, from which columns are guessed; None if there is none."""
        return next((table for table in self.tables.values() if table.rows), None)

    def able(self, tasks: Mapping[str, Task]) -> tuple[str, ...]:
        """The names of those of ``tasks`` for which it has columns."""
        if self.train is None:
            return ()
        names = {choice.name for choice in columns.choose(self.train, self.said, tasks)}
        lost = [
            name
            for name, task in tasks.items()
            if task.as_kind.of_words and not {task.column, "tokens"} <= names
        ]
        if lost:
            return self.able({name: task for name, task in tasks.items() if name not in lost})
        has_words = not names.isdisjoint(WORDS)
        return tuple(name for name, task in tasks.items() if has_words and task.column in names)

    def lacking(self, task: str, with_others: bool = True) -> UserError:
        """The mistake that there is no column for a task.

        Args:
            task: the name of the task.
            with_others: whether the remedy may name columns for tasks of other kinds.
        """
        table, wanted = self.train, self.wanted[task]
        column_names, kind = table.columns if table is not None else (), wanted.as_kind
        usual = wanted == USUAL_TASKS.get(task)
        problem = (
            f"no column for {kind.short if usual else f'{task} ({kind.short})'}, with {kind.wants}; "
            f"the columns are {', '.join(column_names) or 'none'}"
        )
        remedy = f"name it with --{self.option}.columns.{wanted.column} COLUMN"
        if objects := self.objects(task):
            remedy = f"{objects[0]!r} holds objects: write {kind.wants}"
        elif with_others and (others := self._of_other_kinds(task)):
            remedy = others
        if usual and len(self.wanted) > 1:
            remedy += ", or give a second source that does (`builtin` will do to try)"
        where = table.name if table is not None else self.given
        return UserError(problem, remedy, where=where, code="column-missing")

    def _of_other_kinds(self, task: str) -> str:
        """If a task needs one label per sentence: how to read a column with several labels; empty
        if there is no such column.
        """
        if self.train is None or not self.wanted[task].as_kind.one_label:
            return ""
        possible = guesses.tasks(self.train, self.said.values(), {})
        for name, (other, why) in possible.items():
            kind = other.as_kind
            if kind.many and not kind.of_words:
                column = shown(other.column)
                named = dict(
                    (name, other) if task_name == task else (task_name, every)
                    for task_name, every in self.every.items()
                )
                return f"column {column} is for {kind.short} ({why}): pass {guesses.options(named)}"
        return ""

    def objects(self, task: str) -> list[str]:
        """Names of columns with lists of objects that may be the entities of a task, such as
        annotations of spans of characters.
        """
        if self.train is None or not self.wanted[task].as_kind.spans:
            return []
        return [
            name
            for name in self.train.columns
            if any(
                isinstance(cell := row.values.get(name), list)
                and cell
                and isinstance(cell[0], dict)
                for row in self.train.rows
            )
        ]


def open_source(
    source_name: str,
    source: Source,
    wanted: dict[str, Task],
    option: str,
    tasks: Mapping[str, Task],
) -> SourceCheck:
    """Open a source, and find the tasks of the experiment for which it has columns.

    Args:
        source_name: the source as the user wrote it.
        source: its settings.
        wanted: the tasks that the experiment assigns to it.
        option: its key in an experiment.
        tasks: all tasks of the experiment.
    """
    mistakes: list[UserError] = []
    located = Located({})
    with noted(mistakes):
        located = locate.read(source, option, mistakes)
    column = columned.column_of(located.tables, source.columns.values())
    divided = column is not None and source.split_column is None
    if divided:
        source = source.model_copy(update={"split_column": column})
        with noted(mistakes):
            located = locate.divided(located, source, option)
    for number, mistake in enumerate(mistakes):
        if mistake.where == f"{option}.source":
            mistakes[number] = UserError(
                mistake.problem, mistake.remedy, where=source_name, code=mistake.code
            )
    checked = SourceCheck(source_name, option, wanted, source, located, (), mistakes)
    checked.every = dict(tasks)
    checked.split_column = column if divided else None
    if checked.train is not None:
        others = [{name: task} for name, task in tasks.items() if name not in wanted]
        able = {name for candidates in (wanted, *others) for name in checked.able(candidates)}
        checked.can = tuple(name for name in tasks if name in able)
    return checked
