"""Making training labels wrong or scarce on purpose, to see which parts to freeze then. Validation
and test are left alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mtlab.data.splits import first
from mtlab.data.stored import Sentence, collect
from mtlab.data.tags import entity_type
from mtlab.plan.errors import UserError

WHAT = {"classifier": "label", "ner": "tags"}


def hide(
    train: Sequence[Sentence],
    task: str,
    share: float,
    known: Sequence[str],
    rng: np.random.Generator,
    directory: Path | None = None,
) -> tuple[Sequence[Sentence], str]:
    """Take a task's labels away from all but a ``share`` of the sentences, which stay for the other
    task.

    For the same state of ``rng`` the sentences that keep theirs with a smaller share are among
    those that do with a larger one.

    Returns:
        The sentences in their order, and what was done.
    """
    count = max(1, round(share * len(train)))
    kept = first(train, count, rng)
    changed = (
        sentence if keeps else _bare(sentence, task)
        for sentence, keeps in zip(train, kept.tolist(), strict=True)
    )
    return collect(
        changed, directory
    ), f"{count:,} of {len(train):,} training sentences keep their {WHAT[task]}, stratified"


def _bare(sentence: Sentence, task: str) -> Sentence:
    return replace(sentence, label=None) if task == "classifier" else replace(sentence, tags=None)


def mislabel(
    train: Sequence[Sentence],
    task: str,
    share: float,
    known: Sequence[str],
    rng: np.random.Generator,
    directory: Path | None = None,
) -> tuple[Sequence[Sentence], str]:
    """Give a ``share`` of the labels, or of the entities, another label or type of those ``known``,
    each as likely.

    Returns:
        The sentences in their order, and what was done.

    Raises:
        UserError: there is no other label or type.
    """
    if share and len(known) < 2:
        what = "label" if task == "classifier" else "type"
        raise UserError(
            f"there is no wrong {what} to give: all are {known[0]}",
            "take label_noise out",
            where="data.label_noise",
            code="too-few-labels",
        )
    places = _places(train, task)
    count = round(share * len(places))
    longer = sorted(
        {
            entity_type(tag) or ""
            for sentence in train
            for tag in sentence.tags or ()
            if tag.startswith("I-")
        }
    )
    changed, left = dict[int, Sentence](), count
    for at in rng.permutation(len(places)).tolist():
        if not left:
            break
        index, begin = places[at]
        sentence, draw = changed.get(index) or train[index], rng.random()
        others = _others(sentence, task, begin, known, longer)
        if others:
            other, left = others[int(draw * len(others))], left - 1
            tags = _with_type(sentence.tags or (), begin, other) if task == "ner" else sentence.tags
            changed[index] = replace(
                sentence, label=other if task == "classifier" else sentence.label, tags=tags
            )
    words = "labels are wrong" if task == "classifier" else "entities have a wrong type"
    whole = collect(
        (changed.get(index, sentence) for index, sentence in enumerate(train)), directory
    )
    return whole, f"{count - left:,} of {len(places):,} training {words}, drawn evenly"


def _places(train: Sequence[Sentence], task: str) -> list[tuple[int, int]]:
    """Where there is something to get wrong: index of a sentence, and the word at which an entity
    begins.
    """
    if task == "classifier":
        return [(index, 0) for index, sentence in enumerate(train) if sentence.label is not None]
    return [
        (index, at)
        for index, sentence in enumerate(train)
        for at, tag in enumerate(sentence.tags or ())
        if tag.startswith("B-")
    ]


def _others(
    sentence: Sentence, task: str, begin: int, known: Sequence[str], longer: Sequence[str]
) -> list[str]:
    """The labels or types that may replace a label or an entity's type; for an entity of several
    words, types (``longer``) that have such.
    """
    if task == "classifier":
        return [label for label in known if label != sentence.label]
    tags = sentence.tags or ()
    return [
        kind
        for kind in (longer if _end(tags, begin) > begin + 1 else known)
        if kind != entity_type(tags[begin])
    ]


def _with_type(tags: tuple[str, ...], begin: int, kind: str) -> tuple[str, ...]:
    """IOB2 tags in which the entity that begins at a word has the type ``kind``."""
    end = _end(tags, begin)
    return (*tags[:begin], f"B-{kind}", *(f"I-{kind}" for _ in tags[begin + 1 : end]), *tags[end:])


def _end(tags: tuple[str, ...], begin: int) -> int:
    """Where the entity that begins at a word ends."""
    end = begin + 1
    while end < len(tags) and tags[end].startswith("I-"):
        end += 1
    return end
