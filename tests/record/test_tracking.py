"""MLflow as a view of the records: what is logged under which name, and what happens where it
cannot be."""

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from mtlab.plan.scenario import point_label
from mtlab.record.mlflow.tracking import Outcome, Tracking
from mtlab.record.quality import Metrics
from mtlab.record.records import SuiteRecord, TrialRecord
from tests.report import factory

SIZES = {"train": 1920, "validation": 300, "test": 600}
SECRET = "S3CRET"


def data(fingerprint: str = "f" * 64) -> dict[str, Any]:
    return {
        "sizes": SIZES,
        "sources": ["builtin"],
        "labels": ["a"],
        "tags": ["O"],
        "fingerprint": fingerprint,
        "notes": [],
    }


def suite_of(trials: list[TrialRecord], **changes: Any) -> SuiteRecord:
    return factory.suite(trials, **{"data": {"": data()}, "batch_size": 32, **changes})


def logged(
    trials: list[TrialRecord], suite: SuiteRecord | None = None, status: str = "FINISHED"
) -> tuple[Run, dict[str, Run]]:
    """Log a suite; returns the parent run, and the child runs by the keys of their trials."""
    suite = suite or suite_of(trials)
    tracking = Tracking("freezing")
    suite = tracking.start(suite)
    for trial in trials:
        tracking.log(suite, trial)
    assert "missing" not in tracking.settle(suite).tracking
    tracking.close(status)
    runs = tracking.store.client.search_runs([tracking.store.experiment_id])
    (parent,) = (run for run in runs if run.info.run_id == suite.tracking["run"])
    return parent, {
        run.data.tags["key"]: run
        for run in runs
        if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    }


def only(children: dict[str, Run]) -> Run:
    (run,) = children.values()
    return run


def history(uri: str, run: Run, name: str) -> list[tuple[int, float, int]]:
    """(step, value, milliseconds) of a metric."""
    return sorted(
        (one.step, one.value, one.timestamp)
        for one in MlflowClient(uri).get_metric_history(run.info.run_id, name)
    )


def with_losses(trial: TrialRecord, *losses: float | None) -> TrialRecord:
    return trial.model_copy(update={"step_losses": {"total": losses, "ner": losses}})


def with_types(trial: TrialRecord, *types: str) -> TrialRecord:
    """The trial, its test split with F1 0.00, 0.01, ... for these entity types."""
    parts = {kind: {"f1": at / 100, "support": 9} for at, kind in enumerate(types)}
    return trial.model_copy(update={"test": with_ner(trial, by_name=parts)})


def with_ner(trial: TrialRecord, **changes: Any) -> Metrics:
    """The trial's metrics on test, with changes to those of one task."""
    assert trial.test is not None
    changed = trial.test.by_task["ner"].model_copy(update=changes)
    return Metrics(by_task={**trial.test.by_task, "ner": changed})


def test_a_suite_is_one_parent_and_a_child_for_every_trial(tracking: str) -> None:
    trials = [
        factory.trial(name, seed)
        for name in ("backbone_frozen", "full_finetune")
        for seed in (0, 1)
    ]
    parent, children = logged(trials)
    assert set(children) == {trial.key for trial in trials}
    for trial in trials:
        run = children[trial.key]
        tags = run.data.tags
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        assert (tags["scenario"], tags["seed"], tags["suite"], tags["status"]) == (
            trial.scenario,
            str(trial.seed),
            "freezing",
            "ok",
        )
        assert trial.scenario in tags["mlflow.note.content"]
        assert (run.info.status, run.info.start_time) == ("FINISHED", int(trial.started_at * 1000))
        assert (run.data.params["scenario"], run.data.params["seed"]) == (
            trial.scenario,
            str(trial.seed),
        )
        assert run.data.params["batch_size"] == "32"
    assert "mlflow.parentRunId" not in parent.data.tags
    assert parent.data.tags["suite"] == "freezing"
    assert parent.data.tags["mlflow.note.content"] == "Which parts should be frozen on small data?"
    assert parent.data.params["environment.precision"] == "fp32"
    assert parent.data.params["encoder.name"] == "minilm"
    assert parent.info.status == "FINISHED"


