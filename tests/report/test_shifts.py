"""Out of distribution: a family of its own, in words that the intervals bear out, and nothing else of
a report depends on it."""

from typing import Any

import numpy as np
import pytest

from mtlab.record.records import AlsoTested, SuiteRecord, TrialRecord
from mtlab.report.comparison import choice, decisions, shifts
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.shifts import Shift
from mtlab.report.decision.box import box
from mtlab.report.view import View

from . import factory, tables
from .tables import CONTROL, RIVALS

Records = tuple[SuiteRecord, list[TrialRecord]]

LOSSES = {"backbone_frozen": (0.02, 0.04), "gradual_unfreeze": (0.3, 0.3)}
USUAL = (0.1, 0.15)
"""Losses of accuracy and F1: the first scenario loses little, the second much, others this."""


def ran(names: tuple[str, ...] = ("chat", "lower"), seeds: int = 5, **changes: Any) -> Records:
    trials = [
        factory.also(trial, dict.fromkeys(names, LOSSES.get(trial.scenario, USUAL)))
        for trial in factory.all_trials(seeds)
    ]
    return factory.with_sets(factory.suite(trials, seeds, **changes), names), trials


@pytest.fixture(scope="module")
def records() -> Records:
    return ran()


@pytest.fixture(scope="module")
def group(records: Records) -> Group:
    (made,) = groups(*records)
    return made


@pytest.fixture(scope="module")
def found(group: Group) -> list[Shift]:
    return shifts.shifts(group)


def words(found: list[Shift], scenario: str) -> set[str]:
    return {shift.against.word for shift in found if shift.scenario == scenario and shift.against}


def of(test: np.ndarray, there: np.ndarray, name: str, seed: int) -> TrialRecord:
    """A trial of one task with results on test and on a set."""
    scored = tables.trial(name, seed, there)
    assert scored.test is not None and scored.contributions is not None
    also = {"lower": AlsoTested(metrics=scored.test, contributions=scored.contributions)}
    return tables.trial(name, seed, test).model_copy(update={"also": also})


def looked(seeds: int, **changes: Any) -> Group:
    """A rival that loses nothing where the control does, with looks."""
    shown = {RIVALS[0]: tables.noisy(0.0, 8), CONTROL: tables.control(8, 300)}
    suite, _ = tables.ran(shown, looks=[2, 3, 5, 8], **changes)
    noise = np.random.default_rng(5).normal(0, 0.01, (2, 8, 300))
    trials = [
        of(table[seed], table[seed] + noise[at, seed] - 0.3 * (name == CONTROL), name, seed)
        for at, (name, table) in enumerate(shown.items())
        for seed in range(seeds)
    ]
    (made,) = groups(factory.with_sets(suite, ("lower",)), trials)
    return made


def test_words_are_those_of_the_intervals(found: list[Shift]) -> None:
    assert len(found) == 2 * 2 * len(factory.SCENARIOS)
    assert words(found, "backbone_frozen") == {"protects"}
    assert words(found, "gradual_unfreeze") == {"loses more"}
    assert words(found, "ner_head_frozen") == {"unclear"}
    for shift in found:
        if shift.against and not shift.against.reason:
            low, high = shift.against.interval.low, shift.against.interval.high
            assert low is not None and high is not None
            assert (shift.against.word == "protects") == (low > 0)
            assert (shift.against.word == "loses more") == (high < 0)
    assert all((shift.against is None) == (shift.scenario == CONTROL) for shift in found)


def test_a_drop_is_the_score_there_minus_that_on_test(found: list[Shift], group: Group) -> None:
    for shift in found:
        assert shift.drop is not None and shift.score.mean is not None
        tested = group.values(shift.task.metric)[shift.scenario]
        assert shift.drop == pytest.approx(shift.score.mean - np.mean(list(tested.values())))
    drops = {(one.scenario, one.task.name, one.on.name): one.drop for one in found}
    for shift in found:
        if shift.against:
            control = drops[CONTROL, shift.task.name, shift.on.name]
            assert shift.against.interval.mean == pytest.approx(shift.drop - control)


def test_what_learnt_nothing_has_nothing_to_lose(found: list[Shift]) -> None:
    assert words(found, "fully_frozen") == {"unclear"}
    reasons = {one.against.reason for one in found if one.scenario == "fully_frozen"}
    assert reasons == {decisions.UNTRAINED}


@pytest.mark.parametrize("sizes", [(100,), (100, 300)])
def test_drops_and_scores_of_all_scenarios_tasks_sets_and_points_are_one_family(
    sizes: tuple[int, ...],
) -> None:
    trials = [
        factory.also(trial, {"chat": USUAL, "typos": USUAL, "lower": USUAL})
        for size in sizes
        for trial in factory.all_trials(2, {"data.train_size": size})
    ]
    labels = {f"data.train_size = {size}": factory.suite([]).data[""] for size in sizes}
    suite = factory.suite(trials, 2, sweep={"data.train_size": list(sizes)}, data=labels)
    for made in groups(factory.with_sets(suite, ("chat", "typos", "lower")), trials):
        family = 2 * 5 * 2 * 3 * len(sizes)
        assert shifts.planned(made) == family
        alphas = [one.against.there.alpha for one in shifts.shifts(made) if one.against]
        assert alphas == pytest.approx([0.05 / family] * (5 * 2 * 3))


