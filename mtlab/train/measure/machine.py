"""How busy the machine is while trials run: readings by the clock, which MLflow shows as system
metrics.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType

import psutil
import torch

EVERY_S = 1.0
"""Seconds between two readings at first."""

MOST = 240
"""The most readings that are kept: when there are more, every other one is removed, and later ones
are taken half as often."""

AT = "at"
"""The row of readings that holds their times, Unix seconds."""


class Machine:
    """Takes readings in a thread of its own, from when it is entered to when it is left.

    Names are those of MLflow's own system metrics: CPU and memory of the whole machine, and, on a
    GPU, its use, memory and power.

    Args:
        device: where trials run.
    """

    def __init__(self, device: torch.device) -> None:
        self._read: dict[str, Callable[[], float]] = {
            "cpu_utilization_percentage": psutil.cpu_percent,
            "system_memory_usage_megabytes": lambda: psutil.virtual_memory().used / 1e6,
            **(_of_gpu(device) if device.type == "cuda" else {}),
        }
        self._rows: list[tuple[float, ...]] = []
        self._every = EVERY_S
        self._ended = threading.Event()

    def __enter__(self) -> "Machine":
        self._thread = threading.Thread(target=self._watch, name="machine", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def readings(self) -> dict[str, tuple[float, ...]]:
        """The readings so far: :data:`AT` to their times, each name to its values; empty before the
        first.
        """
        rows = list(self._rows)
        return dict(zip((AT, *self._read), zip(*rows, strict=True), strict=True)) if rows else {}

    def _watch(self) -> None:
        psutil.cpu_percent()  # measures from the call before, in the same thread
        while not self._ended.wait(self._every):
            try:
                values = [round(read(), 1) for read in self._read.values()]
            except Exception:  # the driver no longer gives values; the readings so far are kept
                return
            self._rows = [*self._rows, (round(time.time(), 3), *values)]
            if len(self._rows) > MOST:
                self._rows = self._rows[1::2]
                self._every *= 2


def _of_gpu(device: torch.device) -> dict[str, Callable[[], float]]:
    """What reads a GPU's values by name; only the values that its library gives."""
    number = device.index or 0
    reads: dict[str, Callable[[], float]] = {
        f"gpu_{number}_utilization_percentage": lambda: float(torch.cuda.utilization(device)),
        f"gpu_{number}_memory_usage_megabytes": lambda: torch.cuda.device_memory_used(device) / 1e6,
        f"gpu_{number}_power_usage_watts": lambda: torch.cuda.power_draw(device) / 1e3,
    }

    def works(read: Callable[[], float]) -> bool:
        try:
            read()
        except Exception:  # no pynvml, or a driver without this value: each has its own error
            return False
        return True

    return {name: read for name, read in reads.items() if works(read)}
