"""Tasks with a number per sentence."""

import contextlib
import math
import warnings
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from mtlab.tasks import linear
from mtlab.tasks.kind import BadValue, Codes, Columns, Kind, Score, Scored


class Regression(Kind):
    """A number per sentence; the metric is Pearson's correlation of prediction and gold.

    A head learns standardised numbers, with the mean and standard deviation of the training split.
    So one learning rate fits numbers of any size, be they scores from 1 to 5 or prices.
    """

    name = "regression"
    loss = "squared error"
    margin = 0.04
    metrics = MappingProxyType(
        {"r": "Pearson's r", "rho": "Spearman's rho", "mae": "mean absolute error"}
    )
    limits = (-1.0, 1.0)
    note = "The mean absolute error is in the unit of the numbers, and lower is better."
    distance = "mean square"
    title = "regression"
    gold_title, value_title, wrong = "number", "number", "numbers are wrong"
    wants = "a number a sentence"
    usual = ("score", "rating", "value", "number", "target", "stars", "urgency", "price")
    code = '{logits}.item() * {facts}["spread"] + {facts}["center"]'

    def read(self, value: Any, names: Sequence[str] | None, words: int | None) -> float:
        """The number; the source may write it as a number or as text."""
        if value is None:
            raise BadValue("the number is missing", "write a number")
        number = math.nan
        if not isinstance(value, bool):
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                number = float(value)
        if not math.isfinite(number):
            raise BadValue("{} is not a number", "write a number, such as 2.5", value)
        return number

    def learn(self, golds: Iterable[float | None]) -> Codes:
        """Mean and standard deviation."""
        numbers = np.array([gold for gold in golds if gold is not None], dtype=float)
        if not len(numbers):
            return Codes(spread=0.0)
        return Codes(center=float(numbers.mean()), spread=float(numbers.std()))

    def join(self, codes: Sequence[Codes]) -> Codes:
        """Mean and standard deviation of all data, with the same weight for each of ``codes``."""
        center = float(np.mean([part.center for part in codes]))
        squares = [part.spread**2 + (part.center - center) ** 2 for part in codes]
        return codes[0] if len(codes) == 1 else Codes((), center, float(np.mean(squares)) ** 0.5)

    def lack(self, codes: Codes) -> tuple[str, str] | None:
        """There must be two different numbers."""
        if codes.spread > 0:
            return None
        problem = f"every training sentence has the number {codes.center:g}"
        return problem, "regression needs two numbers or more"

    def summary(self, codes: Codes) -> str:
        """Mean and standard deviation."""
        return f"mean {codes.center:.3g}, standard deviation {codes.spread:.3g}"

    def outputs(self, codes: Codes) -> int:
        """One."""
        return 1

    def targets(self, gold: float | None, codes: Codes) -> float:
        """The number, standardised; NaN without gold."""
        return math.nan if gold is None else (gold - codes.center) / codes.spread

    def predicted(self, raw: np.ndarray, codes: Codes, words: np.ndarray) -> float:
        """The number."""
        return float(raw) * codes.spread + codes.center

    def score(self, pairs: Sequence[tuple[float, float]]) -> Scored:
        """Pearson's r and Spearman's rho as scipy computes them, undefined where gold or
        predictions do not vary, and the mean absolute error in the unit of the numbers.
        """
        from scipy import stats

        gold, predicted = np.array(pairs, dtype=float).T
        scores: dict[str, Score] = {"r": None, "rho": None}
        if len(pairs) > 1 and np.ptp(gold) and np.ptp(predicted):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", stats.NearConstantInputWarning)
                correlations = stats.pearsonr(gold, predicted), stats.spearmanr(gold, predicted)
            scores = {
                name: float(correlation.statistic) if math.isfinite(correlation.statistic) else None
                for name, correlation in zip(scores, correlations, strict=True)
            }
        return Scored({**scores, "mae": float(abs(gold - predicted).mean())})

    def columns(self, pairs: Sequence[tuple[float, float]]) -> dict[str, tuple[int | float, ...]]:
        """The gold and the predicted number."""
        gold, predicted = zip(*pairs, strict=True) if pairs else ((), ())
        return {"gold": gold, "predicted": predicted}

    def linear(self, columns: Columns) -> np.ndarray | None:
        """See :func:`mtlab.tasks.linear.correlation`."""
        gold, predicted = (np.array(columns[name], dtype=float) for name in ("gold", "predicted"))
        return linear.correlation(gold, predicted)
