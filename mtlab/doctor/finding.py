"""The findings of the doctor."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from mtlab.plan.errors import printable, without_secrets

T = TypeVar("T")

PATIENCE_S = 3.0
"""Seconds in which a server or another program must answer."""


@dataclass(frozen=True)
class Finding:
    """The state of one requirement.

    Attributes:
        level: ``ok``; ``note``: a run works, but worse than it could; or ``fault``: no run works.
        topic: the requirement.
        text: the fact, or the problem and the remedy.
    """

    level: Literal["ok", "note", "fault"]
    topic: str
    text: str

    def __str__(self) -> str:
        text = printable(without_secrets(" ".join(self.text.split())))
        return f"{self.level:<5}  {self.topic:<10}  {text}"


def ok(topic: str, fact: str) -> Finding:
    """A finding without a problem."""
    return Finding("ok", topic, fact)


def note(topic: str, fact: str, remedy: str) -> Finding:
    """A finding with which a run works, but worse than it could."""
    return Finding("note", topic, f"{fact}; {remedy}")


def fault(topic: str, problem: object, remedy: str = "") -> Finding:
    """A finding with which no run works; a :class:`mtlab.plan.errors.UserError` has its remedy
    already.
    """
    return Finding("fault", topic, f"{problem}; {remedy}" if remedy else str(problem))


def within(seconds: float, ask: Callable[[], T]) -> T:
    """Return or raise what ``ask`` does. It runs in a thread, because the lookup of a host has no
    time limit; when the time is over, the thread continues.

    Raises:
        TimeoutError: ``ask`` took longer.
    """
    answers: queue.Queue[tuple[T | None, Exception | None]] = queue.Queue()

    def work() -> None:
        try:
            answers.put((ask(), None))
        except Exception as error:  # raised in the calling thread
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]


def gb(size: float) -> str:
    """Bytes in gigabytes, as text."""
    return f"{size / 1e9:,.1f} GB"
