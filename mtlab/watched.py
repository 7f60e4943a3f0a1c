"""The files through which a watched process and the process that watches it
(:mod:`mtlab.supervise`) exchange information.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

NOTE = "MTLAB_NOTE"
"""The environment variable with the path of the note: a file in which the watched process writes
the folder of the trials that it runs. The file is empty when no trials run."""

STALLED = "stalled-*.txt"
"""Files in that folder with the stack traces of a process that hung, and therefore ended itself.
The file of a process that did not hang is empty."""

DEATHS = "deaths.json"
"""The file in that folder with the signals that ended the process while these trials ran."""

SET_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of linux/prctl.h."""


def hung(folder: Path) -> list[Path]:
    """The files with the stack traces of processes that hung while this folder's trials ran."""
    return [file for file in sorted(folder.glob(STALLED)) if file.stat().st_size]


def end_with_parent() -> None:
    """In a watched process, ask the system to send SIGTERM when the watching process ends. Only
    Linux can do that.
    """
    if os.environ.get(NOTE) and sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGTERM)


def why(deaths: list[int]) -> str:
    """The reason for the failure of a trial during which the process died too often."""
    return f"the process was ended by {signal_name(deaths[-1])} {len(deaths)} times while the trial ran"


def signal_name(number: int) -> str:
    """A signal's name, and what it likely means."""
    name = signal.Signals(number).name
    return f"{name} (likely out of memory)" if number == signal.SIGKILL else name
