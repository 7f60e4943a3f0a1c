"""Simulated suites for the grid that judges the rule of deciding (:mod:`tests.report.grid`).

Where scores are normal, the sufficient statistics are drawn, otherwise what every seed answers at
every test sentence.
"""

import math
from dataclasses import dataclass

import numpy as np

from mtlab.report.statistics import intervals, variances

LOOKS = (2, 3, 5, 8)
SEED_SD, MARGIN = 0.01, 0.02
"""Standard deviation over seeds of a score whose scale is 1, and the margin of equivalence."""


@dataclass(frozen=True)
class Cell:
    """One kind of suite.

    Attributes:
        looks: numbers of seeds.
        contrasts: scenarios beside the control.
        scales: who has larger standard deviations over seeds (:func:`scales_of`).
        share: of sentences in the variance of the mean difference of unpaired scores at five seeds.
        over_sentences: correlation of two scenarios over sentences.
        over_seeds: their correlation over seeds.
        noise: share of the seeds' variance that sentences alone make.
        law: of seeds: normal, t3, or skewed with the skewness.
        truth: the true differences (:func:`truth_of`).
        effect: their size.
        margin: of equivalence; 0 never ends a contrast early, so that most errors are possible.
        futility: whether contrasts end that no number of seeds can decide.
        metric: gaussian, accuracy or f1.
        level: of that metric.
        answers: of the seeds of a scenario: independent, moving (some seeds are better than
            others) or alike (they agree but for slips).
        slips: share of wrong answers that are slips.
    """

    looks: tuple[int, ...] = LOOKS
    contrasts: int = 5
    tasks: int = 1
    scales: str = "equal"
    share: float = 0.0
    over_sentences: float = 0.0
    over_seeds: float = 0.0
    noise: float = 0.0
    law: str = "normal"
    truth: str = "same"
    effect: float = MARGIN
    margin: float = 0.0
    futility: bool = False
    sentences: int = 300
    metric: str = "gaussian"
    level: float = 0.85
    answers: str = "independent"
    slips: float = 0.25

    @property
    def name(self) -> str:
        """The values that are not the usual ones."""
        told = [
            f"{key}={value}".replace(", ", "/").replace(",)", ")")
            for key, value in vars(self).items()
            if value != getattr(Cell(), key)
        ]
        return " ".join(told) or "usual"


@dataclass(frozen=True)
class Measured:
    """What a look sees of every contrast; arrays are (suites, tasks, contrasts).

    Attributes:
        own: the seeds' variance of the mean; nan where it cannot be estimated.
        counts: along the first axis: the largest difference of a seed at a sentence; how many
            sentences carry a difference; the sum of all losses and of all gains; how many losses
            and how many gains are at least half the largest; whether most sentences are equal. None
            where many sentences differ.
    """

    seeds: int
    mean: np.ndarray
    own: np.ndarray
    by_sentence: np.ndarray
    counts: np.ndarray | None = None

    def part(self, of: np.ndarray) -> "Measured":
        """Of some suites."""
        if of.all():
            return self
        counts = None if self.counts is None else self.counts[:, of]
        return Measured(self.seeds, self.mean[of], self.own[of], self.by_sentence[of], counts)


def scales_of(cell: Cell) -> np.ndarray:
    """Of the control and its rivals: how many times the usual standard deviation they have."""
    scales = np.ones(cell.contrasts + 1)
    kind, _, times = cell.scales.partition(" ")
    if kind == "control":
        scales[0] = float(times)
    elif kind == "rival":
        scales[1] = float(times)
    elif kind == "quiet":
        scales[:], scales[1] = 0.2, 3.0
    return scales * SEED_SD


def truth_of(cell: Cell) -> np.ndarray:
    """(tasks, contrasts): true differences to the control."""
    truth = np.zeros((cell.tasks, cell.contrasts))
    if cell.truth == "half":
        truth[:, 1::2] = -0.3
    elif cell.truth == "choice":
        truth[0] = -cell.effect
    elif cell.truth in ("gain", "loss"):
        truth[:] = cell.effect if cell.truth == "gain" else -cell.effect
    elif cell.truth == "both":
        truth[:] = cell.effect
        truth[:, ::2] = -cell.effect
    return truth


