"""Runs that did not train are counted apart, and leave what they take part in unclear."""

import numpy as np

from mtlab.record.records import TrialRecord
from mtlab.report.comparison import decisions, training_failures
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.winner import winner
from mtlab.report.sections import certainty

from . import factory, tables
from .tables import CONTROL, LEVEL, MARGIN, NOTHING, RIVALS, UNTRAINED

SEEDS = 5
SAME = tables.noisy(0.0, SEEDS, 0.001)
"""Results that are equivalent to the control's."""


def shown(rival: np.ndarray, control: np.ndarray | None = None, **changes) -> Group:
    """A cheap rival and the control, of which the control scores highest on validation."""
    standing = tables.control(SEEDS, 300) if control is None else control
    return tables.group({RIVALS[0]: rival, CONTROL: standing}, **changes)


def only(group: Group) -> Contrast:
    (found,) = decisions.against_control(group)
    return found


def failures(group: Group, scenario: str = RIVALS[0]) -> list[int]:
    return training_failures.failures(group, scenario, group.every[0], group.seeds)


def collapsed(table: np.ndarray, *seeds: int, at: float = UNTRAINED + MARGIN / 2) -> np.ndarray:
    """The results with some seeds at no training."""
    fallen = table.copy()
    fallen[list(seeds)] += at - fallen[list(seeds)].mean(axis=1, keepdims=True)
    return fallen


def test_a_scenario_that_trains_well_has_no_failures_and_is_recommended() -> None:
    group = shown(SAME)
    assert failures(group) == [] and only(group).verdict == "equivalent"
    found = winner(group)
    assert found is not None and found.shown and found.scenario == RIVALS[0]


def test_a_run_that_collapsed_leaves_the_verdict_unclear_and_wins_nothing() -> None:
    group = shown(collapsed(SAME, 3))
    assert failures(group) == [3]
    found, best = only(group), winner(group)
    assert (found.verdict, found.reason, found.ended) == ("unclear", decisions.FAILED, True)
    assert found.interval.low is None and found.interval.high is None and not found.as_good
    assert best is not None and not best.shown and best.scenario == CONTROL
    assert "runs failed to train" in certainty.section(group, {})


def test_a_run_that_diverged_leaves_the_verdict_unclear_and_recommends_nothing() -> None:
    group = shown(SAME, failed=[(RIVALS[0], 3)])
    assert failures(group) == [3]
    found = only(group)
    assert (found.verdict, found.reason, found.interval.n) == ("unclear", decisions.FAILED, 4)
    assert found.interval.low is None and not found.as_good
    assert winner(group) is None
    assert "runs failed to train" in certainty.section(group, {})


def test_a_control_that_failed_leaves_every_verdict_unclear() -> None:
    for group in (
        shown(SAME, collapsed(tables.control(SEEDS, 300), 1)),
        shown(SAME, failed=[(CONTROL, 1)]),
    ):
        assert failures(group, CONTROL) == [1] and failures(group) == []
        assert only(group).reason == decisions.FAILED


def test_what_the_machine_broke_is_no_failure_of_training() -> None:
    suite, trials = tables.ran({RIVALS[0]: SAME, CONTROL: tables.control(SEEDS, 300)})

    def ended(trial: TrialRecord) -> TrialRecord:
        lost = trial.scenario == RIVALS[0] and trial.seed == 3
        gone = {"status": "out of memory", "test": None, "contributions": None}
        return trial.model_copy(update=gone) if lost else trial

    (group,) = groups(suite, [ended(trial) for trial in trials])
    assert failures(group) == []
    assert (only(group).verdict, only(group).interval.n) == ("equivalent", 4)


def test_a_failure_after_the_look_that_decided_changes_nothing() -> None:
    better = LEVEL + 0.1 + np.random.default_rng(0).normal(0, 1e-4, (SEEDS, 300))
    group = shown(collapsed(better, 4), looks=[2, 5])
    assert (only(group).verdict, only(group).look) == ("better", 2)
    assert training_failures.failures(group, RIVALS[0], group.every[0], [0, 1]) == []


def test_a_scenario_that_never_learns_has_no_failures() -> None:
    """That it does not learn is a result."""
    flat = tables.noisy(UNTRAINED - LEVEL, SEEDS, 0.001)
    group = shown(flat)
    assert failures(group) == [] and only(group).verdict == "worse"
    lucky = flat.copy()
    lucky[0] += 0.5  # one seed of five learns; the median does not
    assert failures(shown(lucky)) == []


def test_a_run_has_failed_up_to_the_margin_above_no_training_where_the_median_is_twice_as_far() -> (
    None
):
    edge = collapsed(SAME, 3, at=UNTRAINED + MARGIN - 0.001)
    above = collapsed(SAME, 3, at=UNTRAINED + MARGIN + 0.001)
    assert failures(shown(edge)) == [3] and failures(shown(above)) == []
    low = collapsed(SAME, 3, at=UNTRAINED)
    for median, failed in ((2 * MARGIN - 0.002, []), (2 * MARGIN + 0.002, [3])):
        moved = collapsed(low, 0, 1, 2, 4, at=UNTRAINED + median)
        assert failures(shown(moved)) == failed


def test_no_training_is_the_untrained_network_or_the_best_constant_answer() -> None:
    fallen = collapsed(SAME, 3, at=0.61)
    for constant, floor in ((None, UNTRAINED), (0.1, UNTRAINED), (0.6, 0.6)):
        group = shown(fallen, constant=constant)
        assert training_failures.baseline(group, group.every[0]) == floor
        assert failures(group) == ([3] if floor == 0.6 else [])


def test_after_a_checkpoint_the_first_epoch_is_no_baseline() -> None:
    suite, trials = tables.ran({RIVALS[0]: SAME, CONTROL: tables.control(SEEDS, 300)}, constant=0.1)
    started = [trial.model_copy(update={"start": factory.sha("start")}) for trial in trials]
    (group,) = groups(suite, started)
    assert training_failures.baseline(group, group.every[0]) == 0.1


def test_what_has_stages_without_trained_parts_trains_nothing() -> None:
    shown_too = {NOTHING: SAME, RIVALS[0]: SAME, CONTROL: tables.control(SEEDS, 300)}
    group = tables.group(shown_too)
    assert [training_failures.trains(group, name) for name in shown_too] == [False, True, True]
