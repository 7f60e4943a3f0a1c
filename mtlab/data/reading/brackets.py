"""Entities between brackets in a column, as CoNLL-2005 and CoNLL-2012 write them: ``(PER*``, ``*``,
``*)``.
"""

import re
from collections.abc import Iterator, Sequence

CELL = re.compile(r"(?:\((?P<kind>[^\s()*|\-][^\s()*|]*))?\*?(?P<end>\))?")
"""A word where an entity begins, ends, or does neither."""


def are(blocks: Sequence[Sequence[str]]) -> bool:
    """Whether the cells of a column, sentence by sentence, are such."""
    some = False
    for cells in blocks:
        depth = 0
        for cell in cells:
            match = CELL.fullmatch(cell)
            if match is None or not cell:
                return False
            depth += match["kind"] is not None
            some = some or ("*" in cell and match["kind"] is not None)
            if depth not in (0, 1):
                return False
            depth -= match["end"] is not None
        if depth:
            return False
    return some


def to_tags(cells: Sequence[str]) -> Iterator[str]:
    """A tag in IOB2 for each word of a sentence."""
    kind = ""
    for cell in cells:
        match = CELL.fullmatch(cell)
        begins = match["kind"] if match else None
        kind = begins or kind
        yield f"{'B' if begins else 'I'}-{kind}" if kind else "O" if match else cell
        kind = "" if match is None or match["end"] else kind
