"""Checks of the machine: Python, packages, device, precision, threads, memory, the terminal."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mtlab.doctor import limits
from mtlab.doctor.finding import PATIENCE_S, Finding, fault, gb, note, ok
from mtlab.doctor.wanted import Wanted

if TYPE_CHECKING:
    from mtlab.train.runtime import Runtime

VERSIONS_SHOWN = ("torch", "transformers", "datasets", "mlflow", "seqeval")
"""Packages whose versions are printed: they compute, read, record and score."""

INSTALL = "run `make install` in mtlab's checkout"

LIBRARIES, COPIES = 1_000_000_000, 8
"""A rough estimate of the memory of a run: bytes of the libraries, and copies of the encoder's
weights: pretrained, trained and best weights, gradient, two moments, and the memory of batches. The
suites in ``reports/published/`` peaked at 1.2 to 3.0 GB with weights of 0.09 GB."""


def python(wanted: Wanted) -> Iterator[Finding]:
    """Whether mtlab supports this version of Python."""
    try:
        required, version = (
            importlib.metadata.metadata("mtlab")["Requires-Python"],
            platform.python_version(),
        )
    except importlib.metadata.PackageNotFoundError:
        yield fault("Python", f"mtlab is not installed in {sys.prefix}", INSTALL)
        return
    if SpecifierSet(required).contains(version, prereleases=True):
        yield ok("Python", f"{version} in {sys.prefix}")
    else:
        yield fault(
            "Python",
            f"{version} in {sys.prefix}, and mtlab asks for {required}",
            "make another environment with a later Python",
        )


def packages(wanted: Wanted) -> Iterator[Finding]:
    """Whether the packages that mtlab requires are installed, in versions that it supports."""
    versions, required = {}, 0
    for requirement in map(Requirement, importlib.metadata.requires("mtlab") or ()):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        required += 1
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield fault("packages", f"{requirement.name} is not installed", INSTALL)
            continue
        if requirement.specifier.contains(version, prereleases=True):
            versions[requirement.name] = version
        else:
            yield fault(
                "packages",
                f"{requirement.name} is {version}, and mtlab asks for {requirement.specifier}",
                INSTALL,
            )
    if len(versions) == required:
        text = ", ".join(f"{name} {versions[name]}" for name in VERSIONS_SHOWN if name in versions)
        yield ok("packages", f"{text}; all {required} are as mtlab asks")


def computing(wanted: Wanted) -> Iterator[Finding]:
    """The device, the precision and the number of threads that a run would choose."""
    try:
        from mtlab.train import runtime
    except (
        ImportError,
        OSError,
    ) as error:  # a library that is missing, or made for another machine
        yield fault(
            "device",
            f"torch cannot be imported ({type(error).__name__}: {str(error).splitlines()[0][:160]})",
            INSTALL,
        )
        return
    chosen = runtime.resolve(wanted.experiment)
    yield from _device(chosen, wanted)
    computes, why = runtime.bf16(chosen.device)
    attention = f" with {chosen.attention} attention" if chosen.attention else ""
    if wanted.experiment.precision != "auto":
        text = f"{chosen.precision}{attention}, as the experiment asks; {why}"
        slow = chosen.precision == "bf16" and not computes
        yield (
            note("precision", text, "fp32 is likely faster here: `--precision auto` chooses it")
            if slow
            else ok("precision", text)
        )
    else:
        yield ok("precision", f"{chosen.precision}{attention}: {why}")
    yield _threads(chosen.threads, runtime.cores())


def memory(wanted: Wanted) -> Iterator[Finding]:
    """Whether the free memory is roughly enough for a run."""
    free, bytes_left = psutil.virtual_memory().available, limits.memory_left()
    text = (
        f"{gb(free)} free"
        if bytes_left is None or bytes_left >= free
        else f"{gb(bytes_left)} left of what this container may have"
    )
    yield _enough(
        "memory", text, free if bytes_left is None else min(free, bytes_left), wanted.weights
    )


def terminal(wanted: Wanted) -> Iterator[Finding]:
    """Whether the terminal can show what is printed."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        "é×−–łΩ語".encode(encoding)
    except UnicodeEncodeError:
        yield note(
            "terminal",
            f"{encoding}: letters that it does not have are spelt out",
            "set PYTHONUTF8=1, or a UTF-8 locale such as C.UTF-8",
        )
    else:
        yield ok("terminal", encoding)


def _device(chosen: "Runtime", wanted: Wanted) -> Iterator[Finding]:
    import torch

    name, driver = chosen.describe()["device_name"], _driver()
    if chosen.device.type == "cuda":
        free, total = torch.cuda.mem_get_info(chosen.device)
        yield _enough(
            "device",
            f"{chosen.device}: {name}, driver {driver or 'unknown'}, {gb(free)} of {gb(total)} free",
            free,
            wanted.weights,
        )
    elif driver and wanted.experiment.device == "auto":
        built = (
            f"is made for CUDA {torch.version.cuda}, newer than the driver may be"
            if torch.version.cuda
            else "is made without CUDA"
        )
        text = f"{chosen.device}: {name}; there is an NVIDIA GPU (driver {driver}), but this torch {built}"
        yield note(
            "device", text, "install the torch that suits the driver (pytorch.org has a table)"
        )
    elif torch.backends.mps.is_available():
        yield ok(
            "device", f"{chosen.device}: {name}; mtlab does not compute on this Mac's GPU (mps)"
        )
    else:
        yield ok(
            "device",
            f"{chosen.device}: {name}; {'no GPU was found' if wanted.experiment.device == 'auto' else 'as the experiment asks'}",
        )


def _driver() -> str:
    """The version of NVIDIA's driver; empty if there is no driver, or it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return completed.stdout.strip().partition("\n")[0]


def _threads(threads: int, cores: int) -> Finding:
    machine = os.cpu_count() or cores
    text = f"{threads} on {cores} cores" + (
        f", of the {machine} that the machine has" if machine > cores else ""
    )
    quota, wanted = limits.cpu_quota(), os.environ.get("OMP_NUM_THREADS", "")
    if quota is not None and threads > max(1, quota):
        share = max(1, int(quota))
        return note(
            "threads",
            f"{text}; this container may use the time of {quota:g} alone",
            f"set OMP_NUM_THREADS={share}",
        )
    if wanted and not wanted.isdecimal():
        return note(
            "threads",
            f"{text}; OMP_NUM_THREADS is not a number, and is not looked at",
            "unset it, or set it to a number",
        )
    if threads > cores:
        return note("threads", f"{text}, by OMP_NUM_THREADS: they wait for each other", "unset it")
    if threads < cores:
        return note("threads", f"{text}, by OMP_NUM_THREADS", "unset it, to compute on all of them")
    return ok("threads", text)


def _enough(topic: str, text: str, free: int, weights: int | None) -> Finding:
    need = LIBRARIES + COPIES * (weights or 0)
    text = f"{text}; a run takes some {gb(need)}" + (
        "" if weights else ", and what the encoder needs, which is not known here"
    )
    if free < need / 2:
        return fault(topic, text, "end what else is running, or take a smaller encoder")
    return (
        note(topic, text, "end what else is running, or lower --batch_size or --max_length")
        if free < need
        else ok(topic, text)
    )
