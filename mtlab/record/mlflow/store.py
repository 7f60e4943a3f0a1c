"""Writes records into MLflow's store, each once: complete runs stay, and incomplete runs are
replaced.
"""

import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # MLflow reads it when it is imported

from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import (
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
)
from mlflow.tracking import MlflowClient

from mtlab.plan.scenario import content_key, point_label
from mtlab.record.mlflow.address import absolute
from mtlab.record.mlflow.connection import (
    OPENING_S,
    alone,
    has_no_tables,
    patience,
    refusal,
    see_active,
)
from mtlab.record.mlflow.packing import pack
from mtlab.record.mlflow.runs import cut, flat, inert, metrics_of, ms, params_of, safe, tags_of
from mtlab.record.records import SuiteRecord, TrialRecord

BATCH = 1000
"""Metrics in one request: MLflow's limit."""

SHARED_VIEW = "mlflow.sharedViewState."
"""The beginning of experiment tags in which the interface keeps shared views; the view's key
follows."""

COLUMNS = (
    *(f"params.`{name}`" for name in ("scenario", "seed")),
    *(
        f"metrics.`{name}`"
        for name in (
            "time/plain_s",
            "memory/peak_mb",
            "params/trainable",
        )
    ),
)
"""The columns of the view that a suite's links lead to, besides those of scores."""

ROOM = 7900
"""Length of a description that every store accepts, with a reserve."""

KIND = {"mlflow.experimentKind": "custom_model_development"}
"""A tag of the experiment; without it, the interface shows runs as those of an LLM application."""

WHOLE = "whole"
"""The tag of a complete run, which is written last. Its value is a digest of the trial's record, or
the id of the suite."""


def quality_first(judged: Sequence[str]) -> dict[str, object]:
    """The part of a shared view that puts the charts of these metrics before all others. By default
    MLflow sorts charts by name, which puts costs first.
    """
    places = (("test", "BAR"), ("validation", "LINE"))
    sections = [
        {
            "uuid": split,
            "name": split,
            "display": True,
            "isReordered": True,
            "deleted": False,
            "isGenerated": False,
        }
        for split, _ in places
    ]
    charts = [
        {
            "uuid": f"{split}/{metric}",
            "type": kind,
            "metricKey": f"{split}/{metric}",
            "displayName": metric,
            "metricSectionId": split,
            "runsCountToCompare": 20,
            "deleted": False,
            "isGenerated": False,
        }
        for split, kind in places
        for metric in judged
    ]
    return {
        "compareRunSections": sections,
        "compareRunCharts": charts,
        "isAccordionReordered": True,
    }


