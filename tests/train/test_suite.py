"""The whole main job on a tiny encoder: scenarios, seeds, records, MLflow, report."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from mtlab.cli import main
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.record.mlflow.store import Store
from mtlab.record.quality import Metrics
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.train.prepare import Prepared
from mtlab.train.state import TrialState


@pytest.fixture(scope="module")
def suite(tiny_suite: Path) -> Path:
    return tiny_suite


@pytest.fixture(scope="module")
def trials(suite: Path) -> list[TrialRecord]:
    return Journal(suite / "out").read()[1]


def by(trials: list[TrialRecord], scenario: str) -> list[TrialRecord]:
    return sorted(
        (trial for trial in trials if trial.scenario == scenario), key=lambda trial: trial.seed
    )


def test_every_scenario_and_seed_left_a_record(trials: list[TrialRecord]) -> None:
    assert len(trials) == 10
    assert {trial.status for trial in trials} == {"ok"}
    assert all(
        trial.test and trial.test.by_task.keys() == {"classifier", "ner"} for trial in trials
    )


def test_scenarios_of_a_seed_start_from_the_same_weights(trials: list[TrialRecord]) -> None:
    starts = {
        seed: {trial.initial_digest for trial in trials if trial.seed == seed} for seed in (0, 1)
    }
    assert all(len(digests) == 1 for digests in starts.values())
    assert starts[0] != starts[1]


def test_scenarios_see_the_same_batches_in_the_same_order(trials: list[TrialRecord]) -> None:
    orders = {
        trial.order_digest for trial in trials if trial.scenario in ("heads", "gradual", "full")
    }
    assert len(orders) == 1


def test_certificates_hold_and_a_scenario_with_nothing_to_train_keeps_every_bit(
    trials: list[TrialRecord],
) -> None:
    for trial in trials:
        for stage in trial.stages:
            for unit, counts in stage.parameters.items():
                same = stage.digests_before[unit] == stage.digests_after[unit]
                reached = (
                    counts.trainable
                    and stage.steps
                    and unit.removeprefix("head.") in (*stage.losses, unit)
                )
                assert same is not bool(reached), (trial.scenario, stage.name, unit)
    for trial in by(trials, "nothing"):
        assert trial.initial_digest == trial.final_digest


def test_a_scenario_nobody_thought_of_runs_from_yaml_alone(trials: list[TrialRecord]) -> None:
    middle, ends = by(trials, "middle_then_norms_of_nothing")[0].stages
    trained = {unit for unit, counts in middle.parameters.items() if counts.trainable}
    assert trained == {"layers[1]", "head.classifier"}
    assert middle.prefix_depth == 1
    assert {unit for unit, counts in ends.parameters.items() if counts.frozen} == {
        "layers[0]",
        "layers[1]",
    }
    assert ends.prefix_depth == 0
    assert middle.losses == ("classifier",)


def test_training_learns(trials: list[TrialRecord]) -> None:
    for trial in by(trials, "full"):
        assert trial.step_losses["total"][-1] < trial.step_losses["total"][0] / 2
        assert (
            trial.test.primary("ner") > by(trials, "nothing")[trial.seed].test.primary("ner") + 0.3
        )


def test_selected_epoch_is_the_best_of_the_last_stage_ties_to_the_earlier(
    trials: list[TrialRecord],
) -> None:
    for trial in trials:
        last = [
            epoch
            for epoch in trial.epochs
            if epoch.stage == len(trial.stages) - 1 and (epoch.epoch or not trial.stages[-1].epochs)
        ]
        scores = {
            epoch.epoch: (
                epoch.validation.primary("classifier") + (epoch.validation.primary("ner") or 0.0)
            )
            / 2
            for epoch in last
        }
        assert trial.selection.epoch == max(scores, key=lambda epoch: (scores[epoch], -epoch))
        chosen = next(
            epoch.validation for epoch in trial.epochs if epoch.epoch == trial.selection.epoch
        )
        assert trial.validation == chosen


def test_times_and_flops_are_told_by_their_definitions(trials: list[TrialRecord]) -> None:
    for trial in trials:
        assert trial.wall_s == pytest.approx(sum(trial.laps.values()))
        assert 0 <= trial.train_flops_padding < max(1, trial.train_flops)
        plain = (
            trial.laps["setup"]
            + trial.laps["eval"]
            + sum((stage.step_s or 0.0) * stage.steps for stage in trial.stages)
        )
        if trial.scenario == "full":
            assert trial.laps["cache"] == 0.0
            assert trial.wall_plain_s == pytest.approx(plain)
        else:  # a plain loop's evaluations compute the prefix too
            assert trial.laps["cache"] > 0.0
            assert trial.wall_plain_s > plain
    nothing, heads, full = (by(trials, name)[0] for name in ("nothing", "heads", "full"))
    assert nothing.train_flops == nothing.train_tokens == 0
    assert heads.train_tokens == full.train_tokens
    assert heads.train_flops < full.train_flops / 2


@pytest.mark.process
def test_logged_metrics_follow_from_the_saved_predictions_in_another_process(
    suite: Path, trials: list[TrialRecord]
) -> None:
    code = """
