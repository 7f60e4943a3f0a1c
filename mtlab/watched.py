"""The files with which a watched process and the process that watches it (:mod:`mtlab.supervise`)
inform each other.
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
"""Files in that folder with the stack traces of a process that hung, and therefore ended itself. A
file is empty while its process runs."""

DEATHS = "deaths.json"
"""The file in that folder with the signals that ended the process while these trials ran."""

SET_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of linux/prctl.h."""


def hung(folder: Path) -> list[Path]:
    """The files that hung processes of this folder's trials wrote."""
    return [file for file in sorted(folder.glob(STALLED)) if file.stat().st_size]


def end_with_parent() -> None:
    """In a watched process, ask the system to send SIGTERM when the watching process ends. Only
    Linux can do that.
    """
    if os.environ.get(NOTE) and sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGTERM)


def why(deaths: list[int]) -> str:
    """The reason why a trial failed during which the process died too often."""
    return f"the process was ended by {signal_name(deaths[-1])} {len(deaths)} times while the trial ran"


def signal_name(number: int) -> str:
    """A signal's name, and what it likely means."""
    name = signal.Signals(number).name
    return f"{name} (likely out of memory)" if number == signal.SIGKILL else name
