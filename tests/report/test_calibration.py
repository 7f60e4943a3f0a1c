"""Intervals of scores that are no means over sentences, against simulated suites whose truth is known:
Pearson's r, F1 of labels, accuracy a word.

A seed's skill and a sentence's difficulty are normal; the truth is the mean over seeds of the score
that a seed would have on all sentences there are.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import ndtr

from mtlab.report.statistics import comparisons
from mtlab.report.statistics.intervals import Sample, estimate
from mtlab.tasks import linear

SENTENCES, LABELS, SHARE = 400, 5, 0.3
"""Test sentences, labels that there are, and the share of them that a sentence has."""
WORDS = np.arange(3, 20)
"""Lengths of sentences, one as frequent as another; longer ones are harder."""
SEEDS = (3, 5, 10)
SPREADS = ((0.0, 0.5), (0.02, 0.5), (0.1, 0.5), (0.1, 0.0), (0.02, 1.0), (0.1, 1.0))
"""Standard deviations of seeds' skill and of sentences' difficulty."""
SKILLS = (0.8, 0.6)
"""Of two scenarios."""
QUICK = {(3, (0.1, 0.5)), (10, (0.02, 1.0))}
"""The cells that every run of the tests simulates."""

Draw = Callable[[np.random.Generator, int, tuple[float, float]], list[Sample]]


def of_numbers(draw: np.random.Generator, seeds: int, spread: tuple[float, float]) -> list[Sample]:
    gold, hard = draw.normal(size=SENTENCES), draw.normal(0, spread[1], SENTENCES)

    def values(skill: float) -> np.ndarray:
        found = skill * gold + hard + draw.normal(0, 0.5, SENTENCES)
        return linear.correlation(gold, found)

    return _samples(draw, seeds, spread, values)


def of_labels(draw: np.random.Generator, seeds: int, spread: tuple[float, float]) -> list[Sample]:
    gold = draw.random((SENTENCES, LABELS)) < SHARE
    hard = draw.normal(0, spread[1], (SENTENCES, 1))

    def values(skill: float) -> np.ndarray:
        leaning = np.where(gold, skill, -skill) + hard
        found = leaning + draw.normal(size=gold.shape) > 0
        return linear.f1(*(each.sum(axis=1) for each in (found & gold, found, gold)))

    return _samples(draw, seeds, spread, values)


def of_words(draw: np.random.Generator, seeds: int, spread: tuple[float, float]) -> list[Sample]:
    words = draw.choice(WORDS, SENTENCES)
    easy = draw.normal(0, spread[1], SENTENCES) - _hardness(words)

    def values(skill: float) -> np.ndarray:
        return linear.ratio(draw.binomial(words, ndtr(skill + easy)), words)

    return _samples(draw, seeds, spread, values)


def _samples(
    draw: np.random.Generator,
    seeds: int,
    spread: tuple[float, float],
    values: Callable[[float], np.ndarray],
) -> list[Sample]:
    return [
        {seed: values(skill + draw.normal(0, spread[0])) for seed in range(seeds)}
        for skill in SKILLS
    ]


def _hardness(words: np.ndarray) -> np.ndarray:
    return 0.04 * (words - WORDS.mean())


def _correlation(skill: float, hard: float) -> float:
    return skill / math.sqrt(skill**2 + hard**2 + 0.5**2)


def _f1(skill: float, hard: float) -> float:
    right = ndtr(skill / math.sqrt(1 + hard**2))
    predicted = SHARE * right + (1 - SHARE) * (1 - right)
    return float(2 * SHARE * right / (predicted + SHARE))


def _accuracy(skill: float, hard: float) -> float:
    right = ndtr((skill - _hardness(WORDS)) / math.sqrt(1 + hard**2))
    return float((WORDS * right).sum() / WORDS.sum())


@dataclass(frozen=True)
class Metric:
    """How suites are drawn, and the true score of a seed with a skill."""

    draw: Draw
    of_seed: Callable[[float, float], float]

    def truth(self, skill: float, spread: tuple[float, float]) -> float:
        """The mean over seeds."""
        places, weights = np.polynomial.hermite_e.hermegauss(40)
        scores = [self.of_seed(skill + spread[0] * place, spread[1]) for place in places]
        return float(weights @ scores / weights.sum())


METRICS = {
    "r": Metric(of_numbers, _correlation),
    "label F1": Metric(of_labels, _f1),
    "accuracy a word": Metric(of_words, _accuracy),
}
CELLS = [
    pytest.param(
        *cell, marks=() if cell[1:] in QUICK else pytest.mark.nightly, id=" ".join(map(str, cell))
    )
    for cell in itertools.product(METRICS, SEEDS, SPREADS)
]


def covered(metric: Metric, seeds: int, spread: tuple[float, float], count: int) -> np.ndarray:
    """The shares of suites whose intervals hold the true score, and the true difference."""
    draw = np.random.default_rng(seeds)
    score, other = (metric.truth(skill, spread) for skill in SKILLS)
    held = np.zeros(2)
    for _ in range(count):
        mine, theirs = metric.draw(draw, seeds, spread)
        for at, (found, truth) in enumerate(
            (
                (estimate(mine), score),
                (comparisons.difference(mine, theirs), score - other),
            )
        ):
            assert found.low is not None and found.high is not None
            held[at] += found.low <= truth <= found.high
    return held / count


@pytest.mark.parametrize(("metric", "seeds", "spread"), CELLS)
def test_intervals_hold_the_truth_as_often_as_they_say(
    metric: str, seeds: int, spread: tuple[float, float]
) -> None:
    of_score, of_difference = covered(METRICS[metric], seeds, spread, 1000)
    assert 0.93 <= of_score <= 0.985
    assert 0.93 <= of_difference <= 0.985
