"""`mtlab ui`: MLflow's interface over what suites logged here, for this machine alone."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from mtlab.cli import main

PLANTED = ("uvicorn", "mlflow", "sitecustomize", "huey")
"""Names of modules that a server may import, here as files of the folder that it is started in."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The interface over a database with one experiment, started in a folder with files that must not run."""
    folder = tmp_path_factory.mktemp("ui")
    MlflowClient(f"sqlite:///{folder}/mlflow.db").create_experiment("seen")
    for name in PLANTED:
        (folder / f"{name}.py").write_text(f"open({str(folder / ('ran-' + name))!r}, 'w')")
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")} | {"MLFLOW_HOST": "0.0.0.0"}
    command = [str(Path(sys.executable).with_name("mtlab")), "ui", "--port", str(port)]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + 120
        while server.poll() is None and time.monotonic() < until and not answers(port):
            time.sleep(0.2)
        assert answers(port), (folder / "log.txt").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)
    assert not list(folder.glob("ran-*"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    try:
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_it_shows_the_database_of_the_folder_that_it_is_started_in(address: str) -> None:
    body = json.dumps({"max_results": 10}).encode()
    asked = urllib.request.Request(f"{address}/api/2.0/mlflow/experiments/search", body, {"Content-Type": "application/json"})
    found = json.load(urllib.request.urlopen(asked, timeout=30))
    assert "seen" in {one["name"] for one in found["experiments"]}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="who listens is read from /proc")
def test_it_listens_on_this_machine_alone(address: str) -> None:
    port = f":{int(address.rpartition(':')[2]):04X}"
    tables = [Path(name).read_text().splitlines() for name in ("/proc/net/tcp", "/proc/net/tcp6") if Path(name).exists()]
    listening = [line.split()[1] for table in tables for line in table if line.split()[3] == "0A" and line.split()[1].endswith(port)]
    assert listening == [f"0100007F{port}"]


def test_a_port_that_is_in_use_is_told(address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    port = address.rpartition(":")[2]
    assert main(["ui", "--port", port]) == 2
    assert f"port {port} is in use" in capsys.readouterr().err
