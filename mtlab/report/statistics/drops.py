"""Whether two scenarios differ by another amount at other sentences: the difference of their drops.

A scenario's drop is its score on a test set out of distribution minus that on test, with the same
weights. The difference of two drops is a difference of differences,

    (there_s - test_s) - (there_c - test_c) = (there_s - there_c) - (test_s - test_c),

paired by seed. Where the other set has the sentences of the test split, changed, it is paired by
sentence too: each adds its own difference of differences. Otherwise the two sets are independent
draws, and what their sentences add to the variance is summed, as in a stratified sample: a sentence
``n`` of the ``N_k`` of set ``k`` adds ``(N / N_k) z[s, n]`` to a mean over all ``N`` sentences
(Cochran 1977, ch. 5), with the degrees of freedom of Satterthwaite (1946).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtlab.report.statistics.intervals import Interval, Sample, decided
from mtlab.report.statistics.variances import Spread, estimable


@dataclass(frozen=True)
class Moved:
    """The difference of two drops.

    Attributes:
        table: the contribution of each sentence with each seed, (seeds, sentences).
        spread: the standard errors of its mean; None if they cannot be estimated.
        fewest: the number of sentences of the smaller set.
    """

    table: np.ndarray
    spread: Spread | None
    fewest: int

    @property
    def by_seed(self) -> float | None:
        """The variance of one seed's difference."""
        return None if self.spread is None else self.spread.seeds * len(self.table)

    def interval(
        self, alpha: float, pooled: float | None = None, *, generous: bool = False
    ) -> Interval:
        """Its interval, by the rules of :func:`~mtlab.report.statistics.intervals.paired`.

        Args:
            alpha: the chance that it misses the truth.
            pooled: the mean of :attr:`by_seed` over a family.
            generous: whether ``pooled`` counts for one more degree of freedom.
        """
        enough = self.fewest >= math.log2(2 / alpha)
        spread = self.spread if enough else None
        return decided(self.table, spread, alpha, pooled, generous=generous)


def moved(other: Sample, test: Sample, *, same: bool) -> Moved | None:
    """The difference of two scenarios on another set minus their difference on the test split; None
    if no seed has both.

    Args:
        other: differences of the two scenarios on the other set.
        test: their differences on the test split.
        same: whether both sets have the same sentences, in the same order.
    """
    seeds = sorted(other.keys() & test.keys())
    if not seeds:
        return None
    tables = [np.stack([sample[seed] for seed in seeds]) for sample in (other, test)]
    if same:
        table = tables[0] - tables[1]
        return Moved(table, estimable(table), table.shape[1])
    return _of_two_sets([tables[0], -tables[1]])


def _of_two_sets(tables: Sequence[np.ndarray]) -> Moved:
    """The sum of the means of two tables with the same seeds and other sentences.

    The spread is that of values around the mean of their own set, because the sets' sizes are fixed;
    what each sentence carries is counted as it is.
    """
    sizes = [table.shape[1] for table in tables]
    weighted = [sum(sizes) / size * table for size, table in zip(sizes, tables, strict=True)]
    whole = np.concatenate(weighted, axis=1)
    within = [part - part.mean(axis=1, keepdims=True) for part in weighted]
    centred = np.concatenate(within, axis=1) + whole.mean(axis=1, keepdims=True)
    spread = estimable(centred)
    if spread is not None:
        spread = replace(spread, sentences_df=_df(tables))
    return Moved(whole, spread, min(sizes))


def _df(tables: Sequence[np.ndarray]) -> float:
    """Degrees of freedom of the sum of the variances that each table's sentences make."""
    parts = [
        (float(table.mean(axis=0).var(ddof=1)) / table.shape[1], table.shape[1] - 1)
        for table in tables
        if table.shape[1] > 1
    ]
    squares = sum(part**2 / df for part, df in parts)
    return sum(part for part, _ in parts) ** 2 / squares if squares else 1.0
