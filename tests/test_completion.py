"""Completion, in the shells themselves."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mtlab.cli import main
from mtlab.completion import settings
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load

ROOT = Path(__file__).parents[1]
BASH = shutil.which("bash")

COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; }  # which may be called while a key is pressed alone
$(complete -p mtlab | sed -E 's/.* -F ([^ ]+) .*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "script"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
def test_bash_takes_the_script_and_completes(script: Path, tmp_path: Path) -> None:
    subprocess.run([str(BASH), "-n", script], check=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "my_experiment.yaml").touch()

    def completed(*words: str) -> list[str]:
        command = [str(BASH), "-eu", "-c", COMPLETE, "bash", str(script), "mtlab", *words]
        ran = subprocess.run(
            command, cwd=tmp_path / "here", capture_output=True, text=True, check=True
        )
        assert not ran.stderr
        return ran.stdout.split()

    assert completed("doc") == ["doctor"]
    assert completed("comp") == ["compare", "completion"]
    assert completed("completion", "") == ["bash", "zsh", "tcsh"]
    assert completed("report", "my_experiment.yaml", "--figures", "") == ["all", "main"]
    for command in ("compare", "plan", "doctor", "report", "publish", "sync"):
        assert completed(command, "my_") == ["my_experiment.yaml"]
        found = completed(command, "my_experiment.yaml", "--see")
        assert found == ["--seeds", "--seeds.looks", "--seeds.stop"]
    after = ["compare", "my_experiment.yaml", "--seeds", "0", "1"]
    assert completed(*after, "--precision", "") == ["auto", "fp32", "bf16"]
    assert completed(*after, "--precision", "fp32", "--data.so") == ["--data.source"]
    assert completed(*after, "--data.source", "my_") == ["my_experiment.yaml"]


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_take_the_script(
    shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["completion", shell]) == 0
    told = capsys.readouterr().out
    assert "compare" in told and "doctor" in told
    if shutil.which(shell):
        (tmp_path / "script").write_text(told)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_every_key_that_is_completed_can_be_set(experiment_file: Path) -> None:
    known = dict(settings())
    assert {
        "seeds",
        "encoder",
        "encoder.name",
        "data.splits.test",
        "data.classifier.source",
        "data.ner.columns.ner_tags",
        "data.labelled.ner",
        "start.data.label_noise.classifier",
        "tasks.ner.spans",
        "task_weights.ner",
        "cache",
        "scenarios",
        "start.data.source",
    } <= {*known}
    assert known["attention"] == ("auto", "eager", "sdpa")
    for key, words in known.items():
        try:
            load(experiment_file, {key: [words[0] if words else "1"]})
        except UserError as error:  # most want another value
            assert "unknown key" not in error.problem, key


@pytest.mark.process
def test_nothing_of_it_is_imported_by_other_commands() -> None:
    script = "import sys; from mtlab.cli import main; main(['help', 'claims'])"
    heavy = {"shtab", "pydantic", "mtlab.completion", "mtlab.doctor", "importlib.metadata", "torch"}
    script = f"import atexit; atexit.register(lambda: print(*sorted({heavy} & set(sys.modules)), file=sys.stderr)); {script}"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "DIR" in ended.stdout
    assert ended.stderr.split() == []
