"""Test sets out of distribution in a report: section, figure, columns and claim."""

from pathlib import Path

import pytest

from mtlab.report import document, results
from mtlab.report.claims.evidence import Evidence
from mtlab.report.claims.register import CLAIMS, findings
from mtlab.report.comparison.groups import groups
from mtlab.report.comparison.shifts import shifts
from mtlab.report.figures import canvas, shift_plots
from mtlab.report.sections import expected
from mtlab.report.sections import shifts as sections
from mtlab.report.sections.telling import most_telling
from mtlab.report.table import trials_table

from . import drawn, factory
from .test_shifts import Records, ran

(CLAIM,) = (claim for claim in CLAIMS if claim.name == "protects elsewhere")


@pytest.fixture(scope="module")
def records() -> Records:
    return ran()


def answer(records: Records) -> str:
    (group,) = groups(*records)
    return sections.answer(group, shifts(group))


def test_the_answer_names_who_protects_and_who_loses_more_and_where(records: Records) -> None:
    said = answer(records)
    assert said.startswith(
        "**Answer.** `backbone_frozen` protects: it loses less than `full_finetune` at sentence classification (all sets) "
        "and entity recognition (all sets). Its score is still worse than that of `full_finetune` at entity recognition (all sets). "
        "`gradual_unfreeze` loses more than `full_finetune` at"
    )
    assert (
        "Nothing is shown for `fully_frozen`, `classifier_head_frozen` and `ner_head_frozen`."
        in said
    )


def test_on_fewer_than_three_sets_nothing_is_said_in_general(records: Records) -> None:
    assert "Nothing can be said in general: that takes 3 sets." in answer(records)
    changed = answer(ran(("chat", "lower", "typos"), 2))
    assert (
        "Lower case and typos are changes of the same sentences and count as one, which" in changed
    )
    assert "in general: that takes 3 sets" in changed
    assert "in general" not in answer(ran(("chat", "lower", "reports"), 2))


def test_where_nothing_is_shown_the_answer_says_so() -> None:
    one = answer(ran(seeds=1))
    assert (
        "No scenario is shown to lose less, or more, out of distribution than `full_finetune`."
        in one
    )
    assert "Without a control, no scenario is compared" in answer(ran(seeds=1, control=None))


def test_the_table_has_each_scenario_task_and_set(records: Records) -> None:
    (group,) = groups(*records)
    lines = sections.table(group, shifts(group)).splitlines()
    rows = [line for line in lines if line.startswith(("| chat", "| lower"))]
    assert len(rows) == 2 * 2 * len(factory.SCENARIOS)
    by_scenario = {name: [row for row in rows if f"`{name}`" in row] for name in factory.SCENARIOS}
    assert all("protects" in row for row in by_scenario["backbone_frozen"])
    assert all("unclear (nothing learnt)" in row for row in by_scenario["fully_frozen"])
    assert all(row.endswith("| – | – |") for row in by_scenario["full_finetune"])
    assert any("600 sentences, those of test, changed" in line for line in lines)


def test_a_report_has_the_section_where_there_are_sets_and_else_nothing(
    tmp_path: Path, records: Records
) -> None:
    suite, trials = records
    factory.journal(tmp_path / "with", suite, trials)
    said = document.write(tmp_path / "with").read_text(encoding="utf-8")
    assert "## Out of distribution" in said and f"plots/{shift_plots.KIND}.png" in said
    assert (tmp_path / "with" / "plots" / f"{shift_plots.KIND}.png").exists()
    bare = [trial.model_copy(update={"also": {}}) for trial in trials]
    factory.journal(tmp_path / "without", factory.suite(bare, 5), bare)
    assert "out of distribution" not in document.write(tmp_path / "without").read_text().lower()
    header = (tmp_path / "without" / "trials.csv").read_text().splitlines()[0]
    assert "also" not in header


def test_points_of_a_sweep_have_a_section_each() -> None:
    trials = [
        factory.also(trial, {"chat": (0.1, 0.1)})
        for size in (100, 300)
        for trial in factory.all_trials(1, {"data.train_size": size})
    ]
    data = {f"data.train_size = {size}": factory.suite([]).data[""] for size in (100, 300)}
    suite = factory.suite(trials, 1, sweep={"data.train_size": [100, 300]}, data=data)
    suite = factory.with_sets(suite, ("chat",))
    found = groups(suite, trials)
    said = document.document(document.View(suite, found), [{}, {}], {})
    section = said.split("## Out of distribution\n")[1].split("\n## ")[0]
    assert section.count("### At data.train_size") == section.count("**Answer.**") == 2


