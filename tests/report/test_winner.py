"""Which scenario is taken home."""

import pytest

from mtlab.record.records import TrialRecord, best_on_validation
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.winner import section, winner
from mtlab.report.sections import body
from mtlab.report.sections.answer import answer
from tests.report import factory

SCENARIOS = ("backbone_frozen", "gradual_unfreeze", "full_finetune")
"""In the order of their cost."""


def group(*scores: tuple[float, float], seeds: int = 3, spread: float = 0.0005) -> Group:
    """Trials in which the three scenarios have these accuracies and F1."""
    trials = [
        factory.trial(name, seed, spread=spread, scores=pair)
        for name, pair in zip(SCENARIOS, scores, strict=True)
        for seed in range(seeds)
    ]
    stages = {name: [] for name in SCENARIOS}
    return groups(factory.suite(trials, seeds, scenarios=stages), trials)[0]


@pytest.mark.parametrize(
    ("scores", "picked", "why"),
    [
        ([(0.90, 0.80), (0.90, 0.80), (0.90, 0.80)], "backbone_frozen", "the cheapest of those"),
        ([(0.90, 0.40), (0.90, 0.80), (0.90, 0.80)], "gradual_unfreeze", "the cheapest of those"),
        (
            [(0.90, 0.40), (0.70, 0.80), (0.90, 0.80)],
            "full_finetune",
            "the only one that is as good",
        ),
        ([(0.90, 0.40), (0.60, 0.80), (0.89, 0.60)], "full_finetune", "none is as good"),
    ],
)
def test_it_is_the_cheapest_of_those_that_are_as_good_as_the_best(
    scores: list[tuple[float, float]], picked: str, why: str
) -> None:
    found = winner(group(*scores))
    assert found is not None
    assert found.scenario == picked and found.why.startswith(why)


def test_an_interval_that_excludes_nothing_lets_nothing_win_that_is_far_below() -> None:
    wide = group((0.60, 0.40), (0.90, 0.80), (0.90, 0.80), seeds=2, spread=0.05)
    found = winner(wide)
    assert found is not None and found.scenario != "backbone_frozen"


def test_with_one_seed_it_is_what_scored_highest_and_that_is_said() -> None:
    found = winner(group((0.90, 0.40), (0.93, 0.80), (0.90, 0.80), seeds=1))
    assert found is not None and found.scenario == "gradual_unfreeze"
    assert "one seed cannot tell scenarios apart" in found.why


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
    said = answer(made)
    assert "is the best" not in said and "worse" not in said and "not shown to be worse" not in said
    assert "cheaper than the control `full_finetune`; how their scores compare is undecided" in said
    assert said.count("undecided, with too few test sentences") == 2
    assert "−1.000 undecided" in body.results(made)
    assert "or too few test sentences" in body.notes(made)
    found = winner(made)
    assert found is not None and found.scenario == "full_finetune"
    assert found.why.startswith("too few test sentences") and "as good as" not in found.why
