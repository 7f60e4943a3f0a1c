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
    residual = max(
        squares - table.size * (by_seed * (seeds - 1) + by_sentence * (sentences - 1)), 0.0
    )
    noise = residual / ((seeds - 1) * (sentences - 1)) / table.size
    return Spread(by_seed, seeds - 1, max(by_sentence - noise, 0.0), sentences - 1, noise)


def estimable(table: np.ndarray) -> Spread | None:
    """:func:`spread_of` with the seeds' part at least what sentences alone make of it, ``noise``;
    ``None`` where all sentences have the same result, or all seeds have the same results sentence
    by sentence: other sentences or seeds may differ.

    Scores are counts, so seeds may agree by luck, and their variance be estimated as too small.
    """
    spread, nothing = spread_of(table), ROUNDING * float(abs(table).max())
    if spread is None or np.ptp(table.mean(axis=0)) <= nothing:
        return None
    if np.ptp(table.mean(axis=1)) <= nothing and spread.noise <= nothing**2:
        return None
    return replace(spread, seeds=max(spread.seeds, spread.noise))


MODERATED = 3
"""The most seeds whose variance is moderated; more estimate their own well enough."""

PRIOR = 2
"""Weight of the pooled variance, beside the own variance's degrees of freedom."""


def moderated(
    spread: Spread, pooled: float | None, seeds: int, *, generous: bool = False
) -> Spread:
    """The spread of a contrast whose few seeds borrow from the other contrasts of its family.

    ``max(own, (2 pooled + (S - 1) own) / (S + 1))``, as empirical Bayes has it (Smyth 2004); never
    below its own, so that a noisy scenario is not hidden. It has S degrees of freedom, not S + 1:
    where one scenario is much noisier than all others, pooled and own variance are nearly the same
    number. At a look that spends a small part of the error S + 1 hold (``tests/report/grid.py``).

    Args:
        spread: of the contrast's mean over ``seeds``.
        pooled: mean over the family of the variance of one seed's difference; ``None``: no family.
        seeds: S.
        generous: whether S + 1 degrees of freedom hold.
    """
    if pooled is None or seeds > MODERATED:
        return spread
    own = spread.seeds
    shrunk = (PRIOR * pooled / seeds + (seeds - 1) * own) / (PRIOR + seeds - 1)
    return replace(spread, seeds=max(own, shrunk), seeds_df=seeds + generous)


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
