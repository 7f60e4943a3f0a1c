"""Kill a small suite again and again, and see that the same command always ends in the same
results: ``make torture``.

A suite with gradual stages, joint heads, guidance, and tasks that are held is killed (SIGKILL) at
moments of two kinds: before each operation on a file of its output folder (open to write, rename,
remove, make a folder), counted through Python's audit hooks, and after random times. Then the same
command runs again, killed again in every fourth case. What it ends in is compared with a run that
nothing disturbed: ``trials.csv`` byte for byte but for times and memory, the digest of the tested
weights, the predictions and the weights that are kept byte for byte, and the runs in MLflow. Steps
that were trained twice are counted: an interval between two checkpoints at most.

Processes are forked from one that has imported everything, which saves seconds a run.
"""

import argparse
import ctypes
import faulthandler
import hashlib
import importlib
import multiprocessing
import multiprocessing.connection
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

os.environ["OMP_NUM_THREADS"] = "1"

import pandas as pd
import torch
from mlflow.tracking import MlflowClient

from mtlab.cli import main as mtlab
from mtlab.record.journal import Journal
from mtlab.train.resume.keeper import Keeper
from tests import tiny

T = TypeVar("T")

EVERY = 3
"""Steps between two checkpoints."""

EXPERIMENT = """\
encoder: {home}/encoder
data: {{source: {home}/data, max_duplicates: 1.0}}
batch_size: 8
seeds: [0, 1]
precision: fp32
device: cpu
control: full
output: {output}
checkpoints: {{every_steps: {every}}}
scenarios:
  nothing: [{{epochs: 0}}]
  heads: [{{epochs: 2, train: {{heads: 1.0e-2}}}}]
  gradual:
    - {{name: heads, epochs: 1, train: {{heads: 1.0e-2}}, schedule: linear, warmup: 0.2}}
    - {{name: top, epochs: 1, train: {{"layers[-1/3:]": 1.0e-3, heads: 1.0e-2}}}}
    - {{name: all, epochs: 1, train: {{encoder: 1.0e-3, heads: 1.0e-2}}, schedule: cosine}}
  guided:
    - {{epochs: 3, train: {{encoder: 1.0e-3, heads: 1.0e-2}}, guidance: {{patience: 1, min_change: 0.5, hold: 1.0}}}}
  full: [{{epochs: 2, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
"""

TIMES = ("_s", "_mb", "per_s", "untimed")
"""How names of columns end that may differ."""

EARLY = (
    "mlflow.pyfunc",
    "mtlab.export.directory",
    "mtlab.record.mlflow.packing",
    "mtlab.report.document",
    "mtlab.report.story",
    "mtlab.train.suite",
)
"""What the command imports when it comes to it: here before processes are forked."""

FILE_EVENTS = (
    "open",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "shutil.rmtree",
    "shutil.move",
)


LIMIT_S = 300
"""Seconds that a suite, or reading what it left, has: some 10 s are what it takes. One that hangs
says where, and is wrong."""


@dataclass
class Counts:
    """What a process tells while it lives, in memory that it shares.

    Without a lock between processes: one that is killed while it holds it would keep the next one
    waiting for ever."""

    steps: Any = field(default_factory=lambda: multiprocessing.RawValue(ctypes.c_long, 0))
    events: Any = field(default_factory=lambda: multiprocessing.RawValue(ctypes.c_long, 0))


@dataclass(frozen=True)
class Outcome:
    """What a suite ended in."""

    table: str
    weights: dict[str, str]
    predictions: dict[str, bytes]
    kept: dict[str, str]
    runs: int
    steps: int


