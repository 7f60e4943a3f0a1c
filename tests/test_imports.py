"""What only plans, records or reports needs neither torch, transformers nor mlflow, and `make lint`
sees an import that goes the wrong way.

Which way imports run is said in pyproject.toml.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mtlab

ROOT = Path(mtlab.__file__).parent
RULES = ROOT.with_name("pyproject.toml")

LIGHT = ("plan", "record", "report")
HEAVY = ("torch", "transformers", "mlflow")

TALKING = (
    "mtlab.record.mlflow.connection",
    "mtlab.record.mlflow.store",
    "mtlab.record.mlflow.tracking",
)
"""What speaks to MLflow."""

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache', '--no-logo'])"


def module(file: Path) -> str:
    """A file's name as it is imported: ``mtlab.plan.errors``."""
    names = (ROOT.name, *file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


@pytest.mark.process
def test_planning_recording_and_reporting_need_no_torch() -> None:
    light = [
        name
        for part in LIGHT
        for name in map(module, sorted((ROOT / part).rglob("*.py")))
        if name not in TALKING
    ]
    assert len(light) > 10
    script = "import importlib, sys\n" + "".join(
        f"importlib.import_module({name!r})\n" for name in [*light, "mtlab.cli"]
    )
    script += f"print(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == []


@pytest.mark.process
@pytest.mark.parametrize(
    ("file", "planted", "broken"),
    [
        (
            "train/weights/source_checkpoint.py",
            "def late():\n    from mtlab.train.continual.forgetting import look\n",
            "no import goes round",
        ),
        (
            "train/loop/forward.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..loop import step\n",
            "no import goes round",
        ),
        ("check/__init__.py", "from . import findings\n", "a package's own file imports nothing"),
        (
            "plan/errors.py",
            "def late():\n    import mtlab.data.reading.names\n",
            "imports run one way",
        ),
        (
            "report/html/page.py",
            "def late():\n    from torch import nn\n",
            "who plans, records or reports",
        ),
        ("new/__init__.py", "", "imports run one way"),
    ],
)
def test_the_linter_sees_an_import_wherever_it_stands(
    tmp_path: Path, file: str, planted: str, broken: str
) -> None:
    shutil.copytree(
        ROOT,
        tmp_path / "mtlab",
        ignore=lambda folder, names: [
            name for name in names if Path(name).suffix not in ("", ".py")
        ],
    )
    shutil.copy(RULES, tmp_path)
    (tmp_path / "mtlab" / file).parent.mkdir(exist_ok=True)
    with (tmp_path / "mtlab" / file).open("a", encoding="utf-8") as at_the_end:
        at_the_end.write(planted)
    ended = subprocess.run(
        [sys.executable, "-c", LINT], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    told = ended.stdout.partition("Broken contracts")[2]
    assert any(line.startswith(broken) for line in told.splitlines()), ended.stdout


def test_every_package_is_one_whose_own_file_imports_nothing() -> None:
    contracts = tomllib.loads(RULES.read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    named = next(
        one["source_modules"] for one in contracts if one["name"].startswith("a package's own file")
    )
    assert set(named) == set(map(module, ROOT.rglob("__init__.py")))