def test_a_task_without_gold_in_a_set_is_left_out_and_not_counted() -> None:
    suite, trials = ran()
    trials = [
        trial.model_copy(
            update={
                "also": {
                    "chat": AlsoTested(
                        metrics=(alone := factory.without(trial_on(trial), "ner")).test,
                        contributions=alone.contributions,
                    ),
                    "lower": trial.also["lower"],
                }
            }
        )
        for trial in trials
    ]
    (made,) = groups(suite, trials)
    assert shifts.planned(made) == 2 * 5 * 3
    places = {(shift.task.name, shift.on.name) for shift in shifts.shifts(made)}
    assert places == {("classifier", "chat"), ("classifier", "lower"), ("ner", "lower")}


def trial_on(trial: TrialRecord) -> TrialRecord:
    found = trial.also["chat"]
    return trial.model_copy(update={"test": found.metrics, "contributions": found.contributions})


def test_changes_of_the_same_sentences_are_one_set() -> None:
    for names, number in (
        (("lower", "typos"), 1),
        (("chat",), 1),
        (("chat", "lower", "typos"), 2),
        (("chat", "reports", "typos"), 3),
    ):
        (made,) = groups(*ran(names, 1))
        assert shifts.count(made.also) == number


def test_no_verdict_decision_or_look_depends_on_other_sets(records: Records) -> None:
    suite, trials = records
    bare = [trial.model_copy(update={"also": {}}) for trial in trials]
    plain = suite.model_copy(
        update={
            "data": factory.suite([]).data,
            "experiment": {
                key: value for key, value in suite.experiment.items() if key != "also_test"
            },
        }
    )

    def told(made: Group) -> list[Any]:
        return [
            (
                one.scenario,
                one.task.name,
                one.interval,
                one.alpha,
                one.look,
                one.verdict,
                one.reason,
            )
            for one in decisions.against_control(made)
        ]

    judged = []
    for each, some in ((suite, trials), (plain, bare)):
        made = groups(each, some)
        looking = each.model_copy(
            update={"experiment": {**each.experiment, "looks": [2, 3, 5], "seeds": [*range(5)]}}
        )
        piloted = each.model_copy(update={"experiment": {**each.experiment, "pilot": 1}})
        (after,) = groups(piloted, some)
        judged.append(
            (
                told(made[0]),
                told(groups(looking, some)[0]),
                [decisions.still_open(looking, some, look) for look in (2, 3, 5)],
                choice.candidate(after),
                box(each, made, View(each, made).base),
            )
        )
    assert judged[0] == judged[1]


def test_nothing_is_found_without_sets(records: Records) -> None:
    _, trials = records
    (made,) = groups(factory.suite(trials, 5), trials)
    assert shifts.shifts(made) == [] and shifts.planned(made) == 0


def test_a_run_that_failed_to_train_leaves_it_unclear(records: Records) -> None:
    suite, trials = records
    bad = next(one for one in trials if one.scenario == "backbone_frozen")
    broken = factory.trial(bad.scenario, bad.seed, "diverged")
    (made,) = groups(suite, [broken if one is bad else one for one in trials])
    for shift in shifts.shifts(made):
        if shift.scenario == "backbone_frozen" and shift.against:
            assert (shift.against.word, shift.against.reason) == ("unclear", decisions.FAILED)
            assert shift.against.interval.low is None


def test_one_seed_says_nothing_and_without_a_control_there_are_scores_alone() -> None:
    (made,) = groups(*ran(seeds=1))
    against = [one.against for one in shifts.shifts(made) if one.against]
    assert {one.word for one in against} == {"unclear"}
    assert decisions.ONE_SEED in {one.reason for one in against}
    (free,) = groups(*ran(seeds=2, control=None))
    alone = shifts.shifts(free)
    assert len(alone) == 24 and all(one.against is None and one.drop is not None for one in alone)


@pytest.mark.parametrize(("seeds", "spent"), [(3, 0.006), (5, 0.012), (8, 0.020)])
def test_drops_are_judged_at_the_last_look_that_was_reached(seeds: int, spent: float) -> None:
    """Three would do, and nothing stops on their account."""
    made = looked(seeds, planned=8)
    (shift,) = [one for one in shifts.shifts(made) if one.against]
    assert shift.against is not None and shift.against.interval.n == seeds
    assert shifts._last_look(made, (RIVALS[0], CONTROL)) == (seeds, pytest.approx(spent))
    assert shift.against.word == "protects"


def test_a_changed_set_of_another_length_is_not_paired() -> None:
    """Its sentences are other ones, and so the interval is wider."""
    made, other = looked(5), looked(5)
    cut = [
        of(
            np.array(one.contributions.by_task["classifier"]["right"]),
            np.array(one.also["lower"].contributions.by_task["classifier"]["right"])[:290],
            one.scenario,
            one.seed,
        )
        for one in other.trials
    ]
    suite, _ = tables.ran({RIVALS[0]: tables.noisy(0, 5), CONTROL: tables.control(5, 300)})
    (short,) = groups(factory.with_sets(suite, ("lower",)), cut)
    widths = []
    for each in (made, short):
        (shift,) = [one for one in shifts.shifts(each) if one.against]
        assert shift.against is not None
        interval = shift.against.interval
        widths.append(float("nan") if interval.low is None else interval.high - interval.low)
    assert not widths[1] <= widths[0]