def run(home: Path, output: Path, counts: Counts, kill_at: int | None = None) -> int:
    """Run the command in this process, killed before its file operation number ``kill_at``."""
    log = os.open(home / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(output.parent)
    inside, counting = str(output), threading.RLock()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in FILE_EVENTS or not arguments or not str(arguments[0]).startswith(inside):
            return
        if event == "open" and not (
            isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        ):
            return
        with counting:
            counts.events.value += 1
            if counts.events.value == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    honest = Keeper.stepped

    def counted(keeper: Keeper) -> bool:
        counts.steps.value += 1
        return honest(keeper)

    Keeper.stepped = counted  # type: ignore[method-assign]
    sys.addaudithook(watch)
    return mtlab(["compare", "suite.yaml"])


def forked(work: Callable[[], int], kill_after: float | None = None) -> int:
    """Do ``work`` in a process of its own, killed after so many seconds; the exit status, negative
    for a signal."""
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(LIMIT_S, exit=True, file=2)
        status = 70
        try:
            status = work()
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    until = time.monotonic() + (kill_after if kill_after is not None else LIMIT_S + 30)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -signal.SIGKILL
        time.sleep(0.002)


def prepare(home: Path) -> int:
    """The encoder, the data and an empty database."""
    tiny.write_encoder(home / "encoder")
    tiny.write_data(home / "data", train=48, validation=16, test=16)
    MlflowClient(f"sqlite:///{home}/empty.db").search_experiments()
    return 0


def fresh(home: Path, name: str) -> Path:
    """A working folder with the experiment and an empty database; returns where its output goes."""
    folder = home / name
    folder.mkdir()
    (folder / "suite.yaml").write_text(
        EXPERIMENT.format(home=home, output=folder / "out", every=EVERY)
    )
    shutil.copy(home / "empty.db", folder / "mlflow.db")
    return folder / "out"


def outcome(output: Path, steps: int) -> Outcome:
    """What lies in an output folder, times aside."""
    table = pd.read_csv(output / "trials.csv", dtype=str, keep_default_na=False)
    kept = table[[name for name in table.columns if not name.endswith(TIMES)]]
    suite, trials = Journal(output).read()
    client = MlflowClient(f"sqlite:///{output.parent}/mlflow.db")
    runs = client.search_runs(
        [client.get_experiment_by_name(suite.experiment["name"]).experiment_id]
    )
    parents = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    children = [
        one.data.tags["key"]
        for one in runs
        if one.data.tags.get("mlflow.parentRunId") == suite.tracking.get("run")
    ]
    if len(parents) != 1 or sorted(children) != sorted(suite.trials) or "missing" in suite.tracking:
        raise AssertionError(
            f"MLflow has {len(parents)} suites and {len(children)} of {len(suite.trials)} trials"
        )
    left = [
        path
        for path in output.rglob("*")
        if path.name.endswith(".half") or path.parent.name == "unfinished"
    ]
    if left:
        raise AssertionError(f"left behind: {left}")
    predictions = {
        trial.key: Journal(output).predictions_path(trial).read_bytes() for trial in trials
    }
    weights = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (output / "weights").iterdir()
    }
    return Outcome(
        kept.to_csv(),
        {trial.key: trial.final_digest for trial in trials},
        predictions,
        weights,
        len(runs),
        steps,
    )


def torture(
    boundaries: int | None, moments: int, seed: int, jobs: int, say: Callable[[str], None] = print
) -> int:
    """Kill a suite again and again; returns how many runs did not end as they should.

    Args:
        boundaries: before so many file operations, evenly spaced; None for every one.
        moments: after so many random times.
        seed: of the random times.
        jobs: so many suites at a time.
        say: takes a line for the user.
    """
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        assert forked(lambda: prepare(home)) == 0, (
            "the encoder, the data or the database could not be made"
        )
        began, counts = time.monotonic(), Counts()
        output = fresh(home, "undisturbed")
        status = forked(lambda: run(home, output, counts))
        assert status == 0, (home / "log.txt").read_text()
        seconds, events = time.monotonic() - began, counts.events.value
        wanted = _read(output, counts.steps.value)
        say(
            f"undisturbed: {wanted.steps} steps, {events} file operations, {seconds:.1f} s; a checkpoint every {EVERY} steps"
        )
        wanted_at = events if boundaries is None else min(boundaries, events)
        points = [
            ("operation", round(1 + at * (events - 1) / max(1, wanted_at - 1)))
            for at in range(wanted_at)
        ]
        points += [("second", draw.uniform(0, seconds)) for _ in range(moments)]

        def one(number: int) -> tuple[int, int, str]:
            twice = seconds if number % 4 == 3 else None
            return _one(
                home, number, points[number], twice, wanted, random.Random(f"{seed} {number}")
            )

        bad = killed = worst = 0
        for number, (kills, lost, wrong) in _shared_out(len(points), jobs, one):
            (kind, at), killed, worst, bad = (
                points[number],
                killed + kills,
                max(worst, lost),
                bad + bool(wrong),
            )
            if wrong:
                say(f"killed at {kind} {at:.6g}: {wrong}")
        right = f"{len(points) - bad} of {len(points)} runs end in the same results"
        say(f"{right} after {killed} kills; at most {worst} steps were trained twice a kill")
        return bad


