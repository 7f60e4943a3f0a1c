"""Simulated suites with test sets out of distribution, judged by the real comparison."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from mtlab.report.comparison import decisions, shifts, training_failures
from mtlab.report.comparison.groups import OtherSet
from mtlab.report.comparison.shifts import Shift

from . import grid_draws

NAMES = ("control", "a", "b", "c", "d")
LOSS = 0.15
"""The share of right answers that a set costs the control."""


@dataclass(frozen=True)
class Shifted:
    """One kind of suite.

    Attributes:
        seeds: of each scenario.
        sizes: sentences of each set; as many as test has, where it is test, changed.
        metric: accuracy or f1, whose seeds hardly differ; or gaussian, where seeds and sentences do.
        level: of the control on test.
        worse: how much worse every second rival is, on test and on every set from another source.
        saved: the part of the control's loss that the first rival does not have.
    """

    seeds: int = 5
    sizes: tuple[int, ...] = (300, 150)
    metric: str = "accuracy"
    level: float = 0.9
    worse: float = 0.0
    saved: float = 0.0
    sentences: int = 300

    @property
    def sets(self) -> tuple[OtherSet, ...]:
        """The first is test, changed, unless rivals are worse: a part of a lower score is less."""
        return tuple(
            OtherSet(f"set {at}", "", at == 0 and not self.worse, size)
            for at, size in enumerate(self.sizes)
        )


def scores(cell: Shifted, draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Name of a set to (scenarios, seeds, sentences); that of test is empty."""
    drop = -np.array([cell.worse * (at % 2) for at in range(len(NAMES))])
    lost = np.full(len(NAMES), LOSS)
    lost[1] *= 1 - cell.saved
    found = {"": values(cell, draw, drop, cell.sentences)}
    for on in cell.sets:
        if on.changed and cell.metric == "gaussian":
            found[on.name] = found[""] + values(cell, draw, -lost, on.sentences) - cell.level
        elif on.changed:
            own = draw.random((len(NAMES), cell.seeds, on.sentences))
            common = draw.random(own.shape) < 0.8
            hard = np.where(common, draw.random((1, 1, on.sentences)), own)
            found[on.name] = found[""] * (hard > lost[:, None, None])
        else:
            found[on.name] = values(cell, draw, drop - lost, on.sentences)
    return found


def values(
    cell: Shifted, draw: np.random.Generator, truth: np.ndarray, sentences: int
) -> np.ndarray:
    """(scenarios, seeds, sentences): what each sentence adds, of scores this much above the level."""
    if cell.metric == "gaussian":
        shape = len(NAMES), cell.seeds, sentences
        by_seed = draw.normal(0, grid_draws.SEED_SD, (*shape[:2], 1))
        by_sentence = draw.normal(0, 0.1, (shape[0], 1, sentences))
        return (
            cell.level + truth[:, None, None] + by_seed + by_sentence + draw.normal(0, 0.1, shape)
        )
    drawn = grid_draws.Cell(
        looks=(cell.seeds,),
        contrasts=len(NAMES) - 1,
        metric=cell.metric,
        level=cell.level,
        over_sentences=0.5,
        answers="alike",
        sentences=sentences,
    )
    return grid_draws.values(drawn, draw, truth, 1)[0].astype(float)


def suite(cell: Shifted, found: dict[str, np.ndarray], on: str = "") -> SimpleNamespace:
    """A group of one task with these scores on a set in place of those on test."""
    task = SimpleNamespace(
        name="task", margin=grid_draws.MARGIN, kind=SimpleNamespace(limits=(0.0, 1.0))
    )
    samples = {name: dict(enumerate(rows)) for name, rows in zip(NAMES, found[on], strict=True)}
    return SimpleNamespace(
        control=NAMES[0],
        scenarios=NAMES,
        tasks=[task],
        every=[task],
        looks=(),
        seeds=range(cell.seeds),
        fellows=[],
        good=[],
        pilot=(),
        also=cell.sets,
        samples=lambda _: samples,
        reaches=lambda *_: True,
        on=lambda name: suite(cell, found, name),
    )


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scenario trains and learns."""
    for name, said in (("beats_nothing", True), ("same_weights", False)):
        monkeypatch.setattr(decisions, name, lambda *_, said=said: said)
    monkeypatch.setattr(training_failures, "trains", lambda *_: True)
    monkeypatch.setattr(training_failures, "failures", lambda *_: [])


def simulate(cell: Shifted, suites: int) -> list[list[Shift]]:
    """The shifts of suites of a cell, the same ones at each call."""
    draw = np.random.default_rng(7)
    return [shifts.shifts(suite(cell, scores(cell, draw))) for _ in range(suites)]


def wrong(cell: Shifted, found: Sequence[Shift]) -> bool:
    """Whether any word, or verdict on a set, is false: all drops are the same but for what is saved."""
    for shift in found:
        at = NAMES.index(shift.scenario)
        if shift.against is None or (at == 1 and cell.saved):
            continue
        truth = -cell.worse * (at % 2)
        said = shift.against.there.verdict
        if shift.against.word != "unclear" or (said == "better" and truth <= 0):
            return True
        if (said == "worse" and truth >= 0) or (
            said == "equivalent" and abs(truth) >= grid_draws.MARGIN
        ):
            return True
    return False


def bound(suites: int) -> float:
    """A rule that errs in 5% of suites stays below it, but for two standard deviations."""
    return 0.05 + 2 * math.sqrt(0.05 * 0.95 / suites)