import json, sys
from mtlab.record.metrics import Prediction, score
from tests import tiny
tasks = tiny.learnt(classifier=(), ner=())
for path in sys.argv[1:]:
    print(score(tasks, [Prediction(**json.loads(line)) for line in open(path, encoding="utf-8")]).model_dump_json())
"""
    paths = [str(Journal(suite / "out").predictions_path(trial)) for trial in trials]
    ran = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True
    )
    for line, trial in zip(ran.stdout.splitlines(), trials, strict=True):
        assert without_losses(Metrics.model_validate_json(line)) == without_losses(trial.test)


def test_report_table_and_mlflow_have_the_same_numbers(
    suite: Path, trials: list[TrialRecord]
) -> None:
    table = pd.read_csv(suite / "out" / "trials.csv")
    client = MlflowClient(f"sqlite:///{suite / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("odd")
    runs = client.search_runs([experiment.experiment_id])
    children = {run.data.tags["key"]: run for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert (len(runs), len(children)) == (11, 10)
    report = (suite / "out" / "report.md").read_text()
    for trial in trials:
        row = table[table["key"] == trial.key].iloc[0]
        logged = children[trial.key].data.metrics
        columns = {
            "classifier_accuracy": "test/classifier/accuracy",
            "classifier_macro_f1": "test/classifier/macro_f1",
            "ner_precision": "test/ner/precision",
            "ner_f1": "test/ner/f1",
            "ner_f1_strict": "test/ner/f1_strict",
            "params_trainable": "params/trainable",
            "wall_s": "time/total_s",
            "wall_plain_s": "time/plain_s",
            "train_flops": "flops/train",
            "peak_memory_mb": "memory/peak_mb",
        }
        for column, metric in columns.items():
            if pd.isna(row[column]):
                assert metric not in logged, column
            else:
                assert logged[metric] == row[column], column
    for scenario in ("heads", "full"):
        accuracy = pd.Series(
            [trial.test.primary("classifier") for trial in by(trials, scenario)]
        ).mean()
        line = next(line for line in report.splitlines() if line.startswith(f"| `{scenario}`"))
        assert f"{accuracy:.3f}" in line


def test_report_rebuilds_byte_for_byte_without_training(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(suite / "tiny.yaml", tmp_path)
    shutil.copytree(suite / "out", tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    assert main(["report", "tiny.yaml", "--name", "odd", "--output", "out"]) == 0
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before


def test_suite_records_what_it_ran_on(suite: Path) -> None:
    record = json.loads((suite / "out" / "suite.json").read_text())
    assert record["environment"]["precision"] == "fp32"
    assert record["encoder"][""]["blocks"] == 3
    assert record["data"][""]["sizes"] == {"train": 96, "validation": 24, "test": 24}
    assert record["command"] == "mtlab compare tiny.yaml --name odd --output out"
    assert record["elapsed_s"] > 0


def test_a_lost_mlflow_loses_nothing_else(
    experiment_file: Path,
    tracking: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    logged: list[TrialRecord] = []
    honest, database = Store.trial, experiment_file.parent / "mlflow.db"
    good = database.read_bytes()

    def failing(self: Store, suite: SuiteRecord, parent: str, trial: TrialRecord) -> bool:
        logged.append(trial)
        if len(logged) == 2:
            database.write_bytes(b"not a database any more")
        return honest(self, suite, parent, trial)

    monkeypatch.setattr(Store, "trial", failing)
    command = [str(experiment_file), "--seeds", "0"]
    assert main(["compare", *command]) == 0
    shown = capsys.readouterr().out
    assert shown.count("cannot be reached") == 1
    assert f"3 runs are missing there; `mtlab sync {' '.join(command)}` brings them" in shown
    suite, trials = Journal(experiment_file.parent / "report").read()
    report = (experiment_file.parent / "report" / "report.md").read_text()
    assert len(trials) == 4
    assert "**Not synced:** 3 runs are missing in MLflow." in report
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    monkeypatch.chdir(experiment_file.parent)
    database.write_bytes(
        good
    )  # what was logged before is lost with the database: all of it comes again
    assert main(["sync", *command]) == 0
    assert (
        "MLflow has 4 runs of trials, which is all; 4 of them were brought now"
        in capsys.readouterr().out
    )
    assert main(["sync", *command]) == 0
    assert "0 of them were brought now" in capsys.readouterr().out
    assert "Not synced" not in (experiment_file.parent / "report" / "report.md").read_text()
    client = MlflowClient(tracking)
    runs = client.search_runs(
        [client.get_experiment_by_name(suite.experiment["name"]).experiment_id]
    )
    assert sorted(run.data.tags["key"] for run in runs if "key" in run.data.tags) == sorted(
        suite.trials
    )


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Suites are interrupted when they come to gradual unfreezing; undone by the patch that it
    gives."""
    from mtlab.train import worker as module

    honest = module.run_trials

    def until_gradual(prepared: Prepared, trials: list[Trial], *rest: Any) -> list[TrialState]:
        if trials[0].scenario == "gradual":
            raise KeyboardInterrupt
        return honest(prepared, trials, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "run_trials", until_gradual)
        yield patch


