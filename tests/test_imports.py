"""Imports run one way, and what only plans, records or reports needs neither torch, transformers nor mlflow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mtlab

ROOT = Path(mtlab.__file__).parent

ALLOWED = {
    "plan": {"plan"},
    "data": {"plan", "data"},
    "model": {"plan", "model"},
    "record": {"plan", "record"},
    "train": {"plan", "data", "model", "record", "train", "supervise", "launch"},
    "check": {"plan", "data", "model", "train", "check"},
    "report": {"plan", "record", "report"},
    "doctor": {"plan", "data", "model", "record", "train", "doctor"},
    "completion": {"plan"},
    "export": {"plan", "data", "model", "record", "train", "report", "export"},
    "__main__": {"supervise"},
    "launch": set(),
    "supervise": {"cli", "launch"},
    "cli": {"plan", "data", "model", "record", "train", "report", "export", "check", "doctor", "completion", "cli", "supervise", "launch"},
    "bench": {"plan", "data", "model", "record", "train", "report", "cli", "bench"},
}
"""Part of mtlab to the parts that it may import."""

HEAVY = ("torch", "transformers", "mlflow")

TALKING = ("mtlab.record.store", "mtlab.record.tracking")
"""What speaks to MLflow."""


def module(file: Path) -> str:
    """A file's name as it is imported: ``mtlab.plan.errors``."""
    names = (ROOT.name, *file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def part(name: str) -> str:
    """The part of mtlab that a module belongs to, "" for mtlab itself."""
    return name.split(".")[1] if "." in name else ""


def imported(file: Path) -> set[str]:
    """Every module of mtlab that a file imports, wherever in the file it does so."""
    package = module(file) if file.name == "__init__.py" else module(file).rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            found |= {f"{source}.{alias.name}" if source == "mtlab" else source for alias in node.names}
    return {name for name in found if name.split(".")[0] == "mtlab"}


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=module)
def test_imports_run_one_way(file: Path) -> None:
    here = part(module(file))
    allowed = {*ALLOWED[here], ""} if here else set()
    assert {name for name in imported(file) if part(name) not in allowed} == set()


def test_the_check_sees_every_way_to_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mtlab" / "plan" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import mtlab.cli\nimport os\nfrom mtlab import data\nfrom mtlab.model.freezing import resolve\n"
        "def late():\n    from ..train import suite\n    from . import errors\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path / "mtlab")
    assert imported(file) == {"mtlab.cli", "mtlab.data", "mtlab.model.freezing", "mtlab.train", "mtlab.plan"}


def test_planning_recording_and_reporting_need_no_torch() -> None:
    light = [name for name in map(module, FILES) if part(name) in ("plan", "record", "report") and name not in TALKING]
    assert len(light) > 10
    script = "import importlib, sys\n" + "".join(f"importlib.import_module({name!r})\n" for name in [*light, "mtlab.cli"])
    script += f"print(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