def test_metrics_have_the_names_and_the_values_of_the_record(tracking: str) -> None:
    trial = with_losses(factory.trial("gradual_unfreeze", 0), 2.0, 1.5)
    _, children = logged([trial])
    metrics = only(children).data.metrics
    assert (
        trial.test
        and trial.test.by_task.get("classifier")
        and trial.test.by_task.get("ner")
        and trial.epochs[-1].validation.by_task.get("ner")
    )
    last = trial.stages[-1]
    expected = {
        "train/loss": 1.5,
        "validation/ner/f1": trial.epochs[-1].validation.primary("ner"),
        "test/classifier/accuracy": trial.test.primary("classifier"),
        "test/classifier/macro_f1": trial.test.by_task["classifier"].scores["macro_f1"],
        "test/ner/f1": trial.test.primary("ner"),
        "test/ner/f1_strict": trial.test.by_task["ner"].scores["f1_strict"],
        "test/ner/by_name/PER/f1": trial.test.by_task["ner"].by_name["PER"]["f1"],
        "params/total": last.params_total,
        "params/trainable": last.params_trainable,
        "params/frozen": last.params_frozen,
        "time/train_s": trial.laps["train"],
        "time/eval_s": trial.laps["eval"],
        "time/cache_s": trial.laps["cache"],
        "time/total_s": trial.wall_s,
        "time/plain_s": trial.wall_plain_s,
        "memory/peak_mb": trial.peak_memory_mb,
        "flops/train": trial.train_flops,
    }
    assert {name: metrics[name] for name in expected} == expected
    assert {"validation/classifier/accuracy", "validation/classifier/macro_f1"} <= set(metrics)


def test_steps_and_times_are_those_of_the_record(tracking: str) -> None:
    trial = with_losses(factory.trial("gradual_unfreeze", 0), 2.0, None, 1.5)
    trial = trial.model_copy(update={"ended_at": trial.started_at + 1000.0})
    _, children = logged([trial])
    run = only(children)
    end = int((trial.started_at + 1000) * 1000)
    assert (run.info.start_time, run.info.end_time) == (int(trial.started_at * 1000), end)
    assert history(tracking, run, "train/loss") == [(1, 2.0, end), (3, 1.5, end)]
    assert [entry[:2] for entry in history(tracking, run, "train/ner/loss")] == [(1, 2.0), (3, 1.5)]
    validation = [
        (epoch.step, epoch.validation.primary("classifier"), int(epoch.ended_at * 1000))
        for epoch in trial.epochs
    ]
    assert history(tracking, run, "validation/classifier/accuracy") == validation
    assert len(validation) == 7
    assert [entry[:2] for entry in history(tracking, run, "params/trainable")] == [
        (index, stage.params_trainable) for index, stage in enumerate(trial.stages)
    ]
    assert [step for step, _, _ in history(tracking, run, "test/ner/f1")] == [trial.epochs[-1].step]


def test_thousands_of_steps_are_all_logged(tracking: str) -> None:
    losses = tuple(float(step) for step in range(2500))
    _, children = logged(
        [factory.trial("full_finetune", 0).model_copy(update={"step_losses": {"total": losses}})]
    )
    assert [entry[1] for entry in history(tracking, only(children), "train/loss")] == list(losses)


def test_what_is_not_a_number_is_never_logged(tracking: str) -> None:
    trial = with_losses(
        factory.trial("full_finetune", 0), 2.0, math.nan, math.inf, -math.inf
    ).model_copy(
        update={
            "peak_memory_mb": None,
            "tokens_per_s": math.nan,
            "status": "diverged",
            "reason": "the loss is nan at step 2",
        }
    )
    _, children = logged([with_types(trial, "PER")])
    run = only(children)
    assert [entry[:2] for entry in history(tracking, run, "train/loss")] == [(1, 2.0)]
    assert all(math.isfinite(value) for value in run.data.metrics.values())
    assert not {"memory/peak_mb", "time/tokens_per_s"} & set(run.data.metrics)
    with sqlite3.connect(tracking.removeprefix("sqlite:///")) as database:
        assert database.execute(
            "select count(*) from metrics where is_nan or abs(value) > 1e300"
        ).fetchone() == (0,)
    database.close()


def test_an_undefined_score_is_left_out(tracking: str) -> None:
    trial = factory.trial("full_finetune", 0)
    assert trial.test is not None
    scores = {**trial.test.by_task["ner"].scores, "f1": None}
    undefined = with_ner(trial, scores=scores, by_name={"PER": {"f1": None, "support": 0}})
    tested = Metrics(by_task={"ner": undefined.by_task["ner"]})
    _, children = logged([trial.model_copy(update={"test": tested})])
    metrics = only(children).data.metrics
    assert not {"test/ner/f1", "test/ner/by_name/PER/f1", "test/classifier/accuracy"} & set(metrics)
    assert {"test/ner/f1_strict", "validation/ner/f1"} <= set(metrics)


