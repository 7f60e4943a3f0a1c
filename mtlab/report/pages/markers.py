"""Generated parts of pages that people write.

A part is between two comments, each on a line of its own::

    <!-- mtlab: NAME ABOUT -->
    <!-- mtlab: end -->

The first comment has the name of the part and, if the part is about one report, that report's name.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mtlab.plan.errors import UserError, did_you_mean

Writers = Mapping[str, Callable[[str], str]]
"""Name of a part to what writes it, from what the part is about."""

_COMMENT = re.compile(r"[ \t]*<!-- mtlab:[ \t]*(\S+)[ \t]*(.*?)[ \t]*-->[ \t]*\r?\n?")
_END = "end"


@dataclass(frozen=True)
class Part:
    """A generated part of a page.

    Attributes:
        name: of what is written there.
        about: the rest of its first comment.
        start: the line of its first comment, from 1.
        end: the line of its last one.
    """

    name: str
    about: str
    start: int
    end: int


def parts(page: str, where: str) -> list[Part]:
    """The parts of a page, in their order.

    Args:
        page: its text.
        where: the file, for messages.

    Raises:
        UserError: a part has no end, or an end has no part.
    """
    complete: list[Part] = []
    begun: Part | None = None
    for number, line in enumerate(page.splitlines(keepends=True), start=1):
        comment = _COMMENT.fullmatch(line)
        if comment is None:
            continue
        if comment[1] != _END:
            _check_closed(begun, where)
            begun = Part(comment[1], comment[2], number, number)
        elif begun is None:
            raise UserError(
                "a part ends here, but none begins above",
                "remove this line",
                where=f"{where}:{number}",
                code="malformed",
            )
        else:
            complete.append(Part(begun.name, begun.about, begun.start, number))
            begun = None
    _check_closed(begun, where)
    return complete


def filled(page: str, writers: Writers, where: str) -> str:
    """The page with each part written anew; all other text stays as it is.

    Args:
        page: its text.
        writers: of the parts.
        where: the file, for messages.

    Raises:
        UserError: a part has no end, nothing writes parts of its name, or it cannot be written.
    """
    lines = page.splitlines(keepends=True)
    for part in reversed(parts(page, where)):
        newline = "\r\n" if lines[part.start - 1].endswith("\r\n") else "\n"
        content = ["", *_written(part, writers, where).splitlines(), ""]
        lines[part.start : part.end - 1] = [line + newline for line in content]
    return "".join(lines)


def _written(part: Part, writers: Writers, where: str) -> str:
    place = f"{where}:{part.start}"
    if part.name not in writers:
        raise UserError(
            f"no part is called {part.name!r}",
            did_you_mean(part.name, writers),
            where=place,
            code="unknown-value",
        )
    try:
        return writers[part.name](part.about)
    except UserError as error:
        if error.where:
            raise
        raise UserError(error.problem, error.remedy, where=place, code=error.code) from None


def _check_closed(begun: Part | None, where: str) -> None:
    if begun is not None:
        raise UserError(
            f"the part {begun.name!r} has no end",
            "close it with the line <!-- mtlab: end -->",
            where=f"{where}:{begun.start}",
            code="malformed",
        )
