"""Making training labels wrong or scarce on purpose, to see which parts to freeze then. Validation
and test are not changed.
"""

from collections.abc import Sequence

import numpy as np

from mtlab.data.sentences import Reading
from mtlab.data.splits import first
from mtlab.data.stored import Sentence, collect
from mtlab.plan.errors import UserError


def hide(
    train: Sequence[Sentence],
    reading: Reading,
    task: str,
    share: float,
    known: Sequence[str],
    rng: np.random.Generator,
) -> tuple[Sequence[Sentence], str]:
    """Remove a task's labels from all but a ``share`` of the sentences. The other sentences stay,
    for the other tasks.

    For the same state of ``rng``, sentences that keep their labels with a smaller share also keep
    them with a larger one.

    Returns:
        The sentences in their order, and a note on what was done.
    """
    count = max(1, round(share * len(train)))
    kept = first(train, count, rng, reading)
    changed = (
        sentence if keeps else sentence.with_gold(task, None)
        for sentence, keeps in zip(train, kept.tolist(), strict=True)
    )
    return (
        collect(changed, reading.directory),
        f"{count:,} of {len(train):,} training sentences keep their {reading.kinds[task].gold_title}, stratified",
    )


def mislabel(
    train: Sequence[Sentence],
    reading: Reading,
    task: str,
    share: float,
    known: Sequence[str],
    rng: np.random.Generator,
) -> tuple[Sequence[Sentence], str]:
    """Replace a ``share`` of the labels, or of the types of entities, by other ones that are
    ``known``, each equally likely.

    Returns:
        The sentences in their order, and a note on what was done.

    Raises:
        UserError: there is no other label or type.
    """
    kind = reading.kinds[task]
    if share and len(known) < 2:
        raise UserError(
            f"there is no wrong {kind.value_title} to give: {f'all are {known[0]}' if known else 'any might be right'}",
            "take label_noise out",
            where="data.label_noise",
            code="too-few-labels",
        )
    places = [
        (index, at)
        for index, sentence in enumerate(train)
        for at, _ in enumerate(kind.values(sentence.gold.get(task)))
    ]
    count = round(share * len(places))
    longer = sorted({value for sentence in train for value in kind.longer(sentence.gold.get(task))})
    changed, left = dict[int, Sentence](), count
    for chosen in rng.permutation(len(places)).tolist():
        if not left:
            break
        index, at = places[chosen]
        sentence, draw = changed.get(index) or train[index], rng.random()
        gold = sentence.gold.get(task)
        others = kind.may_be(gold, at, known, longer)
        if others:
            other, left = others[int(draw * len(others))], left - 1
            changed[index] = sentence.with_gold(task, kind.with_value(gold, at, other))
    spoilt = collect(
        (changed.get(index, sentence) for index, sentence in enumerate(train)), reading.directory
    )
    return spoilt, f"{count - left:,} of {len(places):,} training {kind.wrong}, drawn evenly"
