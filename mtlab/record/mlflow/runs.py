"""A record's names and numbers in MLflow's spelling. This module does not contact a store."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from mtlab.plan.scenario import point_label
from mtlab.plan.tasks import Task
from mtlab.record.pieces import joined
from mtlab.record.quality import Metrics
from mtlab.record.records import StageRecord, SuiteRecord, TrialRecord
from mtlab.tasks.registry import USUAL

OF_STAGE = {"name", "epochs", "train", "decay", "reinit", "chooses", "average", "losses"}
"""The fields of a stage that are in a trial's parameters in MLflow."""


def judged(suite: SuiteRecord) -> list[str]:
    """The main metric of each of the suite's tasks, as MLflow names it, without the split's
    name.
    """
    tasks = suite.experiment.get("tasks") or USUAL
    kinds = {name: Task.model_validate(task).as_kind for name, task in tasks.items()}
    return [f"{name}/{next(iter(kind.metrics))}" for name, kind in kinds.items()]


def tags_of(suite: SuiteRecord, trial: TrialRecord) -> dict[str, str]:
    """The tags that identify a trial's run, besides its parent."""
    return cut(
        {
            "mlflow.runName": trial.label[:250],
            "mlflow.note.content": inert(note_of(trial)),
            "scenario": trial.scenario,
            "seed": str(trial.seed),
            "suite": str(suite.experiment.get("name", "")),
            "status": trial.status,
            **({"reason": trial.reason} if trial.reason else {}),
            **({"untimed": trial.untimed} if trial.untimed else {}),
            "key": trial.key,
            **{safe(key): str(value) for key, value in trial.point.items()},
        }
    )


def metrics_of(trial: TrialRecord) -> Iterator[tuple[str, float, int, int]]:
    """Every number of a record as (name, value, milliseconds, step); slashes in names make the UI's
    groups.
    """
    end = ms(trial.ended_at or trial.started_at)
    for name, values in trial.step_losses.items():
        for number, value in enumerate(values, start=1):
            if value is not None:
                yield (
                    ("train/loss" if name == "total" else f"train/{name}/loss"),
                    value,
                    end,
                    number,
                )
    for epoch in trial.epochs:
        for name, value in _quality(epoch.validation):
            yield f"validation/{name}", value, ms(epoch.ended_at), epoch.step
    if trial.test is not None:
        for name, value in _quality(trial.test):
            yield f"test/{name}", value, end, trial.epochs[-1].step
    for also, tested in trial.also.items():
        for name, value in _quality(tested.metrics):
            yield f"also/{also}/{name}", value, end, trial.epochs[-1].step
    for index, stage in enumerate(trial.stages):
        yield from ((name, float(value), end, index) for name, value in _parameters(stage))
    times = {
        **{f"time/{lap}_s": seconds for lap, seconds in trial.laps.items()},
        "time/total_s": trial.wall_s,
        "time/plain_s": trial.wall_plain_s,
        "time/tokens_per_s": trial.tokens_per_s,
    }
    single = {
        **({} if trial.untimed else times),  # a chart would compare excluded times
        "memory/peak_mb": trial.peak_memory_mb,
        "flops/train": trial.train_flops,
        "flops/train_padding": trial.train_flops_padding,
        "selected_epoch": trial.selection.epoch if trial.selection else None,
    }
    yield from ((name, float(value), end, 0) for name, value in single.items() if value is not None)
    for name, values in trial.machine.items():
        if name != "at":
            pairs = zip(trial.machine["at"], values, strict=True)
            yield from (
                (f"system/{name}", value, ms(at), step) for step, (at, value) in enumerate(pairs)
            )


def _quality(metrics: Metrics) -> Iterator[tuple[str, float]]:
    for task, scored in metrics.by_task.items():
        first = next(iter(scored.scores))
        parts = {
            f"by_name/{safe(name)}/{first}": named_scores[first]
            for name, named_scores in scored.by_name.items()
        }
        for name, value in {**scored.scores, "loss": scored.loss, **parts}.items():
            if value is not None:
                yield f"{task}/{name}", value


def _parameters(stage: StageRecord) -> Iterator[tuple[str, int]]:
    yield from (
        ("params/total", stage.params_total),
        ("params/trainable", stage.params_trainable),
        ("params/frozen", stage.params_frozen),
    )


def params_of(suite: SuiteRecord, trial: TrialRecord) -> dict[str, Any]:
    """Settings of a trial: scenario, seed, stages, and those of the experiment at its point."""
    not_logged = (
        "scenarios",
        "seeds",
        "looks",
        "sweep",
        "settings",
        "name",
        "question",
        "answer",
        "expected",
        "colours",
    )
    shared = {key: value for key, value in suite.experiment.items() if key not in not_logged}
    stages = [stage.model_dump(include=OF_STAGE) for stage in joined(trial.stages)]
    swept = tuple(f"{key}." for key in trial.point)  # a swept key replaces all keys below it
    settings = {key: value for key, value in flat(shared).items() if not key.startswith(swept)}
    encoder = flat({"encoder": suite.encoder.get(point_label(trial.point.items()), {})})
    point = {safe(key): value for key, value in trial.point.items()}
    return {
        "scenario": trial.scenario,
        "seed": trial.seed,
        "stages": stages,
        **settings,
        **encoder,
        **point,
    }


def note_of(trial: TrialRecord) -> str:
    """A line about a trial, for people."""
    stages = [
        f"{stage.name}: {stage.epochs} epochs, trains {stage.params_trainable:,} of {stage.params_total:,}"
        for stage in trial.stages
    ]
    return f"{trial.scenario}, seed {trial.seed}: {trial.ending}. " + "; ".join(stages)


def inert(words: str) -> str:
    """Words for a note, which MLflow shows as markdown, without images, links or HTML."""
    return re.sub(r"([\\`*\[\]<>!])", r"\\\1", words)


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names, without those that have no value."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            leaves.update(flat(value, f"{prefix}{key}."))
        elif value is not None:
            leaves[safe(f"{prefix}{key}")] = value
    return leaves


def safe(part: str) -> str:
    """A part of a name in MLflow's spelling: letters, digits and ``_-. :``; any other character
    becomes ``_``.

    A changed part gets the start of its hash, so that two names stay different.
    """
    spelt = re.sub(r"[^\w. :-]", "_", part)[:150]
    if not spelt.strip("."):  # MLflow reads names as paths
        spelt = "_"
    return part if spelt == part else f"{spelt}-{hashlib.sha256(part.encode()).hexdigest()[:6]}"


def cut(tags: dict[str, str]) -> dict[str, str]:
    """Tags, cut to a length that every store accepts."""
    return {key: value[:8000] for key, value in tags.items()}


def ms(seconds: float) -> int:
    """Unix time in seconds, as MLflow's whole milliseconds."""
    return int(seconds * 1000)
