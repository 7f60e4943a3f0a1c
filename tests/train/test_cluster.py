"""Trials on a Ray cluster: what they leave behind is what this process alone leaves, whatever
happens to nodes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow.tracking import MlflowClient

from mtlab.cli import main
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.train.engines import cluster_tasks
from mtlab.train.engines.cluster_tasks import Answer, Order
from mtlab.train.prepare import prepare
from mtlab.train.runtime import resolve
from tests.conftest import EXPERIMENT, measured
from tests.programs import finish, start, wait_until
from tests.train.test_staged import EXPERIMENT as STAGED
from tests.train.test_staged import write_target

ray = pytest.importorskip("ray", reason="Ray is an extra: pip install 'mtlab[ray]'")
cluster_utils = pytest.importorskip("ray.cluster_utils")

pytestmark = [
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("no_figures"),
]


class Nodes:
    """A cluster of processes on this machine: a head, and nodes with two GPUs each that are
    none."""

    def __init__(self) -> None:
        quick = {
            "health_check_initial_delay_ms": 0,
            "health_check_period_ms": 500,
            "health_check_failure_threshold": 2,
        }
        head = {"num_cpus": 0, "object_store_memory": 100 << 20, "_system_config": quick}
        self.cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
        self.workers: list[Any] = []
        self.fill()

    def fill(self) -> None:
        """Put a node in the place of each that is missing."""
        while len(self.workers) < 2:
            self.workers.append(
                self.cluster.add_node(num_cpus=2, num_gpus=2, object_store_memory=100 << 20)
            )


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    made = Nodes()
    yield made
    ray.shutdown()
    made.cluster.shutdown()


@pytest.fixture
def home(
    tmp_path: Path, encoder: Path, data: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working directory with a suite of eight trials; paths are relative to it."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    (tmp_path / "data").symlink_to(data)
    sets = "also_test: {typos: {of: test, change: typos, rate: 0.5}}\n"
    (tmp_path / "tiny.yaml").write_text(EXPERIMENT.format(encoder=encoder, data="data") + sets)
    return tmp_path


def compare(nodes: Nodes, *words: str) -> int:
    return main(
        ["compare", "tiny.yaml", "--engine", "ray", "--address", nodes.cluster.address, *words]
    )


def left(output: Path) -> dict[str, Any]:
    """What a suite left behind, times aside: records, predictions and weights byte for byte."""
    records = {
        path.name: measured(json.loads(path.read_text()))
        for path in (output / "records").glob("*.json")
    }
    files = {
        path.relative_to(output): path.read_bytes()
        for kind in ("predictions", "weights")
        for path in (output / kind).glob("*")
    }
    return {"records": records, **files}


def logged() -> int:
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    (experiment,) = client.search_experiments(filter_string="name = 'tiny'")
    runs = client.search_runs([experiment.experiment_id])
    return len([run for run in runs if "mlflow.parentRunId" in run.data.tags])


def test_records_are_those_of_this_process_alone(
    home: Path, nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "tiny.yaml", "--output", "local"]) == 0
    capsys.readouterr()
    assert compare(nodes, "--output", "ray") == 0
    told = capsys.readouterr().out
    assert (
        "Ray cluster of 3 nodes; a trial takes 1 core and 2 GPU" not in told
        and "a trial takes 1 core\n" in told
    ), "the experiment says cpu"
    alone, spread = left(home / "local"), left(home / "ray")
    assert len(alone["records"]) == 8
    assert spread == alone
    assert logged() == 16, "the parent alone speaks to MLflow, and told it of all"
    records = Journal(home / "ray").read()[1]
    assert any(record.untimed for record in records), "several at once on one processor"
    assert not any(record.untimed for record in Journal(home / "local").read()[1])


def test_a_gpu_each_and_the_command_again_reads_back(
    home: Path, nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--output", "out", "--engine.num_gpus", "1", "--scenarios", "heads", "full")
    assert compare(nodes, *words) == 0
    assert "a trial takes 1 core and 1 GPU" in capsys.readouterr().out
    assert compare(nodes, *words) == 0
    assert "4 of 4 trials had ended before and are read back" in capsys.readouterr().out


def test_looks_decide_what_they_decide_in_this_process_alone(
    home: Path, nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--scenarios", "nothing", "heads", "full", "--seeds", "{looks: [2, 4]}")
    assert main(["compare", "tiny.yaml", "--output", "local", *words]) == 0
    assert compare(nodes, "--output", "ray", *words) == 0
    assert left(home / "ray") == left(home / "local")
    skipped = [Journal(home / output).read()[0].skipped for output in ("local", "ray")]
    assert skipped[0] == skipped[1]
    assert capsys.readouterr().out.count("no more after 2 seeds") == (2 if skipped[0] else 0)


def test_a_node_that_is_killed_in_the_middle_loses_nothing(home: Path, nodes: Nodes) -> None:
    words = (
        "--scenarios",
        "heads",
        "full",
        "--scenarios.full.0.epochs",
        "12",
        "--checkpoints.every_steps",
        "1",
    )
    assert main(["compare", "tiny.yaml", "--output", "local", *words]) == 0
    before = len(left(home / "local")["records"])

    over = threading.Event()

    def kill() -> None:
        unfinished = home / "out" / "unfinished"
        while (
            len(list(unfinished.glob("*/000*.json"))) < 3
        ):  # a checkpoint or two of each of two trials
            if over.wait(0.01):
                return
        node = nodes.workers.pop()
        (raylet,) = node.all_processes["raylet"]
        processes = psutil.Process(raylet.process.pid).children(recursive=True)
        nodes.cluster.remove_node(node, allow_graceful=False)
        for (
            process
        ) in processes:  # as a machine that loses power would: what ran there ends with it
            with suppress(psutil.NoSuchProcess):
                process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        assert (
            compare(nodes, "--output", "out", "--engine.num_gpus", "2", *words) == 0
        )  # one trial a node
    finally:
        over.set()
        killer.join()
        nodes.fill()
    assert left(home / "out") == left(home / "local") and before == 4
    attempts = [record.attempts for record in Journal(home / "out").read()[1]]
    assert max(attempts) > 1, "a trial was begun again, and went on"


def test_what_is_lost_for_good_is_a_row(
    home: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker of one scenario is killed each time that it begins."""
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set():
            if list((home / "out" / "unfinished").glob("*/trials.json")):
                for process in that_run("run_trials"):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    words = (
        "--output",
        "out",
        "--scenarios",
        "full",
        "--seeds",
        "0",
        "--engine.retries",
        "1",
        "--scenarios.full.0.epochs",
        "400",
    )
    try:
        status = compare(nodes, *words)
    finally:
        stop.set()
        killer.join()
    assert status == 1
    (record,) = Journal(home / "out").read()[1]
    assert record.reason.startswith("what ran it was lost 2 times (WorkerCrashedError")