def test_the_figure_has_a_panel_a_set_and_task_with_every_scenario_that_learnt(
    records: Records,
) -> None:
    (group,) = groups(*records)
    draw, _, caption = shift_plots.drawings(group)[shift_plots.KIND]
    assert len(caption.split()) <= 35
    with canvas.style():
        figure = draw()
        assert figure is not None
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
    assert box.x0 > -0.1 and box.x1 < figure.get_figwidth() + 0.1
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        f"{title}: {task}"
        for title in ("chat messages", "lower case")
        for task in ("sentence classification", "entity recognition")
    ]
    assert all(drawn.has_data(ax) for ax in figure.axes)
    assert not drawn.pale_texts(figure) and not drawn.pale_marks(figure)
    assert min(text.get_fontsize() for text in drawn.texts(figure)) >= 9
    for ax in figure.axes:
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        assert right - left == pytest.approx(top - bottom), "so equal losses rise at one angle"
        named = {text.get_text() for text in ax.texts}
        assert named - {"as on test"} == {*factory.SCENARIOS} - {"fully_frozen"}
        assert ("as on test" in named) == (
            min(right, top) - max(left, bottom) > 0.35 * (right - left)
        )
    hollow = [line.get_markerfacecolor() == "white" for line in figure.axes[0].lines]
    assert sum(hollow) == 2, "the two scenarios that are unclear"


def test_the_figure_answers_the_question_of_an_experiment_with_sets(records: Records) -> None:
    found = groups(*records)
    assert most_telling(found, found[0], "") == ["decision", shift_plots.KIND]


def test_scores_on_sets_are_columns_of_the_trials_and_of_the_results(records: Records) -> None:
    suite, trials = records
    table = trials_table(suite, trials)
    also = [
        f"also.{on}.{of}" for on in ("chat", "lower") for of in ("classifier_accuracy", "ner_f1")
    ]
    assert [column for column in table if str(column).startswith("also")] == also
    first = trials[1]
    assert table[also[1]][1] == first.also["chat"].metrics.primary("ner")
    found = results.table(groups(suite, trials))
    row = found.loc["backbone_frozen"]
    assert row["also.chat.ner_f1_drop"] == pytest.approx(-0.04, abs=0.001)
    assert row["also.chat.ner_f1_drop_change_low"] > 0
    assert (row["also.chat.ner_f1_drop_verdict"], row["also.chat.ner_f1_verdict"]) == (
        "protects",
        "worse",
    )
    assert found.loc["full_finetune", "also.chat.ner_f1_drop_verdict"] == ""


def test_a_scenario_without_a_result_has_empty_columns(records: Records) -> None:
    suite, trials = records
    gone = [
        factory.trial(one.scenario, one.seed, "crashed")
        if one.scenario == "backbone_frozen"
        else one
        for one in trials
    ]
    found = results.table(groups(suite, gone)).loc["backbone_frozen"]
    assert (
        found["also.chat.ner_f1_verdict"] == ""
        and found["also.chat.ner_f1"] != found["also.chat.ner_f1"]
    )


def claimed(names: tuple[str, ...]) -> list[tuple[str, str]]:
    suite, trials = ran(names)
    found = findings(CLAIM, Evidence(suite, groups(suite, trials)))
    return [(finding.scenarios[0], finding.verdict) for finding in found]


def test_that_freezing_protects_is_tested_on_three_sets_by_heads_alone_or_first() -> None:
    assert claimed(("chat", "lower", "typos")) == []
    found = claimed(("chat", "lower", "reports"))
    assert set(found) == {
        ("backbone_frozen", "supported"),
        ("gradual_unfreeze", "contradicted"),
    }
    assert len(found) == 2 * 2 * 3


def test_other_controls_than_full_fine_tuning_do_not_test_the_claim() -> None:
    suite, trials = ran(("chat", "lower", "reports"), 2, control="ner_head_frozen")
    assert findings(CLAIM, Evidence(suite, groups(suite, trials))) == []


def test_expectations_have_what_is_shown_out_of_distribution_beside_them(records: Records) -> None:
    suite, trials = records
    (group,) = groups(suite, trials)
    names = {"gradual_unfreeze": "as robust", "fully_frozen": "nothing"}
    table = expected.section(group, {"expected": names}, shifts(group)).splitlines()
    cells = {row.split(" | ")[0].strip("| `"): row.split(" | ") for row in table if "| " in row}
    place = cells["scenario"].index("out of distribution")
    assert cells["gradual_unfreeze"][place].startswith(
        "loses more at sentence classification on chat"
    )
    assert cells["fully_frozen"][place] == "unclear"
    assert "out of distribution" not in expected.section(group, {"expected": names})
