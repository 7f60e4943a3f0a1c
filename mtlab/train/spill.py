"""States that are too many for memory: files that are mapped into it, with a digest that is checked before they are used again."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtlab.plan.errors import UserError
from mtlab.record.journal import write_atomically

Say = Callable[[str], None]


def make(directory: Path, name: str, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
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
    flat = torch.from_file(str(directory / f"{name}.bin"), shared=True, size=shape[0] * shape[1], dtype=dtype).view(shape)
    return flat.zero_()


def seal(directory: Path, name: str, flat: Tensor) -> None:
    """Write down what a tensor from :func:`make` holds, when it is filled."""
    facts = {"shape": list(flat.shape), "dtype": str(flat.dtype).removeprefix("torch."), "sha256": _digest(flat)}
    write_atomically(directory / f"{name}.json", json.dumps(facts))


def find(directory: Path, name: str, say: Say) -> Tensor | None:
    """The tensor that was sealed under ``name``; None where there is none, or where its file is not what was sealed, which is said."""
    label, data = directory / f"{name}.json", directory / f"{name}.bin"
    if not label.exists():
        return None
    try:
        facts = json.loads(label.read_text())
        shape, dtype = tuple(map(int, facts["shape"])), getattr(torch, facts["dtype"])
        if data.stat().st_size != int(np.prod(shape)) * dtype.itemsize:
            raise ValueError("its size is another")
        flat = torch.from_file(str(data), shared=True, size=int(np.prod(shape)), dtype=dtype).view(shape)
        if _digest(flat) != facts["sha256"]:
            raise ValueError("its bytes are others")
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        say(f"cache: {data} is not what was written ({error}); it is computed again")
        return None
    return flat


def remove(directory: Path, name: str) -> None:
    """Delete what lies under ``name``; who still reads it keeps it until then."""
    for suffix in ("json", "bin"):
        (directory / f"{name}.{suffix}").unlink(missing_ok=True)


def _digest(flat: Tensor) -> str:
    return hashlib.sha256(flat.view(-1).view(torch.uint8).numpy().data).hexdigest()
