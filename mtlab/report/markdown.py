"""Markdown from values. :func:`text` keeps data, labels and messages inert."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

LONGEST = 600
"""The most characters of one text value that a report shows."""

MOST_DIGITS = 5
"""The most decimals of a difference that is nearly as large as half its interval."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\[\]:-]*")
_SPECIAL = re.compile(r"[\\`*{}\[\]!|~$#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}


def one_line(value: Any) -> str:
    """``value`` as one printable line, cut at :data:`LONGEST`: line ends, tabs and control
    characters become spaces.
    """
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in str(value)).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def text(value: Any) -> str:
    """``value`` as inert text: it makes no markup, link, image, HTML or table cell."""
    escaped = _SPECIAL.sub(lambda match: "\\" + match[0], one_line(value))
    escaped = "".join(_ENTITIES.get(mark, mark) for mark in escaped)
    return escaped.replace("://", "&#58;//").replace(
        "www.", "www&#46;"
    )  # some readers turn a bare address into a link


def name(value: Any) -> str:
    """A plain name as code; any other name as inert text."""
    return f"`{value}`" if _PLAIN.fullmatch(str(value)) else text(value)


def code(value: Any) -> str:
    """A command as code; as inert text if it has a backquote, which code cannot hold."""
    line = one_line(value)
    return text(value) if "`" in line else f"`{line}`"


def fenced(content: str, language: str = "") -> str:
    """A code block that ``content`` cannot end."""
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = [
        "".join(mark if mark.isprintable() else " " for mark in line)
        for line in content.splitlines()
    ]
    return "\n".join([fence + language, *lines, fence])


def table(header: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """A table. Its cells are markdown already. The first ``words`` columns are left-aligned, the
    others right-aligned.
    """
    rule = ["---"] * words + ["---:"] * (len(header) - words)
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *rows])


def details(summary: str, body: str) -> str:
    """A folded part. The empty lines let readers treat its body as markdown."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def listing(words: Sequence[str]) -> str:
    """``a``, ``a and b``, or ``a, b and c``; ``none`` without words."""
    return (
        words[0]
        if len(words) == 1
        else f"{', '.join(words[:-1])} and {words[-1]}"
        if words
        else "none"
    )


def fixed(value: float | None, digits: int = 3) -> str:
    """A number with a fixed number of decimals and a true minus sign; a dash if it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 3) -> str:
    """A number as in :func:`fixed`, with its sign; zero has no sign."""
    if value is None:
        return "–"
    rounded = f"{abs(value):.{digits}f}"
    return rounded if float(rounded) == 0 else ("+" if value > 0 else "−") + rounded


def bounds(low: float | None, high: float | None, digits: int = 3) -> str:
    """An interval in brackets, after a blank; empty without an interval."""
    return "" if low is None or high is None else f" [{fixed(low, digits)}, {fixed(high, digits)}]"


def measured(
    mean: float | None,
    low: float | None,
    high: float | None,
    digits: int = 3,
    *,
    sign: bool = False,
) -> str:
    """A mean with its interval: ``0.860 ± 0.020`` if the interval is symmetric as printed, else in
    brackets. With ``sign``, the mean is a difference; it gets more decimals if fewer would hide
    whether the interval includes 0.
    """
    number = signed(mean, digits) if sign else fixed(mean, digits)
    if mean is None or low is None or high is None:
        return number
    below, above = mean - low, high - mean
    if abs(above - below) < 10**-digits / 2:
        half = fixed((below + above) / 2, digits)
        if sign and half == fixed(abs(mean), digits) and float(half) and digits < MOST_DIGITS:
            return measured(mean, low, high, digits + 1, sign=True)
        return f"{number} ± {half}"
    return number + bounds(low, high, digits)


def times(mean: float | None, low: float | None, high: float | None) -> str:
    """A ratio with its interval: ``0.89× [0.81, 0.98]``; without the interval if both of its bounds
    look the same.

    A bound below 0.01 or above 100 is written ``<0.01`` or ``>100``: it says only that the seeds
    differ too much.
    """
    if mean is None:
        return "–"
    without = low is None or high is None or fixed(low, 2) == fixed(high, 2)
    return f"{fixed(mean, 2)}×" + ("" if without else f" [{_end(low)}, {_end(high)}]")


def _end(ratio: float | None) -> str:
    if ratio is not None and ratio < 0.01:
        return "<0.01"
    return ">100" if ratio is not None and ratio > 100 else fixed(ratio, 2)


def rounded(value: float | None, digits: int = 3) -> str:
    """A number of any size, without an exponent: with ``digits`` significant digits, or as a whole
    number if it is large; a dash if it is undefined.
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    decimals = digits - 1 - int(f"{value:e}".split("e")[1])
    return f"{value:.{decimals}f}"


def whole(value: int | None) -> str:
    """An exact count with thousands separated; a dash if it is undefined."""
    return "–" if value is None else f"{value:,}"
