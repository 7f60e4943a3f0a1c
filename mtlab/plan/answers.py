"""The ``answer:`` of an experiment file: a sentence with placeholders that the results fill.

A placeholder is a word and its arguments, in braces: ``{verdict backbone_frozen ner}``. The report
fills it (:mod:`mtlab.report.decision.template`); this module parses and checks it.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mtlab.plan.errors import UserError, did_you_mean, shown
from mtlab.plan.yaml_file import Located
from mtlab.tasks.registry import USUAL

WORDS: Mapping[str, tuple[str, ...]] = {
    "recommendation": (),
    "verdict": ("scenario", "task"),
    "sizes": ("scenario", "task"),
    "conditions": ("scenario", "task"),
    "fewest": ("percent", "task"),
    "kept": ("scenario", "task"),
    "regained": ("task",),
}
"""Word to its arguments. ``recommendation``: what to train, and why. ``verdict``: the verdict on a
scenario against the control at a task, with the difference. ``sizes``, ``conditions``: the verdicts
at every size, or under every condition, of the data. ``fewest``: the fewest top blocks that reach a
share of full fine-tuning. ``kept``: how the score of a head changed that was trained before.
``regained``: the scenarios that regain more than half of that loss."""

PLACE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Placeholder:
    """A word of :data:`WORDS` with its arguments."""

    word: str
    about: tuple[str, ...]


def pieces(answer: str) -> Iterator[str | Placeholder]:
    """The text of an answer and its placeholders, in their order."""
    for at, piece in enumerate(PLACE.split(answer)):
        if at % 2 == 0:
            yield piece
            continue
        word, *about = piece.split() or [""]
        yield Placeholder(word, tuple(about))


def check(located: Located) -> None:
    """Check that an answer's placeholders are known, and that the file has what they name.

    Raises:
        UserError: a placeholder is unknown or not complete, or the file lacks what it names.
    """
    answer = located.value.get("answer")
    if not isinstance(answer, str):
        return
    names = {
        "scenario": _names(located, "scenarios"),
        "task": _names(located, "tasks") or list(USUAL),
        "percent": ["90", "95", "99"],
    }
    for piece in pieces(answer):
        if isinstance(piece, Placeholder):
            _check(piece, names, located.where(("answer",)))


def _names(located: Located, key: str) -> list[str]:
    section: Any = located.value.get(key)
    return [str(name) for name in section] if isinstance(section, dict) else []


def _check(place: Placeholder, names: Mapping[str, Collection[str]], where: str) -> None:
    wanted = WORDS.get(place.word)
    if wanted is None:
        raise UserError(
            f"the placeholder {{{place.word}}} is not known",
            did_you_mean(place.word, WORDS),
            where=where,
            code="unknown-value",
        )
    if len(place.about) != len(wanted):
        form = " ".join([place.word, *(part.upper() for part in wanted)])
        raise UserError(
            f"{shown(' '.join([place.word, *place.about]))} is not complete",
            f"write {{{form}}}",
            where=where,
            code="wrong-type",
        )
    for part, name in zip(wanted, place.about, strict=True):
        if name not in names[part]:
            raise UserError(
                f"the placeholder {{{place.word}}} names the {part} {shown(name)}, which the file does not have",
                did_you_mean(name, names[part]),
                where=where,
                code="unknown-value",
            )
