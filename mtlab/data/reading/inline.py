"""Files with a sentence a line in which each word has its tag: ``Ann|B-PER left|O``, SNIPS'
``play:O jazz:B-genre <=> PlayMusic``, and fastText's ``__label__play play some jazz``.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from mtlab.data.reading import lines
from mtlab.plan.errors import UserError
from mtlab.tasks.spelling import respelt
from mtlab.tasks.tags import TAG

SIGNS = ("###", "///", "|||", "|", "/", ":", "_", "\\")
"""Signs that may separate a word and its tag."""
ARROW = " <=> "
"""What comes before the label of a sentence whose words have tags."""
LABEL = "__label__"
"""The beginning of a label of fastText."""
MOST = 0.9
"""Share of words that must have a tag: the others may be mistakes."""
LOOK = 1_000
"""Lines that are read to find the sign."""


def sign(path: Path) -> str | None:
    """The sign between words and tags, or the beginning of labels; None if the file has neither.

    Raises:
        OSError: the file cannot be read.
    """
    status = path.stat()
    return _sign(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _sign(path: Path, size: int, changed: int) -> str | None:
    """The same; a new size or time of change makes a new entry of the cache."""
    try:
        first_lines = [line.strip() for _, line in islice(lines.lines_of(path), LOOK)]
    except UserError:
        return None
    first_lines = [line for line in first_lines if line]
    if first_lines and all(line.startswith(LABEL) for line in first_lines):
        return LABEL
    return next((sign for sign in SIGNS if len(first_lines) > 1 and _fits(first_lines, sign)), None)


def _fits(some: list[str], sign: str) -> bool:
    """Whether nearly every word of some lines has a tag after a sign, and some tags are of entities."""
    tags = Counter[str]()
    items = [item for line in some for item in line.partition(ARROW)[0].split()]
    for item in items:
        word, separator, tag = item.rpartition(sign)
        tags[tag] += bool(word and separator and tag)
    spelling = respelt(tags)
    readable = Counter({tag: count for tag, count in tags.items() if _is_tag(tag, spelling)})
    entities = any(spelling.get(tag, tag) != "O" for tag in readable)
    return entities and readable.total() >= MOST * len(items) and len(items) > len(some)


def _is_tag(tag: str, spelling: Mapping[str, str]) -> bool:
    return bool(TAG.fullmatch(spelling.get(tag, tag)))


def parse(line: str, sign: str, place: str) -> dict[str, Any]:
    """The columns of a line.

    Args:
        line: without its end.
        sign: the result of :func:`sign`.
        place: ``file:line``, for messages.

    Raises:
        UserError: a word has no tag, or the line has no label or no text.
    """
    if sign == LABEL:
        return _of_labels(line.strip(), place)
    text, arrow, label = line.partition(ARROW)
    pairs = list(_pairs(text, sign, place))
    # a column may lie between word and tag: Ann|NNP|B-PER
    words = [word.partition(sign)[0] or word if sign == "|" else word for word, _ in pairs]
    values: dict[str, Any] = {"tokens": words, "ner_tags": [tag for _, tag in pairs]}
    return {**values, "label": label.strip()} if arrow else values


def _pairs(text: str, sign: str, place: str) -> Iterator[tuple[str, str]]:
    for item in text.split():
        word, _, tag = item.rpartition(sign)
        if not (word and tag):
            raise UserError(
                f"{item!r} has no tag",
                f"write each word as word{sign}tag",
                where=f"{place} ner_tags",
                code="column-missing",
            )
        yield word, tag


def _of_labels(line: str, place: str) -> dict[str, Any]:
    words = line.split(" ")
    count = next((at for at, word in enumerate(words) if not word.startswith(LABEL)), len(words))
    labels = [word.removeprefix(LABEL) for word in words[:count]]
    text = " ".join(words[count:]).strip()
    if not labels or not text:
        raise UserError(
            "no label before the sentence" if not labels else "no text after the label",
            f"write {LABEL}NAME and the text",
            where=f"{place} label",
            code="malformed",
        )
    return {"text": text, "label": labels[0] if len(labels) == 1 else labels}
