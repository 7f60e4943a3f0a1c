"""The peak of memory that counts for trials, on a CPU or a GPU."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mtlab.record.measure import PeakMemory
from mtlab.train.runtime import Runtime


class Memory:
    """The highest memory use since this was made: of the process on a CPU, of torch's allocator on
    a GPU.

    Trials that run together share it, for they share the process.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._peak: float | None = None
        if runtime.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()  # every trial finds the allocator as the first one did
        self._watch()

    def peak_mb(self) -> float | None:
        """In MB (10^6 bytes); None where the system cannot tell."""
        now = (
            torch.cuda.max_memory_allocated(self._runtime.device) / 1e6
            if self._on_gpu
            else self._process.read_mb()
        )
        self._peak = now if self._peak is None or now is None else max(self._peak, now)
        return self._peak

    def at_least(self, peak_mb: float | None) -> None:
        """Count a peak that was measured before, when the trial was interrupted."""
        if peak_mb is not None:
            self._peak = max(self._peak or 0.0, peak_mb)

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Within, memory does not count, because it is used only to measure or to save files."""
        self.peak_mb()
        try:
            yield
        finally:
            self._watch(collect=False)

    @property
    def _on_gpu(self) -> bool:
        return self._runtime.device.type == "cuda"

    def _watch(self, collect: bool = True) -> None:
        self._process = PeakMemory(collect)
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats(self._runtime.device)