def test_an_interrupted_suite_goes_on_where_it_was(
    experiment_file: Path,
    tracking: str,
    interrupted: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["compare", str(experiment_file), "--seeds", "0"]
    journal = Journal(experiment_file.parent / "report")
    assert main(command) == 130
    before = {trial.scenario: trial for trial in journal.read()[1]}
    assert list(before) == ["nothing", "heads"]
    interrupted.undo()
    capsys.readouterr()
    assert main(command) == 0
    assert "2 of 4 trials had ended before and are read back; remove" in capsys.readouterr().out
    suite, trials = journal.read()
    assert [trial.scenario for trial in trials] == ["nothing", "heads", "gradual", "full"]
    assert {trial.scenario: trial for trial in trials[:2]} == before
    assert suite.read_back == tuple(trial.key for trial in trials[:2])
    client = MlflowClient(tracking)
    runs = client.search_runs(
        [client.get_experiment_by_name(suite.tracking["experiment"]).experiment_id]
    )
    children = [
        run.data.tags
        for run in runs
        if run.data.tags.get("mlflow.parentRunId") == suite.tracking["run"]
    ]
    assert {tags["scenario"] for tags in children} == {"nothing", "heads", "gradual", "full"}


def test_what_affects_a_result_runs_its_trials_anew_and_is_said(
    experiment_file: Path, tracking: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", str(experiment_file), "--seeds", "0", "--scenarios", "nothing", "heads"]
    journal = Journal(experiment_file.parent / "report")
    assert main(command) == 0
    assert "changed since" not in capsys.readouterr().out
    assert main([*command, "--scenarios.heads.0.train.heads", "2.0e-3"]) == 0
    suite, trials = journal.read()
    assert [trial.scenario for trial in trials if trial.key in suite.read_back] == ["nothing"]
    told = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("changed since")
    ]
    assert told == ["changed since the last run here: scenarios.heads.0.train.heads: 0.01 -> 0.002"]
    shutil.rmtree(
        journal.directory / "predictions"
    )  # as in a clone, where the last run was another's
    assert main(command) == 0
    assert "changed since" not in capsys.readouterr().out


def test_records_of_an_earlier_run_are_not_taken_for_this_ones(
    experiment_file: Path, tracking: str, interrupted: pytest.MonkeyPatch
) -> None:
    command = ["compare", str(experiment_file), "--seeds", "0"]
    journal = Journal(experiment_file.parent / "report")
    interrupted.undo()
    assert main(command) == 0
    shutil.rmtree(
        journal.directory / "predictions"
    )  # as in a report that was copied: its trials ran elsewhere
    from mtlab.train import worker as module

    def stopped(*_: Any) -> list[TrialRecord]:
        raise KeyboardInterrupt

    interrupted.setattr(module, "run_trials", stopped)
    assert main(command) == 130
    assert journal.read()[1] == []


def test_a_record_that_cannot_be_read_is_run_again(experiment_file: Path, tracking: str) -> None:
    command = ["compare", str(experiment_file), "--seeds", "0", "--scenarios", "nothing", "heads"]
    journal = Journal(experiment_file.parent / "report")
    assert main(command) == 0
    next((journal.directory / "records").glob("heads-*")).write_text("{}")
    assert main(command) == 0
    suite, trials = journal.read()
    assert len(trials) == 2
    assert [trial.scenario for trial in trials if trial.key in suite.read_back] == ["nothing"]


def without_losses(metrics: Metrics) -> dict:
    """Losses come from the network, not from predicted names."""
    fields = metrics.model_dump()["by_task"]
    return {
        task: {key: value for key, value in values.items() if key != "loss"}
        for task, values in fields.items()
    }
