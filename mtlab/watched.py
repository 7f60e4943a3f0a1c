"""What a process that is watched and who watches it (:mod:`mtlab.supervise`) tell each other:
notes, and where they lie.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

NOTE = "MTLAB_NOTE"
"""The environment variable with the file in which the process notes the folder of the trials that
it has begun, empty when they ended."""

STALLED = "stalled-*.txt"
"""In that folder: what a process was doing that hung, and so ended itself; empty for one that
runs."""

DEATHS = "deaths.json"
"""In that folder: the signals that ended the process while these trials ran."""

SET_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of linux/prctl.h."""


def hung(folder: Path) -> list[Path]:
    """What processes of the trials of this folder wrote when they found that they hung."""
    return [file for file in sorted(folder.glob(STALLED)) if file.stat().st_size]


def end_with_parent() -> None:
    """In a watched process: ask the system for SIGTERM when the watching process is gone. Linux alone
    can do so.
    """
    if os.environ.get(NOTE) and sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGTERM)


def why(deaths: list[int]) -> str:
    """The status of a trial in which the process died too often."""
    return f"the process was ended by {signal_name(deaths[-1])} {len(deaths)} times while the trial ran"


def signal_name(number: int) -> str:
    """A signal's name, and what it likely means."""
    name = signal.Signals(number).name
    return f"{name} (likely out of memory)" if number == signal.SIGKILL else name