def test_a_failed_trial_is_marked_so_with_its_reason(tracking: str) -> None:
    reason = "RuntimeError: no kernel\n\x1b[31m 'quoted' <b> " + "x" * 10_000
    trials = [
        factory.trial("full_finetune", 0, status="crashed", reason=reason),
        factory.trial("backbone_frozen", 0),
    ]
    parent, children = logged(trials, status="FAILED")
    failed, fine = (children[trial.key] for trial in trials)
    assert (failed.info.status, fine.info.status, parent.info.status) == (
        "FAILED",
        "FINISHED",
        "FAILED",
    )
    assert (failed.data.tags["status"], failed.data.tags["reason"]) == ("crashed", reason[:8000])
    assert "crashed" in failed.data.tags["mlflow.note.content"]
    assert not [name for name in failed.data.metrics if name.startswith("test/")]
    assert "validation/ner/f1" in failed.data.metrics


def test_a_trial_that_failed_before_it_began_is_logged(tracking: str) -> None:
    trial = TrialRecord(
        key="k",
        scenario="full_finetune",
        seed=0,
        status="out of memory",
        started_at=factory.STARTED,
    )
    _, children = logged([trial])
    assert (
        only(children).info.status,
        only(children).data.tags["status"],
        only(children).data.metrics,
    ) == ("FAILED", "out of memory", {})


def test_data_sets_are_logged_with_their_split_source_and_fingerprint(tracking: str) -> None:
    parent, children = logged([factory.trial("full_finetune", 0)])
    for run in (parent, only(children)):
        inputs = MlflowClient(tracking).get_run(run.info.run_id).inputs.dataset_inputs
        assert {
            tag.value for one in inputs for tag in one.tags if tag.key == "mlflow.data.context"
        } == set(SIZES)
        assert {one.dataset.digest for one in inputs} == {"f" * 32}
        tags = [json.loads(one.dataset.source)["tags"] for one in inputs]
        assert {(tag["source"], tag["sentences"]) for tag in tags} == {
            ("builtin", str(size)) for size in SIZES.values()
        }


def test_a_trial_of_a_sweep_has_its_point_and_the_data_of_its_point_alone(tracking: str) -> None:
    points: list[dict[str, Any]] = [
        {"data.train_size": size, "encoder": "minilm"} for size in (100, "full")
    ]
    trials = [factory.trial("full_finetune", 0, point=point) for point in points]
    names = [point_label(point.items()) for point in points]
    sets = {name: data(letter * 64) for name, letter in zip(names, "ab", strict=True)}
    encoders = {
        name: {"name": "minilm", "hidden": width}
        for name, width in zip(names, (100, 200), strict=True)
    }
    suite = suite_of(trials, data=sets, encoder=encoders, sweep={"data.train_size": [100, "full"]})
    written = {
        **suite.experiment,
        "encoder": {"name": "other", "revision": "main"},
        "data": {"train_size": 7},
    }
    suite = suite.model_copy(update={"experiment": written})
    parent, children = logged(trials, suite)
    for trial, size, letter in zip(trials, ("100", "full"), "ab", strict=True):
        run = MlflowClient(tracking).get_run(children[trial.key].info.run_id)
        assert run.data.tags["data.train_size"] == run.data.params["data.train_size"] == size
        assert {
            key: value for key, value in run.data.params.items() if key.startswith("encoder")
        } == {
            "encoder": "minilm",
            "encoder.name": "minilm",
            "encoder.hidden": "100" if letter == "a" else "200",
        }
        assert {one.dataset.digest for one in run.inputs.dataset_inputs} == {letter * 32}
    whole = MlflowClient(tracking).get_run(parent.info.run_id)
    assert {one.dataset.digest for one in whole.inputs.dataset_inputs} == {"a" * 32, "b" * 32}


