"""The tasks of an experiment: what its heads learn, and where that stands in the data."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import field_validator, model_validator

from mtlab.plan.errors import did_you_mean, mistake, shown
from mtlab.plan.scenario import Stage
from mtlab.plan.values import Strict, Text, unknown_task
from mtlab.tasks.kind import Kind
from mtlab.tasks.registry import KINDS, USUAL

TASK = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
"""Names of tasks; they become names of columns, heads and metrics."""


class Task(Strict):
    """What a head learns: the kind of its gold, and where that is."""

    kind: str
    """``classification``: a label a sentence. ``multilabel``: any number of labels. ``regression``:
    a number. ``tagging``: a tag a word."""
    column: Text
    """Our name of the column with the gold; a source's ``columns`` say what it calls that."""
    title: Text = ""
    """What the report calls the task; its name where none is given."""
    spans: bool | None = None
    """Of ``tagging``: whether tags are of entities (IOB2, IOB1, BIOES or BILOU; so where nothing is
    said), or else plain tags, one a word."""

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind not in KINDS:
            line = f"{shown(kind)} is not known; {did_you_mean(kind, KINDS)}"
            raise mistake(line, code="unknown-value")
        return kind

    @model_validator(mode="after")
    def _of_its_kind(self) -> "Task":
        if self.spans is not None and "spans" not in KINDS[self.kind].options:
            line = f"a task of kind {self.kind} has no `spans`; take it out"
            raise mistake(line, "spans", code="conflict")
        if self.column in WORDS:
            line = f"{shown(self.column)} is a column of words; name the column that has the gold"
            raise mistake(line, "column", code="conflict")
        return self

    @property
    def as_kind(self) -> Kind:
        """Its kind, with its options."""
        return KINDS[self.kind](**({} if self.spans is None else {"spans": self.spans}))


WORDS = ("tokens", "text")
"""Our names of the columns that hold sentences."""


def tell_stages(values: Any) -> Any:
    """The settings of an experiment, with the tasks added to every stage; a file writes them
    once.
    """
    if not isinstance(values, dict):
        return values
    tasks = values.get("tasks", USUAL)
    if not isinstance(tasks, dict) or not tasks:
        return values
    scenarios, start = values.get("scenarios"), values.get("start")
    if isinstance(scenarios, dict):
        with_tasks = {
            name: _told(stages, tasks, "scenarios", name) for name, stages in scenarios.items()
        }
        values = {**values, "scenarios": with_tasks}
    if isinstance(start, dict) and "stages" in start:
        stages = _told(start["stages"], tasks, "start", "stages")
        values = {**values, "start": {**start, "stages": stages}}
    return values


def _told(stages: Any, tasks: Iterable[str], *path: str) -> Any:
    """The stages of a file, with the tasks added to each."""
    if not isinstance(stages, list | tuple):
        return stages
    with_tasks: list[Any] = []
    for number, stage in enumerate(stages):
        written = stage.model_dump() if isinstance(stage, Stage) else stage
        if not isinstance(written, dict):
            with_tasks.append(written)
            continue
        if "tasks" in written:
            line = "unknown key; the tasks stand once, above the scenarios"
            raise mistake(line, *path, number, "tasks", code="unknown-key")
        with_tasks.append({"losses": tuple(tasks), **written, "tasks": tuple(tasks)})
    return with_tasks


def check_named(
    tasks: Mapping[str, Task],
    select_on: Sequence[str],
    weights: Mapping[str, float],
    margins: Mapping[str, float],
) -> None:
    """Refuse settings that name a task which the experiment does not have, or that give a task a
    number that is not above 0.
    """
    for place, task in enumerate(select_on):
        if task not in tasks:
            raise mistake(unknown_task(task, tasks), "select_on", place, code="unknown-value")
    for key, numbers in (("task_weights", weights), ("margins", margins)):
        for task, number in numbers.items():
            if task not in tasks:
                line = f"unknown key; {did_you_mean(task, tasks)}"
                raise mistake(line, key, task, code="unknown-key")
            if not number > 0:
                line = f"{shown(number)} is not above 0"
                raise mistake(line, key, task, code="out-of-range")
