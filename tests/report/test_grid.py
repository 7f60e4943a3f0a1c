"""The rule of deciding keeps what it promises, in every cell of the grid, and a broken one does not."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from mtlab.report.comparison import decisions, training_failures
from mtlab.report.statistics import intervals, scale, variances
from mtlab.tasks import linear

from . import grid, grid_draws
from .grid import BETTER, outcome, simulate
from .grid_draws import LOOKS, MARGIN, Cell

FEWEST = decisions.FEWEST
WORDS = {"better": 1, "worse": -1, "equivalent": 0, "unclear": 2}

QUICK = [
    (Cell(contrasts=5), 4_000),
    (Cell(contrasts=5, scales="control 5"), 4_000),
    (Cell(contrasts=5, scales="quiet"), 4_000),
    (Cell(contrasts=5, share=0.8, over_sentences=0.5, over_seeds=0.5, scales="rival 5"), 4_000),
    (Cell(contrasts=5, law="t3"), 4_000),
    (Cell(contrasts=5, truth="half"), 4_000),
    (Cell(contrasts=5, scales="quiet", truth="both", margin=MARGIN), 4_000),
    (Cell(looks=(3,), contrasts=FEWEST, tasks=2, scales="control 5"), 8_000),
    (Cell(looks=(3,), contrasts=FEWEST, tasks=2, truth="choice", margin=MARGIN), 8_000),
    (Cell(looks=(5,), contrasts=1, share=0.95, sentences=100), 8_000),
    (Cell(metric="accuracy", level=0.967, answers="alike"), 300),
    (
        Cell(
            contrasts=1,
            metric="accuracy",
            level=0.95,
            slips=0.1,
            over_sentences=1.0,
            answers="alike",
            truth="loss",
            margin=MARGIN,
            sentences=100,
        ),
        1_500,
    ),
    (Cell(looks=(3,), contrasts=1, metric="f1", level=0.35, answers="alike"), 300),
]
"""Cells that every run of the tests simulates, and how many suites."""

BROKEN = {
    "tasks": Cell(looks=(5,), contrasts=1, tasks=2),
    "looks": Cell(contrasts=1),
    "sentences": Cell(tasks=2, share=0.5, over_sentences=0.5),
    "floor": Cell(contrasts=3, metric="accuracy", level=0.5, sentences=100),
    "shrinking": Cell(contrasts=15, margin=MARGIN, share=0.5, futility=True),
    "generous": Cell(looks=(3,), contrasts=FEWEST, tasks=2, scales="control 5"),
    "lasting": QUICK[-2][0],
}
"""A planted bug and a cell of the grid that tells it."""

nightly = pytest.mark.nightly


@pytest.mark.parametrize(("cell", "suites"), [pytest.param(*one, id=one[0].name) for one in QUICK])
def test_false_verdicts_are_rare(cell: Cell, suites: int) -> None:
    found = outcome(cell, suites)
    assert found.rate <= found.bound


@nightly
@pytest.mark.parametrize(
    "cell", [*grid.normal_cells(), *grid.discrete_cells()], ids=lambda cell: cell.name
)
def test_false_verdicts_are_rare_in_the_whole_grid(cell: Cell) -> None:
    found = outcome(cell, grid.suites_of(cell))
    assert found.rate <= found.bound


def test_the_grid_has_every_value_of_every_axis() -> None:
    normal, discrete = grid.normal_cells(), grid.discrete_cells()
    assert len(normal) > 100 and len(set(normal)) == len(normal)
    assert {cell.share for cell in normal} >= {0, 0.5, 0.8, 0.95}
    assert {cell.over_sentences for cell in normal} >= {0, 0.5, 0.9}
    assert {cell.over_seeds for cell in normal} >= {0, 0.5}
    assert {cell.contrasts for cell in normal} >= {1, FEWEST, 5, 15}
    assert {cell.tasks for cell in normal} == {1, 2}
    assert {cell.scales for cell in normal} == set(grid.PROFILES)
    assert {cell.truth for cell in normal} == {"same", "gain", "loss", "both", "half", "choice"}
    assert {cell.sentences for cell in discrete} >= {100, 300, 1309}
    assert {(cell.metric, cell.level) for cell in discrete} >= set(grid.LEVELS)
    assert set(grid.BUGS) == set(BROKEN)


@pytest.mark.parametrize(
    "bug",
    [pytest.param(bug, marks=() if bug in ("tasks", "generous") else nightly) for bug in grid.BUGS],
)
def test_a_broken_rule_is_told(bug: str) -> None:
    cell = BROKEN[bug]
    found, right = (outcome(cell, grid.suites_of(cell), each) for each in (bug, ""))
    assert right.rate <= found.bound < found.rate


@nightly
@pytest.mark.parametrize("cell", grid.limits(), ids=lambda cell: cell.name)
def test_leaning_seeds_of_a_noisy_scenario_are_beyond_every_t_interval(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not what moderation makes wrong: intervals of Student are wrong as often."""
    found = outcome(cell, grid.NORMAL_SUITES).rate
    monkeypatch.setattr(decisions, "FEWEST", cell.contrasts + 1)
    assert 0.04 < found <= outcome(cell, grid.NORMAL_SUITES).rate + 0.02


