"""What the suite computes on: device, precision, attention kernel, threads; resolved once and
recorded.
"""

import ctypes
import math
import os
import platform
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import torch
from transformers import masking_utils

from mtlab import launch
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.train.distributed.processes import ALONE, Processes, join

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of ``mallopt``, from glibc's malloc.h."""

PAYS = 1.25
"""bf16 is chosen on a CPU if it multiplies matrices at least this many times as fast as fp32: the
conversions of autocast take time too."""


@dataclass(frozen=True)
class Runtime:
    """One device, one precision and one attention kernel for all trials of a suite.

    Attributes:
        device: where training runs.
        precision: ``bf16`` (autocast over fp32 weights) or ``fp32``.
        attention: the kernel to ask transformers for; ``None`` leaves it the choice.
        threads: CPU threads of torch.
        device_name: the device's name as its driver or the system reports it.
        processes: the processes that run the suite together.
    """

    device: torch.device
    precision: str
    attention: str | None
    threads: int
    device_name: str
    processes: Processes = ALONE

    def autocast(self) -> AbstractContextManager[object]:
        """The context that forward passes run in."""
        return (
            torch.autocast(self.device.type, torch.bfloat16)
            if self.precision == "bf16"
            else nullcontext()
        )

    def synchronize(self) -> None:
        """Wait until the device has done all its queued work; a CPU has no queue to wait for."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def describe(self) -> dict[str, str | int]:
        """Facts for the record; they are the same in each of several processes."""
        several: dict[str, str | int] = (
            {"processes": self.processes.number} if self.processes.several else {}
        )
        return {
            "device": self.device.type if several else str(self.device),
            "device_name": self.device_name,
            "precision": self.precision,
            "threads": self.threads,
            "python": platform.python_version(),
            **several,
            **_versions(),
        }


@cache
def _versions() -> dict[str, str]:
    """Versions of the packages that compute and score; looking them up reads files."""
    return {
        package: version(package)
        for package in ("torch", "transformers", "peft", "datasets", "mlflow", "seqeval", "mtlab")
    }


def resolve(experiment: Experiment) -> Runtime:
    """Replace ``auto`` by the choice for this machine, and set the number of CPU threads.

    On a CPU, bf16 is used with eager attention: from about 20 tokens on, the backward pass of the
    fused attention kernel loses more time in bf16 than bf16 saves elsewhere.

    Raises:
        UserError: a GPU was asked for and there is none, or the processes of a launcher differ.
    """
    device = torch.device(
        ("cuda" if torch.cuda.is_available() else "cpu")
        if experiment.device == "auto"
        else experiment.device
    )
    if device.type == "cuda" and (
        not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()
    ):
        gpus = f"{torch.cuda.device_count()} found" if torch.cuda.is_available() else "none found"
        with experiment.pointing():
            raise UserError(
                f"{experiment.device} was asked for, {gpus}",
                "use `--device auto` or `--device cpu`",
                where="device",
                code="no-device",
            )
    processes, threads = ALONE, _threads()
    if launch.number() > 1:
        os.environ.setdefault(
            "OMP_NUM_THREADS", str(threads)
        )  # Accelerate would choose another number
        processes, device = join(device)
    if device.type == "cuda":
        torch.cuda.init()  # resetting memory statistics does not initialise CUDA
        torch.backends.cuda.enable_cudnn_sdp(
            False
        )  # it makes a plan for each new batch shape, which took a tenth of a second on an H200
        leave_masks_unread()
    precision = (
        ("bf16" if bf16(device)[0] else "fp32")
        if experiment.precision == "auto"
        else experiment.precision
    )
    attention = None if experiment.attention == "auto" else experiment.attention
    if attention is None and precision == "bf16" and device.type == "cpu":
        attention = "eager"
    torch.set_num_threads(threads)
    _keep_freed_memory()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    runtime = Runtime(device, precision, attention, threads, name, processes)
    processes.agree(runtime.describe(), "start them on devices of one kind, in one environment")
    return runtime


def leave_masks_unread() -> None:
    """Make transformers build attention masks without reading their values.

    By default it reads each batch's mask, to leave the mask out where nothing is padded. For this
    read the host must wait until a GPU has done all its queued work.
    """
    masking_utils._ignore_bidirectional_mask_sdpa = lambda *_args, **_kwargs: False


def _keep_freed_memory() -> None:
    """Make glibc keep freed memory for later tensors: by default it returns large blocks to the
    system at once, and each step has page faults when it gets them again.

    On a virtual machine the page faults took a tenth of a step's time. Between trials,
    :class:`mtlab.record.measure.PeakMemory` returns all free memory to the system.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the largest value that glibc accepts
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def bf16(device: torch.device) -> tuple[bool, str]:
    """Whether to compute in bf16 on a device, and the reason in words."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return (
            major >= 8,
            f"the GPU has compute capability {major}.{minor}, and 8.0 is the first with bf16",
        )
    if not any(_cpu().get(name) for name in ("amx_bf16", "avx512_bf16")):
        return False, "the CPU has neither amx_bf16 nor avx512_bf16"
    gain = _gain_of_bf16()
    return gain >= PAYS, f"the CPU multiplies matrices {gain:.1f} times as fast in bf16 as in fp32"


@cache
def _gain_of_bf16() -> float:
    """The speed of a matrix product of an encoder's shapes in bf16, as a multiple of its speed in
    fp32. Some CPUs have bf16 instructions but are slower with them: an Intel Xeon without AMX had
    0.5.

    It is measured on one thread: other programs disturb one thread less than two that wait for each
    other.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    fastest = dict.fromkeys((torch.float32, torch.bfloat16), math.inf)
    factors = {
        kind: (torch.ones(512, 384).to(kind), torch.ones(384, 1536).to(kind)) for kind in fastest
    }
    for _ in range(12):  # in turn; the fastest time of each is the one that was disturbed least
        for kind, pair in factors.items():
            began = time.perf_counter()
            torch.mm(*pair)
            fastest[kind] = min(fastest[kind], time.perf_counter() - began)
    torch.set_num_threads(threads)
    return fastest[torch.float32] / fastest[torch.bfloat16]


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads() -> int:
    """CPU threads to use: ``OMP_NUM_THREADS`` where it is set, otherwise the cores that this
    process may use, divided by the number of the suite's processes on this machine.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else max(1, cores() // launch.here())


def _cpu() -> dict[str, Any]:
    """The CPU's capabilities as torch reports them; empty in older releases of torch."""
    return dict(getattr(torch.cpu, "get_capabilities", dict)())


def _cpu_name() -> str:
    return str(_cpu().get("cpu_name", "")) or platform.processor() or platform.machine()
