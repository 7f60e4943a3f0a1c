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

from . import tables
from .tables import CONTROL, MARGIN, RIVALS

HEADS, TOP = RIVALS[0], "gradual_unfreeze"
FRESH = (2, 3, 5)
"""Looks, in fresh seeds."""
ASKED = {"looks": [1, *(1 + look for look in FRESH)], "pilot": 1}
GOOD = {HEADS: 0.9, TOP: 0.9, CONTROL: 0.9}


def validated(trial: TrialRecord, score: float) -> TrialRecord:
    scored = TaskMetrics(scores={"accuracy": score, "macro_f1": score}, loss=0.1, sentences=300)
    return trial.model_copy(update={"validation": Metrics(by_task={"classifier": scored})})


def after_pilot(
    pilot: Mapping[str, float], fresh: Mapping[str, np.ndarray] | None = None
) -> tuple[SuiteRecord, list[TrialRecord]]:
    """A suite after its pilot: scenario to validation score of the pilot, and to the test results of
    fresh seeds, for those that ran."""
    fresh = fresh or {}
    sentences = next((table.shape[1] for table in fresh.values()), 300)
    nothing = {name: tables.control(1, sentences) for name in pilot}
    shown = {
        name: np.concatenate([nothing[name], fresh[name]]) if name in fresh else nothing[name]
        for name in pilot
    }
    suite, trials = tables.ran(shown, planned=6, **ASKED)
    seeds = {name: 1 + len(fresh.get(name, ())) for name in pilot}
    skipped = [
        Skipped(scenario=name, seed=seed, point={})
        for name in pilot
        for seed in range(seeds[name] if fresh else 6, 6)
    ]
    trials = [validated(trial, pilot[trial.scenario]) for trial in trials]
    return suite.model_copy(update={"skipped": tuple(skipped)}), trials


def the_group(pilot: Mapping[str, float], fresh: Mapping[str, np.ndarray] | None = None) -> Group:
    (group,) = groups(*after_pilot(pilot, fresh))
    return group


def wanted(pilot: Mapping[str, float], fresh: Mapping[str, np.ndarray] | None = None) -> set[str]:
    suite, trials = after_pilot(pilot, fresh)
    look = 1 + max((len(table) for table in (fresh or {}).values()), default=0)
    return {name for _, name in choice.still_open(suite, trials, look)}


def test_candidates_are_cheaper_and_within_the_margin_on_validation() -> None:
    assert choice.candidates(the_group(GOOD)) == [HEADS, TOP], "the cheapest first"
    assert choice.candidates(the_group({**GOOD, HEADS: 0.9 - 1.1 * MARGIN})) == [TOP]
    assert choice.candidates(the_group({**GOOD, HEADS: 0.9 - 0.9 * MARGIN})) == [HEADS, TOP]
    dearer = {**GOOD, "ner_head_frozen": 0.99, CONTROL: 0.9}
    assert choice.candidates(the_group(dearer)) == [], "all are behind the best"
    assert choice.references(the_group(dearer)) == [CONTROL, "ner_head_frozen"]


def test_there_are_at_most_two() -> None:
    three = {**GOOD, "top_1": 0.9}
    assert len(choice.candidates(the_group(three))) == choice.MOST == 2


def test_the_pilot_decides_what_runs_with_fresh_seeds() -> None:
    assert wanted(GOOD) == {HEADS, TOP, CONTROL}
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


def test_what_must_be_matched_is_not_recommended_as_a_third_candidate() -> None:
    """The best on validation costs less than the control, but two others cost less still."""
    pilot = {HEADS: 0.9, "top_1": 0.9, "top_2": 0.91, CONTROL: 0.9}
    fresh = {name: tables.noisy(-0.3, 5, draw=at) for at, name in enumerate((HEADS, "top_1"))}
    fresh |= {"top_2": tables.noisy(0.0, 5, draw=2), CONTROL: tables.control(5, 300)}
    group = the_group(pilot, fresh)
    flops = {HEADS: 1, "top_1": 2, "top_2": 3, CONTROL: 4}
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
    assert choice.candidates(group) == [HEADS, "top_1"]
    assert choice.judged(group, "top_2") == "accepted", "it would be, were it a candidate"
    assert choice.references(group) == [CONTROL, "top_2"]
    found = winner(group)
    assert found is not None and found.scenario == "top_2" and not found.shown


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


def test_one_that_loses_is_rejected_and_the_next_is_asked() -> None:
    wide = tables.noisy(-0.005, 3, spread=0.02, draw=4)
    fresh = {HEADS: tables.noisy(-0.3, 3), TOP: wide, CONTROL: tables.control(3, 300)}
    assert choice.judged(the_group(GOOD, fresh), HEADS) == "rejected"
    assert choice.judged(the_group(GOOD, fresh), TOP) == "open"
    assert wanted(GOOD, fresh) == {TOP, CONTROL}


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
    assert choice.candidates(group) == [TOP]


def test_every_interval_has_a_candidates_own_error() -> None:
    fresh = {name: tables.control(5, 300) for name in GOOD}
    fresh[HEADS] = tables.noisy(0.0, 5)
    group = the_group(GOOD, fresh)
    (contrast,) = [one for one in decisions.against_control(group) if one.scenario == HEADS]
    assert decisions.planned(group) == 1 and contrast.alpha <= 0.05


def accepted(draws: int, effect: float, spread: float, noise: float) -> float:
    """The share of suites that recommend one of two candidates, both with this true effect, by the
    whole sequential procedure."""
    random, wrong = np.random.default_rng(7), 0
    for _ in range(draws):
        every = {
            name: 0.9
            + effect
            + random.normal(0, spread, (5, 1))
            + random.normal(0, noise, 200)
            + random.normal(0, noise, (5, 200))
            for name in (HEADS, TOP)
        }
        for look in FRESH:
            fresh = {name: table[:look] for name, table in every.items()}
            group = the_group(GOOD, {**fresh, CONTROL: tables.control(look, 200)})
            if "accepted" in [choice.judged(group, name, look) for name in (HEADS, TOP)]:
                wrong += 1
                break
    return wrong / draws


@pytest.mark.parametrize(("spread", "noise"), [(0.01, 0.05), (0.003, 0.1), (0.02, 0.02)])
def test_a_loss_of_the_margin_is_recommended_in_at_most_one_suite_of_twenty(
    spread: float, noise: float
) -> None:
    assert accepted(60, -MARGIN, spread, noise) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("spread", "noise"), [(0.01, 0.05), (0.003, 0.1), (0.02, 0.02), (0.0, 0.1)]
)
def test_the_same_in_many_suites(spread: float, noise: float) -> None:
    assert accepted(1500, -MARGIN, spread, noise) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 1500)


def test_an_equal_candidate_is_mostly_found() -> None:
    assert accepted(20, 0.0, 0.004, 0.05) >= 0.8