class Store:
    """One experiment in a store.

    Args:
        uri: of the store.
        experiment: the experiment's name.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        self.uri, self.experiment = uri, experiment
        self.new = False
        """Whether :meth:`open` creates MLflow's tables in a new database, which takes seconds, and
        on a busy machine even longer."""

    def open(self) -> None:
        """Reach the store; the first process creates its tables, and others wait for it.

        Raises:
            Busy: it cannot be reached now.
            UserError: its address is wrong.
        """
        try:
            with patience(OPENING_S), alone(self.uri):
                self.new = has_no_tables(self.uri, self.experiment)
                self.client = MlflowClient(absolute(self.uri))
                experiment = self.client.get_experiment_by_name(self.experiment)
                self.experiment_id = (
                    experiment.experiment_id
                    if experiment
                    else self.client.create_experiment(self.experiment, tags=KIND)
                )
                if (
                    experiment
                    and experiment.lifecycle_stage == "active"
                    and not experiment.tags.keys() & KIND.keys()
                ):
                    self.client.set_experiment_tag(self.experiment_id, *next(iter(KIND.items())))
        except Exception as error:  # each store has its own: MlflowException, OSError, ImportError of a driver, SQLAlchemyError
            raise refusal(self.uri, error) from None
        if experiment:
            see_active(
                self.uri, self.experiment, {experiment.experiment_id: experiment.lifecycle_stage}
            )

    def suite(self, suite: SuiteRecord) -> str:
        """The id of the suite's run, which is created if it is missing."""
        with patience():
            tracked_id = suite.tracking.get("run", "")  # older suites have no id
            wanted = (
                f"tags.suite_id = '{suite.id}'"
                if suite.id
                else f"attributes.run_id = '{tracked_id}'"
            )
            runs = self._runs(wanted) if suite.id or tracked_id else []
            if runs:
                run_id = str(runs[0].info.run_id)
                if runs[0].info.status != "RUNNING":
                    self.client.update_run(run_id, status="RUNNING")
            else:
                tags = {
                    "mlflow.runName": f"{self.experiment} suite",
                    "mlflow.note.content": inert(suite.question),
                }
                tags |= {"suite": self.experiment, "suite_id": suite.id}
                run = self.client.create_run(
                    self.experiment_id, start_time=ms(suite.started_at), tags=cut(tags)
                )
                run_id = str(run.info.run_id)
            if not runs or WHOLE not in runs[0].data.tags:
                settings = {
                    "experiment": suite.experiment,
                    "environment": suite.environment,
                    "encoder": suite.encoder.get("", {}),
                }
                self._params(run_id, flat(settings))
                self._datasets(run_id, suite.data)
                self.client.set_tag(run_id, WHOLE, suite.id)
        return run_id

    def trial(self, suite: SuiteRecord, parent: str, trial: TrialRecord) -> bool:
        """Log a trial as a child of the suite's run; False if it was already there.

        Raises:
            Exception: any error of the store; the next call removes the incomplete run.
        """
        digest = content_key(trial.model_dump(mode="json"))[:16]
        with patience():
            runs = self._runs(
                f"tags.`mlflow.parentRunId` = '{parent}' and tags.key = '{trial.key}'"
            )
            if any(run.data.tags.get(WHOLE) == digest for run in runs):
                return False
            for run in runs:
                self.client.delete_run(run.info.run_id)
            tags = {**tags_of(suite, trial), "mlflow.parentRunId": parent}
            run_id = self.client.create_run(
                self.experiment_id, start_time=ms(trial.started_at), tags=tags
            ).info.run_id
            self._params(run_id, params_of(suite, trial))
            point = point_label(trial.point.items())
            self._datasets(
                run_id, {point: suite.data[point]} if point in suite.data else suite.data
            )
            metrics = [
                Metric(*row) for row in metrics_of(trial) if math.isfinite(row[1])
            ]  # MLflow does not store NaN and infinity correctly
            for start in range(0, len(metrics), BATCH):
                self.client.log_batch(run_id, metrics=metrics[start : start + BATCH])
            missing = {metric.key for metric in metrics} - set(
                self.client.get_run(run_id).data.metrics
            )
            if missing:
                raise OSError(f"the store accepted {len(missing)} metrics and did not keep them")
            self.client.set_tag(run_id, WHOLE, digest)
            self.client.set_terminated(
                run_id,
                "FINISHED" if trial.ok else "FAILED",
                end_time=ms(trial.ended_at or trial.started_at),
            )
        return True

    def attach(self, suite: SuiteRecord, parent: str, directory: Path) -> None:
        """Attach the report, its plots, the table and the resolved experiment to the suite's
        run.
        """
        with patience():
            for name in ("report.md", "report.html", "trials.csv", "suite.json", "plots"):
                path = directory / name
                if path.is_dir():
                    self.client.log_artifacts(parent, str(path), artifact_path=name)
                elif path.exists():
                    self.client.log_artifact(parent, str(path))
            self.client.log_dict(parent, suite.experiment, "experiment.json")
            if suite.elapsed_s is not None:
                self.client.log_metric(parent, "time/suite_s", suite.elapsed_s)

    def tell(self, parent: str, story: str, judged: Sequence[str]) -> None:
        """Write ``story`` into the description of the suite's run, with links to the runs of its
        trials: to each of them, and to a table of all with the metrics ``judged``.
        """
        with patience():
            by_scenario = {
                "aggregateFunction": "average",
                "groupByKeys": [{"mode": "param", "groupByData": "scenario"}],
            }
            children = self._runs(f"tags.`mlflow.parentRunId` = '{parent}'")
            view = {
                "selectedColumns": [*COLUMNS, *(f"metrics.`test/{name}`" for name in judged)],
                "groupBy": by_scenario,
                "searchFilter": f"tags.`mlflow.parentRunId` = '{parent}'",
                **quality_first(judged),
            }
            self.client.set_experiment_tag(
                self.experiment_id, f"{SHARED_VIEW}{parent}", json.dumps(view)
            )
            links: dict[str, dict[str, str]] = {}
            for run in sorted(children, key=lambda run: run.info.start_time):
                name = run.data.tags.get("scenario", "")
                label = inert(run.info.run_name.removeprefix(f"{name}-"))
                links.setdefault(name, {})[run.info.run_id] = (
                    f"[{label}](#/experiments/{self.experiment_id}/runs/{run.info.run_id})"
                )
            lines = [f"- {inert(name)}: {', '.join(runs.values())}" for name, runs in links.items()]
            table_link = f"#/experiments/{self.experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={parent}"
            overview = f"**Runs** by scenario: [as a table]({table_link}), [as charts]({table_link}&compareRunsMode=CHART)."
            no_links = story.replace("] (", "] \\(")  # the interface would make it a link
            note = "\n".join([f"{overview}\n", no_links, "\n**Runs**, one by one:\n"])
            for number, line in enumerate(lines):
                if len(note) + len(line) > ROOM:
                    note += f"\n- and {len(lines) - number} more scenarios, in the table"
                    break
                note += f"\n{line}"
            self.client.set_tag(parent, "mlflow.note.content", cut({"": note})[""])

    def model(self, parent: str, trial: TrialRecord, write: Callable[[Path], object]) -> bool:
        """Log an exported model for a trial's run; False if it was already there. Loading it needs
        no pickle.

        Args:
            parent: the suite's run.
            trial: the trial that trained the model.
            write: exports the model to a folder.
        """
        with patience():
            logged_models = self.client.search_logged_models(
                [self.experiment_id], f"tags.key = '{trial.key}' and tags.suite_run = '{parent}'"
            )
            if any(logged.status == LoggedModelStatus.READY for logged in logged_models):
                return False
            for logged in logged_models:
                self.client.delete_logged_model(logged.model_id)
            (run,) = self._runs(
                f"tags.`mlflow.parentRunId` = '{parent}' and tags.key = '{trial.key}'"
            )
            facts = {"scenario": trial.scenario, "seed": str(trial.seed)} | {
                safe(key): str(value) for key, value in trial.point.items()
            }
            scores = {
                name: f"{value:.4f}"
                for name, value, _, _ in metrics_of(trial)
                if name.startswith("test/")
            }
            model = self.client.create_logged_model(
                self.experiment_id,
                name=_model_name(f"{self.experiment}-{trial.scenario}"),
                source_run_id=run.info.run_id,
                tags=cut({"key": trial.key, "suite_run": parent}),
                params={**facts, **dict(sorted(scores.items())[:80])},
                model_type="mtlab",
            )
            with tempfile.TemporaryDirectory() as scratch:
                exported, packed = Path(scratch) / "exported", Path(scratch) / "packed"
                write(exported)
                pack(exported, packed, model.model_id)
                self.client.log_model_artifacts(model.model_id, str(packed))
            self.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
            self.client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 0)])
        return True

    def close(self, parent: str, status: str, ended_at: float | None = None) -> None:
        """Close the suite's run as ``FINISHED``, ``FAILED`` or ``KILLED``, at a Unix time in
        seconds; by default now.
        """
        with patience():
            self.client.set_terminated(
                parent, status, end_time=None if ended_at is None else ms(ended_at)
            )

    def _runs(self, wanted: str) -> list[Run]:
        return list(self.client.search_runs([self.experiment_id], wanted))

    def _params(self, run_id: str, params: dict[str, Any]) -> None:
        rows = [Param(key, str(value)[:6000]) for key, value in params.items()]
        for start in range(0, len(rows), 100):
            self.client.log_batch(run_id, params=rows[start : start + 100])

    def _datasets(self, run_id: str, by_point: dict[str, dict[str, Any]]) -> None:
        inputs = []
        for point, data in by_point.items():
            for split, rows in data["sizes"].items():
                source = CodeDatasetSource(
                    tags={
                        "source": ", ".join(map(str, data["sources"])),
                        "point": point,
                        "sentences": str(rows),
                    }
                )
                dataset = MetaDataset(
                    source, name=f"{self.experiment} {split}", digest=data["fingerprint"][:32]
                )
                inputs.append(
                    DatasetInput(
                        dataset._to_mlflow_entity(), tags=[InputTag("mlflow.data.context", split)]
                    )
                )
        self.client.log_inputs(run_id, datasets=inputs)


def _model_name(wanted: str) -> str:
    """A name that MLflow accepts for a model; a changed name gets the start of its hash, so that
    two names stay different.
    """
    spelt = re.sub(r"[^\w-]", "_", wanted)
    return (
        spelt if spelt == wanted else f"{spelt}-{hashlib.sha256(wanted.encode()).hexdigest()[:6]}"
    )
