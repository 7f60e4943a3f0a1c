"""Errors that a user of mtlab sees, and the words of their messages."""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from pydantic_core import ErrorDetails, PydanticCustomError


class UserError(Exception):
    """A mistake in the user's input: one line, exit status 2, never a traceback.

    The line reads ``where: problem; remedy``. ``where`` is ``file:line field`` as far as it is
    known. ``code`` is a short name of the kind of mistake (``unknown-key``), which stays the same
    when the words change.
    """

    def __init__(self, problem: str, remedy: str = "", *, where: str = "", code: str) -> None:
        self.problem, self.remedy, self.where, self.code = problem, remedy, where, code
        super().__init__(str(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """Support pickle, with which processes send mistakes to one another."""
        return partial(type(self), where=self.where, code=self.code), (self.problem, self.remedy)

    def __str__(self) -> str:
        line = f"{self.where}: {self.problem}" if self.where else self.problem
        line = f"{line}; {self.remedy}" if self.remedy else line
        return printable(without_secrets(" ".join(line.split())))


def printable(text: str) -> str:
    """``text`` in a form that is safe to print on a terminal: control characters, and characters
    that reverse the text after them, are escaped.
    """
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)


def without_secrets(text: str) -> str:
    """``text`` with the user, password and query of all addresses removed."""
    return re.sub(r"://([^\s/?#]*)(\S*)", _bare, text)


def _bare(address: re.Match[str]) -> str:
    host, rest = address.groups()
    path = rest.rstrip("\"'`,;:.)]}")
    end = rest[len(path) :]  # punctuation of the sentence, or a quotation mark
    if host and "@" in path:  # a password may have / ? or # in it
        return f"://...{end}"
    return f"://{host.rpartition('@')[2]}{re.split('[?#]', path)[0]}{end}"


class Busy(UserError):
    """A resource is in use or out of reach, and may work later: exit status 75 (``EX_TEMPFAIL`` of
    sysexits.h).
    """


Mistakes = list[UserError] | None
"""A list that collects mistakes, so that all of them are reported; None to raise the first one."""


@contextmanager
def noted(mistakes: Mistakes) -> Iterator[None]:
    """A context that a mistake ends: the mistake is added to ``mistakes`` or, if that is None,
    raised.
    """
    try:
        yield
    except UserError as error:
        if mistakes is None:
            raise
        mistakes.append(error)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy for a misspelt ``word``: the nearest of ``known``, or all of them where none is
    near.
    """
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"


def shown(value: Any) -> str:
    """A value in an error line, spelt as in YAML; a long one is cut."""
    text = without_secrets(
        "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    )
    return text if len(text) <= 60 else f"{text[:56]} ..."


def mistake(line: str, *path: str | int, code: str) -> PydanticCustomError:
    """A validator's error: the line to print, the path of the mistake within the validated value,
    and the code.
    """
    return PydanticCustomError("mistake", "{line}", {"line": line, "path": path, "code": code})


WANTED = {
    "string_type": "text",
    "path_type": "a path",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list (`[...]`)",
    "dict_type": "a mapping (`key: value`)",
    "model_type": "a mapping (`key: value`)",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "below {lt:g}",
    "less_than_equal": "{le:g} or less",
}
"""Pydantic's type of an error to what the setting must be."""


CODES = {
    "missing": "missing",
    "literal_error": "unknown-value",
    "greater_than": "out-of-range",
    "greater_than_equal": "out-of-range",
    "less_than": "out-of-range",
    "less_than_equal": "out-of-range",
}
"""Pydantic's type of an error to the code of the mistake; all other types have ``wrong-type``."""


def code_of(error: ErrorDetails) -> str:
    """The code of a mistake that pydantic found."""
    code: str | None = error.get("ctx", {}).get("code")
    return code or CODES.get(error["type"], "wrong-type")


def plainly(error: ErrorDetails) -> str:
    """A mistake that pydantic found, in words for people who do not know Python."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    line = f"{error['msg']} (found {shown(value)})"
    if kind in ("missing", "mistake"):
        line = "missing; add it" if kind == "missing" else error["msg"]
    elif value is None:
        line = "has no value; give one, or leave the key out"
    elif kind == "literal_error":
        allowed = re.findall("'([^']*)'", context["expected"])
        line = f"{shown(value)} is not known; {did_you_mean(str(value), allowed)}"
    elif kind in WANTED:
        remedy = (
            "; put it in quotes" if kind == "string_type" and isinstance(value, int | float) else ""
        )
        line = f"{shown(value)} is not {WANTED[kind].format(**context)}{remedy}"
    return line