def that_run(task: str) -> list[int]:
    """Processes of the cluster that run a task."""
    listed = subprocess.run(
        ["pgrep", "-f", f"ray::{task}"], capture_output=True, text=True, check=False
    ).stdout
    return [int(number) for number in listed.split()]


def test_a_checkpoint_to_start_from_is_trained_once_before_what_starts_from_it(
    home: Path, nodes: Nodes, encoder: Path, data: Path
) -> None:
    few = ("--scenarios", "nothing", "around", "replayed")
    (home / "tiny.yaml").write_text(
        STAGED.format(encoder=encoder, source=data, target=write_target(home / "target"))
    )
    assert main(["compare", "tiny.yaml", "--output", "local", *few]) == 0
    assert compare(nodes, "--output", "out", *few) == 0
    assert left(home / "out") == left(home / "local")
    starts = list((home / "out" / "records").glob("start-*"))
    assert len(starts) == 2


def test_asked_to_stop_it_writes_checkpoints_and_goes_on_from_them(
    home: Path, nodes: Nodes
) -> None:
    words = ["--scenarios", "full", "--seeds", "0", "--scenarios.full.0.epochs", "60"]
    assert main(["compare", "tiny.yaml", "--output", "local", *words]) == 0
    command = [
        "compare",
        "tiny.yaml",
        "--engine",
        "ray",
        "--address",
        nodes.cluster.address,
        "--output",
        "out",
        *words,
    ]
    program = start([sys.executable, "-m", "mtlab.cli", *command], env=environment())
    wait_until(lambda: list((home / "out" / "unfinished").glob("*/trials.json")), program)
    time.sleep(0.3)
    program.send_signal(signal.SIGINT)
    status, _, err = finish(program)
    assert status == 130 and "mtlab: interrupted" in err
    assert list((home / "out" / "unfinished").glob("*/000*.json")), (
        "a checkpoint, though none was due"
    )
    assert compare(nodes, "--output", "out", *words) == 0
    (record,) = Journal(home / "out").read()[1]
    assert record.attempts == 2
    assert left(home / "out") == left(home / "local")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONWARNINGS": "ignore"}


