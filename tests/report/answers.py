"""Tasks of each kind with gold and predictions that are about as good as asked for."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mtlab.plan.tasks import Task as Settings
from mtlab.record.quality import Contributions, Metrics, TaskMetrics
from mtlab.tasks.kind import Kind

SENTENCES = 150

EACH = {
    "topic": {"kind": "classification", "column": "topic"},
    "tones": {"kind": "multilabel", "column": "tones"},
    "urgency": {"kind": "regression", "column": "urgency"},
    "slots": {"kind": "tagging", "column": "slots", "title": "slot filling"},
}
"""A task of each kind."""

Tasks = Mapping[str, Mapping[str, Any]]


def kinds(tasks: Tasks) -> dict[str, Kind]:
    """The kinds of tasks as an experiment records them."""
    return {name: Settings.model_validate(task).as_kind for name, task in tasks.items()}


def pairs(kind: Kind, worth: float, seed: int) -> list[tuple[Any, Any]]:
    """Gold and predictions, of which about a share is right; who is hard is the same for every seed
    but for a few."""
    draw = np.random.default_rng(seed)
    hard = np.random.default_rng(1).random(SENTENCES) + draw.normal(0, 0.03, SENTENCES)
    return [_pair(kind, at, bool(hard[at] < worth)) for at in range(SENTENCES)]


def _pair(kind: Kind, at: int, right: bool) -> tuple[Any, Any]:
    if kind.one_label:
        gold, wrong = "abc"[at % 3], "abc"[(at + 1) % 3]
    elif kind.spans:
        gold, wrong = (("B-PER", "I-PER", "O"), ("O", "B-ORG", "O"))[at % 2], ("O", "O", "B-PER")
    elif kind.of_words:
        gold, wrong = ("DET", "NOUN", "VERB"), ("DET", "VERB", "VERB")
    elif kind.many:
        gold, wrong = (("calm",), ("calm", "loud"), ())[at % 3], ("loud",)
    else:
        gold, wrong = float(at % 7), float(6 - at % 7)
    return gold, gold if right else wrong


def metrics(tasks: Tasks, worth: float) -> Metrics:
    """Every score is this one."""
    return Metrics(
        by_task={
            name: TaskMetrics(
                scores=dict.fromkeys(kind.metrics, worth), loss=1 - worth, sentences=SENTENCES
            )
            for name, kind in kinds(tasks).items()
        }
    )


def tested(tasks: Tasks, worth: float, seed: int) -> dict[str, Any]:
    """The fields of a record that a test of its weights fills in, which agree with each other."""
    of_test, columns = {}, {}
    for name, kind in kinds(tasks).items():
        answered = pairs(kind, worth, seed)
        scored = kind.score(answered)
        of_test[name] = TaskMetrics(
            scores=scored.scores, by_name=scored.by_name, loss=1 - worth, sentences=SENTENCES
        )
        columns[name] = kind.columns(answered)
    return {"test": Metrics(by_task=of_test), "contributions": Contributions(by_task=columns)}


def facts(tasks: Tasks) -> dict[str, dict[str, Any]]:
    """What the record of a suite says of its tasks."""
    said = {}
    for name, kind in kinds(tasks).items():
        codes = kind.learn(gold for gold, _ in pairs(kind, 1.0, 0))
        said[name] = {"kind": kind.name, "names": list(codes.names), "summary": kind.summary(codes)}
    return said
