"""MLflow goes down and comes back: training never waits for it, and in the end nothing is there
twice and nothing is missing."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.server import handlers
from mlflow.tracking import MlflowClient

from mtlab.plan.errors import Busy
from mtlab.record.journal import Journal
from mtlab.record.mlflow import tracking as module
from mtlab.record.mlflow.runs import metrics_of
from mtlab.record.mlflow.store import Store
from mtlab.record.mlflow.tracking import Outcome, Tracking, sync
from mtlab.record.records import SuiteRecord, TrialRecord
from tests.record.test_tracking import suite_of, with_losses
from tests.report import factory

pytestmark = pytest.mark.process


class Server:
    """A real MLflow server over a store, that can be stopped, started again at the same port, and
    made to hang."""

    def __init__(self) -> None:
        self.port, self.hanging = 0, threading.Event()
        self.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        from mlflow import server
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log_request(self, *args: Any) -> None:
                pass

        self.down = down = threading.Event()

        def app(environ: Any, start_response: Any) -> Any:
            while self.hanging.is_set():
                time.sleep(0.05)
            if down.is_set():  # a connection that was open may outlive the server
                raise ConnectionResetError
            return server.app(environ, start_response)

        self.http = make_server("127.0.0.1", self.port, app, threaded=True, request_handler=Quiet)
        self.port = self.http.server_port
        self.thread = threading.Thread(
            target=self.http.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.thread.start()

    def stop(self) -> None:
        self.down.set()
        self.hanging.clear()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(tracking: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", tracking)
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "artifacts")
    monkeypatch.setattr(handlers, "_tracking_store", None)  # it would keep that of an earlier test
    monkeypatch.setattr(module, "AGAIN_S", 0.2)
    made = Server()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made.uri)
    yield made
    made.stop()


def trials_of(count: int) -> list[TrialRecord]:
    return [
        with_losses(factory.trial("full_finetune", seed), 2.0, 1.5, 1.0) for seed in range(count)
    ]


def children(tracking: str, suite: SuiteRecord) -> dict[str, list[Run]]:
    """Runs of trials below any suite of the experiment, by their keys."""
    client = MlflowClient(tracking)
    found: dict[str, list[Run]] = {}
    for run in client.search_runs([client.get_experiment_by_name("freezing").experiment_id]):
        if "key" in run.data.tags:
            found.setdefault(run.data.tags["key"], []).append(run)
    return found


def check_complete(tracking: str, suite: SuiteRecord, trials: list[TrialRecord]) -> None:
    """Every metric of every record is there once, with its time and step, and nothing else is."""
    client, found = MlflowClient(tracking), children(tracking, suite)
    assert {key: len(runs) for key, runs in found.items()} == {trial.key: 1 for trial in trials}
    for trial in trials:
        (run,) = found[trial.key]
        assert run.info.start_time == int(trial.started_at * 1000)
        rows = [
            (one.key, one.value, one.timestamp, one.step)
            for name in run.data.metrics
            for one in client.get_metric_history(run.info.run_id, name)
        ]
        assert sorted(rows) == sorted(metrics_of(trial))
    parents = {run.data.tags["mlflow.parentRunId"] for runs in found.values() for run in runs}
    assert len(parents) <= 1


def timed(work: Any) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_a_server_that_goes_down_in_the_middle_and_comes_back_has_everything_once(
    server: Server, tracking: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = trials_of(6)
    tracker = Tracking("freezing")
    suite = tracker.start(suite_of(trials))
    for number, trial in enumerate(trials):
        if number == 2:
            server.stop()
        if number == 4:
            server.start()
        assert timed(lambda trial=trial: tracker.log(suite, trial)) < module.TRIAL_S + 0.5
    until = time.monotonic() + 60
    while "missing" in tracker.where(suite).tracking and time.monotonic() < until:
        time.sleep(0.05)
    assert "missing" not in tracker.settle(suite).tracking
    tracker.close("FINISHED")
    check_complete(tracking, suite, trials)
    shown = capsys.readouterr().out
    assert shown.count("cannot be reached") == 1
    assert shown.count("MLflow is back") == 1


def test_a_server_that_hangs_holds_nobody_up(server: Server, tracking: str) -> None:
    trials = trials_of(3)
    tracker = Tracking("freezing")
    suite = tracker.start(suite_of(trials))
    server.hanging.set()
    assert all(
        timed(lambda trial=trial: tracker.log(suite, trial)) < module.TRIAL_S + 0.5
        for trial in trials
    )
    assert timed(lambda: tracker.settle(suite)) < module.ENDING_S + 1
    assert timed(lambda: tracker.close("FINISHED")) < module.OPENING_S + 1
    assert tracker.where(suite).tracking["missing"]


def test_a_server_that_is_down_from_the_start_is_told_and_gets_all_of_it_by_sync(
    server: Server, tracking: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.stop()
    trials = trials_of(3)
    journal = Journal(tmp_path / "report")
    tracker = Tracking("freezing")
    waited = time.monotonic()
    suite = tracker.start(suite_of(trials))
    assert time.monotonic() - waited < module.OPENING_S + 1
    for trial in trials:
        tracker.log(suite, trial)
        journal.write_trial(trial)
    suite = tracker.settle(suite)
    tracker.close("FINISHED")
    journal.write_suite(suite)
    assert suite.tracking["missing"] == "4"
    assert "cannot be reached" in capsys.readouterr().out
    with pytest.raises(Busy, match="check that it runs"):
        sync("freezing", journal, lambda: Outcome(journal.directory, "", None))
    server.start()
    assert sync("freezing", journal, lambda: Outcome(journal.directory, "", None)) == (3, 3)
    assert sync("freezing", journal, lambda: Outcome(journal.directory, "", None)) == (0, 3)
    suite, trials = journal.read()
    assert "missing" not in suite.tracking
    check_complete(tracking, suite, trials)


def test_making_the_tables_of_a_new_database_is_no_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes longer than a suite waits for a server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'new.db'}")
    monkeypatch.setattr(module, "OPENING_S", 0.05)
    trials, said = trials_of(1), list[str]()
    tracker = Tracking("freezing", said.append)
    suite = tracker.start(suite_of(trials))
    assert suite.tracking["run"] and "missing" not in suite.tracking
    tracker.log(suite, trials[0])
    suite = tracker.settle(suite)
    tracker.close("FINISHED")
    assert "missing" not in suite.tracking
    assert said == [
        f"MLflow creates its tables in sqlite:///{tmp_path / 'new.db'}; this happens once"
    ]


@pytest.mark.parametrize("after", range(1, 8))
def test_a_run_that_is_half_there_is_made_anew(
    after: int, tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = trials_of(2)
    suite = suite_of(trials).model_copy(update={"id": "s"})
    journal = Journal(tmp_path / "report")
    journal.write_suite(suite)
    for trial in trials:
        journal.write_trial(trial)
    calls = 0

    def counted(name: str) -> Any:
        honest = getattr(MlflowClient, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == after:
                raise OSError("the line is dead")
            return honest(*arguments, **keywords)

        return call

    with monkeypatch.context() as patch:
        for name in ("create_run", "log_batch", "log_inputs", "set_tag", "set_terminated"):
            patch.setattr(MlflowClient, name, counted(name))
        with pytest.raises(Busy, match="it adds each run once"):
            sync("freezing", journal, lambda: Outcome(journal.directory, "", None))
    sync("freezing", journal, lambda: Outcome(journal.directory, "", None))
    check_complete(tracking, suite, trials)
    store = Store(tracking, "freezing")
    store.open()
    runs = store.client.search_runs([store.experiment_id])
    assert len(runs) == 3


def test_processes_that_open_a_new_database_at_once_make_its_tables_once(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys; from mtlab.record.mlflow.store import Store; s = Store(sys.argv[1], 'freezing'); s.open(); print(s.experiment_id)"
    uri = f"sqlite:///{tmp_path / 'new.db'}"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, uri], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(set(told)) == 1
