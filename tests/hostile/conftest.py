"""What tests with hostile files share."""

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import pytest

from mtlab.cli import main
from tests.hostile.attacks import YES

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def marker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A path that only a payload makes; that none did is looked at in the end."""
    path = tmp_path_factory.mktemp("outside") / "marker"
    yield path
    assert not path.exists(), "what a file brought was run"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command line whose user says yes to everything; gives its status and its one line of
    error, or all that it said."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    monkeypatch.setattr(datasets.config, "EXTRACTED_DATASETS_PATH", tmp_path / "hub" / "extracted")
    datasets.disable_progress_bars()

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(YES))
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        if status != 2:
            return status, said.out + said.err
        assert said.err.startswith("mtlab: ") and said.err.count("\n") == 1, said.err
        assert "Traceback" not in said.err
        return status, said.err.removeprefix("mtlab: ").rstrip("\n")

    return run


@pytest.fixture
def attacked_encoder(encoder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(encoder, tmp_path / "encoder")


@pytest.fixture
def attacked_data(data: Path, tmp_path: Path) -> Path:
    return shutil.copytree(data, tmp_path / "set")
