"""States that are too many for memory: files that are mapped into it, with a digest that is checked before they are used again."""

import hashlib
import json
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtlab.plan.errors import UserError
from mtlab.record.journal import write_atomically

Say = Callable[[str], None]

PIECE = 1 << 24
"""Bytes that are hashed at a time."""


@dataclass(frozen=True)
class Mapped:
    """A file that is mapped into memory, as a tensor."""

    flat: Tensor
    _map: mmap.mmap

    def release(self) -> None:
        """Give back the memory that reading and writing took; what was written stays, in the file."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def digest(self) -> str:
        """SHA-256 (hex) of all of it."""
        found, content = hashlib.sha256(), self.flat.view(-1).view(torch.uint8).numpy().data
        for start in range(0, len(content), PIECE):
            found.update(content[start : start + PIECE])
            self.release()
        return found.hexdigest()


def make(directory: Path, name: str, shape: tuple[int, int], dtype: torch.dtype) -> Mapped:
    """Zeros in a file that holds nothing yet for whoever looks for ``name``: :func:`seal` makes it valid."""
    directory.mkdir(parents=True, exist_ok=True)
    remove(directory, name)  # another process may read the old file: this one is a new one
    size = shape[0] * shape[1] * dtype.itemsize
    with (directory / f"{name}.bin").open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk shows here, not as a crash while the file is filled
        except OSError as error:
            reason = f"no room for {size / 1e6:,.0f} MB of cached states ({error.strerror})"
            raise UserError(reason, "free some, raise --cache.memory_limit_mb, or pass --cache off", where=str(directory)) from None
    return _map(directory / f"{name}.bin", shape, dtype)


def seal(directory: Path, name: str, mapped: Mapped) -> None:
    """Write down what a file from :func:`make` holds, when it is filled."""
    flat = mapped.flat
    facts = {"shape": list(flat.shape), "dtype": str(flat.dtype).removeprefix("torch."), "sha256": mapped.digest()}
    write_atomically(directory / f"{name}.json", json.dumps(facts))


def find(directory: Path, name: str, say: Say) -> Mapped | None:
    """The file that was sealed under ``name``; None where there is none, or where it is not what was sealed, which is said."""
    label, data = directory / f"{name}.json", directory / f"{name}.bin"
    if not label.exists():
        return None
    try:
        facts = json.loads(label.read_text())
        shape, dtype = tuple(map(int, facts["shape"])), getattr(torch, facts["dtype"])
        if data.stat().st_size != int(np.prod(shape)) * dtype.itemsize:
            raise ValueError("its size is another")
        mapped = _map(data, shape, dtype)
        if mapped.digest() != facts["sha256"]:
            raise ValueError("its bytes are others")
    except (OSError, RuntimeError, ArithmeticError, ValueError, KeyError, TypeError, AttributeError) as error:
        say(f"cache: {data} is not what was written ({error}); it is computed again")
        return None
    return mapped


def remove(directory: Path, name: str) -> None:
    """Delete what lies under ``name``; who still reads it keeps it until then."""
    for suffix in ("json", "bin"):
        (directory / f"{name}.{suffix}").unlink(missing_ok=True)


def _map(path: Path, shape: tuple[int, ...], dtype: torch.dtype) -> Mapped:
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    return Mapped(torch.frombuffer(mapped, dtype=dtype).view(shape), mapped)
