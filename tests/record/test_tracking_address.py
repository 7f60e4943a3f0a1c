"""Where MLflow is: addresses, the secrets in them, and stores and servers that cannot be used."""

import os
import re
import shutil
import socketserver
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from mtlab.plan.errors import UserError
from mtlab.record.mlflow import connection
from mtlab.record.mlflow.address import DEFAULT_URI, tracking_uri, without_credentials
from mtlab.record.mlflow.store import Store
from mtlab.record.mlflow.tracking import Tracking
from tests.record.test_tracking import logged, suite_of
from tests.report import factory

SECRET = "S3CRET"


def test_the_address_of_the_user_wins_over_a_database_here(
    tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tracking_uri() == tracking
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    logged([])
    assert not list(Path().rglob("*.db"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert tracking_uri() == DEFAULT_URI == "sqlite:///mlflow.db"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("http://host:5000", "http://host:5000"),
        ("https://host/prefix/", "https://host/prefix/"),
        ("databricks", "databricks"),
        (f"http://user:{SECRET}@host:5000", "http://host:5000"),
        (f"http://{SECRET}@host", "http://host"),
        (f"http://us@er:{SECRET}@host", "http://host"),
        (f"http://host/x?token={SECRET}", "http://host/x"),
        (f"http://host#{SECRET}", "http://host"),
        (
            f"mysql+pymysql://user:{SECRET}@host:3306/db?ssl_key={SECRET}",
            "mysql+pymysql://host:3306/db",
        ),
        (f"postgresql:///db?user=u&password={SECRET}", "postgresql:///db"),
        (f"postgresql://user:a/{SECRET}@host/db", "postgresql://..."),
        (f"postgresql://user:a#{SECRET}@host/db", "postgresql://..."),
        (f"postgresql://user:a?{SECRET}@host/db", "postgresql://..."),
        (f"http://host?mail=a@b&token={SECRET}", "http://..."),
        (f"http://[{SECRET}", "http://..."),
    ],
)
def test_an_address_is_shown_without_what_is_secret_in_it(uri: str, shown: str) -> None:
    assert without_credentials(uri) == shown


def opening(uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one line that is told where the store at ``uri`` cannot be opened."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError) as caught:
        Store(uri, "freezing").open()
    line = str(caught.value)
    assert "\n" not in line and SECRET not in line
    assert caught.value.__suppress_context__  # a traceback would show the address
    return line


@pytest.mark.parametrize("uri", ["file:./mlruns", "./mlruns"])
def test_a_file_store_gets_the_hint_to_use_a_database(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = opening(uri, monkeypatch)
    assert line.startswith(f"MLflow at {uri} cannot be used (")
    assert line.endswith(
        "; set MLFLOW_TRACKING_URI to sqlite:///mlflow.db, or unset it, to log to a database here"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "uri",
    [
        f"nonsense://user:{SECRET}@host/x",
        f"http://user:{SECRET}@127.0.0.1:port",
        f"http://[{SECRET}",
        f"nodriver://user:a/{SECRET}@host/db?password={SECRET}",
        f"mysql+nodriver://user:{SECRET}@127.0.0.1:9/db",
        f"http://user:{SECRET}%40@127.0.0.1:1?token={SECRET}",
    ],
)
def test_an_address_that_nothing_can_be_made_of_is_one_line_without_secrets(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert re.search(r"cannot be (used|reached) \(", opening(uri, monkeypatch))


@pytest.fixture
def server(tracking: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a real MLflow server over the test's store, with user and password."""
    from mlflow import server
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *args: Any) -> None:
            pass

    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", tracking)
    monkeypatch.setattr(
        server.handlers, "_tracking_store", None
    )  # it would keep that of an earlier test
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "artifacts")
    http = make_server("127.0.0.1", 0, server.app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://user:{SECRET}@127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.mark.process
def test_a_server_gets_everything_and_its_password_goes_nowhere(
    server: str, tracking: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    trial = factory.trial("gradual_unfreeze", 0)
    tracker = Tracking("freezing")
    suite = tracker.start(suite_of([trial]))
    tracker.log(suite, trial)
    assert "missing" not in tracker.settle(suite).tracking
    tracker.close("FINISHED")
    assert suite.tracking == {
        "uri": server.replace(f"user:{SECRET}@", ""),
        "experiment": "freezing",
        "run": tracker.parent,
    }
    assert SECRET not in suite.model_dump_json()
    assert SECRET not in "".join(capfd.readouterr())
    assert SECRET.encode() not in Path(tracking.removeprefix("sqlite:///")).read_bytes()
    (child,) = MlflowClient(tracking).search_runs(
        [tracker.store.experiment_id], f"tags.`mlflow.parentRunId` = '{tracker.parent}'"
    )
    assert trial.test and trial.test.by_task.get("ner")
    assert (child.info.status, child.data.metrics["test/ner/f1"]) == (
        "FINISHED",
        trial.test.primary("ner"),
    )


@contextmanager
def listening(answer: Callable[[], None]) -> Iterator[tuple[str, list[int]]]:
    """A server that hangs up after ``answer``; yields its address and, as a list of ones, who
    asked."""
    asked: list[int] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(1)
            answer()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield "{}:{}".format(*server.server_address), asked
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_hangs_up_is_not_asked_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with listening(lambda: None) as (address, asked):
        line = opening(f"http://user:{SECRET}@{address}", monkeypatch)
    assert line.startswith(f"MLflow at http://{address} cannot be reached (ProtocolError(")
    assert len(asked) == 2


def test_a_server_that_never_answers_is_left_after_the_time_that_the_user_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    done = threading.Event()
    with listening(lambda: done.wait(60) and None) as (address, asked):
        try:
            assert "Read timed out" in opening(f"http://{address}", monkeypatch)
        finally:
            done.set()
    assert len(asked) == 1


def test_once_open_mlflow_is_as_patient_as_ever(
    tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    Store(tracking, "freezing").open()
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"


def test_an_experiment_that_was_deleted_is_told_with_the_way_back(tracking: str) -> None:
    store = Store(tracking, "freezing")
    store.open()
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(
        UserError,
        match=f"freezing was deleted in MLflow.*mlflow experiments restore -x {store.experiment_id}",
    ):
        Store(tracking, "freezing").open()


KILLED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("create table large (x)")
database.executemany("insert into large values (?)", [("a" * 500,)] * 2000)
database.commit()
database.execute("pragma cache_size = 2")
database.execute("update large set x = x || 'b'")
os._exit(1)
"""
"""Dies within a transaction of which some pages are written already."""


def test_a_database_that_a_killed_process_left_half_written_can_be_opened(
    tmp_path: Path, empty_database: Path
) -> None:
    file = tmp_path / "mlflow.db"
    shutil.copy(empty_database, file)
    assert subprocess.run([sys.executable, "-c", KILLED, str(file)], check=False).returncode == 1
    assert file.with_name("mlflow.db-journal").stat().st_size
    assert not connection.has_no_tables(f"sqlite:///{file}", "any")
    with sqlite3.connect(file) as database:
        assert database.execute("select max(length(x)) from large").fetchone() == (500,)
