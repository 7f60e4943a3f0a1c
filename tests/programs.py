"""Whole programs, as tests start them. One that takes too long fails its test with what each of its
processes was doing."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import psutil
import pytest

LIMIT_S = 240.0
"""Seconds that a program has, where a test does not say."""


def start(
    command: Sequence[str], env: Mapping[str, str] | None = None, **options: Any
) -> "subprocess.Popen[str]":
    """Start a program whose output is kept."""
    environment = {**(os.environ if env is None else env), "PYTHONFAULTHANDLER": "1"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


def finish(process: "subprocess.Popen[str]", seconds: float = LIMIT_S) -> tuple[int, str, str]:
    """Exit status, output and errors of a program, when it has ended."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        out, err = _abort(process)
        pytest.fail(f"{process.args} did not end within {seconds:g} s\n{out}\n{err}")
    return process.returncode, out, err


def run(command: Sequence[str], seconds: float = LIMIT_S, **options: Any) -> tuple[int, str, str]:
    """Run a program."""
    return finish(start(command, **options), seconds)


def wait_until(
    seen: Callable[[], object], process: "subprocess.Popen[str]", seconds: float = 120.0
) -> None:
    """Wait until something is seen, while a program runs."""
    until = time.monotonic() + seconds
    while not seen():
        if process.poll() is not None or time.monotonic() > until:
            out, err = _abort(process)
            pytest.fail(
                f"{process.args} ended ({process.returncode}), or ran for {seconds:g} s, before it did that\n{out}\n{err}"
            )
        time.sleep(0.01)


def _abort(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """End a program with all processes that it started, each of which says where it was if it is
    Python; returns output and errors."""
    family: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        family = [*parent.children(recursive=True), parent]
    for number, patience in ((signal.SIGABRT, 20.0), (signal.SIGKILL, 5.0)):
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=patience)
    return "", "(its output is held open by a process that it left behind)"
