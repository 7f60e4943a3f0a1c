"""An experiment as a mapping, and one that ran."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mtlab import api
from mtlab.comparison import Comparison
from tests import tiny


def mapping(home: Path, encoder: Path) -> dict[str, Any]:
    """What an experiment file would say, with data of its own in a folder."""
    tiny.write_data(home / "data", train=24, validation=16, test=16)
    both = {"encoder": 1e-3, "heads": 1e-2}
    return {
        "name": "mine",
        "encoder": str(encoder),
        "data": {"source": str(home / "data"), "max_duplicates": 1.0},
        "batch_size": 8,
        "seeds": (0, 1),
        "precision": "fp32",
        "device": "cpu",
        "control": "full",
        "scenarios": {
            "nothing": [{"epochs": 0}],
            "heads": [{"epochs": 2, "train": {"heads": 1e-2}}],
            "full": [{"epochs": 2, "train": both}],
        },
    }


@pytest.fixture
def experiment(tmp_path: Path, encoder: Path) -> dict[str, Any]:
    """A mapping whose output is below the test's own folder."""
    return mapping(tmp_path, encoder)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Path]:
    """A working folder for the tests of a module."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(empty_database, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        yield folder


@pytest.fixture(scope="module")
def settings(home: Path, encoder: Path) -> dict[str, Any]:
    """The mapping of :func:`compared`."""
    return mapping(home, encoder)


@pytest.fixture(scope="module")
def compared(settings: dict[str, Any]) -> Comparison:
    """A comparison that ran from a mapping."""
    return api.compare(settings)
