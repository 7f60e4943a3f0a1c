"""A process that hangs while trials run: after so long without a step it writes down what each of
its threads does, and ends.

The supervisor starts it again, and the trials continue from their last resume state; where nobody
would, nothing is watched. It is Python's own faulthandler that watches: its thread needs nothing
that the others could hold.
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
"""Seconds by which a process may seem to stand longer than it does: so often, at most, the watch is
wound up."""


class _Watch:
    """What watches this process."""

    seconds: float | None = None
    """After so many without a step; None while nothing is watched."""
    file: int = 0
    wound: float = 0.0
    on_cluster = False


_watch = _Watch()


@contextmanager
def on_cluster() -> Iterator[None]:
    """Within, this process does a task of a cluster, which is done again elsewhere when the process
    ends.
    """
    _watch.on_cluster = True
    try:
        yield
    finally:
        _watch.on_cluster = False


@contextmanager
def watched(folder: Path, seconds: float | None) -> Iterator[None]:
    """Within, a process that somebody would start again ends with status 1 when nothing was done
    (:func:`beat`) for so long.

    Args:
        folder: where it writes what its threads were doing: ``stalled-<rank>.txt``.
        seconds: how long; None for ever.
    """
    if seconds is None or not (os.environ.get(NOTE) or launch.number() > 1 or _watch.on_cluster):
        yield
        return
    path = folder / f"stalled-{launch.rank()}.txt"
    try:
        file = path.open("w", encoding="utf-8")
    except OSError:  # a full disk stops the writers of records, which say so
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
    """Something was done: a step, or a batch of an evaluation or of a pass."""
    if _watch.seconds is None or (now := time.monotonic()) - _watch.wound < RESOLUTION_S:
        return
    _watch.wound = now
    faulthandler.dump_traceback_later(_watch.seconds, file=_watch.file, exit=True)
