"""MLflow as a view of the records: one parent run a suite, one child run a trial."""

import hashlib
import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # it would print the address of every run, password and all

from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param
from mlflow.tracking import MlflowClient

from mtlab.plan.errors import UserError
from mtlab.plan.scenario import point_label
from mtlab.record.records import Metrics, StageRecord, SuiteRecord, TrialRecord

DEFAULT_URI = "sqlite:///mlflow.db"
"""In the working directory, where plain ``mlflow ui`` finds it too."""

BATCH = 1000
"""Metrics in one request: MLflow's limit."""

OPENING = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
"""How patient MLflow is while the store is opened, unless these are set: by itself it asks a server that is not there for minutes."""

for name in ("alembic", "mlflow.store.db.utils"):
    logging.getLogger(name).setLevel(logging.WARNING)  # a new database is not news


def tracking_uri() -> str:
    """Where runs are logged: ``MLFLOW_TRACKING_URI``, or a database in the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


class Tracking:
    """Logs one suite. What fails after it was opened is said once, and nothing more is logged: training goes on.

    Args:
        experiment: the experiment's name in MLflow.
        say: takes a line for the user.
    """

    def __init__(self, experiment: str, say: Callable[[str], None] = print) -> None:
        self.uri, self.experiment, self.say, self.lost = tracking_uri(), experiment, say, False
        self.parent = ""

    def open(self) -> None:
        """Open the store; the first time makes its tables.

        Raises:
            UserError: it cannot be opened.
        """
        experiment = self.experiment
        shown = without_credentials(self.uri)
        try:
            with _environment(OPENING):
                self.client = MlflowClient(self.uri)
                found = self.client.get_experiment_by_name(experiment)
                self.experiment_id = found.experiment_id if found else self.client.create_experiment(experiment)
        except Exception as error:  # stores fail in their own ways: MlflowException, OSError, ImportError of a driver, SQLAlchemyError
            remedy = f"set MLFLOW_TRACKING_URI to {DEFAULT_URI}, or unset it, to log to a database here"
            raise UserError(f"MLflow at {shown} cannot be used ({_reason(error, self.uri)})", remedy) from None
        if found and found.lifecycle_stage != "active":
            remedy = f"`mlflow experiments restore -x {found.experiment_id}`, or choose another --name"
            raise UserError(f"experiment {experiment} was deleted in MLflow at {shown}", remedy)

    def start(self, suite: SuiteRecord) -> SuiteRecord:
        """Open the store and the parent run; returns the suite with where it is logged.

        Raises:
            UserError: the store cannot be opened.
        """
        self.open()
        tags = {"mlflow.runName": f"{self.experiment} suite", "mlflow.note.content": suite.question, "suite": self.experiment}
        run = self.client.create_run(self.experiment_id, start_time=_ms(suite.started_at), tags=_cut(tags))
        self.parent = run.info.run_id
        settings = {"experiment": suite.experiment, "environment": suite.environment, "encoder": suite.encoder.get("", {})}
        with self._or_lost():
            self._params(self.parent, _flat(settings))
            self._datasets(self.parent, suite.data)
        where = {"uri": without_credentials(self.uri), "experiment": self.experiment, "run": self.parent}
        return suite.model_copy(update={"tracking": where})

    def log(self, suite: SuiteRecord, trial: TrialRecord) -> None:
        """Log a finished trial as a child run."""
        with self._or_lost():
            self._log(suite, trial)

    def _log(self, suite: SuiteRecord, trial: TrialRecord) -> None:
        if self.lost:
            return
        tags = {
            "mlflow.parentRunId": self.parent,
            "mlflow.runName": trial.label[:250],
            "mlflow.note.content": _note(trial),
            "scenario": trial.scenario,
            "seed": str(trial.seed),
            "suite": self.experiment,
            "status": trial.status,
            "key": trial.key,
            **{_safe(key): str(value) for key, value in trial.point.items()},
        }
        run = self.client.create_run(self.experiment_id, start_time=_ms(trial.started_at), tags=_cut(tags))
        run_id = run.info.run_id
        self._params(run_id, _trial_params(suite, trial))
        point = point_label(trial.point.items())
        self._datasets(run_id, {point: suite.data[point]} if point in suite.data else suite.data)
        metrics = [Metric(*row) for row in _metrics(trial) if math.isfinite(row[1])]  # MLflow stores others wrongly
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + BATCH])
        self.client.set_terminated(run_id, "FINISHED" if trial.ok else "FAILED", end_time=_ms(trial.ended_at or trial.started_at))

    def attach(self, suite: SuiteRecord, directory: Path) -> None:
        """Attach the report, its plots, the table and the resolved experiment to the parent run."""
        with self._or_lost():
            self._attach(suite, directory)

    def _attach(self, suite: SuiteRecord, directory: Path) -> None:
        if self.lost:
            return
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
        with self._or_lost():
            if self.parent and not self.lost:
                self.client.set_terminated(self.parent, status)

    @contextmanager
    def _or_lost(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a store or a network raises: the records hold what was measured
            self.lost = True
            self.say(f"MLflow was lost ({_reason(error, self.uri)}); what follows is in the records and the report, and not there")

    def _params(self, run_id: str, params: dict[str, Any]) -> None:
        rows = [Param(key, str(value)[:6000]) for key, value in params.items()]
        for start in range(0, len(rows), 100):
            self.client.log_batch(run_id, params=rows[start : start + 100])

    def _datasets(self, run_id: str, by_point: dict[str, dict[str, Any]]) -> None:
        inputs = []
        for point, data in by_point.items():
            for split, rows in data["sizes"].items():
                source = CodeDatasetSource(tags={"source": ", ".join(map(str, data["sources"])), "point": point, "sentences": str(rows)})
                dataset = MetaDataset(source, name=f"{self.experiment} {split}", digest=data["fingerprint"][:32])
                inputs.append(DatasetInput(dataset._to_mlflow_entity(), tags=[InputTag("mlflow.data.context", split)]))
        self.client.log_inputs(run_id, datasets=inputs)


def without_credentials(uri: str) -> str:
    """The URI without user, password and query."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return f"{uri.partition('://')[0]}://..."
    if not parts.netloc:
        return uri.partition("?")[0]
    if "@" in parts.path + parts.query + parts.fragment:  # a password with / ? or # in it, which a database may have
        return f"{parts.scheme}://..."
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _reason(error: Exception, uri: str) -> str:
    text = _redacted(str(error) or type(error).__name__, uri).strip().partition("\n")[0]
    return text.rpartition("(Caused by ")[2].removesuffix(")")[:200]  # of a failed request, what lies at the bottom


