"""Names that try to leave the output folder, and working directories that try to get in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mtlab
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from tests.hostile import attacks
from tests.hostile.conftest import Run
from tests.report import factory

NAMES = [
    "../x",
    "..",
    "/etc/x",
    "a/b",
    "a\\b",
    "a\0b",
    "~/x",
    "-x",
    ".x",
    "x" * 300,
    "C:x",
    "x\n",
    "",
    " ",
    "x;id",
    "$(id)",
    "\u202ex",
    "xé",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_names_that_are_no_names_write_nothing(
    name: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    scenarios = {"full": [{"epochs": 1, "train": {"all": 1e-4}}]}
    for key in ("name", "scenarios", "control"):
        written = {
            "data": {"source": "builtin"},
            "scenarios": scenarios,
            key: {name: scenarios["full"]} if key == "scenarios" else name,
        }
        (tmp_path / "exp.yaml").write_text(attacks.json.dumps(written))
        before = attacks.contents(tmp_path)
        status, line = run("compare", tmp_path / "exp.yaml")
        assert status == 2 and line.isprintable(), key
        assert attacks.contents(tmp_path) == before, key


def test_names_on_the_command_line_write_nothing(
    tmp_path: Path, experiment_file: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "file").write_text("mine")
    before = attacks.contents(tmp_path)
    for words in (
        ["--name", "../x"],
        ["--name", "/etc/x"],
        ["--name", "x" * 300],
        ["--output", tmp_path / "file"],
        ["--output", tmp_path / "file" / "x"],
        ["--output", tmp_path / ("x" * 300)],
        ["--output", "/dev/null/x"],
        ["--seeds", "../x"],
        ["--seeds", "-1"],
        ["--scenarios", "../x"],
        ["--scenarios.../x.0.epochs", "1"],
        ["--sweep.data.source", "../x", "/etc"],
        ["--sweep.output", "/etc"],
        ["--sweep.name", "../x"],
    ):
        status, line = run("compare", experiment_file, "--scenarios.nothing.0.epochs", "0", *words)
        assert status == 2 and line.isprintable(), words
        assert attacks.contents(tmp_path) == before, words


VALUES = [
    "../../x",
    "/etc/passwd",
    "a\0b",
    "x" * 300,
    "..",
    ".",
    "\u202e",
    "a/b\\c",
    "con",
    "",
    "\n",
    "é",
    [["../x"]],
    {"../x": 1},
    -1,
    None,
    1e300,
]


def test_swept_values_make_names_of_files_that_lie_in_their_folder(tmp_path: Path) -> None:
    points = [
        tuple((f"key{number}", value) for number in range(count))
        for value in VALUES
        for count in (1, 9)
    ]
    journal = Journal(tmp_path / "out")
    trial, suite = factory.trial("full_finetune", 0), factory.suite([])
    for number, point in enumerate(points):
        label = Trial("a" * 64, 2**63 - 1, point).label
        assert (
            "/" not in label
            and "\\" not in label
            and label.isprintable()
            and not label.startswith(".")
        )
        one = trial.model_copy(
            update={
                "scenario": "a" * 64,
                "seed": 2**63 - 1,
                "point": dict(point),
                "key": f"{number:012}",
            }
        )
        journal.write_trial(one)
        journal.write_predictions(one, [])
    journal.write_suite(suite)
    written = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.parts[:-1] for path in written} == {
        ("out",),
        ("out", "records"),
        ("out", "predictions"),
    }
    assert len(written) == 2 * len(points) + 1


def test_a_path_given_for_output_is_the_only_place_written_to(
    tmp_path: Path, experiment_file: Path
) -> None:
    for given in ("../elsewhere", "/tmp/x", "a b", "..."):
        assert load(experiment_file, {"output": [given]}).output == Path(given)


TRAPS = (
    "mtlab",
    "torch",
    "numpy",
    "pandas",
    "matplotlib",
    "transformers",
    "datasets",
    "mlflow",
    "pydantic",
    "ruamel",
    "yaml",
    "rich",
)
MORE = (
    "sitecustomize",
    "usercustomize",
    "conftest",
    "evil",
    "antigravity",
    "json",
    "re",
    "encodings",
)


PROGRAM = """
import importlib.util, os, sys
from mtlab.cli import main
assert main(["report", "exp.yaml", "--output", "out"]) == 0
found = {name: importlib.util.find_spec(name).origin or "" for name in sys.argv[1:]}
assert not [name for name, origin in found.items() if origin.startswith(os.getcwd())]
"""


@pytest.mark.process
def test_nothing_in_the_working_directory_is_imported(tmp_path: Path, marker: Path) -> None:
    """Of a program in a folder of its own, as the console script is; with ``python -m`` Python
    itself looks there first."""
    for name in (*TRAPS, *MORE):
        (tmp_path / f"{name}.py").write_text(attacks.code(marker))
    (tmp_path / "matplotlibrc").write_text(
        "backend: module://evil\ntext.usetex: True\ntext.latex.preamble: \\input{evil}\n"
    )
    (tmp_path / "pyvenv.cfg").write_text(f"home = {tmp_path}\n")
    (tmp_path / "evil.pth").write_text("import evil\n")
    (tmp_path / "exp.yaml").write_text(
        "scenarios: {full_finetune: [{epochs: 1, train: {all: 1.0e-4}}]}\n"
    )
    trials = [factory.trial(name, 0) for name in ("backbone_frozen", "full_finetune")]
    factory.journal(tmp_path / "out", factory.suite(trials, seeds=1), trials)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "program").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(Path(mtlab.__file__).parents[1])}
    command = [sys.executable, str(tmp_path / "bin" / "program"), *TRAPS]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    first_line = ran.stdout.partition("\n")[0]
    assert (ran.returncode, first_line, ran.stderr) == (
        0,
        "report: out/report.md and report.html",
        "",
    )
    assert "\nHow sure: " in ran.stdout, "it came to its end"