def test_power_is_what_is_computed_beforehand() -> None:
    """Student's t, not central, at five seeds; and plain draws of four looks at one contrast."""
    spread = math.sqrt(2) * grid_draws.SEED_SD
    fixed = Cell(looks=(5,), contrasts=1, truth="gain")
    away, reach = MARGIN / spread * math.sqrt(5), stats.t.ppf(0.975, 4)
    found = (simulate(fixed, 20_000).verdicts == BETTER).mean()
    assert found == pytest.approx(stats.nct.sf(reach, 4, away), abs=0.02)
    draw = np.random.default_rng(1).normal(MARGIN, spread, (20_000, LOOKS[-1]))
    told = np.zeros(len(draw))
    for seeds, alpha in zip(LOOKS, (0.002, 0.006, 0.012, 0.020), strict=True):
        some = draw[:, :seeds]
        half = stats.t.ppf(1 - alpha / 2, seeds - 1) * some.std(axis=1, ddof=1) / math.sqrt(seeds)
        told = np.where(
            told != 0, told, np.sign(some.mean(axis=1)) * (abs(some.mean(axis=1)) > half)
        )
    found = (simulate(Cell(contrasts=1, truth="gain"), 20_000).verdicts == BETTER).mean()
    assert found == pytest.approx((told == 1).mean(), abs=0.02)


@nightly
def test_power_with_sentences_is_what_is_computed_from_known_variances() -> None:
    cell = Cell(looks=(5,), contrasts=1, truth="gain", share=0.5)
    draw, count = np.random.default_rng(1), 6_000
    variance = 2 * grid_draws.SEED_SD**2 / 5  # of seeds, and as much of sentences
    means = draw.normal(MARGIN, math.sqrt(2 * variance), count)
    own = variance * draw.chisquare(4, count) / 4
    half = [
        variances.half_width(variances.Spread(one, 4, variance, cell.sentences - 1, 0.0), 0.95)
        for one in own
    ]
    found = (simulate(cell, 20_000).verdicts == BETTER).mean()
    assert found == pytest.approx((means > half).mean(), abs=0.02)


@pytest.mark.parametrize(
    ("dfs", "alpha"), [((1, 299), 0.002 / 30), ((4, 1308), 0.006), ((7, 99), 0.02 / 15)]
)
def test_interpolated_half_widths_are_those_of_the_rule(
    dfs: tuple[float, float], alpha: float
) -> None:
    own = 10.0 ** np.random.default_rng(0).uniform(-6, 3, 200)
    found = grid.half_widths(own, np.ones(200), dfs, alpha)
    exact = [
        variances.half_width(variances.Spread(one, dfs[0], 1.0, dfs[1], 0.0), 1 - alpha)
        for one in own
    ]
    assert found == pytest.approx(exact, rel=1e-4)


def test_verdicts_and_moderated_variances_are_those_of_the_rule() -> None:
    draw = np.random.default_rng(0)
    low = draw.normal(0, 0.03, 300)
    high = low + draw.exponential(0.02, 300)
    words = [
        scale.verdict(intervals.Interval(0.0, *ends, 3), MARGIN)
        for ends in zip(low.tolist(), high.tolist(), strict=True)
    ]
    assert [WORDS[word] for word in words] == grid.verdicts_of(low, high, MARGIN).tolist()
    for seeds, generous in itertools.product((2, 3), (False, True)):
        own, pooled = draw.exponential(1, (2, 50))
        found, df = grid.moderated(own, pooled, seeds, generous=generous)
        for at in range(50):
            spread = variances.Spread(own[at], seeds - 1, 1.0, 99, 0.0)
            exact = variances.moderated(spread, pooled[at], seeds, generous=generous)
            assert (exact.seeds, exact.seeds_df) == (pytest.approx(found[at]), df)


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_intervals_of_drawn_sentences_are_those_of_the_rule(metric: str) -> None:
    """Four of a hundred may differ: a count of sentences is rounded up, from 5.0000001 too."""
    draw, agree = np.random.default_rng(0), []
    for level, answers in itertools.product((0.05, 0.967, 0.995), ("independent", "alike")):
        cell = Cell(contrasts=2, metric=metric, level=level, answers=answers, sentences=100)
        values = grid_draws.values(cell, draw, np.zeros(3), 4)
        tables = values[:, None, 1:] - values[:, None, :1]
        for measured, pooled, alpha in itertools.product(
            grid_draws.measure(tables, LOOKS), (np.nan, 1e-4), (0.05, 0.0005)
        ):
            ends = grid.bounds(measured, np.full((4, 1, 1), pooled), alpha, 100)
            for at in np.ndindex(measured.mean.shape):
                sample = dict(enumerate(tables[at][: measured.seeds].astype(float)))
                exact = intervals.paired(sample, alpha, None if np.isnan(pooled) else pooled)
                found, known = [end[at] for end in ends], [exact.low, exact.high]
                wanted = np.array(known, float)
                agree.append(np.allclose(found, wanted, rtol=3e-4, atol=1e-6, equal_nan=True))
    assert np.mean(agree) >= 0.96


