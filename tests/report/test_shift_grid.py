"""Simulated suites with test sets out of distribution: false words are rare, and true protection is
found."""

import numpy as np
import pytest

from mtlab.report.comparison import shifts
from mtlab.report.statistics import drops
from mtlab.report.statistics.intervals import Interval

from .shifted import NAMES, Shifted, bound, learnt, scores, simulate, wrong

__all__ = ["learnt"]  # a fixture

nightly = pytest.mark.nightly

QUICK = [
    Shifted(seeds=3, metric="gaussian"),
    Shifted(seeds=5, metric="gaussian", worse=0.1),
    Shifted(metric="f1", level=0.6, worse=0.1),
]
WHOLE = [
    Shifted(seeds=seeds, sizes=sizes, metric=metric, level=level, worse=worse)
    for seeds, sizes in ((3, (300, 100)), (5, (300, 150, 600)))
    for metric, level, worse in (
        ("gaussian", 0.9, 0.0),
        ("gaussian", 0.9, 0.1),
        ("accuracy", 0.9, 0.0),
        ("accuracy", 0.97, 0.05),
        ("accuracy", 0.6, 0.1),
        ("f1", 0.6, 0.0),
        ("f1", 0.85, 0.1),
    )
]


def rate(cell: Shifted, suites: int) -> float:
    return float(np.mean([wrong(cell, found) for found in simulate(cell, suites)]))


@pytest.mark.usefixtures("learnt")
@pytest.mark.parametrize("cell", QUICK, ids=str)
def test_false_words_are_rare(cell: Shifted) -> None:
    assert rate(cell, 60) <= bound(60)


@nightly
@pytest.mark.usefixtures("learnt")
@pytest.mark.parametrize("cell", WHOLE, ids=str)
def test_false_words_are_rare_in_the_whole_grid(cell: Shifted) -> None:
    assert rate(cell, 300) <= bound(300)


@nightly
@pytest.mark.usefixtures("learnt")
def test_a_family_that_leaves_out_scenarios_and_sets_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shifts, "planned", lambda _: 1)
    assert rate(QUICK[1], 300) > bound(300)


@pytest.mark.usefixtures("learnt")
def test_every_interval_has_its_share_of_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,), alone = simulate(Shifted(), 1), drops.Moved.interval
    asked: list[float] = []

    def noted(moved: drops.Moved, alpha: float, *some: float | None, generous: bool) -> Interval:
        asked.append(alpha)
        return alone(moved, alpha, *some, generous=generous)

    monkeypatch.setattr(drops.Moved, "interval", noted)
    (again,) = simulate(Shifted(), 1)
    assert [one.drop for one in again] == [one.drop for one in found]
    assert asked == pytest.approx([0.05 / (2 * 4 * 2)] * 8)


@pytest.mark.usefixtures("learnt")
def test_planted_protection_is_found_and_nothing_else() -> None:
    cell = Shifted(saved=0.9, sizes=(300, 600))
    found = [
        {(shift.scenario, shift.on.changed): shift.against.word for shift in one if shift.against}
        for one in simulate(cell, 25)
    ]
    for changed in (True, False):
        words = [one[NAMES[1], changed] for one in found]
        assert set(words) <= {"protects", "unclear"}
        assert words.count("protects") >= 0.8 * len(words)


def test_the_planted_losses_are_those_that_are_drawn() -> None:
    cell, draw = Shifted(saved=0.9, sentences=4_000, sizes=(4_000, 4_000)), np.random.default_rng(0)
    found = scores(cell, draw)
    for on in cell.sets:
        lost = (found[""].mean(axis=(1, 2)) - found[on.name].mean(axis=(1, 2))).round(2)
        assert lost[1] < 0.04 and (abs(lost[[0, 2, 3, 4]] - 0.14) < 0.04).all()
