"""A pilot seed proposes scenarios on validation, and fresh seeds confirm them on test: what is proposed,
when it ends, and how often a scenario that loses the margin is recommended."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from mtlab.record.quality import Contributions, Metrics, TaskMetrics
from mtlab.record.records import Skipped, SuiteRecord, TrialRecord
from mtlab.report.comparison import choice, decisions
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.winner import winner
from mtlab.report.decision.box import box
from tests.replay_recommend import LOST, replayed

from . import tables
from .tables import CONTROL, MARGIN, RIVALS

HEADS, TOP = RIVALS[0], "gradual_unfreeze"
FRESH = (2, 3, 5)
"""Looks, in fresh seeds."""
GOOD = {HEADS: 0.9, TOP: 0.9, CONTROL: 0.9}


def validated(trial: TrialRecord, score: float) -> TrialRecord:
    scored = TaskMetrics(scores={"accuracy": score, "macro_f1": score}, loss=0.1, sentences=300)
    return trial.model_copy(update={"validation": Metrics(by_task={"classifier": scored})})


def after_pilot(
    pilot: Mapping[str, float],
    fresh: Mapping[str, np.ndarray] | None = None,
    looks: tuple[int, ...] = FRESH,
) -> tuple[SuiteRecord, list[TrialRecord]]:
    """A suite after its pilot: scenario to validation score of the pilot, and to the test results of
    fresh seeds, for those that ran."""
    fresh, planned = fresh or {}, 1 + looks[-1]
    sentences = next((table.shape[1] for table in fresh.values()), 300)
    nothing = {name: tables.control(1, sentences) for name in pilot}
    shown = {
        name: np.concatenate([nothing[name], fresh[name]]) if name in fresh else nothing[name]
        for name in pilot
    }
    asked = {"looks": [1, *(1 + look for look in looks)], "pilot": 1}
    suite, trials = tables.ran(shown, planned=planned, **asked)
    seeds = {name: 1 + len(fresh.get(name, ())) for name in pilot}
    skipped = [
        Skipped(scenario=name, seed=seed, point={})
        for name in pilot
        for seed in range(seeds[name] if fresh else planned, planned)
    ]
    trials = [validated(trial, pilot[trial.scenario]) for trial in trials]
    return suite.model_copy(update={"skipped": tuple(skipped)}), trials


def the_group(
    pilot: Mapping[str, float],
    fresh: Mapping[str, np.ndarray] | None = None,
    looks: tuple[int, ...] = FRESH,
) -> Group:
    (group,) = groups(*after_pilot(pilot, fresh, looks))
    return group


def wanted(pilot: Mapping[str, float], fresh: Mapping[str, np.ndarray] | None = None) -> set[str]:
    suite, trials = after_pilot(pilot, fresh)
    look = 1 + max((len(table) for table in (fresh or {}).values()), default=0)
    return {name for _, name in choice.still_open(suite, trials, look)}


def test_the_candidate_is_the_cheapest_within_the_margin_on_validation() -> None:
    assert choice.candidate(the_group(GOOD)) == HEADS
    assert choice.candidate(the_group({**GOOD, HEADS: 0.9 - 1.1 * MARGIN})) == TOP
    assert choice.candidate(the_group({**GOOD, HEADS: 0.9 - 0.9 * MARGIN})) == HEADS
    dearer = {**GOOD, "ner_head_frozen": 0.99, CONTROL: 0.9}
    assert choice.candidate(the_group(dearer)) is None, "all are behind the best"


def test_the_best_must_be_matched_where_it_is_ahead_of_the_control_by_the_margin() -> None:
    ahead = {**GOOD, "ner_head_frozen": 0.9 + 1.1 * MARGIN}
    assert choice.references(the_group(ahead)) == [CONTROL, "ner_head_frozen"]
    near = {**GOOD, "ner_head_frozen": 0.9 + 0.9 * MARGIN}
    assert choice.references(the_group(near)) == [CONTROL]


def test_the_pilot_decides_what_runs_with_fresh_seeds() -> None:
    assert wanted(GOOD) == {HEADS, CONTROL}
    assert wanted({**GOOD, HEADS: 0.5}) == {TOP, CONTROL}
    assert wanted({HEADS: 0.5, CONTROL: 0.9}) == set(), "nothing is left to confirm"


def test_the_pilots_test_scores_are_in_no_comparison() -> None:
    group = the_group(GOOD, {name: tables.control(3, 300) for name in GOOD})
    assert group.seeds == (1, 2, 3) and {trial.seed for trial in group.pilot} == {0}
    assert all(trial.seed for trial in group.trials)


def test_the_cheapest_that_is_shown_within_the_margin_ends_the_search() -> None:
    fresh = {
        HEADS: tables.noisy(0.0, 5),
        TOP: tables.noisy(0.0, 5, spread=0.02, draw=4),
        CONTROL: tables.control(5, 300),
    }
    assert choice.judged(the_group(GOOD, fresh), HEADS) == "accepted"
    assert wanted(GOOD, fresh) == set()
    found = winner(the_group(GOOD, fresh))
    assert found is not None and found.scenario == HEADS and found.shown
    suite, trials = after_pilot(GOOD, fresh)
    said = box(suite, groups(suite, trials), the_group(GOOD, fresh))
    assert said.sure == "at most 5% that it loses 0.02 of accuracy, with 5 seeds."
    assert said.change == "it is settled for these data." and "mtlab export " in said.step


def test_what_must_be_matched_is_not_recommended_as_a_second_candidate() -> None:
    """The best on validation costs less than the control, but another costs less still."""
    pilot = {HEADS: 0.9 + 0.3 * MARGIN, TOP: 0.9 + 1.2 * MARGIN, CONTROL: 0.9}
    fresh = {HEADS: tables.noisy(-0.3, 5), TOP: tables.noisy(0.0, 5, draw=2)}
    fresh |= {CONTROL: tables.control(5, 300)}
    group = the_group(pilot, fresh)
    flops = {HEADS: 1, TOP: 3, CONTROL: 4}
    trials = tuple(
        trial.model_copy(
            update={
                "train_flops": flops[trial.scenario],
                "wall_plain_s": float(flops[trial.scenario]),
            }
        )
        for trial in (*group.pilot, *group.trials)
    )
    group = replace(
        group,
        pilot=tuple(trial for trial in trials if not trial.seed),
        trials=tuple(trial for trial in trials if trial.seed),
        fellows=[],
    )
    assert choice.candidate(group) == HEADS
    assert choice.judged(group, TOP) == "accepted", "it would be, were it a candidate"
    assert choice.references(group) == [CONTROL, TOP]
    found = winner(group)
    assert found is not None and found.scenario == TOP and not found.shown


def test_every_task_must_be_good() -> None:
    """By the contrasts of two tasks, one of which is lost."""
    fresh = {name: tables.control(5, 300) for name in (HEADS, CONTROL)}
    fresh[HEADS] = tables.noisy(0.0, 5)
    group = the_group({HEADS: 0.9, CONTROL: 0.9}, fresh)
    second = replace(group.every[0], name="other")
    lost = {HEADS: tables.noisy(-0.3, 5), CONTROL: tables.control(5, 300)}
    trials = tuple(
        trial.model_copy(
            update={
                "contributions": Contributions(
                    by_task={
                        "classifier": trial.contributions.by_task["classifier"],
                        "other": {"right": tuple(lost[trial.scenario][trial.seed - 1].tolist())},
                    }
                ),
                "test": Metrics(
                    by_task={
                        **trial.test.by_task,
                        "other": trial.test.by_task["classifier"],
                    }
                ),
            }
        )
        for trial in group.trials
    )
    both = replace(group, every=(*group.every, second), trials=trials, fellows=[])
    assert choice.judged(group, HEADS) == "accepted"
    assert choice.judged(both, HEADS) != "accepted"


def test_one_that_loses_is_rejected_and_one_that_is_unclear_goes_on() -> None:
    lost = {HEADS: tables.noisy(-0.3, 3), CONTROL: tables.control(3, 300)}
    assert choice.judged(the_group(GOOD, lost), HEADS) == "rejected"
    assert wanted(GOOD, lost) == set()
    wide = {**lost, HEADS: tables.noisy(-0.005, 3, spread=0.02, draw=4)}
    assert choice.judged(the_group(GOOD, wide), HEADS) == "open"
    assert wanted(GOOD, wide) == {HEADS, CONTROL}


def test_without_a_candidate_the_best_of_the_pilot_is_recommended() -> None:
    suite, trials = after_pilot({HEADS: 0.5, CONTROL: 0.9})
    none = suite.model_copy(
        update={
            "skipped": tuple(
                Skipped(scenario=name, seed=seed, point={})
                for name in (HEADS, CONTROL)
                for seed in range(1, 6)
            )
        }
    )
    (group,) = groups(none, trials)
    found = winner(group)
    assert found is not None and found.scenario == CONTROL and not found.shown
    said = box(none, [group], group)
    assert CONTROL in said.answer and "pilot" in said.sure


def test_a_pilot_that_failed_is_no_candidate() -> None:
    suite, trials = after_pilot(GOOD)
    broken = [
        trial.model_copy(update={"status": "diverged", "validation": None})
        if trial.scenario == HEADS
        else trial
        for trial in trials
    ]
    (group,) = groups(suite, broken)
    assert choice.candidate(group) == TOP


def test_each_end_of_an_interval_has_the_whole_error() -> None:
    fresh = {name: tables.control(5, 300) for name in GOOD}
    fresh[HEADS] = tables.noisy(0.0, 5)
    group = the_group(GOOD, fresh)
    (contrast,) = [one for one in decisions.against_control(group) if one.scenario == HEADS]
    assert decisions.planned(group) == 1 and 0.05 < contrast.alpha <= 0.1


def accepted(
    draws: int, effect: float, spread: float, noise: float, looks: tuple[int, ...] = FRESH
) -> float:
    """The share of suites that recommend a candidate with this true effect, by the whole procedure.

    Args:
        draws: suites.
        effect: the candidate's true difference to the control.
        spread: standard deviation of a seed's difference.
        noise: standard deviation of a sentence's difference, and of what seed and sentence add.
        looks: fresh seeds.
    """
    random, wrong = np.random.default_rng(7), 0
    for _ in range(draws):
        table = 0.9 + effect + random.normal(0, noise, 200)
        table = table + random.normal(0, spread, (looks[-1], 1))
        table = table + random.normal(0, noise, (looks[-1], 200))
        for look in looks:
            fresh = {HEADS: table[:look], CONTROL: tables.control(look, 200)}
            if choice.judged(the_group(GOOD, fresh, looks), HEADS, look) == "accepted":
                wrong += 1
                break
    return wrong / draws


@pytest.mark.parametrize(("spread", "noise"), [(0.01, 0.05), (0.003, 0.1), (0.02, 0.02)])
def test_a_loss_of_the_margin_is_recommended_in_at_most_one_suite_of_twenty(
    spread: float, noise: float
) -> None:
    assert accepted(60, -MARGIN, spread, noise) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


@pytest.mark.nightly
@pytest.mark.parametrize("looks", [(3,), FRESH])
@pytest.mark.parametrize(
    ("spread", "noise"), [(0.01, 0.05), (0.003, 0.1), (0.02, 0.02), (0.0, 0.1)]
)
def test_the_same_in_many_suites(spread: float, noise: float, looks: tuple[int, ...]) -> None:
    share = accepted(1500, -MARGIN, spread, noise, looks)
    assert share <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 1500)


@pytest.mark.nightly
def test_reports_tell_what_the_replays_came_to() -> None:
    choices = replayed()["all", "recommend"]
    wrong = [shortfall for is_wrong, shortfall, _ in choices if is_wrong]
    assert len(choices) == choice.REPLAYS and len(wrong) == choice.MISSED
    assert max(shortfall for _, shortfall, _ in choices) <= choice.LARGEST < LOST


def test_an_equal_candidate_is_mostly_found() -> None:
    assert accepted(20, 0.0, 0.004, 0.05) >= 0.8
