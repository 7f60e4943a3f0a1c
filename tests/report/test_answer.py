"""The answer in words: what it says of each scenario, and what it leaves unsaid."""

import re

from mtlab.report.comparison.groups import groups
from mtlab.report.sections.answer import answer

from . import factory


def the_answer(trials, **changes) -> str:
    return answer(groups(factory.suite(trials, **changes), trials)[0])


def test_a_failed_trial_never_wins_even_with_the_highest_number(trials):
    best = factory.trial("ner_head_frozen", 1).model_copy(
        update={"status": "certificate broken", **factory.tested(1.0, 1.0)}
    )
    said = the_answer([best if trial.key == best.key else trial for trial in trials])
    assert "**Nothing is recommended**" in said and "better: " not in said


def test_every_scenario_has_one_verdict_a_task():
    said = the_answer(factory.all_trials(5), seeds=5)
    rivals = [name for name in factory.SCENARIOS if name != "full_finetune"]
    for task in ("sentence classification", "entity recognition"):
        of_task = said.split(f"On **{task}**")[1].split(" On **")[0].split(" **Cost**")[0]
        words = re.findall(r"(?:^|[,;] )(better|equivalent|worse|unclear): ", of_task)
        assert words == [
            word for word in ("better", "equivalent", "worse", "unclear") if word in words
        ]
        assert len(words) >= 2 and "tied" not in of_task
        listed = of_task.partition(", no scenario is shown")[2].partition(" More seeds")[0]
        assert sorted(re.findall(r"`(\w+)` \(", listed)) == sorted(rivals)


def test_equal_answers_are_unclear_and_that_is_said():
    """Not equivalent: of answers that are all the same, no variance can be estimated."""
    trials = factory.all_trials(5)
    twins = [
        factory.trial("ner_head_frozen", trial.seed).model_copy(
            update={"test": trial.test, "contributions": trial.contributions}
        )
        for trial in trials
        if trial.scenario == "full_finetune"
    ]
    others = [trial for trial in trials if trial.scenario != "ner_head_frozen"]
    said = the_answer([*others, *twins], seeds=5)
    why = "too few sentences, or results too alike"
    assert said.count(f"`ner_head_frozen` (0.000; {why})") == 2


IN_SHORT = "**In short:** shown to be cheaper than the control `full_finetune`, and at least as good at every task: "


def with_scores(trials, *names: str, accuracy: float, f1: float) -> list:
    """The trials, of which those of some scenarios have these test scores, but for a few sentences
    of each seed."""
    return [
        trial.model_copy(
            update=factory.tested(
                accuracy + 0.002 * trial.seed, f1 + 0.002 * trial.seed, trial.seed
            )
        )
        if trial.scenario in names
        else trial
        for trial in trials
    ]


def test_in_short_says_what_is_cheaper_and_at_least_as_good():
    trials = factory.all_trials(5)
    cheap = ("classifier_head_frozen", "gradual_unfreeze")
    good = with_scores(trials, *cheap, accuracy=0.978, f1=0.89)
    assert f"{IN_SHORT}{' and '.join(f'`{name}`' for name in cheap)}. " in the_answer(good, seeds=5)
    assert "In short" not in the_answer(good[1:], seeds=5), "a missing trial blocks it"
    one_task = with_scores(trials, *cheap, accuracy=0.978, f1=0.5)
    said = the_answer(one_task, seeds=5)
    assert IN_SHORT not in said
    assert "is shown to be at least as good. They are worse than it at one task or more: " in said
    worse = said.partition("worse than it at one task or more: ")[2].partition(". On **")[0]
    assert {"`backbone_frozen`", *(f"`{name}`" for name in cheap)} <= set(
        re.findall(r"`\w+`", worse.partition("; unclear")[0])
    )


def test_in_short_says_what_is_unclear_of_what_is_cheaper():
    said = the_answer(factory.all_trials(2, spread=0.05), seeds=2)
    assert IN_SHORT not in said
    assert "unclear: " in said.partition("**In short:**")[2].partition(" On **")[0]


def test_a_clear_lead_is_told_with_its_numbers():
    leader = {"full_finetune": (0.99, 0.99)}
    trials = [
        trial.model_copy(
            update=factory.tested(
                *leader.get(trial.scenario, (0.5 - 0.001 * trial.seed, 0.5)), trial.seed
            )
        )
        for trial in factory.all_trials(5)
    ]
    said = the_answer(trials, seeds=5)
    assert said.count("no scenario is shown to be better; worse: ") == 2
    assert re.search(r"worse: `fully_frozen` \(−0\.4\d\d \[−0\.\d+, −0\.\d+\]\)", said)
    ahead = the_answer(trials, seeds=5, control="backbone_frozen")
    assert len(re.findall(r", better: `full_finetune` \(\+0\.4\d\d \[", ahead)) == 2


def test_one_seed_says_that_nothing_can_be_concluded():
    said = the_answer(factory.all_trials(1), seeds=1)
    assert "With one seed nothing can be concluded" in said
    assert said.count("unclear: `fully_frozen` (−0.") == 2
    for word in ("worse:", "equivalent:", "better:", "at least as good"):
        assert word not in said
    assert "More seeds cannot settle" not in said, "they are what it takes"


def test_no_control_and_no_result_of_the_control_are_said():
    trials = factory.all_trials(2)
    assert "No control scenario was run" in the_answer(trials, seeds=2, control=None)
    without = [trial for trial in trials if trial.scenario != "full_finetune"]
    assert "has no result, so no scenario can be compared" in the_answer(without, seeds=2)
    assert "there is no answer" in the_answer(
        [factory.trial("full_finetune", 0, status="crashed")], seeds=1
    )
