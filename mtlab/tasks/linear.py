"""Values per sentence for metrics that are not means over sentences. A sentence's value is the
metric plus the linear part of the sentence's influence on it (the delta method, as in the
infinitesimal jackknife of Jaeckel 1972). The mean of the values is the metric, and from their
spread follows how much the metric would vary over other samples of sentences.
"""

from collections.abc import Iterable, Set
from typing import Any

import numpy as np


def overlaps(pairs: Iterable[tuple[Set[Any], Set[Any]]]) -> dict[str, tuple[int | float, ...]]:
    """The arguments of :func:`f1` for pairs of sets, gold and predicted, one pair per sentence: the
    sizes of the intersection (``right``), of ``predicted``, and of ``gold``.
    """
    counts = [(len(gold & answered), len(answered), len(gold)) for gold, answered in pairs]
    right, predicted, gold = zip(*counts, strict=True) if counts else ((), (), ())
    return {"right": right, "predicted": predicted, "gold": gold}


def ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Values for a ratio of sums, ``sum(over) / sum(under)``: to first order, another sample of
    sentences changes the ratio by the mean of ``(over - ratio * under) / mean(under)``.

    Args:
        over: (sentences,).
        under: (sentences,), with a sum above 0.
    """
    under = under.astype(float)
    quotient = over.sum() / under.sum()
    return np.asarray(quotient + (over - quotient * under) / under.mean())


def f1(right: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> np.ndarray | None:
    """Values for F1, ``2 * sum(right) / sum(predicted + gold)``; None where nothing is gold.

    Args:
        right: (sentences,): how many labels or entities are both gold and predicted.
        predicted: (sentences,): how many are predicted.
        gold: (sentences,): how many are gold.
    """
    return ratio(2 * right, predicted + gold) if gold.sum() else None


def correlation(first: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Values for Pearson's r: the influence of a sentence is ``x * y - r * (x**2 + y**2) / 2``,
    with both variables standardised (Devlin, Gnanadesikan and Kettenring 1975, section 3). None
    where one of the two does not vary.

    Args:
        first: (sentences,).
        other: (sentences,).
    """
    if len(first) < 2 or not np.ptp(first) or not np.ptp(other):
        return None
    x, y = ((values - values.mean()) / values.std() for values in (first, other))
    r = (x * y).mean()
    return np.asarray(r + x * y - r * (x**2 + y**2) / 2)
