"""Passwords and tokens in what is typed and in what surrounds a run: in no line, in no file."""

from pathlib import Path

import pytest

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load
from tests.hostile.conftest import Run

SECRET = "S3CRET"
ADDRESSES = [
    f"https://user:{SECRET}@host/x",
    f"https://{SECRET}@host/x",
    f"https://host/x?token={SECRET}",
    f"s3://AKIA:{SECRET}/x@host/bucket",
    f"hf://datasets/owner/name?token={SECRET}#{SECRET}",
]
KEYS = [
    "data.source",
    "data",
    "data.splits.train",
    "encoder",
    "encoder.name",
    "start.data.source",
    "scenarios",
    "control",
    "name",
    "device",
]
KEYS += [
    "sweep.data.source",
    "sweep.encoder",
    "settings.data.source",
    "sweep",
    "batch_size",
    "seeds",
    "precision",
    "no.such.key",
    "seeds.x",
]


def nowhere(folder: Path, *but: Path) -> None:
    for path in folder.rglob("*"):
        assert SECRET not in path.name
        assert path in but or not path.is_file() or SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_in_a_wrong_place_is_refused_without_what_is_secret_in_it(
    address: str, tmp_path: Path, experiment_file: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for key in KEYS:
        with pytest.raises(UserError) as error:
            load(experiment_file, {key: [address]})
            assert key == "data.splits.train"
            raise UserError(run("plan", experiment_file, f"--{key}", address)[1], code="any")
        assert SECRET not in str(error.value), key
    for command in ("plan", "compare", "doctor"):
        for key in ("data.source", "encoder", "sweep.data.source"):
            status, line = run(command, experiment_file, f"--{key}", address)
            assert status == (1 if command == "doctor" else 2) and SECRET not in line
    nowhere(tmp_path)


@pytest.mark.parametrize(
    "key", ["extends", "data", "encoder", "question", "data: {source", "output: {x"]
)
def test_an_address_in_a_file_is_told_without_what_is_secret_in_it(
    key: str, tmp_path: Path
) -> None:
    for number, address in enumerate(ADDRESSES):
        file = tmp_path / f"exp{number}.yaml"
        file.write_text(f"scenarios: []\n{key}: {address!r}{'}' * key.count('{')}\n")
        with pytest.raises(UserError) as error:
            load(file)
        assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        f"http://user:{SECRET}@127.0.0.1:9",
        f"http://127.0.0.1:9?token={SECRET}",
        f"sqlite:///none/mlflow.db?token={SECRET}",
        f"postgresql://user:{SECRET}@127.0.0.1:9/db",
        f"nonsense://user:{SECRET}@host",
    ],
)
def test_a_store_that_cannot_be_used_is_told_without_its_password(
    address: str, tmp_path: Path, experiment_file: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    status, line = run("compare", experiment_file, "--scenarios", "nothing", "--seeds", "0")
    assert SECRET not in line
    if not address.startswith(
        "http"
    ):  # a server may come back, and is waited for elsewhere; the others never will
        assert status == 2 and line.startswith("MLflow at ")
    status, told = run("doctor", experiment_file)
    assert SECRET not in told
    assert status == (0 if address.startswith(("http", "sqlite")) else 1)
    nowhere(tmp_path)


def test_a_token_is_told_only_to_be_set(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "huggingface_hub.constants.ENDPOINT",
        f"http://user:{SECRET}@127.0.0.1:9/{SECRET}?token={SECRET}",
    )
    for name in (
        "HF_TOKEN",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "OMP_NUM_THREADS",
        "HF_HUB_OFFLINE",
    ):
        monkeypatch.setenv(name, SECRET)
    assert SECRET not in run("doctor")[1].replace(
        f"127.0.0.1:9/{SECRET} ", ""
    )  # the path of an address is no secret


def test_the_interface_names_a_server_without_its_password(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://user:{SECRET}@host/x?token={SECRET}")
    assert run("ui") == (
        0,
        "MLFLOW_TRACKING_URI names a server: its interface is at https://host/x\n",
    )
