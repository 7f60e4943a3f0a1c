"""``mtlab`` as a program: ``compare`` runs in a process that is watched, so that its sudden death costs one trial and not the suite.

A process that the system kills (SIGKILL is what Linux does when memory runs out) or that crashes below Python is started again, and
goes on from its last checkpoint. A trial in which that happens twice is a row with its reason, and the others go on.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from mtlab import launch

NOTE = "MTLAB_NOTE"
"""The environment variable with the file in which the process notes the folder of the trials that it has begun, empty when they ended."""

STALLED = "stalled-*.txt"
"""In that folder: what a process was doing that hung, and so ended itself; empty for one that runs."""

DEATHS = "deaths.json"
"""In that folder: the signals that ended the process while these trials ran."""

SET_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of linux/prctl.h."""


def program() -> int:
    """Run the command of the command line; the exit status is that of :func:`mtlab.cli.main`.

    A launcher of several processes watches them itself.
    """
    arguments = sys.argv[1:]
    if arguments[:1] != ["compare"] or os.name != "posix" or {"-h", "--help"} & set(arguments) or launch.number() > 1:
        from mtlab.cli import main

        return main()
    with tempfile.TemporaryDirectory(prefix="mtlab-") as folder:
        return watch([sys.executable, "-m", "mtlab.cli", *arguments], Path(folder) / "note")


def watch(command: list[str], note: Path) -> int:
    """Run a command, and again for as long as it dies in trials; returns its exit status.

    Args:
        command: what to run.
        note: the file for its notes.
    """
    asked: list[int] = []
    while True:
        note.write_text("")
        child = subprocess.Popen(command, env={**os.environ, NOTE: str(note)}, process_group=0)
        before = {number: signal.signal(number, _forward(child, asked)) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            status = child.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        ran = note.read_text()
        if status == 1 and ran and not asked and hung(Path(ran)):
            print("mtlab: the process hung; it is started again and goes on", file=sys.stderr, flush=True)
            continue
        if status >= 0:
            return status
        if asked or not _noted(note, -status):
            print(f"mtlab: the process was ended by {_name(-status)}", file=sys.stderr)
            return 128 - status
        print(f"mtlab: the process was ended by {_name(-status)}; it is started again and goes on", file=sys.stderr, flush=True)


def hung(folder: Path) -> list[Path]:
    """What processes of the trials of this folder wrote when they found that they hung."""
    return [file for file in sorted(folder.glob(STALLED)) if file.stat().st_size]


def end_with_parent() -> None:
    """In a process that is watched: ask to be told to stop when who watches it is gone. Linux alone can do so."""
    if os.environ.get(NOTE) and sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGTERM)


def why(deaths: list[int]) -> str:
    """The status of a trial in which the process died too often."""
    return f"the process was ended by {_name(deaths[-1])} {len(deaths)} times while the trial ran"


def _name(number: int) -> str:
    name = signal.Signals(number).name
    return f"{name} (likely out of memory)" if number == signal.SIGKILL else name


def _noted(note: Path, number: int) -> bool:
    """Write a death down where the trials that ran will find it; False where none ran."""
    folder = note.read_text()
    if not folder:
        return False
    file = Path(folder) / DEATHS
    deaths = json.loads(file.read_text()) if file.exists() else []
    file.write_text(json.dumps([*deaths, number]))
    return True


def _forward(child: "subprocess.Popen[bytes]", asked: list[int]) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        child.send_signal(number)

    return handle


if __name__ == "__main__":
    sys.exit(program())