def refused(order: Order) -> str:
    problem = Answer.model_validate_json(
        cluster_tasks.run_trials(order.model_dump_json(), [0])
    ).refused
    assert problem is not None
    return str(UserError(problem[0], problem[1], where=problem[2], code=problem[3]))


def test_processes_of_a_cluster_know_no_mlflow() -> None:
    script = "import sys, mtlab.train.engines.cluster_tasks; print('mlflow' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    ).stdout
    assert told.split() == ["False"]


@pytest.mark.nightly
def test_twenty_starts_on_stores_that_are_not_there_yet(home: Path, nodes: Nodes) -> None:
    """Two suites at a time begin on the same new store, whose tables one of them makes."""
    (home / "mlflow.db").unlink()
    for turn in range(10):
        store = {"MLFLOW_TRACKING_URI": f"sqlite:///{home / f'{turn}.db'}"}
        words = [
            "--engine",
            "ray",
            "--address",
            nodes.cluster.address,
            "--scenarios",
            "nothing",
            "heads",
            "--seeds",
            "0",
        ]
        commands = [
            [*words, "--name", f"suite{number}", "--output", f"out{turn}{number}"]
            for number in range(2)
        ]
        program = [sys.executable, "-m", "mtlab.cli", "compare", "tiny.yaml"]
        programs = [start([*program, *words], env={**environment(), **store}) for words in commands]
        for status, out, err in (finish(program) for program in programs):
            assert status == 0, out + err
        client = MlflowClient(store["MLFLOW_TRACKING_URI"])
        places = [
            one.experiment_id for one in client.search_experiments() if one.name.startswith("suite")
        ]
        runs = client.search_runs(places)
        assert (
            len(places) == 2
            and len(runs) == 6
            and {run.info.status for run in runs} == {"FINISHED"}
        )


def test_a_node_that_is_not_like_the_parent_refuses(home: Path) -> None:
    experiment = load("tiny.yaml", {"output": ["out"]})
    order = Order(experiment=experiment.model_dump(mode="json"), folder=str(home), threads=1)
    found = Answer.model_validate_json(cluster_tasks.look(order.model_dump_json())).machine
    assert found is not None
    order = order.model_copy(update={"environment": found.environment})
    assert (
        "out is not the folder that the command writes to; choose an --output that all nodes share"
        in refused(order.model_copy(update={"holder": "{}"}))
    )
    assert "/nowhere, where the command runs, is not there" in refused(
        order.model_copy(update={"folder": "/nowhere"})
    )
    older = {**found.environment, "torch": "2.9.0"}
    assert "another environment than the suite's: torch" in refused(
        order.model_copy(update={"environment": older, "keys": ("0" * 64,) * 8})
    )
    assert (
        "nothing-seed0 is not the trial that was planned: data, encoder or code are others there"
        in refused(order.model_copy(update={"keys": ("0" * 64,) * 8}))
    )
    (home / "data").unlink()
    assert refused(order).startswith("node ") and "data" in refused(order)


def test_times_on_another_kind_of_device_stand_apart(home: Path) -> None:
    experiment = load("tiny.yaml", {"output": ["out"], "scenarios": ["nothing"]})
    order = Order(experiment=experiment.model_dump(mode="json"), folder=str(home), threads=1)
    found = Answer.model_validate_json(cluster_tasks.look(order.model_dump_json())).machine
    assert found is not None
    runtime = resolve(experiment)
    (prepared,) = prepare(experiment, runtime).values()
    keys = tuple(prepared.key(trial, runtime) for trial in experiment.trials())
    order = order.model_copy(
        update={"environment": {**found.environment, "device_name": "another"}, "keys": keys}
    )
    answer = Answer.model_validate_json(cluster_tasks.run_trials(order.model_dump_json(), [0]))
    (record,) = answer.records
    assert isinstance(record, TrialRecord) and record.ok
    assert record.untimed == f"it ran on {found.device_name}, and the suite's times are of another"


def test_a_cluster_that_is_not_there_is_one_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "tiny.yaml", "--engine", "ray", "--address", "127.0.0.1:1"]) == 2
    line = capsys.readouterr().err.strip()
    assert line.count("\n") == 0 and line.startswith(
        "mtlab: --engine.address: no Ray cluster at 127.0.0.1:1"
    )