def test_long_values_are_cut_to_what_mlflow_takes(
    tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")  # some stores refuse what is longer
    point = {"data.columns": {"tokens": "p" * 7000}}
    trial = factory.trial("full_finetune", 0, point=point)
    suite = suite_of([trial], remark="x" * 7000, question="q" * 9000)
    parent, children = logged([trial], suite)
    assert (
        parent.data.params["experiment.remark"]
        == only(children).data.params["remark"]
        == "x" * 6000
    )
    assert len(only(children).data.params["data.columns"]) == 6000
    assert parent.data.tags["mlflow.note.content"] == "q" * 8000


def test_more_params_than_one_request_takes_are_all_logged(tracking: str) -> None:
    settings = {f"setting_{index}": index for index in range(250)}
    parent, children = logged([factory.trial("full_finetune", 0)], suite_of([], **settings))
    assert {only(children).data.params[name] for name in settings} == set(map(str, range(250)))
    assert {parent.data.params[f"experiment.{name}"] for name in settings} == set(
        map(str, range(250))
    )


def test_entity_types_of_any_name_keep_a_metric_each(tracking: str) -> None:
    plain = ["PER", "creative-work", "object_type", "a.b", "time:12", "date of birth", "人名", "Ä"]
    odd = [
        "a+b",
        "a*b",
        "GPE/LOC",
        "GPE_LOC",
        "../x",
        ".",
        "..",
        "/",
        "",
        "e\u0301",
        "e\u0300",
        "a\nb",
        "<b>",
    ]
    odd += ["x" * 300 + "1", "x" * 300 + "2"]
    _, children = logged([with_types(factory.trial("full_finetune", 0), *plain, *odd)])
    metrics = {
        name: value
        for name, value in only(children).data.metrics.items()
        if name.startswith("test/ner/by_name/")
    }
    assert sorted(metrics.values()) == [at / 100 for at in range(len(plain) + len(odd))]
    assert {metrics[f"test/ner/by_name/{kind}/f1"] for kind in plain} == {
        at / 100 for at in range(len(plain))
    }
    assert {name.count("/") for name in metrics} == {4}


def test_an_odd_type_is_named_alike_in_every_split_whatever_stands_beside_it(tracking: str) -> None:
    trials = [
        with_types(factory.trial("full_finetune", seed), *types)
        for seed, types in enumerate((["a+b"], ["a*b", "a+b"]))
    ]
    _, children = logged(trials)
    first, second = (
        {name for name in children[trial.key].data.metrics if "by_name/a" in name}
        for trial in trials
    )
    assert len(first) == 1 and first < second


def test_report_and_experiment_are_attached_to_the_parent(tracking: str, tmp_path: Path) -> None:
    (tmp_path / "report" / "plots").mkdir(parents=True)
    for name in ("report.md", "report.html", "trials.csv", "suite.json", "plots/frontier.svg"):
        (tmp_path / "report" / name).write_text(name)
    tracker = Tracking("freezing")
    suite = tracker.start(suite_of([]))
    tracker.finish(suite, Outcome(tmp_path / "report", "it *ended*", None), "FINISHED")
    tracker.close("KILLED")  # which it is not any more
    assert tracker.store.client.get_run(suite.tracking["run"]).info.status == "FINISHED"
    run, store = suite.tracking["run"], tracker.store
    names = {
        item.path for path in (None, "plots") for item in store.client.list_artifacts(run, path)
    }
    assert names == {
        "report.md",
        "report.html",
        "trials.csv",
        "suite.json",
        "plots",
        "plots/frontier.svg",
        "experiment.json",
    }
    assert store.client.get_run(run).data.metrics["time/suite_s"] == suite.elapsed_s
    assert store.client.get_run(run).data.tags["mlflow.note.content"].count("\nit *ended*\n") == 1


def test_two_suites_of_an_experiment_stand_side_by_side(tracking: str) -> None:
    trial = factory.trial("full_finetune", 0)
    first, _ = logged([trial])
    second, _ = logged([trial])
    assert first.info.experiment_id == second.info.experiment_id
    assert first.info.run_id != second.info.run_id


def test_closing_before_anything_was_opened_is_no_error(tracking: str) -> None:
    Tracking("freezing").close("KILLED")


def test_a_suite_that_is_stopped_says_so(tracking: str) -> None:
    tracker = Tracking("freezing")
    suite = tracker.start(suite_of([]))
    tracker.close("KILLED")
    assert tracker.store.client.get_run(suite.tracking["run"]).info.status == "KILLED"


def test_times_that_compare_with_nothing_are_in_no_chart(tracking: str) -> None:
    alone, shared = factory.trial("full_finetune", 0), factory.trial("full_finetune", 1)
    shared = shared.model_copy(update={"untimed": "another trial used the device meanwhile"})
    _, children = logged([alone, shared])
    assert (
        "time/plain_s" in children[alone.key].data.metrics
        and "untimed" not in children[alone.key].data.tags
    )
    assert not [name for name in children[shared.key].data.metrics if name.startswith("time/")]
    assert children[shared.key].data.tags["untimed"] == "another trial used the device meanwhile"
    assert children[shared.key].data.metrics["test/ner/f1"] == pytest.approx(
        shared.test.primary("ner")
    )
