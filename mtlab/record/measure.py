"""Measures time and memory: seconds in named laps, after all work of the device is done, and the
peak memory of each trial.
"""

import ctypes
import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LAPS = ("setup", "cache", "train", "eval")
"""``setup``: data, tokenisation, weights, optimizer. ``cache``: computing shared hidden states. No
lap includes logging."""


class Clock:
    """Adds up seconds in named laps.

    Args:
        synchronize: waits for queued work of the device; called before the clock is read.
    """

    def __init__(self, synchronize: Callable[[], None]) -> None:
        self.laps = dict.fromkeys(LAPS, 0.0)
        self._synchronize = synchronize

    def read(self) -> float:
        """Seconds on a monotonic clock, after all work given to the device is done."""
        self._synchronize()
        return time.perf_counter()

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Add the time of the block to lap ``name``, one of :data:`LAPS`."""
        start = self.read()
        try:
            yield
        finally:
            self.laps[name] += self.read() - start


class PeakMemory:
    """The highest memory use of the process since this object was created, in MB (10^6 bytes): the
    resident set size.

    On Linux the kernel's high-water mark is reset, and memory that earlier trials freed is returned
    to the system first, so that each trial shows its own peak. Elsewhere the mark cannot be reset,
    and the peak is ``None`` instead of a wrong number.

    Args:
        collect: whether to collect all cyclic garbage, for which Python searches every object
            (0.2 s). Otherwise only recent objects are searched.
    """

    def __init__(self, collect: bool = True) -> None:
        gc.collect(2 if collect else 1)
        self._reset = sys.platform == "linux" and _reset_high_water()

    def read_mb(self) -> float | None:
        """The peak so far, or ``None`` where this system cannot measure it."""
        if not self._reset:
            return None
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
        return None


def _reset_high_water() -> bool:
    trim = getattr(
        ctypes.CDLL(None), "malloc_trim", None
    )  # glibc only; musl returns memory by itself
    if trim is not None:
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): reset the peak resident set size
    except OSError:
        return False
    return True
