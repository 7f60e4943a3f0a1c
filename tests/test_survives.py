"""Whole processes that are stopped, killed, turned away or run out of room: what they say, and that
the same command goes on."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from mtlab import supervise
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from tests.programs import finish, run, start, wait_until
from tests.train.test_resume import essence

pytestmark = pytest.mark.process


MTLAB = [sys.executable, "-m", "mtlab.cli"]
WATCHED = [sys.executable, "-m", "mtlab.supervise"]

DYING = """
import os, signal, sys, time
from mtlab.cli import main
from mtlab.train.state import TrialState

honest = TrialState.begin

def begin(state):
    what, how = sys.argv[1:3]
    first = state.setup.keeper.before == 0
    if state.trial.scenario == "gradual" and state.trial.seed == 1 and (how == "always" or first):
        if what == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)
    return honest(state)

TrialState.begin = begin
sys.exit(main(sys.argv[3:]))
"""


def results(output: Path) -> list[dict[str, object]]:
    return [essence(trial) for trial in Journal(output).read()[1]]


@pytest.fixture
def long_file(experiment_file: Path) -> Path:
    """An experiment whose last scenario takes some seconds, written down at every tenth step."""
    words = (
        experiment_file.read_text()
        .replace("seeds: [0, 1]", "seeds: [0]")
        .replace("full: [{epochs: 2", "full: [{epochs: 15")
    )
    experiment_file.write_text(words + "checkpoints: {every_steps: 10}\n")
    return experiment_file


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_suite_that_is_asked_to_stop_is_written_down_and_goes_on(
    number: signal.Signals, long_file: Path, tracking: str
) -> None:
    output = long_file.parent / "report"
    process = start([*MTLAB, "compare", str(long_file)])
    wait_until(lambda: list((output / "unfinished").glob("*/0*.json")), process)
    process.send_signal(number)
    status, _, err = finish(process, 60)
    assert status == 128 + number, err
    assert "stopping after this step" in err
    assert f"mtlab: interrupted; `mtlab compare {long_file}` continues from here" in err
    assert "Traceback" not in err
    suite = Journal(output).read()[0]
    client = MlflowClient(tracking)
    assert client.get_run(suite.tracking["run"]).info.status == "KILLED"
    status, out, err = run([*MTLAB, "compare", str(long_file)])
    assert status == 0, err
    assert "continuing from the last checkpoint" in out
    again, trials = Journal(output).read()
    assert again.id == suite.id
    assert client.get_run(suite.tracking["run"]).info.status == "FINISHED"
    (taken_up,) = [trial for trial in trials if trial.attempts == 2]
    assert [trial.attempts for trial in trials if trial != taken_up] == [1, 1, 1]
    assert f"{taken_up.label} (2 times begun)" in (output / "report.md").read_text()


def test_a_second_suite_in_the_same_place_is_told_who_is_there(
    experiment_file: Path, tracking: str
) -> None:
    output = experiment_file.parent / "report"
    with Journal(output).held("mtlab compare first.yaml"):
        status, _, err = run([*MTLAB, "compare", str(experiment_file)])
        holder = json.loads((output / "running.json").read_text())
    told = f"by process {os.getpid()} on {holder['host']} since {holder['started']} (`mtlab compare first.yaml`)"
    assert (status, err) == (
        75,
        f"mtlab: {output}: is in use {told}; wait for it, or choose another --output\n",
    )
    assert not (output / "records").exists()


def test_a_process_that_dies_is_started_again_and_ends_in_the_same_results(
    long_file: Path, tracking: str, tmp_path: Path
) -> None:
    output = long_file.parent / "report"
    process = start([*WATCHED, "compare", str(long_file)])
    wait_until(lambda: list((output / "unfinished").glob("*/0*.json")), process)
    os.kill(json.loads((output / "running.json").read_text())["pid"], signal.SIGKILL)
    status, _, err = finish(process)
    assert status == 0, err
    assert (
        err
        == "mtlab: the process was ended by SIGKILL (likely out of memory); it is started again and continues\n"
    )
    killed = results(output)
    assert run([*MTLAB, "compare", str(long_file), "--output", str(tmp_path / "whole")])[0] == 0
    assert killed == results(tmp_path / "whole")


def test_a_recommendation_that_dies_is_started_again_and_ends(
    long_file: Path, tracking: str
) -> None:
    output = long_file.parent / "report"
    words = ["recommend", str(long_file), "--margin", "1.5", "--looks", "2"]
    process = start([*WATCHED, *words, "--scenarios", "heads", "full"])
    wait_until(lambda: list((output / "unfinished").glob("*/0*.json")), process)
    os.kill(json.loads((output / "running.json").read_text())["pid"], signal.SIGKILL)
    status, out, err = finish(process)
    assert status == 0, err
    assert err.count("it is started again and continues") == 1
    assert "[6/6]" in out and "Do this: " in out, out


@pytest.mark.parametrize(
    ("what", "how"),
    [
        pytest.param("dies", "once", marks=pytest.mark.nightly),  # below it goes on, too
        ("dies", "always"),
        pytest.param("hangs", "always", marks=pytest.mark.nightly),  # several processes do so, too
    ],
)
def test_a_trial_that_kills_or_halts_the_process_is_tried_again_and_then_a_row_with_its_reason(
    what: str, how: str, experiment_file: Path, tracking: str, tmp_path: Path
) -> None:
    (tmp_path / "dying.py").write_text(DYING)
    code = "import sys; from pathlib import Path; from mtlab.supervise import watch; sys.exit(watch(sys.argv[2:], Path(sys.argv[1])))"
    command = [
        sys.executable,
        str(tmp_path / "dying.py"),
        what,
        how,
        "compare",
        str(experiment_file),
        "--scenarios",
        "gradual",
        "full",
    ]
    options = ["--control", "full", "--checkpoints.stall_s", "8"]
    status, _, err = run([sys.executable, "-c", code, str(tmp_path / "note"), *command, *options])
    trials = {
        (trial.scenario, trial.seed): trial
        for trial in Journal(experiment_file.parent / "report").read()[1]
    }
    assert len(trials) == 4, err
    bad = [key for key, trial in trials.items() if not trial.ok]
    written = sorted((experiment_file.parent / "report").glob("failures/hung-*.txt"))
    if how == "once":
        assert (status, bad) == (0, []), err
        assert trials["gradual", 1].attempts == 2
    else:
        assert (status, bad) == (1, [("gradual", 1)]), err
        reason = (
            "the process was ended by SIGKILL (likely out of memory) 2 times while the trial ran"
        )
        if what == "hangs":
            reason = f"the process ended 2 times while the trial ran, at last: it hung (failures/{written[-1].name})"
        assert trials["gradual", 1].reason == reason
        assert err.count("started again") == 2
    assert len(written) == (2 if what == "hangs" else 0)
    assert all('dying.py", line' in file.read_text() for file in written), "where it hung"


def test_a_full_disk_is_named_and_what_was_there_stays(
    experiment_file: Path, tracking: str
) -> None:
    output = experiment_file.parent / "report"
    command = [*MTLAB, "compare", str(experiment_file), "--seeds", "0", "--scenarios"]
    assert run([*command, "nothing", "heads", "--control", "heads"])[0] == 0
    before: list[TrialRecord] = Journal(output).read()[1]
    small = 4096

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (small, small))

    words = [*command, "nothing", "heads", "full", "--control", "heads"]
    status, _, err = run(
        words, preexec_fn=limit, env={**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    )
    assert status == 2, err
    (line,) = [line for line in err.splitlines() if line.startswith("mtlab: ")]
    assert "cannot be written (File too large); choose another --output, or make room" in line
    assert str(output) in line
    assert not list(output.rglob("*.half"))
    assert run(words)[0] == 0
    suite, after = Journal(output).read()
    assert {trial.key for trial in before} <= set(suite.read_back)
    assert len(after) == 3


def test_threads_wait_asleep_where_other_programs_use_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The child's environment says so where a core is taken; what the user set stays."""
    read = "import os; print(os.environ.get('OMP_WAIT_POLICY'))"
    cores = os.cpu_count() or 1
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        time.sleep(0.5)
        assert supervise.threads_beside_others() == {"OMP_WAIT_POLICY": "PASSIVE"}
        code = "import sys; from pathlib import Path; from mtlab.supervise import watch; sys.exit(watch(sys.argv[2:], Path(sys.argv[1])))"
        for wanted in ("PASSIVE", "ACTIVE"):
            environment = {
                **os.environ,
                **({"OMP_WAIT_POLICY": wanted} if wanted == "ACTIVE" else {}),
            }
            command = [sys.executable, "-c", code, os.devnull, sys.executable, "-c", read]
            assert (
                subprocess.run(
                    command, env=environment, check=True, capture_output=True, text=True
                ).stdout.strip()
                == wanted
            )
    finally:
        for process in spinning:
            process.kill()
            process.wait()