def _shared_out(number: int, jobs: int, work: Callable[[int], T]) -> Iterator[tuple[int, T]]:
    """``work`` of 0 to ``number``, each with what it returned, as they are done by so many
    processes.

    Raises:
        EOFError: a process ended before its work did; why stands above.
    """
    left = dict[Any, int]()
    children = []
    for job in range(jobs):
        mine = range(number)[job::jobs]
        receive, send = multiprocessing.Pipe(duplex=False)
        child = os.fork()
        if child == 0:
            try:
                for one in mine:
                    send.send((one, work(one)))
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            os._exit(70)
        send.close()  # so that one which ends early is noticed
        left[receive] = len(mine)
        children.append(child)
    while waiting := [receive for receive, several in left.items() if several]:
        for ready in multiprocessing.connection.wait(waiting):
            left[ready] -= 1
            yield ready.recv()
    for child in children:
        os.waitpid(child, 0)


def _one(
    home: Path,
    number: int,
    moment: tuple[str, float],
    twice: float | None,
    wanted: Outcome,
    draw: random.Random,
) -> tuple[int, int, str]:
    """Kill a suite once or twice and end it; returns kills, steps lost for each, and what is
    wrong."""
    output, counts, (kind, at) = fresh(home, f"run{number}"), Counts(), moment
    killing = int(at) if kind == "operation" else None
    statuses = [forked(lambda: run(home, output, counts, killing), None if killing else at)]
    if twice is not None:
        statuses.append(forked(lambda: run(home, output, counts), draw.uniform(0, twice)))
    kills = sum(status == -signal.SIGKILL for status in statuses)
    if statuses[-1] != 0:
        statuses.append(forked(lambda: run(home, output, counts)))
    lost = -(-(counts.steps.value - wanted.steps) // max(1, kills))
    if statuses[-1] != 0 or any(status not in (0, -signal.SIGKILL) for status in statuses):
        return kills, lost, f"exit statuses {statuses}; {(home / 'log.txt').read_text()[-800:]}"
    try:
        found = _read(output, counts.steps.value)
    except Exception as error:
        return kills, lost, f"{type(error).__name__}: {error}"
    parts = [
        part
        for part in ("table", "weights", "predictions", "kept", "runs")
        if getattr(found, part) != getattr(wanted, part)
    ]
    too_many = lost > EVERY
    shutil.rmtree(output.parent)
    return kills, lost, ", ".join(parts) + (f" {lost} steps lost" if too_many else "")


def _read(output: Path, steps: int) -> Outcome:
    """:func:`outcome` from a process of its own, so that this one stays as it was."""

    def look(_: int) -> Outcome | str:
        faulthandler.dump_traceback_later(LIMIT_S, exit=True, file=2)
        try:
            return outcome(output, steps)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    ((_, found),) = _shared_out(1, 1, look)
    if isinstance(found, str):
        raise AssertionError(found)
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--boundaries",
        type=int,
        help="kill before so many operations on files, evenly spaced; without it before each",
    )
    parser.add_argument("--moments", type=int, default=100, help="and after so many random times")
    parser.add_argument("--seed", type=int, default=0, help="of the random times")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in EARLY:
            importlib.import_module(name)
    bad = torture(
        options.boundaries,
        options.moments,
        options.seed,
        options.jobs,
        lambda line: print(line, flush=True),
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
