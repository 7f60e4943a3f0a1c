"""The data of an experiment: sources of sentences, and what is done to them."""

from collections.abc import Mapping, Sequence
from operator import not_
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from mtlab.plan.errors import did_you_mean, mistake, printable, shown
from mtlab.plan.tasks import TASK, WORDS, Task
from mtlab.plan.values import Number, Strict, unknown_task


class Source(Strict):
    """Where labelled sentences come from."""

    source: str | None = None
    """``builtin``, a hub id, or a local directory or file (.jsonl .json .csv .tsv .parquet .conll
    .txt, and files with a token a line by any name)."""
    revision: str | None = None
    """A hub revision: branch, tag or commit."""
    subset: str | None = None
    """The configuration of a hub data set that has several; of ``builtin`` the domain, ``news``
    (where none is given) or ``chat``."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our names of columns (``tokens``, ``text``, and those of the tasks) to the source's, where they
    differ."""
    splits: dict[Literal["train", "validation", "test"], str] = Field(default_factory=dict)
    """Our names of splits to the source's (names of hub splits, or of local files), where they
    differ."""
    split_column: str | None = Field(default=None, exclude_if=not_)
    """The column that says the split of each row, where one file holds all of them."""
    labels: tuple[str, ...] = ()
    """Take the sentences with these labels alone, in every split; all of them where none are
    given. They are those of the first task with one label a sentence."""

    @property
    def title(self) -> str:
        """Its name in reports: the source and the subset."""
        return printable(f"{self.source} ({self.subset})" if self.subset else str(self.source))

    @field_validator("source")
    @classmethod
    def _no_address(cls, source: str | None) -> str | None:
        if source is not None and not source.strip():
            line = "it is empty; give a path, a hub id such as owner/name, or builtin"
            raise mistake(line, code="empty")
        if source is not None and "://" in source:  # not repeated: it may hold a password
            raise mistake(
                "a source is not a URL; download the data and pass its path, or pass a hub id such as owner/name",
                code="is-url",
            )
        return source

    @model_validator(mode="before")
    @classmethod
    def _no_short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise mistake(
                f"{shown(value)} is not a mapping (`key: value`); write `{{source: {value}}}`",
                code="wrong-type",
            )
        return value


