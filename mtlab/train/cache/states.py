"""Hidden states of a split, and where they lie: on the GPU, in memory, or in a file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtlab.train.cache import spill


@dataclass(frozen=True)
class States:
    """Hidden states of a split at one depth.

    Attributes:
        flat: (tokens + 1, hidden): sentence after sentence; the last row is zero and stands for
            padding.
        file: the file that ``flat`` lies in; None where it lies in memory.
        starts: (sentences + 1,): where each sentence begins in ``flat``.
    """

    flat: Tensor
    file: spill.Mapped | None
    starts: np.ndarray

    def rows(self, ids: Sequence[int]) -> np.ndarray:
        """(sentences, tokens): rows of ``flat`` for a batch of ``ids``, padded to the longest with
        the zero row.
        """
        begins, ends = self.starts[list(ids)], self.starts[[index + 1 for index in ids]]
        places = begins[:, None] + np.arange(int((ends - begins).max()))
        return np.where(places < ends[:, None], places, len(self.flat) - 1)

    def padded(self, ids: Sequence[int], device: torch.device) -> Tensor:
        """(sentences, tokens, hidden): the states of a batch, padded with zeros."""
        rows = self.rows(ids)
        return self.pick(rows.ravel(), device).view(*rows.shape, -1)

    def pick(self, rows: np.ndarray, device: torch.device) -> Tensor:
        """(rows, hidden): a copy of these rows of ``flat``."""
        picked = self.flat.index_select(0, torch.from_numpy(rows).to(self.flat.device)).to(
            device, non_blocking=True
        )
        if self.file is not None:
            self.file.release()
        return picked

    def put(self, rows: np.ndarray, values: Tensor) -> None:
        """Store ``values`` (rows, hidden) at these rows of ``flat``."""
        self.flat.index_copy_(
            0, torch.from_numpy(rows).to(self.flat.device), values.to(self.flat.device)
        )
        if self.file is not None:
            self.file.release()


@dataclass(frozen=True)
class Room:
    """Where the states of a suite lie.

    Attributes:
        device: the device that computes.
        limit: bytes of states to keep in memory.
        directory: for files.
        exchange: whether other processes need the same states, so that all lie in files.
    """

    device: torch.device
    limit: int
    directory: Path
    exchange: bool

    def zeros(
        self, name: str, shape: tuple[int, int], dtype: torch.dtype, held: Iterable[States]
    ) -> tuple[Tensor, spill.Mapped | None]:
        """Zeros for the states of a split, and the file that they lie in: on the GPU where they
        fit, in memory, or in a file.
        """
        size = shape[0] * shape[1] * dtype.itemsize
        if self.exchange or not self._fits(size, held):
            mapped = spill.make(self.directory, name, shape, dtype)
            return mapped.flat, mapped
        return torch.zeros(shape, dtype=dtype, device=self._nearest(size)), None

    def read(self, mapped: spill.Mapped, starts: np.ndarray, held: Iterable[States]) -> States:
        """The states of a file. Where memory has room for them they stay there; otherwise their
        memory is released after each read.
        """
        if not self._fits(mapped.flat.nbytes, held):
            return States(mapped.flat, mapped, starts)
        return States(mapped.flat.to(self._nearest(mapped.flat.nbytes)), None, starts)

    def _fits(self, size: int, held: Iterable[States]) -> bool:
        """Whether memory has room for ``size`` bytes more."""
        in_memory = sum(states.flat.nbytes for states in held if states.file is None)
        return size + in_memory <= self.limit

    def _nearest(self, size: int) -> torch.device:
        """The device to keep ``size`` bytes of states on: the one that computes, unless it is a GPU
        and they would take more than a quarter of its free memory; then the CPU.
        """
        free = torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else 0
        crowded = self.device.type == "cuda" and size > free // 4
        return torch.device("cpu") if crowded else self.device
