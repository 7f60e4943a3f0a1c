"""The watchdog against a process that hangs while trials run: after a set time without a step, the
process writes the stacks of its threads to a file, and ends.

A supervisor, launcher or cluster then starts it again, and the trials continue from their last
resume state; without one of these nothing is watched. Python's own faulthandler does the watching:
its thread needs no lock that another thread could hold.
"""

import faulthandler
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtlab import launch
from mtlab.watched import NOTE

RESOLUTION_S = 1.0
"""Seconds that must pass before the timer is restarted again. The measured time without a step may
be too long by this much."""


class _Watch:
    """The state of this process's watchdog."""

    seconds: float | None = None
    """Seconds without a step after which the process ends; None while nothing is watched."""
    file: int = 0
    wound: float = 0.0
    on_cluster = False


_watch = _Watch()


@contextmanager
def on_cluster() -> Iterator[None]:
    """Within, this process runs a task of a cluster, which runs again elsewhere if the process
    ends.
    """
    _watch.on_cluster = True
    try:
        yield
    finally:
        _watch.on_cluster = False


@contextmanager
def watched(folder: Path, seconds: float | None) -> Iterator[None]:
    """Within, the process ends with status 1 after too long without a call of :func:`beat`,
    provided that a supervisor, a launcher or a cluster would start it again.

    Args:
        folder: where it writes the stacks of its threads: ``stalled-<rank>.txt``.
        seconds: the longest time without a call; None for no limit.
    """
    if seconds is None or not (os.environ.get(NOTE) or launch.number() > 1 or _watch.on_cluster):
        yield
        return
    path = folder / f"stalled-{launch.rank()}.txt"
    try:
        file = path.open("w", encoding="utf-8")
    except OSError:  # on a full disk, the writers of records fail as well and report it
        yield
        return
    with file:
        _watch.seconds, _watch.file, _watch.wound = seconds, file.fileno(), 0.0
        beat()
        try:
            yield
        finally:
            _watch.seconds = None
            faulthandler.cancel_dump_traceback_later()
    path.unlink(missing_ok=True)


def beat() -> None:
    """Report progress: a step is done, or a batch of an evaluation or of a pass."""
    if _watch.seconds is None or (now := time.monotonic()) - _watch.wound < RESOLUTION_S:
        return
    _watch.wound = now
    faulthandler.dump_traceback_later(_watch.seconds, file=_watch.file, exit=True)