class Data(Source):
    """The data of an experiment: one source for all tasks, or one source a task, under the task's
    name.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Source] = Field(init=False)

    train_size: int | Literal["full"] = "full"
    """Training sentences taken from each source: nested, stratified subsets. Label sets come from
    the whole split."""
    validation_fraction: Number = Field(default=0.1, gt=0, lt=1)
    """Share of train that is cut off, stratified, where a source has no validation split."""
    test_fraction: Number | None = Field(default=None, gt=0, lt=1)
    """Share of train that is cut off where a source has no test split; without it, such a source is
    an error."""
    max_duplicates: Number = Field(default=0.05, ge=0, le=1)
    """Largest share of validation or test sentences that may also stand in train."""
    unseen_labels: Literal["error", "count_as_error"] = "error"
    """What to do with labels in validation or test that train does not have."""
    labelled: dict[str, Number] = Field(default_factory=dict)
    """Task to the share of training sentences that keep their gold: nested, stratified. The others
    stay for the other tasks."""
    label_noise: dict[str, Number] = Field(default_factory=dict)
    """Task to the share of training labels, tags or entities that are replaced by a wrong label, tag
    or type, drawn evenly."""

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, values: Any) -> Any:
        """Refuse unknown keys, except mappings, which may be sources of tasks: :meth:`check`
        compares them with the experiment's tasks.
        """
        for key, value in values.items() if isinstance(values, dict) else ():
            if key in cls.model_fields or isinstance(value, Source):
                continue
            hint = did_you_mean(str(key), cls.model_fields)
            misspelt = hint.startswith("did you mean")
            if not isinstance(value, dict) or (misspelt and not value.keys() & Source.model_fields):
                raise mistake(f"unknown key; {hint}", key, code="unknown-key")
        return values

    @property
    def by_task(self) -> dict[str, Source]:
        """Task to its source, if each has its own; else empty."""
        return self.__pydantic_extra__

    @field_validator("train_size", mode="before")
    @classmethod
    def _positive(cls, size: Any) -> Any:
        if size != "full" and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
            line = f"{shown(size)} is neither a whole number of sentences above 0 nor `full`"
            raise mistake(line, code="wrong-type")
        return size

    @model_validator(mode="after")
    def _shares(self) -> "Data":
        for key, wanted in (("labelled", "above 0 and at most 1"), ("label_noise", "from 0 to 1")):
            for task, share in getattr(self, key).items():
                if not 0 <= share <= 1 or (key == "labelled" and share == 0):
                    line = f"{share:g} is not a share; give a number {wanted}"
                    raise mistake(line, key, task, code="out-of-range")
        return self

    def check(self, tasks: Mapping[str, Task], *path: str) -> None:
        """Check the data against the tasks that they are for.

        Args:
            tasks: of the experiment.
            path: the path of the data in the file.
        """
        for key in self.by_task:
            if key not in tasks:
                near = did_you_mean(key, [*type(self).model_fields, *tasks])
                raise mistake(f"unknown key; {near}", *path, key, code="unknown-key")
        for key in ("labelled", "label_noise"):
            for task in getattr(self, key):
                if task not in tasks:
                    raise mistake(unknown_task(task, tasks), *path, key, task, code="unknown-value")
        if self.source is None and not self.by_task:
            options = " and ".join(f"--data.{task}.source" for task in tasks)
            alternative = f" (one source for all tasks), or {options}" if len(tasks) > 1 else ""
            raise mistake(f"no data; pass --data.source PATH{alternative}", *path, code="no-data")
        if self.source is not None and self.by_task:
            names = " and ".join(f"`{task}`" for task in tasks)
            raise mistake(f"two ways at once; give `source`, or {names}", *path, code="conflict")
        for task in tasks if self.source is None else ():
            if task not in self.by_task or self.by_task[task].source is None:
                raise mistake("no source; add `source: PATH`", *path, task, code="no-data")
        columns = [*WORDS, *(task.column for task in tasks.values())]
        check_columns(self, columns, *path)
        for name, source in self.by_task.items():
            check_columns(source, [*WORDS, tasks[name].column], *path, name)


def check_columns(source: Source, known: Sequence[str], *path: str) -> None:
    """Refuse a source whose ``columns`` name a column that is not among ``known``.

    Raises:
        PydanticCustomError: there is such a column.
    """
    for column in source.columns:
        if column not in known:
            line = f"{shown(column)} is not known; {did_you_mean(column, known)}"
            raise mistake(line, *path, "columns", column, code="unknown-value")


def named(tasks: dict[str, Task]) -> dict[str, Task]:
    """Check the names and columns of the tasks, and return the tasks.

    Raises:
        PydanticCustomError: there is no task, a name is invalid, or two tasks have the same column
            or two scores the same name.
    """
    if not tasks:
        raise mistake("there is no task; name one, or leave the key out", code="empty")
    columns: dict[str, str] = {}
    for name, task in tasks.items():
        if not TASK.fullmatch(name) or name in (*Data.model_fields, "total"):
            line = f"{shown(name)} cannot be the name of a task; use letters, digits and `_`, and no key of `data`"
            raise mistake(line, name, code="bad-name")
        if task.column in columns:
            earlier_task = columns[task.column]
            line = f"{earlier_task} has the column {shown(task.column)} already; name another"
            raise mistake(line, name, "column", code="twice")
        columns[task.column] = name
    _check_scores(tasks)
    return tasks


def _check_scores(tasks: dict[str, Task]) -> None:
    """Refuse task names with which two scores would have the same column in the table of trials."""
    task_of_score: dict[str, str] = {}
    for name, task in tasks.items():
        for column in (f"{name}_{metric}" for metric in (*task.as_kind.metrics, "loss")):
            for score_name in (column, f"validation_{column}"):
                if score_name in task_of_score:
                    line = f"scores of {name} and {task_of_score[score_name]} would both be called {score_name}; rename one"
                    raise mistake(line, name, code="bad-name")
                task_of_score[score_name] = name
