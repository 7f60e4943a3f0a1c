"""Test sets out of distribution: other sources, and changes of the experiment's own test split."""

from collections.abc import Mapping
from operator import not_
from typing import Literal

from pydantic import Field, model_validator

from mtlab.plan.data import Source, check_columns
from mtlab.plan.errors import mistake, shown
from mtlab.plan.tasks import TASK, WORDS, Task
from mtlab.plan.values import Count, Number, unknown_task
from mtlab.plan.words import counted, unset

Change = Literal["lowercase", "typos", "shortened"]

NEEDS = {"lowercase": "", "typos": "rate", "shortened": "words"}
"""Change to the setting that it needs; empty if it needs none."""

SPLITS = ("train", "validation", "test")
"""The experiment's own splits; a test set cannot have one of these names."""


class AlsoTest(Source):
    """A test set on which selected weights are scored once, when a trial ends, and which nothing else
    sees: another source, or a change of the experiment's own test split.
    """

    of: Literal["test"] | None = Field(default=None, exclude_if=unset)
    """The split that is changed; none where the set is another source."""
    change: Change | None = Field(default=None, exclude_if=unset)
    """``lowercase``; ``typos``, one in a word; ``shortened``: the first words of each sentence."""
    rate: Number | None = Field(default=None, gt=0, le=1, exclude_if=unset)
    """Of ``typos``: share of the words with four letters or more that get one."""
    words: Count | None = Field(default=None, ge=1, exclude_if=unset)
    """Of ``shortened``: how many words stay."""
    tasks: tuple[str, ...] = Field(default=(), exclude_if=not_)
    """Of another source: the tasks that are scored there; those whose column it has, where none are
    named."""
    rename: dict[str, str] = Field(default_factory=dict, exclude_if=not_)
    """Of another source: its labels, tags and types to the experiment's names for them."""
    unseen_labels: Literal["error", "count_as_error", "leave_out"] = Field(
        default="error", exclude_if=lambda value: value == "error"
    )
    """Of another source: what to do with labels, tags and types that train does not have.
    ``count_as_error``: they stay gold, which no model can predict. ``leave_out``: sentences with such
    a label are not scored, and entities of such a type are no entities."""

    @model_validator(mode="after")
    def _one_way(self) -> "AlsoTest":
        if (self.of is None) == (self.source is None):
            problem = "two ways at once" if self.of else "no sentences"
            remedy = "give `source: PATH`, or `of: test` and a `change` of the test split"
            raise mistake(f"{problem}; {remedy}", code="conflict")
        if self.of is not None and self.change is None:
            raise mistake(f"missing; name one of {', '.join(NEEDS)}", "change", code="missing")
        needed = NEEDS.get(self.change or "", "")
        if needed and getattr(self, needed) is None:
            raise mistake(f"missing; {self.change} needs it", needed, code="missing")
        for split in self.splits:
            if split != "test":
                line = "a set is one split; say which with `test: NAME`"
                raise mistake(line, "splits", split, code="conflict")
        return self

    @model_validator(mode="after")
    def _no_more(self) -> "AlsoTest":
        """Refuse settings that have no effect."""
        of_changes = {"of", "change", *NEEDS.values()}
        fields = type(self).model_fields
        wanted = (
            {"of", "change", NEEDS.get(self.change or "", "")}
            if self.of
            else fields.keys() - of_changes
        )
        for key, field in fields.items():
            if key not in wanted and getattr(self, key) != field.get_default(
                call_default_factory=True
            ):
                clause = f"is `{self.change}`" if self.of else "has a `source`"
                line = f"a set that {clause} has no `{key}`; take it out"
                raise mistake(line, key, code="conflict")
        return self

    def called(self, name: str) -> str:
        """The name of the set in reports.

        Args:
            name: its name in the experiment file.
        """
        return {
            None: name,
            "lowercase": "lower case",
            "typos": f"typos in {100 * (self.rate or 0):g}% of the words",
            "shortened": f"first {counted(self.words or 0, 'word')}",
        }[self.change]


def check_sets(sets: Mapping[str, AlsoTest], tasks: Mapping[str, Task]) -> None:
    """Check the test sets of an experiment against its tasks.

    Raises:
        PydanticCustomError: a set has an invalid name, or a setting names a task or column that the
            experiment does not have.
    """
    for name, test_set in sets.items():
        path = ("also_test", name)
        if name in SPLITS:
            line = f"{shown(name)} is a split of the experiment; name the set otherwise"
            raise mistake(line, *path, code="bad-name")
        if not TASK.fullmatch(name):
            line = f"{shown(name)} cannot be the name of a test set; use letters, digits and `_`"
            raise mistake(line, *path, code="bad-name")
        for place, task in enumerate(test_set.tasks):
            if task not in tasks:
                raise mistake(
                    unknown_task(task, tasks), *path, "tasks", place, code="unknown-value"
                )
        check_columns(test_set, [*WORDS, *(task.column for task in tasks.values())], *path)
