"""Cuts, subsets and comparisons of splits: stratified, drawn by ``data_seed``, with a note for
everything done.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Literal

import numpy as np

from mtlab.data import alike
from mtlab.data.alike import normal
from mtlab.data.sentences import Reading
from mtlab.data.stored import Sentence, collect
from mtlab.plan.errors import Mistakes, UserError, did_you_mean, noted, shown

GOLDEN = (5**0.5 - 1) / 2
Split = Sequence[Sentence]


def stratified_order(strata: Iterable[str], rng: np.random.Generator) -> np.ndarray:
    """Indices in an order in which every prefix has all strata in proportion, to about one item
    each.

    Subsets that are prefixes are nested. Item j of a stratum of n items is placed at (j + u) / n of
    the order. The offsets u differ by golden-ratio steps from one size to the next, so that many
    small strata are spread evenly too, and not all at one place.
    """
    known: dict[str, int] = {}
    numbers = np.fromiter((known.setdefault(name, len(known)) for name in strata), dtype=np.int64)
    _, places = np.unique(np.asarray(list(known)), return_inverse=True)
    strata_of = places[numbers]
    sizes = np.bincount(strata_of)
    order = rng.permutation(len(strata_of))
    order = order[np.argsort(strata_of[order], kind="stable")]
    offsets = np.empty(len(sizes))
    offsets[np.lexsort((rng.permutation(len(sizes)), sizes))] = (
        rng.random() + GOLDEN * np.arange(len(sizes))
    ) % 1
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    position = (rank + np.repeat(offsets, sizes)) / np.repeat(sizes, sizes)
    return order[np.argsort(position, kind="stable")]


def strata(sentences: Split, reading: Reading) -> Iterator[str]:
    """The stratum of each sentence: that of the first task which gives it one, such as its label, or
    whether it has an entity.
    """
    for sentence in sentences:
        strata = (kind.stratum(sentence.gold.get(task)) for task, kind in reading.kinds.items())
        yield next((stratum for stratum in strata if stratum is not None), "none")


def cut(
    sentences: Split, fraction: float, rng: np.random.Generator, reading: Reading
) -> tuple[Sequence[Sentence], Sequence[Sentence]]:
    """Cut off a stratified ``fraction``; returns (rest, cut), both in the order of the whole.

    There must be at least two sentences, and each part gets at least one. A label with only one
    sentence stays in the rest, because it could not be learnt otherwise.
    """
    sizes = Counter(strata(sentences, reading))
    shared = np.array([sizes[stratum] > 1 for stratum in strata(sentences, reading)])
    shared = shared if shared.any() else ~shared
    count = min(max(1, round(fraction * len(sentences))), len(sentences) - 1)
    order = stratified_order(compress(strata(sentences, reading), shared), rng)
    chosen = np.zeros(len(sentences), dtype=bool)
    chosen[np.flatnonzero(shared)[order[:count]]] = True
    rest, cut_off = (
        collect(compress(sentences, kept), reading.directory) for kept in (~chosen, chosen)
    )
    return rest, cut_off


def subset(
    sentences: Split, size: int, rng: np.random.Generator, reading: Reading
) -> Sequence[Sentence]:
    """A stratified subset in the order of the whole; for the same state of ``rng`` a smaller one
    is part of a larger one.
    """
    return collect(compress(sentences, first(sentences, size, rng, reading)), reading.directory)


def first(sentences: Split, size: int, rng: np.random.Generator, reading: Reading) -> np.ndarray:
    """For each sentence, whether it is among the ``size`` first in a stratified order."""
    chosen = np.zeros(len(sentences), dtype=bool)
    chosen[stratified_order(strata(sentences, reading), rng)[:size]] = True
    return chosen


def duplicates(
    split: str, train: Split, other: Split, limit: float, mistakes: Mistakes = None
) -> list[str]:
    """Count the sentences of ``other``, the validation or test ``split``, that are also in train:
    with exactly the same text, or with the same normal form.

    Raises:
        UserError: their share is above ``limit``.
    """
    surfaces = {normal(sentence.surface) for sentence in other}
    exact: set[str] = set()
    places: dict[str, str] = {}
    for sentence in train:
        surface = sentence.surface
        if (reduced := normal(surface)) in surfaces:  # keep only texts that are also in ``other``
            exact.add(surface)
            places.setdefault(reduced, sentence.place)
    twice = [sentence for sentence in other if normal(sentence.surface) in places]
    if not twice:
        return []
    same = sum(sentence.surface in exact for sentence in twice)
    share = len(twice) / len(other)
    text = f"{len(twice):,} of {len(other):,} sentences ({share:.1%}) also stand in train, {same:,} of them exactly"
    if share > limit:
        at = places[normal(twice[0].surface)]
        remedy = f"remove them (the first also stands at {at}), or allow them with --data.max_duplicates {min(1.0, share + 0.01):.2f}"
        with noted(mistakes):
            raise UserError(
                f"{split}: {text}; the limit is {limit:.1%}",
                remedy,
                where=twice[0].place,
                code="duplicates",
            )
    return [text]


def unseen(
    sentences: Split,
    reading: Reading,
    task: str,
    known: Iterable[str],
    mode: Literal["error", "count_as_error"],
    mistakes: Mistakes = None,
) -> list[str]:
    """Report sentences with a label, tag or entity type that train does not have.

    Args:
        sentences: of validation or test.
        reading: how they were read.
        task: the task whose gold is checked.
        known: its labels, tags or types in train.
        mode: the experiment's ``unseen_labels``.
        mistakes: a list that collects one mistake for each label or type; None raises the first.

    Raises:
        UserError: there is one, and ``mode`` does not say to count it as an error.
    """
    kind, ours, known = reading.kinds[task], reading.tasks[task].column, set(known)
    strange = [
        (sentence, value)
        for sentence in sentences
        for value in kind.values(sentence.gold.get(task))
        if value not in known
    ]
    if not strange:
        return []
    values_title = kind.value_title
    if mode == "error":
        _refuse(strange, known, values_title, reading.columns.get(ours, ours), mistakes)
        return []
    count = len({id(sentence) for sentence, _ in strange})
    distinct = sorted({value for _, value in strange})
    pairs = [_beside_twin(value, known) for value in distinct[:5]]
    names = [f"{name}, which looks like train's {twin}" if twin else name for name, twin in pairs]
    values = ", ".join([*names, *(["..."] if len(distinct) > 5 else [])])
    return [
        f"{count:,} of {len(sentences):,} sentences count as errors: train does not have their {values_title} ({values})"
    ]


def _refuse(
    strange: Sequence[tuple[Sentence, str]],
    known: set[str],
    what: str,
    column: str,
    mistakes: Mistakes,
) -> None:
    """One mistake for each label or type that train does not have."""
    for value in dict.fromkeys(value for _, value in strange):
        having = [sentence for sentence, other in strange if other == value]
        name, twin = _beside_twin(value, known)
        near = did_you_mean(value, sorted(known))
        spelling = near if near.startswith("did you mean") else "correct it"
        hint = "write both alike" if twin else spelling
        also = f" ({len(having):,} times)" if len(having) > 1 else ""
        resembles = f", which looks like train's {twin}" if twin else ""
        with noted(mistakes):
            raise UserError(
                f"train has no {what} {name}{also}{resembles}",
                f"{hint}, or pass --data.unseen_labels count_as_error",
                where=f"{having[0].place} {column}",
                code="unseen-label",
            )


def _beside_twin(value: str, known: set[str]) -> tuple[str, str]:
    """A label or type that train does not have, and the one of train that looks like it, as they
    are shown; the second is empty if there is none.
    """
    twin = next((other for other in sorted(known) if alike.look(other) == alike.look(value)), None)
    if twin is None:
        return shown(value), ""
    name, name_of_twin = alike.spelt([value, twin])
    return name, name_of_twin
