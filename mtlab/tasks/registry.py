"""The known kinds of tasks, and the two tasks of an experiment that names no tasks."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mtlab.tasks.classification import Classification
from mtlab.tasks.kind import Codes, Kind, Task
from mtlab.tasks.multilabel import Multilabel
from mtlab.tasks.regression import Regression
from mtlab.tasks.tagging import Tagging

KINDS: dict[str, type[Kind]] = {
    kind.name: kind for kind in (Classification, Multilabel, Regression, Tagging)
}
"""Name of a kind to its class. Further kinds may be added before an experiment is read."""

USUAL: dict[str, dict[str, Any]] = {
    "classifier": {"kind": Classification.name, "column": "label", "title": Classification.title},
    "ner": {"kind": Tagging.name, "column": "ner_tags", "title": "entity recognition"},
}
"""The tasks of an experiment that names no tasks, as a file would write them."""


def codes(facts: Mapping[str, Any]) -> Codes:
    """The codes in a record."""
    return Codes(tuple(facts["names"]), float(facts["center"]), float(facts["spread"]))


def written(task: Task) -> dict[str, Any]:
    """A task as JSON, from which :func:`rebuilt` makes the same task."""
    options = {name: getattr(task.kind, name) for name in sorted(task.kind.options)}
    return {"kind": task.kind.name, **options, **asdict(task.codes)}


def rebuilt(name: str, facts: Mapping[str, Any]) -> Task:
    """The task that :func:`written` has written.

    Raises:
        KeyError: a key is missing.
        ValueError: there is no such kind.
    """
    if facts["kind"] not in KINDS:
        raise ValueError(f"{name} is of kind {facts['kind']!r:.60}, which is not known")
    kind = KINDS[facts["kind"]]
    return Task(name, kind(**{name: facts[name] for name in kind.options}), codes(facts))
