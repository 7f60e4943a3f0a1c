"""Which scenario is taken home."""

from dataclasses import replace
from typing import Any

import pytest

from mtlab.record.records import TrialRecord, best_on_validation
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.winner import section, winner
from mtlab.report.sections import body, certainty
from tests.report import factory

SCENARIOS = ("backbone_frozen", "gradual_unfreeze", "full_finetune")
"""In the order of their cost."""


def group(
    *scores: tuple[float, float], seeds: int = 5, spread: float = 0.002, **changes: Any
) -> Group:
    """Trials in which the three scenarios have these accuracies and F1."""
    trials = [
        factory.trial(name, seed, spread=spread, scores=pair)
        for name, pair in zip(SCENARIOS, scores, strict=True)
        for seed in range(seeds)
    ]
    stages = {name: [] for name in SCENARIOS}
    return groups(factory.suite(trials, seeds, scenarios=stages, **changes), trials)[0]


SHOWN = "the cheapest that is shown to be at least as good as"
NOT_SHOWN = "nothing cheaper is shown"


@pytest.mark.parametrize(
    ("scores", "picked", "why"),
    [
        ([(0.90, 0.80), (0.90, 0.80), (0.905, 0.81)], "backbone_frozen", SHOWN),
        ([(0.90, 0.40), (0.90, 0.80), (0.905, 0.81)], "gradual_unfreeze", SHOWN),
        ([(0.90, 0.40), (0.70, 0.80), (0.90, 0.80)], "full_finetune", NOT_SHOWN),
        ([(0.90, 0.40), (0.60, 0.80), (0.89, 0.60)], "full_finetune", NOT_SHOWN),
        # as good as the control, and not as the best on validation, which is cheaper than the control
        ([(0.90, 0.80), (0.95, 0.90), (0.90, 0.80)], "gradual_unfreeze", SHOWN),
        # the best on validation is the cheapest, and the control is behind it
        ([(0.95, 0.90), (0.90, 0.80), (0.90, 0.80)], "backbone_frozen", SHOWN),
    ],
)
def test_it_is_the_cheapest_that_is_shown_to_be_as_good_as_the_control_and_the_best(
    scores: list[tuple[float, float]], picked: str, why: str
) -> None:
    found = winner(group(*scores))
    assert found is not None
    assert found.scenario == picked and found.why.startswith(why)
    assert found.shown is (why == SHOWN)


@pytest.mark.parametrize(
    ("dear", "spread", "picked", "why"),
    [
        ((0.902, 0.802), 0.02, "gradual_unfreeze", "and nothing costlier to be better"),
        ((0.99, 0.75), 0.005, "gradual_unfreeze", "and nothing costlier to be better"),
        ((0.95, 0.90), 0.02, "full_finetune", "and it scored highest on validation"),
    ],
)
def test_what_costs_more_than_the_control_must_be_shown_to_be_better(
    dear: tuple[float, float], spread: float, picked: str, why: str
) -> None:
    cheap = group((0.50, 0.40), (0.90, 0.80), dear, spread=spread, control="gradual_unfreeze")
    found = winner(cheap)
    assert found is not None and (found.scenario, found.shown) == (picked, False)
    assert why in found.why


def test_what_it_is_as_good_as_is_named() -> None:
    found = winner(group((0.90, 0.80), (0.905, 0.805), (0.90, 0.80)))
    assert found is not None and found.scenario == "backbone_frozen"
    assert "as good as `full_finetune` and `gradual_unfreeze` at both tasks" in found.why


def test_without_a_control_the_best_on_validation_is_the_measure() -> None:
    same = (0.90, 0.80)
    found = winner(group((0.90, 0.40), same, (0.91, 0.81), control=None))
    assert found is not None and found.shown and found.scenario == "gradual_unfreeze"
    assert "as good as `full_finetune` at both tasks" in found.why


def test_an_interval_that_excludes_nothing_lets_nothing_cheaper_win() -> None:
    """However good its mean is on test."""
    for seeds, spread in ((2, 0.05), (3, 0.03)):
        found = winner(group((0.90, 0.80), (0.90, 0.80), (0.90, 0.80), seeds=seeds, spread=spread))
        assert found is not None and not found.shown
    wide = group((0.60, 0.40), (0.90, 0.80), (0.90, 0.80), seeds=2, spread=0.05)
    found = winner(wide)
    assert found is not None and found.scenario != "backbone_frozen" and not found.shown


def test_a_margin_of_the_experiment_lets_more_win() -> None:
    scores = ((0.88, 0.76), (0.90, 0.80), (0.90, 0.80))
    usual, wide = (
        winner(group(*scores, margins=margins))
        for margins in ({}, {"classifier": 0.1, "ner": 0.15})
    )
    assert usual is not None and usual.scenario == "gradual_unfreeze"
    assert wide is not None and wide.scenario == "backbone_frozen"


def test_with_one_seed_it_is_what_scored_highest_and_that_is_said() -> None:
    found = winner(group((0.90, 0.40), (0.93, 0.80), (0.90, 0.80), seeds=1))
    assert found is not None and found.scenario == "gradual_unfreeze" and not found.shown
    assert "one seed shows nothing" in found.why and "as good" not in found.why


def test_test_scores_do_not_choose_the_best() -> None:
    """The scenario that is best on test, and not on validation, is dear and is not taken."""
    made = group((0.80, 0.70), (0.90, 0.80), (0.85, 0.75))
    swapped = factory.tested(0.99, 0.99)
    trials = [
        trial.model_copy(update=swapped) if trial.scenario == "full_finetune" else trial
        for trial in made.trials
    ]
    found = winner(replace(made, trials=tuple(trials), fellows=[]))
    assert found is not None and found.scenario == "gradual_unfreeze"


def test_its_seed_is_the_best_on_validation() -> None:
    made = group((0.90, 0.80), (0.90, 0.80), (0.90, 0.80), seeds=3, spread=0.01)
    found = winner(made)
    assert found is not None
    assert found.trial == best_on_validation(made.of(found.scenario))
    assert found.trial.selection is not None
    assert found.trial.selection.score == max(
        trial.selection.score for trial in made.of(found.scenario) if trial.selection
    )


def test_where_a_trial_has_no_result_nothing_is_picked() -> None:
    trials = factory.all_trials(2)[:-1]
    suite = factory.suite(trials, 2)
    (made,) = groups(suite, trials)
    assert winner(made) is None
    assert section(suite, made).startswith("None: a trial has no result")


def test_two_test_sentences_make_nobody_the_best() -> None:
    """All words about it: the answer, the table and what is taken home."""

    def shortened(trial: TrialRecord) -> TrialRecord:
        assert trial.contributions is not None
        good = int(trial.scenario == "full_finetune")
        return trial.model_copy(
            update={
                **factory.tested(float(good), float(good)),
                "contributions": factory.counted((good, good), (good, good), (1, 1)),
            }
        )

    trials = [shortened(factory.trial(name, seed)) for name in SCENARIOS for seed in range(2)]
    (made,) = groups(factory.suite(trials, 2, scenarios={name: [] for name in SCENARIOS}), trials)
    assert certainty.section(made, {}).count(": too few sentences, or results too alike") == 4
    table = body.results(made)
    assert table.count("−1.000 unclear |") == 4
    for word in ("better", "worse", "equivalent", "at least as good"):
        assert word not in table
    found = winner(made)
    assert found is not None and found.scenario == "full_finetune" and not found.shown
    assert found.why.startswith(NOT_SHOWN)
