"""The limits of this machine: its rate of matrix products, its memory bandwidth, and the shortest
training time that these allow.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from mtlab.model.freezing import units
from mtlab.train.loop import schedule
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime

ADAMW_BYTES = 28
"""Bytes that AdamW moves for a parameter: weight, gradient and two moments read, weight and two
moments written, 4 bytes each."""


@dataclass(frozen=True)
class Machine:
    """Rates measured on this machine, in this process."""

    gemm: dict[str, float]
    """Precision to FLOP/s of the best matrix product of the encoder's shapes."""
    bandwidth: float
    """Bytes/s of a large copy, reading and writing."""


def measure(
    hidden: int, inner: int, rows: int, device: torch.device, synchronize: Callable[[], None]
) -> Machine:
    """Measure both rates: with products (rows, hidden) × (hidden, inner), the encoder's largest,
    and with a copy of 256 MB.
    """
    gemm = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (
            torch.randn(rows, hidden, dtype=dtype, device=device),
            torch.randn(hidden, inner, dtype=dtype, device=device),
        )
        gemm[name] = 2 * rows * hidden * inner / _best(partial(torch.mm, a, b), 20, synchronize)
    source = torch.zeros(64_000_000, device=device)
    target = torch.empty_like(source)
    return Machine(gemm, 2 * source.nbytes / _best(lambda: target.copy_(source), 5, synchronize))


def seconds(prepared: Prepared, scenario: str, machine: Machine, runtime: Runtime) -> float:
    """The floor of a scenario's uncached training in seconds: its FLOPs without padding at the rate
    of products, plus the bytes that AdamW moves at the memory bandwidth.
    """
    total = 0.0
    for plan in prepared.stage_plans(scenario):
        parts = units(prepared.counter.network, plan.partition.divided)
        trained = sum(parts[name].count for name in plan.partition.trained_units)
        for steps in schedule.epochs(prepared, plan):
            _, flops = schedule.flops(prepared, plan.partition, steps)
            total += flops / machine.gemm[runtime.precision]
            total += len(steps) * trained * ADAMW_BYTES / machine.bandwidth
    return total


def _best(call: Callable[[], object], times: int, synchronize: Callable[[], None]) -> float:
    laps: list[float] = []
    for _ in range(times + 2):
        synchronize()
        began = time.perf_counter()
        call()
        synchronize()
        laps.append(time.perf_counter() - began)
    return _median(laps[2:])


def _median(laps: Sequence[float]) -> float:
    return float(statistics.median(laps))
