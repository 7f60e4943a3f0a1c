"""How many more seeds or test sentences would make an unclear difference clear, as estimated from the
results so far.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from mtlab.report.statistics.intervals import Interval
from mtlab.report.statistics.scale import at_least_as_good, verdict
from mtlab.report.statistics.variances import Spread, half_width

MOST_SEEDS = 50
"""Seeds beyond which nobody goes."""

HOPE = 0.1
"""The chance of a clear verdict at the last look below which seeds are not worth their time."""


@dataclass(frozen=True)
class Outlook:
    """A difference, its variances, and the interval that will decide.

    Attributes:
        mean: over seeds and sentences so far.
        seeds: so many there are.
        spread: of the mean.
        sentences: of the test split.
        alpha: of the last look's interval.
        margin: of the task.
        loss_decides: whether it is clear, too, once a loss of the margin is excluded.
    """

    mean: float
    seeds: int
    spread: Spread
    sentences: int
    alpha: float
    margin: float
    loss_decides: bool = False

    def half(self, seeds: float) -> float:
        """Half the width of the interval with so many seeds."""
        share = 0.0 if math.isinf(seeds) else self.spread.seeds * self.seeds / seeds
        df = 1.0 if math.isinf(seeds) else seeds - 1.0
        return half_width(replace(self.spread, seeds=share, seeds_df=df), 1 - self.alpha)

    def clear(self, seeds: float) -> bool:
        """Whether the verdict is clear with so many seeds, if the mean stays."""
        half = self.half(seeds)
        interval = Interval(self.mean, self.mean - half, self.mean + half, self.seeds)
        good = self.loss_decides and at_least_as_good(interval, self.margin)
        return good or verdict(interval, self.margin) != "unclear"

    @property
    def sentences_needed(self) -> int | None:
        """The test sentences that the margin takes, where no number of seeds makes the verdict
        clear; None where seeds may do.
        """
        half = self.half(math.inf)
        if half < self.margin or self.clear(math.inf):
            return None
        return int(np.ceil(self.sentences * (half / self.margin) ** 2))

    @property
    def seeds_needed(self) -> int | None:
        """The number of seeds, more than there are, with which the verdict is clear, if the mean stays; None where
        :data:`MOST_SEEDS` are too few.
        """
        enough = (seeds for seeds in range(self.seeds + 1, MOST_SEEDS + 1) if self.clear(seeds))
        return next(enough, None)

    def hopeless(self, last: int) -> bool:
        """Whether a clear verdict at the last look has a chance below :data:`HOPE`.

        The mean that the last look will see is normal around that so far, with what the seeds to
        come may change (conditional power: Lan, Simon and Halperin 1982).

        Args:
            last: seeds at the last look.
        """
        if self.seeds >= last:
            return False
        moves = math.sqrt(self.spread.seeds * (1 - self.seeds / last))
        half = self.half(last)
        cdf = stats.norm(self.mean, max(moves, 1e-12)).cdf
        within = max(self.margin - half, 0.0)
        chance = 1 - cdf(half) + cdf(-half) + (cdf(within) - cdf(-within))
        return bool(chance < HOPE)
