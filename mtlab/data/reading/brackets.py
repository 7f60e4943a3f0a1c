"""Entities between brackets in a column, as CoNLL-2005 and CoNLL-2012 write them: ``(PER*``, ``*``,
``*)``.
"""

import re
from collections.abc import Iterator, Sequence

CELL = re.compile(r"(?:\((?P<kind>[^\s()*|\-][^\s()*|]*))?\*?(?P<end>\))?")
"""The cell of a word at which an entity begins, ends, both, or neither."""


def are(blocks: Sequence[Sequence[str]]) -> bool:
    """Whether a column, given as the cells of each sentence, marks entities by brackets."""
    has_entity = False
    for cells in blocks:
        depth = 0
        for cell in cells:
            match = CELL.fullmatch(cell)
            if match is None or not cell:
                return False
            depth += match["kind"] is not None
            has_entity = has_entity or ("*" in cell and match["kind"] is not None)
            if depth not in (0, 1):
                return False
            depth -= match["end"] is not None
        if depth:
            return False
    return has_entity


def to_tags(cells: Sequence[str]) -> Iterator[str]:
    """A tag in IOB2 for each word of a sentence."""
    kind = ""
    for cell in cells:
        match = CELL.fullmatch(cell)
        begins = match["kind"] if match else None
        kind = begins or kind
        yield f"{'B' if begins else 'I'}-{kind}" if kind else "O" if match else cell
        kind = "" if match is None or match["end"] else kind
