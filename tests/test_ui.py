"""`mtlab ui`: MLflow's interface over what suites logged here, for this machine alone."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from mtlab.cli import main
from mtlab.record.journal import Journal
from tests import screens

pytestmark = pytest.mark.process


PLANTED = ("uvicorn", "mlflow", "sitecustomize", "huey")
"""Names of modules that a server may import, here as files of the folder that it is started in."""


SCENARIOS = (
    "fully_frozen",
    "backbone_frozen",
    "classifier_head_frozen",
    "ner_head_frozen",
    "gradual_unfreeze",
    "full_finetune",
)

in_browser = pytest.mark.skipif(
    screens.CHROMIUM is None or find_spec("playwright") is None,
    reason="no chromium, or playwright is not installed",
)


@pytest.fixture(scope="module")
def suite(
    tmp_path_factory: pytest.TempPathFactory, encoder: Path, data: Path, empty_database: Path
) -> Path:
    """A folder in which the six scenarios ran on tiny things."""
    folder = tmp_path_factory.mktemp("ui")
    shutil.copy(empty_database, folder / "mlflow.db")
    compare = Path(__file__).parents[1] / "experiments" / "compare.yaml"
    (folder / "six.yaml").write_text(
        f"extends: {compare}\nname: six\nencoder: {encoder}\ndata: {{source: {data}, subset: null, max_duplicates: 1.0}}\n"
        "seeds: [0, 1]\nbatch_size: 16\nprecision: fp32\ndevice: cpu\noutput: out\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv(
            "MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db"
        )  # MLflow remembers stores by their address in a process
        assert main(["compare", "six.yaml"]) == 0
    return folder


@pytest.fixture(scope="module")
def run(suite: Path) -> str:
    """The suite's run in MLflow."""
    return Journal(suite / "out").read()[0].tracking["run"]


@pytest.fixture(scope="module")
def address(suite: Path, run: str) -> Iterator[str]:
    """The interface, started in a folder with files that must not run."""
    folder = suite
    for name in PLANTED:
        (folder / f"{name}.py").write_text(f"open({str(folder / ('ran-' + name))!r}, 'w')")
    port = free_port()
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")
    } | {"MLFLOW_HOST": "0.0.0.0"}
    command = [str(Path(sys.executable).with_name("mtlab")), "ui", "six.yaml", "--port", str(port)]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until = time.monotonic() + 120
        while server.poll() is None and time.monotonic() < until and not answers(port):
            time.sleep(0.2)
        assert answers(port), (folder / "log.txt").read_text()
        assert f"http://127.0.0.1:{port}/#/runs/{run}" in (folder / "log.txt").read_text()
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
        return bool(
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200
        )
    except (urllib.error.URLError, OSError):
        return False


def test_it_shows_the_database_of_the_folder_that_it_is_started_in(address: str) -> None:
    body = json.dumps({"max_results": 10}).encode()
    asked = urllib.request.Request(
        f"{address}/api/2.0/mlflow/experiments/search", body, {"Content-Type": "application/json"}
    )
    found = json.load(urllib.request.urlopen(asked, timeout=30))
    assert "six" in {one["name"] for one in found["experiments"]}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="who listens is read from /proc")
def test_it_listens_on_this_machine_alone(address: str) -> None:
    port = f":{int(address.rpartition(':')[2]):04X}"
    tables = [
        Path(name).read_text().splitlines()
        for name in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(name).exists()
    ]
    listening = [
        line.split()[1]
        for table in tables
        for line in table
        if line.split()[3] == "0A" and line.split()[1].endswith(port)
    ]
    assert listening == [f"0100007F{port}"]


def test_a_port_that_is_in_use_is_told(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    port = address.rpartition(":")[2]
    assert main(["ui", "--port", port]) == 2
    assert f"port {port} is in use" in capsys.readouterr().err


@in_browser
def test_the_suites_page_tells_the_story(address: str, run: str, suite: Path) -> None:
    with screens.page() as shown:
        screens.suites_page(shown, address, run)
        told = shown.locator("main, #root").first.inner_text()
        assert (
            "Question:" in told and "Do this:" in told and "six train" in told
        )  # and the data set
        rows = shown.get_by_role("row").all_inner_texts()
        assert [name for name in SCENARIOS if any(row.startswith(name) for row in rows)] == list(
            SCENARIOS
        )
        links = {
            link.get_attribute("href")
            for link in shown.get_by_role("link", name=re.compile("^seed")).all()
        }
        assert len(links) == 12
        assert not shown.get_by_role(
            "link", name=re.compile(r"^[-−]?[0-9.]+, ")
        ).count()  # no interval is taken for a link
        shown.goto(f"{address}/{next(iter(links))}/model-metrics")
        shown.get_by_text("validation").first.wait_for()


@in_browser
def test_the_runs_are_grouped_by_scenario_in_columns_and_charts(address: str, run: str) -> None:
    with screens.page(2200) as shown:
        screens.runs(shown, address, run, "as a table")
        table = shown.locator(".ag-root").first.inner_text()
        for column in (
            "scenario",
            "seed",
            "test/classifier/accuracy",
            "test/ner/f1",
            "time/plain_s",
        ):
            assert column in table
        for name in SCENARIOS:
            assert f"Group: {name}" in table and f"{name}-seed1" in table
        screens.runs(shown, address, run, "as charts")
        for section in ("test/classifier", "test/ner", "validation/ner", "time", "flops", "params"):
            shown.get_by_text(section, exact=True).first.wait_for()


@in_browser
def test_the_report_and_the_model_are_there(address: str, run: str) -> None:
    with screens.page() as shown:
        screens.suites_page(shown, address, run)
        experiment = re.search(r"experiments/(\d+)", shown.url)
        assert experiment is not None
        shown.goto(f"{address}/#/experiments/{experiment[1]}/runs/{run}/artifacts")
        shown.get_by_text("report.md", exact=True).first.click()
        shown.get_by_text(re.compile("How sure")).first.wait_for()
        assert shown.get_by_text("report.html", exact=True).count()
        shown.goto(f"{address}/#/experiments/{experiment[1]}/models")
        shown.get_by_role("link", name=re.compile("^six-")).wait_for()
        assert shown.get_by_text("Ready").count()
