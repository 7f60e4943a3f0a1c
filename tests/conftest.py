"""What many tests share: a tiny encoder, learnable data, and an experiment file over both."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

os.environ["OMP_NUM_THREADS"] = (
    "1"  # tests run side by side; threads of one would take the cores of the other
)

os.environ["MTLAB_REGISTRY"] = tempfile.mkdtemp(
    prefix="mtlab-tests-"
)  # and so they would see each other on the one device

from tests import figures, tiny

EXPERIMENT = """\
encoder: {encoder}
data: {{source: {data}, max_duplicates: 1.0}}
batch_size: 8
seeds: [0, 1]
precision: fp32
device: cpu
control: full
scenarios:
  nothing: [{{epochs: 0}}]
  heads: [{{epochs: 2, train: {{heads: 1.0e-2}}}}]
  gradual:
    - {{name: heads, epochs: 1, train: {{heads: 1.0e-2}}}}
    - {{name: top, epochs: 1, train: {{"layers[-1/3:]": 1.0e-3, heads: 1.0e-2}}}}
  full: [{{epochs: 2, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
"""

ODD_SCENARIO = """
  middle_then_norms_of_nothing:
    - {name: middle, epochs: 1, train: {"layers[1:2]": 2.0e-3, head.classifier: 1.0e-2}, losses: [classifier], warmup: 0.2}
    - {name: both ends, epochs: 1, train: {embeddings: 1.0e-4, "layers[-1]": 1.0e-3, heads: 1.0e-2}, schedule: linear}
"""

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first process of a test session makes, and that all of them read."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "encoder", tiny.write_encoder)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "data", tiny.write_data)


@pytest.fixture(scope="session")
def tiny_suite(
    tmp_path_factory: pytest.TempPathFactory, encoder: Path, data: Path, empty_database: Path
) -> Path:
    """A suite that ran through the command line once, for many tests to read; none changes it."""

    def run(home: Path) -> None:
        from mtlab.cli import main

        shutil.copy(empty_database, home / "mlflow.db")
        (home / "tiny.yaml").write_text(
            EXPERIMENT.format(encoder=encoder, data=data) + ODD_SCENARIO
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(home)
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            assert main(["compare", "tiny.yaml", "--name", "odd", "--output", "out"]) == 0

    return made_once(tmp_path_factory, "tiny_suite", run)


@pytest.fixture
def experiment_file(tmp_path: Path, encoder: Path, data: Path) -> Path:
    """An experiment on the tiny encoder; its report goes below the test's own folder."""
    path = tmp_path / "tiny.yaml"
    path.write_text(
        EXPERIMENT.format(encoder=encoder, data=data) + f"output: {tmp_path / 'report'}\n"
    )
    return path


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty MLflow database: making one takes seconds, copying it does not."""
    from mlflow.tracking import MlflowClient

    def make(folder: Path) -> None:
        MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()

    return made_once(tmp_path_factory, "mlflow", make) / "mlflow.db"


@pytest.fixture
def tracking(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tracking store of the test's own, in a working directory of its own."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture(scope="session", autouse=True)
def _dots_for_figures() -> Iterator[None]:
    with figures.saved(figures.dot):
        yield


@pytest.fixture
def drawn_figures() -> Iterator[None]:
    """Reports whose figures are drawn."""
    with figures.saved(figures.drawn):
        yield


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without figures, not even laid out ones."""
    from mtlab.report.figures import curves, scores, staged_plots

    for module in (scores, curves, staged_plots):
        monkeypatch.setattr(module, "FIGURES", {})
    monkeypatch.setattr(curves, "_parts", lambda base, task: None)


def measured(record: Mapping[str, Any]) -> dict[str, Any]:
    """What of a record as JSON is the same whoever ran the trial, and when: all but times, memory
    and attempts."""
    kept = {key: value for key, value in record.items() if key not in OF_THE_RUN}
    inner = {
        key: [measured(one) for one in kept[key]]
        for key in ("stages", "epochs")
        if isinstance(kept.get(key), list)
    }
    return {**kept, **inner}


OF_THE_RUN = {
    *(
        "started_at",
        "ended_at",
        "elapsed_s",
        "step_s",
        "attempts",
        "laps",
        "wall_s",
        "wall_plain_s",
        "tokens_per_s",
    ),
    *("machine", "peak_memory_mb", "untimed"),
}
