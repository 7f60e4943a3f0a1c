"""Every command of the README and the guides, run as it is written there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SHARED_DATA

ROOT = Path(__file__).parents[1]
GUIDES = [
    (ROOT / guide).read_text()
    for guide in ("README.md", "experiments/README.md", "mtlab/README.md")
]
BLOCKS = "\n".join(
    block
    for guide in GUIDES
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    if not language
)
COMMANDS = [
    *re.findall(r"^(?:make|\.venv/bin/(?:mtlab|accelerate|torchrun)) .*$", BLOCKS, re.MULTILINE),
    *re.findall(r"`((?:make |\.venv/bin/(?:mtlab|accelerate|torchrun) )[^`]+)`", "\n".join(GUIDES)),
]

QUICK = (
    ".venv/bin/mtlab plan experiments/compare.yaml",
    ".venv/bin/mtlab doctor experiments/compare.yaml",
    ".venv/bin/mtlab check path/to/banking77 path/to/wnut17",
    ".venv/bin/mtlab init path/to/banking77 path/to/wnut17 --output mine.yaml",
    "make help",
)
"""Run in order, in a folder with the experiments."""

IN_A_CLONE = (
    "make compare",
    ".venv/bin/mtlab export experiments/compare.yaml --to models/news",
    ".venv/bin/mtlab predict models/news FILE",
    "make report",
    "make publish",
    "make sync",
    "make pages",
    "make doctor",
)
"""Run in order in a fresh clone, which the first one installs."""

ELSEWHERE = {
    "make install": "every other target runs it first",
    "make test": "this is it",
    "make test-processes": "the same",
    "make test-nightly": "the same",
    "make lint": ".ci/run runs it",
    "make bench": "an hour; its figures are committed, and the guides are compared with them",
    "make ui": "test_ui.py starts it, and looks at it in a browser",
    "make compare EXPERIMENT=experiments/frontier.yaml": "38 minutes; its report is committed, and is rebuilt by test_readme.py",
    ".venv/bin/mtlab compare experiments/compare.yaml --engine ray --address auto": "train/test_cluster.py runs small suites on a cluster",
    ".venv/bin/accelerate launch --num_processes 2 -m mtlab compare experiments/gpu.yaml": "train/test_processes.py, on a CPU",
    ".venv/bin/torchrun --standalone --nproc-per-node 2 --max-restarts 2 -m mtlab compare experiments/gpu.yaml": "the same",
    "make gpu": "it needs a GPU; bench/test_gpu.py rehearses it on a CPU, and its page is committed",
    'make gpu ARGS="--parts compare checks"': "the same",
    'make bundle ARGS="--have there.txt"': "it downloads wheels; bench/test_bundle.py has its parts",
    ".venv/bin/mtlab recommend experiments/compare.yaml": "half an hour; train/test_recommend.py runs it on small data",
    ".venv/bin/mtlab compare mine.yaml": "an hour; check/test_check.py runs what init writes on small data",
}
"""Commands that are not run here, and why."""


def run(command: str, folder: Path, **environment: str) -> str:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_", "OMP_"))
    }
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def test_every_command_is_accounted_for() -> None:
    assert set(COMMANDS) == {*QUICK, *IN_A_CLONE, *ELSEWHERE}


@pytest.mark.process
def test_quick_commands_run_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name in ("experiments", "Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "path" / "to").mkdir(parents=True)
    there = [name for name in ("banking77", "wnut17") if (SHARED_DATA / name).is_dir()]
    for name in there:
        (tmp_path / "path" / "to" / name).symlink_to(SHARED_DATA / name)
    said = {
        command: run(command, tmp_path)
        for command in QUICK
        if "path/to" not in command or len(there) == 2
    }
    assert (
        "5,775" in said[QUICK[0]]
        and "a run would go" in said[QUICK[1]]
        and "make compare" in said["make help"]
    )
    if len(there) == 2:
        assert (tmp_path / "mine.yaml").exists()
        run(".venv/bin/mtlab plan mine.yaml", tmp_path)


@pytest.mark.process
def test_the_shell_completes_commands_as_the_readme_switches_it_on(tmp_path: Path) -> None:
    (line,) = re.findall(r"`(eval [^`]+)`", "\n".join(GUIDES))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    assert "mtlab" in run(f"{line} && complete -p", tmp_path)


@pytest.mark.nightly
def test_commands_run_in_a_fresh_clone_as_they_are_written(tmp_path: Path) -> None:
    clone = tmp_path / "mtlab"
    run(f"git clone --quiet {ROOT} {clone}", tmp_path)
    (clone / "FILE").write_text(
        "The council in Lisbon chose Maria Okafor.\nRovers won the cup again.\n"
    )
    said = {}
    for command in IN_A_CLONE:
        said[command] = run(command, clone)
        if command == "make compare":
            assert run("git status --porcelain", clone) == "?? FILE\n"
    assert (
        "report: reports/compare/report.md" in said["make compare"]
        and "\nHow sure: " in said["make compare"]
    )
    assert len(said[IN_A_CLONE[2]].splitlines()) == 2
    assert (clone / "models" / "news" / "README.md").exists()
    assert re.search(r"MLflow has \d+ runs of trials, which is all", said["make sync"])
    shutil.rmtree(clone)
