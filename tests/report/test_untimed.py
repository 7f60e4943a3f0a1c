"""Trials that shared their device: what they scored counts, how long they took is compared with
nothing."""

from pathlib import Path

import pandas as pd
import pytest

from mtlab.record.records import TrialRecord
from mtlab.report import document
from mtlab.report.claims import training
from mtlab.report.claims.evidence import Evidence
from mtlab.report.comparison.groups import groups
from mtlab.report.comparison.winner import winner
from mtlab.report.figures.scores import FIGURES
from mtlab.report.table import TIMES, trials_table
from mtlab.report.wording import untimed
from tests.report import factory

WHY = "another trial used the device meanwhile"


def apart(trials: list[TrialRecord], *scenarios: str) -> list[TrialRecord]:
    return [
        one.model_copy(update={"untimed": WHY})
        if not scenarios or one.scenario in scenarios
        else one
        for one in trials
    ]


def test_the_table_says_why_and_has_no_times() -> None:
    trials = apart(factory.all_trials(), "backbone_frozen")
    table = trials_table(factory.suite(trials), trials)
    shared, alone = (table[mask] for mask in (table["untimed"] == WHY, table["untimed"] == ""))
    assert set(shared["scenario"]) == {"backbone_frozen"}
    assert shared[list(TIMES)].isna().all(axis=None)
    assert alone[[column for column in TIMES if column != "tokens_per_s"]].notna().all(axis=None)
    others = [column for column in table if column not in TIMES]
    assert shared[others].notna().all(axis=None), "scores, FLOPs and memory count"


def test_costs_are_judged_by_flops_where_a_scenario_has_no_time() -> None:
    alone, shared = factory.all_trials(), apart(factory.all_trials(), "backbone_frozen")
    timed, other = (groups(factory.suite(trials), trials)[0] for trials in (alone, shared))
    assert (timed.cost, other.cost) == ("wall_plain_s", "train_flops")
    assert untimed(timed) == ""
    assert (
        untimed(other)
        == f"**Times** of 3 of 18 trials are in no comparison; their scores and FLOPs are. Why: {WHY} (3)."
    )
    one, two = winner(timed), winner(other)
    assert one is not None and two is not None
    assert one.scenario == "classifier_head_frozen", "it takes as many FLOPs, and less time"
    assert two.scenario == "full_finetune"


def test_one_seed_that_shared_leaves_the_others_to_compare() -> None:
    trials = [
        one.model_copy(update={"untimed": WHY}) if one.seed == 0 else one
        for one in factory.all_trials()
    ]
    (group,) = groups(factory.suite(trials), trials)
    assert group.cost == "wall_plain_s"
    assert all(set(by_seed) == {1, 2} for by_seed in group.values("wall_plain_s").values())


def test_claims_about_speed_rest_on_flops_alone() -> None:
    trials = apart(factory.all_trials())
    found = groups(factory.suite(trials), trials)
    measured = [
        finding.measured for finding in training.faster(Evidence(factory.suite(trials), found))
    ]
    assert [words.partition(" of")[0] for words in measured] == ["training FLOPs"]


def test_figures_of_time_leave_them_out() -> None:
    trials = apart(factory.all_trials())
    (group,) = groups(factory.suite(trials), trials)
    drawn = {kind: draw(group) for kind, (draw, _, _) in FIGURES.items()}
    assert drawn["time_by_lap"] is None
    assert drawn["learning_curves"] is not None and drawn["decision"] is not None


@pytest.mark.usefixtures("no_figures")
def test_a_report_of_nothing_but_shared_trials_is_whole(tmp_path: Path) -> None:
    trials = apart(factory.all_trials())
    factory.journal(tmp_path, factory.suite(trials), trials)
    written = document.write(tmp_path).read_text()
    assert written.count(WHY) == 1, "above the costs"
    assert "the time." not in written.partition("\n## ")[0], "the decision tells no times"
    assert set(pd.read_csv(tmp_path / "trials.csv")["untimed"]) == {WHY}