def _effects(cell: Cell, draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    if cell.law == "t3":
        return draw.standard_t(3, shape) / math.sqrt(3)
    if cell.law.startswith("skewed"):
        form = (2 / float(cell.law.split()[1])) ** 2
        return (draw.standard_gamma(form, shape) - form) / math.sqrt(form)
    return draw.standard_normal(shape)


def gaussian(cell: Cell, suites: int, draw: np.random.Generator, bug: str = "") -> list[Measured]:
    """Every look of suites whose sentences' effects are normal, by sufficient statistics."""
    shape = suites, cell.tasks, cell.contrasts + 1
    scales, common = scales_of(cell), cell.over_seeds
    seeds = math.sqrt(1 - common) * _effects(cell, draw, (*shape, cell.looks[-1]))
    if common:
        seeds += math.sqrt(common) * _effects(cell, draw, (*shape[:2], 1, cell.looks[-1]))
    seeds *= scales[:, None]
    differences = truth_of(cell)[..., None] + seeds[:, :, 1:] - seeds[:, :, :1]
    mean_variance = cell.share / (1 - cell.share) * SEED_SD**2 / 5 * (1 - cell.over_sentences)
    sentences = draw.normal(0, math.sqrt(mean_variance), shape)
    moved = sentences[..., 1:] - sentences[..., :1]
    df = cell.sentences - 1
    by_sentence = 2 * mean_variance * draw.chisquare(df, moved.shape) / df
    noise = cell.noise * (scales[0] ** 2 + scales[1:] ** 2) * (1 - common)
    return [
        Measured(
            look,
            differences[..., :look].mean(axis=3) + moved,
            np.maximum(
                differences[..., :look].var(axis=3, ddof=1), 0.0 if bug == "floor" else noise
            )
            / look,
            by_sentence * (bug != "sentences"),
        )
        for look in cell.looks
    ]


def _answers(cell: Cell, draw: np.random.Generator, chances: np.ndarray, suites: int) -> np.ndarray:
    """(suites, scenarios, seeds, sentences): what is right.

    Args:
        chances: of each scenario, at a sentence.
    """
    shape = suites, len(chances), cell.looks[-1], cell.sentences
    at = chances[:, None, None]
    if cell.answers == "moving":
        most = np.minimum(
            np.sqrt(3) * SEED_SD * scales_of(cell)[:, None, None], np.minimum(at, 1 - at)
        )
        return draw.random(shape, np.float32) < at + most * draw.uniform(-1, 1, (*shape[:3], 1))
    if cell.answers == "independent":
        return draw.random(shape, np.float32) < at
    slips = np.minimum(at, 1 - at) * cell.slips
    common = draw.random((suites, 1, 1, cell.sentences), np.float32)
    own = draw.random((*shape[:2], 1, cell.sentences), np.float32)
    same = draw.random((suites, 1, 1, cell.sentences), np.float32) < cell.over_sentences
    known = np.where(same, common, own) < (at - slips) / (1 - 2 * slips)
    return known ^ (draw.random(shape, np.float32) < slips)


def _accuracy(cell: Cell, draw: np.random.Generator, truth: np.ndarray, suites: int) -> np.ndarray:
    return _answers(cell, draw, cell.level + truth, suites).astype(np.float32)


def _f1(cell: Cell, draw: np.random.Generator, truth: np.ndarray, suites: int) -> np.ndarray:
    """What each sentence adds to F1: it has no, one or two entities, of which a share is found, and
    sometimes something else is.
    """
    wanted = cell.level + truth
    found = 1.5 * wanted / (2 - 0.5 * wanted)
    gold = draw.choice(3, (suites, 1, 1, cell.sentences), p=(0.3, 0.4, 0.3))
    right = sum(
        _answers(cell, draw, found, suites).astype(int) * (gold > index) for index in range(2)
    )
    return f1_values(right, right + _answers(cell, draw, (1 - found) / 2, suites), gold)


def f1_values(right: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """:func:`mtlab.tasks.linear.f1` of many, over the last axis."""
    under = (predicted + gold).astype(float)
    whole = 2 * right.sum(axis=-1, keepdims=True) / under.sum(axis=-1, keepdims=True)
    return whole + (2 * right - whole * under) / under.mean(axis=-1, keepdims=True)


def _counts(sums: np.ndarray, most: np.ndarray) -> list[np.ndarray]:
    """The counts of :class:`Measured` but the largest difference, of differences (..., sentences).

    Args:
        most: that a sentence's sum over seeds could be.
    """
    squares, most = sums * sums, most[..., None].astype(sums.dtype)
    over = np.einsum("...n,...n->...", squares, squares).astype(float)
    carrying = squares.sum(axis=-1).astype(float) ** 2 / np.where(over == 0, 1, over)
    sides = -np.minimum(sums, 0), np.maximum(sums, 0)
    equal = (abs(sums) < most / intervals.TRIFLE).mean(axis=-1) > 0.5
    lasting = [(side >= most / 2).sum(axis=-1) for side in sides]
    return [carrying, *(side.sum(axis=-1).astype(float) for side in sides), *lasting, equal]


def measure(tables: np.ndarray, looks: tuple[int, ...], bug: str = "") -> list[Measured]:
    """What every look sees of differences (..., seeds, sentences), as
    :func:`mtlab.report.statistics.variances.estimable` has it.
    """
    sentences, found = tables.shape[-1], []
    by_seed = tables.sum(axis=-1).astype(float) / sentences
    squares = np.einsum("...sn,...sn->...s", tables, tables).astype(float)
    farthest = abs(tables).max(axis=-1)
    for look in looks:
        sums, mean = tables[..., :look, :].sum(axis=-2), by_seed[..., :look].mean(axis=-1)
        own = by_seed[..., :look].var(axis=-1, ddof=1) / look
        total = np.einsum("...n,...n->...", sums, sums).astype(float) / look**2
        by_sentence = (total / sentences - mean**2) / (sentences - 1)
        size, largest = look * sentences, farthest[..., :look].max(axis=-1).astype(float)
        rest = squares[..., :look].sum(axis=-1) - size * (
            mean**2 + own * (look - 1) + by_sentence * (sentences - 1)
        )
        noise = np.maximum(rest, 0) / ((look - 1) * (sentences - 1)) / size
        nothing = variances.ROUNDING * largest
        known = np.ptp(sums, axis=-1) > nothing * look
        alike = np.ptp(by_seed[..., :look], axis=-1) <= nothing
        known &= ~(alike & (noise <= nothing**2))
        floored = own if bug == "floor" else np.maximum(own, noise)
        sentence_part = np.maximum(by_sentence - noise, 0) * (bug != "sentences")
        counts = np.stack([largest, *_counts(sums, largest * look)])
        counts[2:4] /= look
        if bug == "lasting":
            counts[4:6] = sentences
        own = np.where(known, floored, np.nan)
        found.append(Measured(look, mean, own, sentence_part, counts))
    return found


def values(cell: Cell, draw: np.random.Generator, truth: np.ndarray, suites: int) -> np.ndarray:
    """(suites, scenarios, seeds, sentences): what each sentence adds to a task's score.

    Args:
        truth: of each scenario, beside the level of the cell.
    """
    return (_f1 if cell.metric == "f1" else _accuracy)(cell, draw, truth, suites)


def discrete(cell: Cell, suites: int, draw: np.random.Generator, bug: str = "") -> list[Measured]:
    """Every look of suites whose sentences are drawn one by one."""
    chunks, at_once = (
        [],
        max(1, 2_000_000 // (cell.sentences * cell.looks[-1] * (cell.contrasts + 1))),
    )
    truth = np.concatenate([np.zeros((cell.tasks, 1)), truth_of(cell)], axis=1)
    for start in range(0, suites, at_once):
        count = min(at_once, suites - start)
        drawn = np.stack([values(cell, draw, of_task, count) for of_task in truth], axis=1)
        chunks.append(measure(drawn[:, :, 1:] - drawn[:, :, :1], cell.looks, bug))
    return [_joined(parts) for parts in zip(*chunks, strict=True)]


def _joined(parts: tuple[Measured, ...]) -> Measured:
    arrays = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("mean", "own", "by_sentence")
    )
    counts = [part.counts for part in parts if part.counts is not None]
    return Measured(parts[0].seeds, *arrays, np.concatenate(counts, axis=1))
