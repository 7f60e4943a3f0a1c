"""Metrics that are not means over sentences, by sentence: the metric plus the linear part of each
sentence's influence on it (the delta method, as by the infinitesimal jackknife of Jaeckel 1972). The
mean of the values is the metric, and their spread is that which other sentences would give.
"""

from collections.abc import Iterable, Set
from typing import Any

import numpy as np


def overlaps(pairs: Iterable[tuple[Set[Any], Set[Any]]]) -> dict[str, tuple[int | float, ...]]:
    """For :func:`f1`, of pairs of what is gold and what is predicted: how much is in both (``right``),
    ``predicted``, and ``gold``.
    """
    counts = [(len(gold & answered), len(answered), len(gold)) for gold, answered in pairs]
    right, predicted, gold = zip(*counts, strict=True) if counts else ((), (), ())
    return {"right": right, "predicted": predicted, "gold": gold}


def ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """A ratio of sums, ``sum(over) / sum(under)``: to first order, another draw of sentences moves it
    by the mean of ``(over - ratio * under) / mean(under)``.

    Args:
        over: (sentences,).
        under: (sentences,), of which some are above 0.
    """
    under = under.astype(float)
    whole = over.sum() / under.sum()
    return np.asarray(whole + (over - whole * under) / under.mean())


def f1(right: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> np.ndarray | None:
    """F1, ``2 * sum(right) / sum(predicted + gold)``; None where nothing is gold.

    Args:
        right: (sentences,): what is gold and predicted.
        predicted: (sentences,): what is predicted.
        gold: (sentences,): what is gold.
    """
    return ratio(2 * right, predicted + gold) if gold.sum() else None


def correlation(first: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Pearson's r: the influence of a sentence is ``x * y - r * (x**2 + y**2) / 2``, both standardised
    (Devlin, Gnanadesikan and Kettenring 1975, section 3); None where one of the two does not vary.

    Args:
        first: (sentences,).
        other: (sentences,).
    """
    if len(first) < 2 or not np.ptp(first) or not np.ptp(other):
        return None
    x, y = ((values - values.mean()) / values.std() for values in (first, other))
    r = (x * y).mean()
    return np.asarray(r + x * y - r * (x**2 + y**2) / 2)
