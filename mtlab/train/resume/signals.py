"""Signals that ask the process to stop: it finishes the current step and writes a checkpoint first;
at a second signal it ends at once.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """The user, or the system, asked the process to stop. It is not an ``Exception``, so that no
    trial treats it as its own failure.

    Args:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def status(self) -> int:
        """The exit status that shells give a process which a signal ended: 130, 143."""
        return 128 + self.number


class _Asked:
    """The signal that this process got, and how it reacts to signals."""

    number: int | None = None
    waiting = False
    obeys = True
    program = True


_asked = _Asked()


def asked() -> bool:
    """Whether the process was asked to stop and has not yet done so."""
    return _asked.obeys and _asked.number is not None


def leave_if_asked() -> None:
    """Stop here, if the process was asked to stop.

    Raises:
        Stopped: the process was asked to stop.
    """
    if asked() and _asked.number is not None:
        raise Stopped(_asked.number)


@contextmanager
def handled(obeys: bool = True, program: bool = True) -> Iterator[None]:
    """Within, SIGINT and SIGTERM raise :class:`Stopped`, once; a second one ends the process at
    once. Afterwards the earlier handlers are set again.

    Only the main thread can set handlers; in another thread nothing changes.

    Args:
        obeys: whether this process stops at a signal. Of several that run together only the first
            does; the others end when they notice that it is gone.
        program: whether the process does nothing else. In a notebook this is false: a second SIGINT
            raises KeyboardInterrupt there, and SIGTERM keeps its handler.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _asked.number, _asked.obeys, _asked.program = None, obeys, program
    numbers = SIGNALS if program else (signal.SIGINT,)
    before = {number: signal.signal(number, _handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            # a handler that was not set from Python cannot be set again from Python
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        _asked.number, _asked.obeys, _asked.program = None, True, True


@contextmanager
def deferred() -> Iterator[None]:
    """Within, a signal is only noted: the code inside checks :func:`asked` where it can stop, and
    :class:`Stopped` is raised at the end of the outermost such context.
    """
    outer, _asked.waiting = _asked.waiting, True
    try:
        yield
    finally:
        _asked.waiting = outer
    if not outer:
        leave_if_asked()


def _handle(number: int, frame: FrameType | None) -> None:
    if _asked.number is not None:
        if not _asked.program:
            raise KeyboardInterrupt
        os._exit(128 + number)
    _asked.number = number
    if not _asked.obeys:
        return
    if not _asked.waiting:
        raise Stopped(number)
    os.write(2, b"\nmtlab: stopping after this step; once more leaves at once\n")
