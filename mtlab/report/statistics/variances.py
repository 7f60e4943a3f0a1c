"""The variance of a mean by its sources, and the quantile that an interval needs."""

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import special
from scipy.optimize import brentq

ROUNDING = 1e-9
"""Share of the largest value of a table: differences below it are rounding."""


@dataclass(frozen=True)
class Spread:
    """The variance of a mean by its sources: seeds and sentences."""

    seeds: float
    seeds_df: float
    sentences: float
    sentences_df: float
    noise: float
    """The part of ``seeds`` that comes from seed and sentence together."""


def spread_of(table: np.ndarray) -> Spread | None:
    """The variance of the mean of a table (seeds, sentences); ``None`` below two of either."""
    seeds, sentences = table.shape
    if seeds < 2 or sentences < 2:
        return None
    by_seed = float(table.mean(axis=1).var(ddof=1)) / seeds
    by_sentence = float(table.mean(axis=0).var(ddof=1)) / sentences
    squares = float(table.var()) * table.size
    rest = max(squares - table.size * (by_seed * (seeds - 1) + by_sentence * (sentences - 1)), 0.0)
    noise = rest / ((seeds - 1) * (sentences - 1)) / table.size
    return Spread(by_seed, seeds - 1, max(by_sentence - noise, 0.0), sentences - 1, noise)


def estimable(table: np.ndarray) -> Spread | None:
    """:func:`spread_of`, but ``None`` where all sentences have the same result, or all seeds have
    the same results sentence by sentence: other sentences or seeds may differ.

    Where the means of seeds are equal and their answers are not, as with scores that are counts,
    sentences alone give the variance of the means.
    """
    spread, nothing = spread_of(table), ROUNDING * float(abs(table).max())
    if spread is None or np.ptp(table.mean(axis=0)) <= nothing:
        return None
    if np.ptp(table.mean(axis=1)) > nothing:
        return spread
    return replace(spread, seeds=spread.noise) if spread.noise > nothing**2 else None


def half_width(spread: Spread, level: float) -> float:
    """The quantile of |T1 + T2|, two independent t variables with the scales and degrees of freedom
    of ``spread``.
    """
    tail = (1 + level) / 2
    scales = math.sqrt(spread.seeds), math.sqrt(spread.sentences)
    alone = (
        scales[0] * special.stdtrit(spread.seeds_df, tail),
        scales[1] * special.stdtrit(spread.sentences_df, tail),
    )
    if not all(alone):
        return float(max(alone))
    places, weights = _nodes(spread.sentences_df)

    def missed(half: float) -> float:
        """How much more often than asked the sum lies beyond ``half``."""
        beyond = special.stdtr(spread.seeds_df, (scales[1] * places - half) / scales[0])
        return float(weights @ beyond) - (1 - tail)

    half = brentq(missed, 0.0, 2 * sum(alone))
    return float(
        max(half, *alone)
    )  # where one scale is much the smaller, the sum over nodes is a little too coarse


@cache
def _nodes(df: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of a t variable and their weights in a mean over it (Gauss-Legendre over its
    distribution function).
    """
    places, weights = np.polynomial.legendre.leggauss(200)
    return special.stdtrit(df, (places + 1) / 2), weights / 2
