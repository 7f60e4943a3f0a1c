"""``mtlab`` as a program: commands that train run in a child process that this process watches, so
that its sudden death costs one trial and not the suite.

If the system kills the child (Linux sends SIGKILL when memory runs out), or the child crashes
outside Python code, it is started again, and continues from its last checkpoint. A trial in which
that happens twice fails with that reason, and the others still run.
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

TRAIN = ("compare", "recommend")
"""The commands that train."""


def program() -> int:
    """Run the command of the command line; the exit status is that of :func:`mtlab.cli.main`.

    If a launcher started several processes, nothing is watched here: the launcher does that.
    """
    arguments = sys.argv[1:]
    if (
        not arguments
        or arguments[0] not in TRAIN
        or os.name != "posix"
        or {"-h", "--help"} & set(arguments)
        or launch.number() > 1
    ):
        from mtlab.cli import main

        return main()
    with tempfile.TemporaryDirectory(prefix="mtlab-") as folder:
        return watch([sys.executable, "-m", "mtlab.cli", *arguments], Path(folder) / "note")


def watch(command: list[str], note: Path) -> int:
    """Run a command, start it again if it dies or hangs during trials, and return its exit status.

    Args:
        command: the command to run.
        note: the file in which the command notes the folder of the trials that it runs.
    """
    forwarded: list[int] = []
    while True:
        note.write_text("")
        child = subprocess.Popen(
            command, env={**threads_beside_others(), **os.environ, NOTE: str(note)}, process_group=0
        )
        earlier_handlers = {
            number: signal.signal(number, _forward(child, forwarded))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            status = child.wait()
        finally:
            for number, handler in earlier_handlers.items():
                signal.signal(number, handler)
        trials_folder = note.read_text()
        if status == 1 and trials_folder and not forwarded and hung(Path(trials_folder)):
            print(
                "mtlab: the process hung; it is started again and continues",
                file=sys.stderr,
                flush=True,
            )
            continue
        if status >= 0:
            return status
        if forwarded or not _noted(note, -status):
            print(f"mtlab: the process was ended by {signal_name(-status)}", file=sys.stderr)
            return 128 - status
        print(
            f"mtlab: the process was ended by {signal_name(-status)}; it is started again and continues",
            file=sys.stderr,
            flush=True,
        )


SAMPLE_S, BUSY_CORES = 0.2, 0.5
"""Seconds for which the use of the cores is measured before a run. The machine counts as busy if
other programs use more than this number of cores."""


def threads_beside_others() -> dict[str, str]:
    """Variables to add to the environment if other programs use the cores of this program.

    An OpenMP thread that waits for another thread spins by default, which is fastest on an idle
    machine. If another program uses a core, a spinning thread keeps the thread that it waits for
    from running. Threads that sleep while they wait made steps six times faster (two cores, one of
    them busy), with the same results bit for bit. OpenMP reads this once, when torch is loaded.
    """
    busy = psutil.cpu_percent(interval=SAMPLE_S, percpu=True)
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(busy))
    others = sum(busy[core] for core in cores if core < len(busy)) / 100
    return {"OMP_WAIT_POLICY": "PASSIVE"} if others > BUSY_CORES else {}


def _noted(note: Path, number: int) -> bool:
    """Record the signal that ended the process in the folder of the trials that ran; return False
    if none ran.
    """
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
