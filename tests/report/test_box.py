"""The decision box: it says what the verdicts show, in few words, and no more."""

import re
from pathlib import Path

import pytest

from mtlab.record.journal import Journal
from mtlab.report import markdown
from mtlab.report.comparison import decisions
from mtlab.report.comparison.groups import groups
from mtlab.report.decision.box import WORDS, Box, box
from mtlab.report.decision.template import NOT_RUN
from mtlab.report.view import View
from mtlab.report.wording import effect

from . import factory, tables
from .tables import CONTROL, RIVALS

PUBLISHED = Path(__file__).parents[2] / "reports" / "published"
REPORTS = sorted(path.parent.name for path in PUBLISHED.glob("*/suite.json"))
HEADS = RIVALS[0]


def of(shown: tables.Tables, **changes) -> Box:
    suite, trials = tables.ran(shown, **changes)
    (group,) = groups(suite, trials)
    return box(suite, [group], group)


def several(rival, seeds: int = 5) -> dict:
    return {HEADS: rival, CONTROL: tables.control(seeds, 300)}


@pytest.mark.parametrize("name", REPORTS)
def test_every_published_answer_fits_and_is_filled(name: str) -> None:
    suite, trials = Journal(PUBLISHED / name).read()
    view = View(suite, groups(suite, trials))
    made = box(suite, view.groups, view.base)
    assert made.count <= WORDS, made.lines
    assert made.answer and "{" not in made.answer and NOT_RUN not in made.answer
    assert suite.experiment.get("answer"), "every shipped experiment answers its own question"


def test_a_cheaper_scenario_that_is_as_good_is_recommended() -> None:
    made = of(several(tables.noisy(0.0, 5)))
    assert made.answer == (
        f"Freeze the encoder (`{HEADS}`): cheaper, and shown to be at least as good."
    )
    assert made.sure == "equivalent in accuracy, with 5 seeds."
    assert re.fullmatch(rf"0\.\d\d×( \[0\.\d\d, 0\.\d\d\])? `{CONTROL}`'s time\.", made.cost)
    assert made.step == "`mtlab export experiments/freezing.yaml`"


def test_a_cheaper_scenario_that_is_worse_is_not() -> None:
    made = of(several(tables.noisy(-0.1, 5)))
    assert (
        made.answer
        == f"Freeze nothing (`{CONTROL}`): nothing cheaper is shown to be at least as good."
    )
    assert made.sure == "worse in accuracy, with 5 seeds."
    assert made.cost.startswith(f"`{HEADS}`: ")


def test_an_unclear_verdict_names_the_seeds_that_would_tell_and_the_command() -> None:
    shown = several(tables.noisy(-0.012, 3, spread=0.008), 3)
    suite, trials = tables.ran(shown)
    (group,) = groups(suite, trials)
    (contrast,) = decisions.against_control(group)
    assert contrast.verdict == "unclear" and contrast.reason == decisions.SEEDS
    made = box(suite, [group], group)
    low, high = (markdown.signed(end) for end in (contrast.interval.low, contrast.interval.high))
    assert made.sure == f"unclear in accuracy [{low}, {high}], with 3 seeds."
    assert made.change.startswith(f"about {contrast.needed} seeds")
    assert ("To settle it", made.change) in made.lines
    assert made.step.endswith(f"--seeds.looks 3 {contrast.needed}`")
    assert " --seeds 0 1 2" not in made.step


def test_what_a_head_lost_asks_for_seeds_of_all_scenarios_and_not_twice() -> None:
    suite, trials = Journal(PUBLISHED / "staged_long").read()
    view = View(suite, groups(suite, trials))
    first = box(suite, view.groups, view.base).step
    assert first.endswith(" --seeds.looks 3 6 --seeds.stop never`")
    again = suite.model_copy(update={"command": first.strip("`")})
    assert box(again, view.groups, view.base).step == first


def test_one_seed_shows_nothing() -> None:
    made = of(several(tables.noisy(0.0, 1), 1))
    assert "one seed shows nothing" in made.answer and made.sure == "one seed shows nothing."
    for word in ("better", "worse", "equivalent", "at least as good"):
        assert word not in made.markdown


def test_a_missing_result_blocks_the_recommendation() -> None:
    made = of(several(tables.noisy(0.0, 3), 3), failed=[(HEADS, 1)])
    assert made.answer == "No recommendation: a trial has no result."
    assert made.step.startswith("`mtlab compare ")


def test_a_template_is_filled_from_verdicts() -> None:
    shown = {**several(tables.noisy(-0.1, 5)), "top_1": tables.noisy(0.0, 5, draw=1)}
    template = (
        "Heads: {verdict backbone_frozen classifier}; top: {verdict top_1 classifier}; "
        "lost: {verdict top_2 classifier}."
    )
    suite, trials = tables.ran(shown, answer=template)
    (group,) = groups(suite, trials)
    made = box(suite, [group], group)
    by_name = {contrast.scenario: contrast for contrast in decisions.against_control(group)}
    heads, top = (effect(by_name[name]).split(" ±")[0] for name in (HEADS, "top_1"))
    assert made.answer == (
        f"Heads: worse in accuracy ({heads}); top: equivalent in accuracy ({top}); lost: not run."
    )
    assert not made.advises and made.lines[0][0] == "Answer"


def test_text_of_a_template_stays_inert() -> None:
    made = of(
        several(tables.noisy(0.0, 3), 3),
        answer="<b>x</b> [l](http://evil.example) {recommendation}",
    )
    assert "<b>" not in made.answer and "](" not in made.answer.replace("\\[", "").replace(
        "\\]", ""
    )


def test_conditions_are_counted_over_points() -> None:
    points = [{"data.label_noise.classifier": noise} for noise in (0.0, 0.2)]
    suite, trials = tables.ran(
        several(tables.noisy(-0.1, 5)),
        points=points,
        sweep={"data.label_noise.classifier": [0.0, 0.2]},
        answer="Heads are {conditions backbone_frozen classifier}.",
    )
    made = groups(suite, trials)
    assert box(suite, made, made[0]).answer == "Heads are worse in all 2 conditions."


def test_limits_name_the_encoder(trials) -> None:
    suite = factory.suite(trials)
    (group,) = groups(suite, trials)
    assert "encoders other than `" in box(suite, [group], group).limits
