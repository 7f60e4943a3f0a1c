"""The trials of a suite by point: what was asked for there, what is missing, and what was skipped."""

import pytest

from mtlab.plan.errors import UserError
from mtlab.record.records import Skipped, SuiteRecord, TrialRecord
from mtlab.report import publish
from mtlab.report.comparison.groups import Group, groups

from . import factory

SIZES = (100, 300)


def point(size: int) -> dict[str, int]:
    return {"data.train_size": size}


def looked(
    seeds: dict[int, dict[str, int]], stopped: bool = True, **changes: object
) -> tuple[SuiteRecord, list[TrialRecord]]:
    """A suite with looks at 2, 3 and 5 seeds.

    Args:
        seeds: size to scenario to the number of its seeds, all others having 2.
        stopped: whether the trials that did not run were skipped.
    """
    planned = [
        factory.trial(name, seed, point=point(size))
        for size in SIZES
        for seed in range(5)
        for name in factory.SCENARIOS
    ]
    ran = [
        trial
        for trial in planned
        if trial.seed < seeds[trial.point["data.train_size"]].get(trial.scenario, 2)
    ]
    skipped = tuple(
        Skipped(scenario=trial.scenario, seed=trial.seed, point=trial.point)
        for trial in planned
        if trial not in ran and stopped
    )
    data = {f"data.train_size = {size}": {"sizes": {"train": size}} for size in SIZES}
    suite = factory.suite(
        planned,
        5,
        looks=[2, 3, 5],
        sweep={"data.train_size": list(SIZES)},
        data=data,
        skipped=skipped,
        **changes,
    )
    return suite, ran


def both(suite: SuiteRecord, trials: list[TrialRecord]) -> tuple[Group, Group]:
    small, large = groups(suite, trials)
    return small, large


def test_seeds_are_those_of_the_largest_look_that_ran_at_the_point() -> None:
    small, large = both(*looked({100: {}, 300: {"full_finetune": 3, "backbone_frozen": 3}}))
    assert (small.seeds, large.seeds) == ((0, 1), (0, 1, 2))
    assert (small.asked, large.asked) == (2 * 6, 2 * 6 + 2)
    assert small.complete and large.complete
    assert large.seeds_of("full_finetune") == [0, 1, 2] and large.seeds_of("fully_frozen") == [0, 1]
    assert ("fully_frozen", 2) in large.skipped and ("full_finetune", 2) not in large.skipped
    assert {seed for _, seed in small.skipped} == {2, 3, 4}


def test_a_trial_that_a_look_asked_for_is_missing_without_a_record() -> None:
    suite, trials = looked({100: {}, 300: {"full_finetune": 3, "backbone_frozen": 3}})
    lost = next(one for one in trials if one.scenario == "full_finetune" and one.seed == 2)
    trials.remove(lost)
    _, large = both(suite, trials)
    assert large.missing == [("full_finetune", 2)] and not large.complete
    assert large.asked == len(large.trials) + 1


def test_a_suite_that_runs_misses_nothing_of_the_looks_to_come() -> None:
    small, large = both(*looked({100: {}, 300: {}}, stopped=False, elapsed_s=None))
    assert small.seeds == large.seeds == (0, 1) and small.complete and large.complete
    _, large = both(*looked({100: {}, 300: {"full_finetune": 3}}, stopped=False))
    assert large.seeds == (0, 1, 2)
    assert ("fully_frozen", 2) in large.missing, "it may still run"


def test_fixed_seeds_are_all_asked_for() -> None:
    trials = factory.all_trials(3)
    (group,) = groups(factory.suite(trials, 3), trials[:-1])
    assert (group.seeds, group.asked, len(group.missing)) == ((0, 1, 2), 18, 1)
    assert group.skipped == frozenset()


@pytest.mark.parametrize("lost", [False, True])
def test_a_suite_that_skipped_trials_is_published_if_all_others_ended(
    lost: bool, tmp_path_factory: pytest.TempPathFactory, no_figures: None
) -> None:
    output = tmp_path_factory.mktemp("reports") / "mine"
    suite, trials = looked({100: {}, 300: {"full_finetune": 3, "backbone_frozen": 3}})
    factory.journal(output, suite, trials[1:] if lost else trials)
    if lost:
        with pytest.raises(UserError, match="not finished, 25 of 26 trials ended"):
            publish.publish(output)
        return
    assert (publish.publish(output).trials, len(suite.trials)) == (26, 60)
    read, again = publish.Journal(publish.place(output)).read()
    assert (read.skipped, len(again)) == (suite.skipped, 26)
