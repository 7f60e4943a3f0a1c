"""Whether trials have their device to themselves: times of those that shared it say nothing about
what they cost alone.
"""

import os
import tempfile
import uuid
from pathlib import Path
from types import TracebackType

import torch
from filelock import FileLock, Timeout

REGISTRY = "MTLAB_REGISTRY"
"""The environment variable with the folder in which processes tell each other what they use;
without it, they use a folder of the user in the machine's folder of temporary files."""

SHARED = "another trial used the device meanwhile"
"""The reason why times of a trial that shared its device cannot be compared with others."""


class Occupancy:
    """Registers the use of a device, from when it is entered to when it is left, and notes whether
    another process of mtlab uses the device at the same time.

    Each process holds a lock, which the system frees when the process ends for any reason. A
    process that comes later checks which locks are held. For each of them it leaves a mark for the
    process that holds it, so that both processes know that they share the device.

    Args:
        device: a GPU, or the processor of this machine.
        apart: why times on this device cannot be compared with those of other trials in any case;
            empty where they can.
    """

    def __init__(self, device: torch.device, apart: str = "") -> None:
        self._apart = apart
        name = f"mtlab-{os.getuid() if hasattr(os, 'getuid') else 0}-devices"
        self._folder = Path(
            os.environ.get(REGISTRY) or Path(tempfile.gettempdir()) / name
        ) / _identity(device)
        self._lock = FileLock(self._folder / f"{os.getpid()}-{uuid.uuid4().hex}.lock")
        self._met = False

    def __enter__(self) -> "Occupancy":
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock.acquire()
            for other in self._folder.glob("*.lock"):
                if other.name != Path(self._lock.lock_file).name and _held(other):
                    _mark(other).touch()
                    self._met = True
        except OSError:  # the folder cannot be written: other processes cannot be noticed
            pass
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.why()
        self._lock.release()
        for file in (Path(self._lock.lock_file), self._own_mark):
            file.unlink(missing_ok=True)

    def why(self) -> str:
        """Why times measured meanwhile cannot be compared with others; empty where they can."""
        self._met = self._met or self._own_mark.exists()
        return self._apart or (SHARED if self._met else "")

    @property
    def _own_mark(self) -> Path:
        return _mark(Path(self._lock.lock_file))


def _identity(device: torch.device) -> str:
    """The name of a device, which does not depend on its index in this process."""
    return (
        str(torch.cuda.get_device_properties(device).uuid) if device.type == "cuda" else device.type
    )


def _mark(lock: Path) -> Path:
    return lock.with_suffix(".met")


def _held(lock: Path) -> bool:
    """Whether a living process holds a lock; the file of one that died is removed."""
    probe = FileLock(lock)
    try:
        probe.acquire(blocking=False)
    except Timeout:
        return True
    probe.release()
    lock.unlink(missing_ok=True)
    _mark(lock).unlink(missing_ok=True)
    return False
