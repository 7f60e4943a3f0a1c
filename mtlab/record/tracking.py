"""MLflow as a view of the records: one parent run a suite, one child run a trial."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from mtlab.plan.errors import UserError
from mtlab.record.records import Metrics, StageRecord, SuiteRecord, TrialRecord

DEFAULT_URI = "sqlite:///mlflow.db"
"""In the working directory, where plain ``mlflow ui`` finds it too."""

BATCH = 1000
"""Metrics in one request: MLflow's limit."""

for name in ("alembic", "mlflow.store.db.utils"):
    logging.getLogger(name).setLevel(logging.WARNING)  # a new database is not news


def tracking_uri() -> str:
    """Where runs are logged: ``MLFLOW_TRACKING_URI``, or a database in the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


class Tracking:
    """Logs one suite.

    Args:
        experiment: the experiment's name in MLflow.

    Raises:
        UserError: the tracking store cannot be opened.
    """

    def __init__(self, experiment: str) -> None:
        self.uri, self.experiment = tracking_uri(), experiment
        try:
            self.client = MlflowClient(self.uri)
            found = self.client.get_experiment_by_name(experiment)
            self.experiment_id = found.experiment_id if found else self.client.create_experiment(experiment)
        except (MlflowException, OSError) as error:
            reason = (str(error).splitlines() or [""])[0][:200]
            remedy = "unset MLFLOW_TRACKING_URI to log to mlflow.db here"
            raise UserError(f"MLflow at {without_credentials(self.uri)} cannot be used ({reason})", remedy) from None
        self.parent = ""

    def start(self, suite: SuiteRecord) -> SuiteRecord:
        """Open the parent run; returns the suite with where it is logged."""
        tags = {"mlflow.runName": f"{self.experiment} suite", "mlflow.note.content": suite.question, "suite": self.experiment}
        run = self.client.create_run(self.experiment_id, start_time=_ms(suite.started_at), tags=tags)
        self.parent = run.info.run_id
        settings = {
            **_flat({"experiment": suite.experiment}),
            **_flat({"environment": suite.environment, "encoder": suite.encoder}),
        }
        self._params(self.parent, settings)
        self._datasets(self.parent, suite)
        where = {"uri": without_credentials(self.uri), "experiment": self.experiment, "run": self.parent}
        return suite.model_copy(update={"tracking": where})

    def log(self, suite: SuiteRecord, trial: TrialRecord) -> None:
        """Log a finished trial as a child run."""
        tags = {
            "mlflow.parentRunId": self.parent,
            "mlflow.runName": "-".join([trial.scenario, f"seed{trial.seed}", *map(str, trial.point.values())]),
            "mlflow.note.content": _note(trial),
            "scenario": trial.scenario,
            "seed": str(trial.seed),
            "suite": self.experiment,
            "status": trial.status,
            "key": trial.key,
            **{key: str(value) for key, value in trial.point.items()},
        }
        run = self.client.create_run(self.experiment_id, start_time=_ms(trial.started_at), tags=tags)
        run_id = run.info.run_id
        self._params(run_id, _trial_params(suite, trial))
        self._datasets(run_id, suite)
        metrics = [Metric(name, value, timestamp, step) for name, value, timestamp, step in _metrics(trial)]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + BATCH])
        self.client.set_terminated(run_id, "FINISHED" if trial.ok else "FAILED", end_time=_ms(trial.ended_at or trial.started_at))

    def attach(self, suite: SuiteRecord, directory: Path) -> None:
        """Attach the report, its plots, the table and the resolved experiment to the parent run."""
        for name in ("report.md", "trials.csv", "suite.json", "plots"):
            path = directory / name
            if path.is_dir():
                self.client.log_artifacts(self.parent, str(path), artifact_path=name)
            elif path.exists():
                self.client.log_artifact(self.parent, str(path))
        self.client.log_dict(self.parent, suite.experiment, "experiment.json")
        if suite.elapsed_s is not None:
            self.client.log_metric(self.parent, "time/suite_s", suite.elapsed_s)

    def close(self, status: str) -> None:
        """Close the parent run, if one was opened, as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        if self.parent:
            self.client.set_terminated(self.parent, status)

    def _params(self, run_id: str, params: dict[str, Any]) -> None:
        rows = [Param(key, str(value)[:6000]) for key, value in params.items()]
        for start in range(0, len(rows), 100):
            self.client.log_batch(run_id, params=rows[start : start + 100])

    def _datasets(self, run_id: str, suite: SuiteRecord) -> None:
        inputs = []
        for point, data in suite.data.items():
            for split, rows in data["sizes"].items():
                source = CodeDatasetSource(tags={"source": ", ".join(map(str, data["sources"])), "point": point, "sentences": str(rows)})
                dataset = MetaDataset(source, name=f"{self.experiment} {split}", digest=data["fingerprint"][:32])
                inputs.append(DatasetInput(dataset._to_mlflow_entity(), tags=[InputTag("mlflow.data.context", split)]))
        self.client.log_inputs(run_id, datasets=inputs)


