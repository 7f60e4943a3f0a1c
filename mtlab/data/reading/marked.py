"""Marked text: one sentence a line with its label in front and its entities in brackets, for people
to read and correct.

    sport | [PER Ines Okwu] left [LOC Jordan] to coach [ORG Harbour Rovers] in the [MISC Tidewater
    Cup].

Words are cut from the text without its marks, so that marks do not change them: a word that exists
only because of a mark would show a model where an entity ends.
"""

import re

from mtlab.data.reading.words import WORD
from mtlab.plan.errors import UserError, shown

MARK = re.compile(r"\[(?P<kind>\w+) (?P<name>[^\[\]]*)\]")


def words(text: str) -> list[str]:
    """The words and signs of ``text``; nothing but white space lies between them."""
    return WORD.findall(text)


def parse(line: str, place: str) -> tuple[str, list[str], list[str]]:
    """Label, words and IOB2 tags of one line, ``label | text with [TYPE names]``.

    Args:
        line: the line, without its end.
        place: ``file:line``, for messages.

    Raises:
        UserError: no label, a bracket that belongs to no mark, an empty mark, or one that cuts
            through a word.
    """
    label, bar, marked = line.partition("|")
    if not (bar and label.strip()):
        raise UserError(
            "no label before the sentence",
            "write `label | text with [TYPE names]`",
            where=f"{place} label",
            code="malformed",
        )
    text, spans, end = "", [], 0
    for mark in MARK.finditer(marked):
        text += marked[end : mark.start()]
        spans.append((len(text), len(text) + len(mark["name"]), mark["kind"]))
        text += mark["name"]
        end = mark.end()
    text += marked[end:]
    stray = re.search(r"[\[\]]", text)
    if stray:
        near = text[max(0, stray.start() - 12) : stray.end() + 12].strip()
        raise UserError(
            f"a bracket that marks nothing, near {shown(near)}",
            "write `[TYPE name]`",
            where=f"{place} ner_tags",
            code="malformed",
        )
    return label.strip(), words(text), _tags(text, spans, place)


def _tags(text: str, spans: list[tuple[int, int, str]], place: str) -> list[str]:
    bounds = [match.span() for match in WORD.finditer(text)]
    tags = ["O"] * len(bounds)
    for start, end, kind in spans:
        inside = [
            index for index, (left, right) in enumerate(bounds) if left < end and right > start
        ]
        if not inside or bounds[inside[0]][0] != start or bounds[inside[-1]][1] != end:
            problem = f"the mark [{kind} {text[start:end]}] does not begin and end with whole words"
            raise UserError(
                problem, "move its brackets", where=f"{place} ner_tags", code="malformed"
            )
        tags[inside[0] : inside[-1] + 1] = [f"B-{kind}"] + [f"I-{kind}"] * (len(inside) - 1)
    return tags
