"""Selectors: structural names for the parts of a network, as experiment files write them.

``encoder  embeddings  layers[a:b]  heads  head.TASK  lora  all``. Bounds of a slice are Python's,
counted in blocks, or signed fractions of the depth (``layers[-1/3:]`` is the top third). The parts
``norms  biases  attention  ffn`` stand alone for those of the whole encoder, or behind blocks:
``layers[-2:].norms``. The syntax is checked here, without a model; what a selector means for a given
encoder is settled by :func:`mtlab.model.freezing.resolve`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from mtlab.plan.errors import UserError, did_you_mean

NAMES = ("encoder", "embeddings", "heads", "lora", "all")
"""The selectors that are the same for every network: all but slices of blocks and the heads of
tasks."""

PARTS = ("norms", "biases", "attention", "ffn")
"""The parts of the encoder, or of some of its blocks: :mod:`mtlab.model.sub_units` says which
parameters they are."""

Bound = int | Fraction
"""A bound of a slice: a number of blocks, or a fraction of the depth (which may be 1: the whole
depth)."""

_BOUND = r"\s*([+-]?\d+(?:/\d+)?)?\s*"
_SLICE = re.compile(rf"layers\[{_BOUND}(:?){_BOUND}\]")


@dataclass(frozen=True)
class Selector:
    """A parsed selector: a name of :data:`NAMES`, the name of a head, or ``layers`` with the two
    bounds of its slice. With a part of :data:`PARTS` it names that part alone.
    """

    text: str
    name: str
    start: Bound | None = None
    stop: Bound | None = None
    part: str = ""

    def blocks(self, depth: int) -> range:
        """The blocks of an encoder of ``depth`` blocks that this ``layers`` selector names, bottom
        first.

        Raises:
            UserError: a bound lies outside the encoder, or the slice is empty.
        """
        start = 0 if self.start is None else _position(self.start, depth, self.text)
        stop = depth if self.stop is None else _position(self.stop, depth, self.text)
        if start >= stop:
            raise UserError(
                f"selector {self.text!r} matches no block",
                f"the encoder has layers[0:{depth}]",
                code="bad-selector",
            )
        return range(start, stop)


def names(tasks: Iterable[str]) -> tuple[str, ...]:
    """The selectors of a network with heads for these tasks, except slices of blocks."""
    return (*NAMES[:3], *(f"head.{task}" for task in tasks), *NAMES[3:])


def parse(text: str, tasks: Iterable[str]) -> Selector:
    """Parse one selector.

    Args:
        text: the selector in the file.
        tasks: the tasks that the network has heads for.

    Raises:
        UserError: ``text`` is not a selector; the message suggests similar ones or lists all.
    """
    known = (*names(tasks), *PARTS)
    if text in PARTS:
        return Selector(text, "encoder", part=text)
    if text in known:
        return Selector(text, text)
    blocks, _, part = text.rpartition(".")
    if blocks.startswith("layers[") and blocks.endswith("]"):
        if part not in PARTS:
            problem = f"selector {text!r}: blocks have no part {part!r}"
            raise UserError(problem, did_you_mean(part, PARTS), code="bad-selector")
        return replace(parse(blocks, tasks), text=text, part=part)
    match = _SLICE.fullmatch(text)
    if match is None or not (match[2] or match[1]):
        slices = "a slice of blocks reads layers[a:b], as in layers[0:2] or layers[-1/3:]"
        raise UserError(
            f"unknown selector {text!r}",
            slices if text.startswith("layer") else did_you_mean(text, [*known, "layers[a:b]"]),
            code="bad-selector",
        )
    start, stop = (_bound(bound, text) if bound else None for bound in (match[1], match[3]))
    if match[2]:
        return Selector(text, "layers", start, stop)
    if not isinstance(start, int):
        raise UserError(
            f"selector {text!r}: one block has a whole number",
            f"for a share of the depth write layers[{match[1]}:]",
            code="bad-selector",
        )
    return Selector(
        text, "layers", start, None if start == -1 else start + 1
    )  # layers[3] is one block, as in Python


def _bound(written: str, text: str) -> Bound:
    if "/" not in written:
        return int(written)
    numerator, denominator = map(int, written.split("/"))
    if not 0 < abs(numerator) <= denominator:
        raise UserError(
            f"selector {text!r}: a fraction of the depth lies between -1 and 1 and is not 0",
            code="bad-selector",
        )
    return Fraction(numerator, denominator)


def _position(bound: Bound, depth: int, text: str) -> int:
    """A bound as a block index. A fraction is rounded to the nearest block, halves up, and is at
    least one block.
    """
    offset = (
        abs(bound) if isinstance(bound, int) else max(1, floor(abs(bound) * depth + Fraction(1, 2)))
    )
    if offset > depth:
        raise UserError(
            f"selector {text!r} is out of range",
            f"the encoder has layers[0:{depth}]",
            code="bad-selector",
        )
    return depth - offset if bound < 0 else offset