def test_drawn_contributions_to_f1_are_those_of_the_metric() -> None:
    draw = np.random.default_rng(0)
    gold = draw.integers(0, 3, 50)
    right = draw.binomial(gold, 0.6)
    predicted = right + draw.integers(0, 2, 50)
    exact = linear.f1(right, predicted, gold)
    assert grid_draws.f1_values(right, predicted, gold) == pytest.approx(exact)


@pytest.mark.parametrize(
    ("truth", "margin", "futility"), [("half", 0.08, False), ("both", 0.06, True)]
)
def test_suites_are_judged_as_reports_judge_them(
    truth: str, margin: float, futility: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look by look, with scenarios that stop: the verdicts and the seeds of the real comparison."""
    for name, said in (("beats_nothing", True), ("same_weights", False)):
        monkeypatch.setattr(decisions, name, lambda *_, said=said: said)
    monkeypatch.setattr(training_failures, "trains", lambda *_: True)
    monkeypatch.setattr(training_failures, "failures", lambda *_: [])
    cell = Cell(
        contrasts=FEWEST,
        tasks=2,
        metric="accuracy",
        level=0.9,
        over_sentences=0.5,
        answers="alike",
        truth=truth,
        effect=0.07,
        margin=margin,
        futility=futility,
    )
    draw = np.random.default_rng(0)
    levels = np.concatenate([np.zeros((2, 1)), grid_draws.truth_of(cell)], axis=1)
    tables = np.stack([grid_draws.values(cell, draw, one, 7) for one in levels], axis=1)
    measured = grid_draws.measure(tables[:, :, 1:] - tables[:, :, :1], LOOKS)
    judged = grid.judge(cell, measured)
    assert len(np.unique(judged.verdicts)) == 3 <= len(np.unique(judged.seeds))
    for at, suite in enumerate(tables):
        verdicts, seeds = in_production(cell, suite)
        assert verdicts == judged.verdicts[at].tolist()
        assert seeds == judged.seeds[at].tolist()


def in_production(cell: Cell, tables: np.ndarray) -> tuple[list[list[int]], list[int]]:
    """Verdicts by task and scenario, and the seeds that each scenario had, of a suite.

    Args:
        cell: of the suite.
        tables: (tasks, scenarios, seeds, sentences), the control first.
    """
    names = [f"scenario {index}" for index in range(tables.shape[1])]
    tasks = [SimpleNamespace(name=index, margin=cell.margin) for index in range(cell.tasks)]
    had = dict.fromkeys(names[1:], cell.looks[-1])

    def samples(task: SimpleNamespace) -> dict[str, intervals.Sample]:
        each = zip(names, tables[task.name].astype(float), strict=True)
        return {name: dict(enumerate(rows[: had.get(name, cell.looks[-1])])) for name, rows in each}

    group = SimpleNamespace(
        control=names[0],
        scenarios=names,
        tasks=tasks,
        every=tasks,
        looks=cell.looks,
        seeds=range(cell.looks[-1]),
        fellows=[],
        pilot=(),
        samples=samples,
        reaches=lambda name, look: look <= had.get(name, look),
    )
    for look in cell.looks:
        found = decisions.against_control(group, look)
        for name in names[1:]:
            over = all(
                contrast.ended if cell.futility else contrast.verdict != "unclear"
                for contrast in found
                if contrast.scenario == name
            )
            had[name] = min(had[name], look) if over else had[name]
    by_task = [
        [WORDS[one.verdict] for one in decisions.against_control(group) if one.task is task]
        for task in tasks
    ]
    return by_task, list(had.values())
