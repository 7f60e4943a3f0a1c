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
without it, one of the user's among the temporary files of the machine."""

SHARED = "another trial used the device meanwhile"
"""Why times of a trial that did not have its device to itself compare with no others."""


class Occupancy:
    """Uses a device, from when it is entered to when it is left, and notes whether another process
    of mtlab's does so meanwhile.

    Each holds a lock, which the system frees when the process ends, in whatever way. Who comes
    looks whose locks are held, and leaves a mark for each of them and for itself; so those who were
    there first learn of it too.

    Args:
        device: a GPU, or the processor of this machine.
        apart: why times on it do not compare with those of other trials anyway, if they do not.
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
        except OSError:  # a machine without a place for such files: nothing is known of others
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
        for left in (Path(self._lock.lock_file), self._own_mark):
            left.unlink(missing_ok=True)

    def why(self) -> str:
        """Why times of what ran meanwhile compare with no others; empty where they do."""
        self._met = self._met or self._own_mark.exists()
        return self._apart or (SHARED if self._met else "")

    @property
    def _own_mark(self) -> Path:
        return _mark(Path(self._lock.lock_file))


def _identity(device: torch.device) -> str:
    """The name of a device, whatever number it has in this process."""
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
