"""``mtlab`` as a program: ``compare`` runs in a process that is watched, so that its sudden death
costs one trial and not the suite.

A process that the system kills (SIGKILL is what Linux does when memory runs out) or that crashes
below Python is started again, and continues from its last checkpoint. A trial in which that happens
twice is a row with its reason, and the others still run.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import psutil

from mtlab import launch
from mtlab.watched import DEATHS, NOTE, hung, signal_name


def program() -> int:
    """Run the command of the command line; the exit status is that of :func:`mtlab.cli.main`.

    A launcher of several processes watches them itself.
    """
    arguments = sys.argv[1:]
    if (
        arguments[:1] != ["compare"]
        or os.name != "posix"
        or {"-h", "--help"} & set(arguments)
        or launch.number() > 1
    ):
        from mtlab.cli import main

        return main()
    with tempfile.TemporaryDirectory(prefix="mtlab-") as folder:
        return watch([sys.executable, "-m", "mtlab.cli", *arguments], Path(folder) / "note")


def watch(command: list[str], note: Path) -> int:
    """Run a command, and again for as long as it dies in trials; returns its exit status.

    Args:
        command: to run.
        note: the file for its notes.
    """
    asked: list[int] = []
    while True:
        note.write_text("")
        child = subprocess.Popen(
            command, env={**threads_beside_others(), **os.environ, NOTE: str(note)}, process_group=0
        )
        before = {
            number: signal.signal(number, _forward(child, asked))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            status = child.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        ran = note.read_text()
        if status == 1 and ran and not asked and hung(Path(ran)):
            print(
                "mtlab: the process hung; it is started again and continues",
                file=sys.stderr,
                flush=True,
            )
            continue
        if status >= 0:
            return status
        if asked or not _noted(note, -status):
            print(f"mtlab: the process was ended by {signal_name(-status)}", file=sys.stderr)
            return 128 - status
        print(
            f"mtlab: the process was ended by {signal_name(-status)}; it is started again and continues",
            file=sys.stderr,
            flush=True,
        )


SAMPLE_S, BUSY_CORES = 0.2, 0.5
"""Seconds for which the machine is watched before a run, and how many cores others must use for it
to count as busy."""


def threads_beside_others() -> dict[str, str]:
    """What to add to the environment where other programs use the cores that this one may use.

    An OpenMP thread that waits for another one spins by default, which is fastest on a quiet
    machine. Where another program has a core, a spinning thread keeps the thread that it waits for
    from running. Threads that sleep while they wait made steps six times faster (two cores, one of
    them busy), with the same results bit for bit. OpenMP reads this once, when torch is loaded.
    """
    busy = psutil.cpu_percent(interval=SAMPLE_S, percpu=True)
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(busy))
    others = sum(busy[core] for core in cores if core < len(busy)) / 100
    return {"OMP_WAIT_POLICY": "PASSIVE"} if others > BUSY_CORES else {}


def _noted(note: Path, number: int) -> bool:
    """Write a death down where the trials that ran will find it; False where none ran."""
    folder = note.read_text()
    if not folder:
        return False
    file = Path(folder) / DEATHS
    deaths = json.loads(file.read_text()) if file.exists() else []
    file.write_text(json.dumps([*deaths, number]))
    return True


def _forward(
    child: "subprocess.Popen[bytes]", asked: list[int]
) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        child.send_signal(number)

    return handle


if __name__ == "__main__":
    sys.exit(program())
