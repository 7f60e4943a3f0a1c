"""States in files that are mapped into memory, because they are too large for memory or several
processes share them. A file is checked by its digest before it is used again.
"""

import hashlib
import json
import mmap
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from filelock import AcquireReturnProxy, FileLock, Timeout
from torch import Tensor

from mtlab.plan.errors import UserError
from mtlab.record.files import HALF, write_atomically
from mtlab.train.resume import watchdog

Say = Callable[[str], None]

WAITING_S = 1.0
"""Seconds between two signs to the watchdog from a process that waits for another's pass: it does
not hang."""

PIECE = 1 << 24
"""Bytes that are hashed at a time."""


@dataclass(frozen=True)
class Pass:
    """A forward pass over a split that computed states for all that need them.

    Attributes:
        id: of the pass, the same in every process.
        seconds: the time that it took.
    """

    id: str
    seconds: float


Place = tuple[Path, tuple[int, ...], torch.dtype]
"""A file, and shape and precision of what lies in it."""


@dataclass(frozen=True)
class Mapped:
    """A file that is mapped into memory, as a tensor.

    Attributes:
        flat: the content of the file.
        path: the file.
        made_by: the pass that computed it; None before it is sealed.
    """

    flat: Tensor
    path: Path
    made_by: Pass | None
    _map: mmap.mmap

    @property
    def place(self) -> Place:
        """What another process needs to map the same file."""
        return self.path, tuple(self.flat.shape), self.flat.dtype

    def release(self) -> None:
        """Release the memory that reading and writing took; the file keeps what was written."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def digest(self) -> str:
        """SHA-256 (hex) of the file's content."""
        digest, content = hashlib.sha256(), self.flat.view(-1).view(torch.uint8).numpy().data
        for start in range(0, len(content), PIECE):
            digest.update(content[start : start + PIECE])
            self.release()
        return digest.hexdigest()


def make(directory: Path, name: str, shape: tuple[int, int], dtype: torch.dtype) -> Mapped:
    """Zeros in a file with a temporary name. :func:`seal` renames it to ``name`` later, so that a
    process that looks for ``name`` finds only complete files.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f".{name}.{uuid.uuid4().hex}{HALF}"
    size = shape[0] * shape[1] * dtype.itemsize
    try:
        with path.open("wb") as file:
            os.posix_fallocate(
                file.fileno(), 0, size
            )  # a full disk shows here, not as a crash while the file is filled
    except OSError as error:
        path.unlink(missing_ok=True)
        reason = f"no room for {size / 1e6:,.0f} MB of cached states ({error.strerror})"
        raise UserError(
            reason,
            "free some, raise --cache.memory_limit_mb, or pass --cache off",
            where=str(directory),
            code="no-room",
        ) from None
    return _map(path, shape, dtype)


def open_at(place: Place) -> Mapped:
    """A file from :func:`make`, in another process: both write into it."""
    return _map(*place)


def scratch(directory: Path, shape: tuple[int, int], dtype: torch.dtype) -> Mapped:
    """Zeros in a file without a name, which the system removes when no process uses it any more."""
    mapped = make(directory, "scratch", shape, dtype)
    mapped.path.unlink()
    return mapped


def seal(directory: Path, name: str, mapped: Mapped, made_by: Pass) -> Mapped:
    """Give a filled file from :func:`make` its name, and write its shape, type and digest."""
    flat = mapped.flat
    facts = {
        "shape": list(flat.shape),
        "dtype": str(flat.dtype).removeprefix("torch."),
        "sha256": mapped.digest(),
    }
    remove(directory, name)  # a process that reads an old file of this name can still read it
    mapped.path.replace(directory / f"{name}.bin")
    write_atomically(
        directory / f"{name}.json",
        json.dumps({**facts, "pass": made_by.id, "seconds": made_by.seconds}),
    )
    return replace(mapped, path=directory / f"{name}.bin", made_by=made_by)


def find(directory: Path, name: str, say: Say) -> Mapped | None:
    """The file that was sealed under ``name``; None if there is none, or if it is damaged, which
    ``say`` then reports.
    """
    label, data = directory / f"{name}.json", directory / f"{name}.bin"
    if not label.exists():
        return None
    try:
        facts = json.loads(label.read_text())
        shape, dtype = tuple(map(int, facts["shape"])), getattr(torch, facts["dtype"])
        made_by = Pass(str(facts["pass"]), float(facts["seconds"]))
        if data.stat().st_size != int(np.prod(shape)) * dtype.itemsize:
            raise ValueError("its size is another")
        mapped = _map(data, shape, dtype, made_by)
        if mapped.digest() != facts["sha256"]:
            raise ValueError("its bytes are others")
    except (
        OSError,
        RuntimeError,
        ArithmeticError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        say(f"cache: {data} is not what was written ({error}); it is computed again")
        return None
    return mapped


@contextmanager
def alone(directory: Path, names: Iterable[str]) -> Iterator[None]:
    """Within, this process holds locks on these names: others that ask for one of them wait. The
    system frees the locks when the process ends, for any reason.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as locks:
        for name in sorted(names):  # in one order, so that no two processes wait for each other
            locks.enter_context(_patiently(FileLock(directory / f"{name}.lock")))
        yield


def _patiently(lock: FileLock) -> AcquireReturnProxy:
    """Acquire a lock, however long another process holds it; the watchdog ignores the wait."""
    while True:
        watchdog.beat()
        with suppress(Timeout):
            return lock.acquire(timeout=WAITING_S)


def remove(directory: Path, name: str) -> None:
    """Delete the files of ``name``; a process that has opened them can still read them."""
    for suffix in ("json", "bin"):
        (directory / f"{name}.{suffix}").unlink(missing_ok=True)


def _map(
    path: Path, shape: tuple[int, ...], dtype: torch.dtype, made_by: Pass | None = None
) -> Mapped:
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    return Mapped(torch.frombuffer(mapped, dtype=dtype).view(shape), path, made_by, mapped)