def without_credentials(uri: str) -> str:
    """The URI without user, password and query."""
    parts = urlsplit(uri)
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=netloc, query="")) if netloc else uri.partition("?")[0]


def _metrics(trial: TrialRecord) -> Iterator[tuple[str, float, int, int]]:
    """Every number of a record as (name, value, milliseconds, step); slashes in names make the UI's groups."""
    end = _ms(trial.ended_at or trial.started_at)
    for name, values in trial.step_losses.items():
        for number, value in enumerate(values, start=1):
            if value is not None:
                yield ("train/loss" if name == "total" else f"train/{name}/loss"), value, end, number
    for epoch in trial.epochs:
        for name, value in _quality(epoch.validation):
            yield f"validation/{name}", value, _ms(epoch.ended_at), epoch.step
    if trial.test is not None:
        for name, value in _quality(trial.test):
            yield f"test/{name}", value, end, trial.epochs[-1].step
    for index, stage in enumerate(trial.stages):
        yield from ((name, float(value), end, index) for name, value in _parameters(stage))
    single = {
        **{f"time/{lap}_s": seconds for lap, seconds in trial.laps.items()},
        "time/total_s": trial.wall_s,
        "time/plain_s": trial.wall_plain_s,
        "time/tokens_per_s": trial.tokens_per_s,
        "memory/peak_mb": trial.peak_memory_mb,
        "flops/train": trial.train_flops,
        "flops/train_padding": trial.train_flops_padding,
        "selected_epoch": trial.selection.epoch if trial.selection else None,
    }
    yield from ((name, float(value), end, 0) for name, value in single.items() if value is not None)


def _quality(metrics: Metrics) -> Iterator[tuple[str, float]]:
    named: dict[str, float | None] = {}
    if metrics.classifier is not None:
        named.update({f"classifier/{key}": getattr(metrics.classifier, key) for key in ("accuracy", "macro_f1", "loss")})
    if metrics.ner is not None:
        named["ner/loss"] = metrics.ner.loss
        for key in ("precision", "recall", "f1"):
            named[f"ner/{key}"] = getattr(metrics.ner.default, key)
            named[f"ner/{key}_strict"] = getattr(metrics.ner.strict, key)
        named.update({f"ner/by_type/{kind}/f1": scores.f1 for kind, scores in metrics.ner.by_type.items()})
    return ((_safe(name), value) for name, value in named.items() if value is not None)


def _parameters(stage: StageRecord) -> Iterator[tuple[str, int]]:
    yield from (
        ("params/total", stage.params_total),
        ("params/trainable", stage.params_trainable),
        ("params/frozen", stage.params_frozen),
    )


def _trial_params(suite: SuiteRecord, trial: TrialRecord) -> dict[str, Any]:
    shared = {key: value for key, value in suite.experiment.items() if key not in ("scenarios", "seeds", "sweep", "name", "question")}
    stages = suite.experiment["scenarios"][trial.scenario]
    return {"scenario": trial.scenario, "seed": trial.seed, "stages": stages, **_flat(shared), **trial.point}


def _note(trial: TrialRecord) -> str:
    stages = [f"{stage.name}: {stage.epochs} epochs, trains {stage.params_trainable:,} of {stage.params_total:,}" for stage in trial.stages]
    return f"{trial.scenario}, seed {trial.seed}: {trial.status}. " + "; ".join(stages)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat.update(_flat(value, f"{prefix}{key}."))
        elif value is not None:
            flat[_safe(f"{prefix}{key}")] = value
    return flat


def _safe(name: str) -> str:
    """A name that MLflow takes: letters, digits and ``_-. :/``; what it does not take becomes ``_``."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-. :/") else "_" for letter in name)[:250]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