def _redacted(text: str, uri: str) -> str:
    """An error's text without the parts of the URI that :func:`without_credentials` leaves out."""
    shown = without_credentials(uri)
    text = text.replace(uri, shown)
    parts = set(_parts(uri)) - set(_parts(shown))
    for part in sorted({*parts, *map(unquote, parts)}, key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def _parts(uri: str) -> Iterable[str]:
    return filter(None, re.split(r"[/?#@:&=]+", uri))


@contextmanager
def _environment(defaults: dict[str, str]) -> Iterator[None]:
    """Environment variables set inside, where they are not set already."""
    ours = {key: value for key, value in defaults.items() if key not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key in ours:
            del os.environ[key]


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
        named.update({f"ner/by_type/{_safe(kind)}/f1": scores.f1 for kind, scores in metrics.ner.by_type.items()})
    return ((name, value) for name, value in named.items() if value is not None)


def _parameters(stage: StageRecord) -> Iterator[tuple[str, int]]:
    yield from (
        ("params/total", stage.params_total),
        ("params/trainable", stage.params_trainable),
        ("params/frozen", stage.params_frozen),
    )


def _trial_params(suite: SuiteRecord, trial: TrialRecord) -> dict[str, Any]:
    others = ("scenarios", "seeds", "sweep", "settings", "name", "question")
    shared = {key: value for key, value in suite.experiment.items() if key not in others}
    stages = [{"name": stage.name, "epochs": stage.epochs, "train": stage.train, "losses": stage.losses} for stage in trial.stages]
    swept = tuple(f"{key}." for key in trial.point)  # a swept key replaces all that the file says below it
    settings = {key: value for key, value in _flat(shared).items() if not key.startswith(swept)}
    encoder = _flat({"encoder": suite.encoder.get(point_label(trial.point.items()), {})})
    point = {_safe(key): value for key, value in trial.point.items()}
    return {"scenario": trial.scenario, "seed": trial.seed, "stages": stages, **settings, **encoder, **point}


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


def _safe(part: str) -> str:
    """A part of a name, spelt as MLflow takes it: letters, digits and ``_-. :``; what it does not take becomes ``_``.

    A part that had to be changed gets the start of its hash, so that no two become one.
    """
    spelt = re.sub(r"[^\w. :-]", "_", part)[:150]
    if not spelt.strip("."):  # MLflow reads names as paths
        spelt = "_"
    return part if spelt == part else f"{spelt}-{hashlib.sha256(part.encode()).hexdigest()[:6]}"


def _cut(tags: dict[str, str]) -> dict[str, str]:
    return {key: value[:8000] for key, value in tags.items()}


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
