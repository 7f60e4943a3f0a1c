"""Reports of suites with other tasks than the usual two."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from mtlab.record.quality import Contributions
from mtlab.record.records import DomainScore, StageRecord, SuiteRecord, TrialRecord
from mtlab.report import document
from mtlab.report.claims.evidence import Evidence
from mtlab.report.claims.register import CLAIMS, findings
from mtlab.report.comparison import across, forgetting
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.winner import winner
from mtlab.report.figures import curves, scores, staged_plots
from mtlab.report.sections import body, staged
from mtlab.report.tasks import mean_score, of_experiment, together
from mtlab.tasks.classification import Classification
from mtlab.tasks.kind import Columns, Scored
from mtlab.tasks.registry import KINDS
from tests import figures

from . import answers, factory
from .answers import EACH
from .factory import ENCODER
from .html_page import check_inert
from .test_document import HOSTILE

SCENARIOS = (
    "fully_frozen",
    "backbone_frozen",
    "top_1",
    "top_3",
    "gradual_unfreeze",
    "full_finetune",
)
SEEDS = 3
USUAL = re.compile(r"classifier|\bner\b")


def ran(tasks: answers.Tasks) -> tuple[SuiteRecord, list[TrialRecord]]:
    trials = [factory.trial(name, seed, tasks=tasks) for name in SCENARIOS for seed in range(SEEDS)]
    return factory.suite(
        trials, SEEDS, tasks=tasks, scenarios={name: [] for name in SCENARIOS}
    ), trials


def report(folder: Path, tasks: answers.Tasks) -> Path:
    document.write(factory.journal(folder, *ran(tasks)))
    return folder


def words_of(folder: Path) -> str:
    """All that the report says, in the table and in figures too."""
    files = [folder / "report.md", folder / "report.html", folder / "trials.csv"]
    return "\n".join(
        path.read_text(encoding="utf-8") for path in (*files, *folder.glob("plots/*.svg"))
    )


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with figures.saved(figures.drawn):
        return report(tmp_path_factory.mktemp("four"), EACH)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with figures.saved(figures.drawn):
        return report(tmp_path_factory.mktemp("single"), {"urgency": EACH["urgency"]})


def drawn(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("plots/*.svg")}


OF_ANY = {*scores.FIGURES, "quality_vs_blocks"}


def test_four_tasks_have_a_report_with_all_figures(four: Path) -> None:
    text = (four / "report.md").read_text()
    assert drawn(four) == OF_ANY | {"parts_tones", "parts_slots"}
    assert not USUAL.search(words_of(four))
    places = [
        text.index(f"<summary>{name}: every metric</summary>")
        for name in ("Topic", "Tones", "Urgency", "Slot filling")
    ]
    assert places == sorted(places)
    assert "| scenario | label F1 | macro F1 | exact match |" in text
    assert "| scenario | Pearson's r | Spearman's rho | mean absolute error |" in text
    assert "<summary>Label F1 by label</summary>" in text
    home = text.split("\n## The recommended model\n")[1].split("\n## ")[0]
    assert "all 4 tasks" in home
    assert "tones: 2 labels: calm, loud" in text and "urgency: mean 2.96, standard" in text
    assert "score: the mean of the tasks' main metrics over the tasks of the last" in text


def test_every_task_has_its_columns(four: Path) -> None:
    with (four / "trials.csv").open() as file:
        row = next(csv.DictReader(file))
    assert {"topic_accuracy", "tones_exact", "urgency_mae", "slots_f1_strict"} <= row.keys()
    assert {"urgency_loss", "validation_urgency_r", "validation_tones_f1"} <= row.keys()
    assert -1 <= float(row["urgency_r"]) < 0, "nothing was learnt"


def test_one_task_has_a_report_with_all_figures(single: Path) -> None:
    text = (single / "report.md").read_text()
    assert drawn(single) == OF_ANY
    assert not USUAL.search(words_of(single)) and "tasks of the last stage" not in text
    assert "score: Pearson's r. It was written down" in text
    assert re.search(r"\| `fully_frozen` \| −0\.\d+ \[−1\.000, −0\.\d+\]", text), "cut at −1"
    assert "urgency" in text.split("\n## The recommended model\n")[1].split("\n## ")[0]


def of(tasks: answers.Tasks) -> Group:
    suite, trials = ran(tasks)
    return groups(suite, trials)[0]


def test_four_tasks_stand_in_panels_two_in_a_row() -> None:
    group = of(EACH)
    figure = curves.drawings([group], group)["quality_vs_blocks"][0]()
    assert figure is not None
    titles = [ax.get_title(loc="left").partition(":")[0] for ax in figure.axes]
    assert titles == ["Topic", "Tones", "Urgency", "Slot filling"]
    corners = [ax.get_gridspec().nrows for ax in figure.axes]
    assert corners == [2, 2, 2, 2]


def test_claims_look_for_tasks_by_their_kind() -> None:
    def tested(tasks: answers.Tasks) -> dict[str, list[str]]:
        suite, trials = ran(tasks)
        evidence = Evidence(suite, groups(suite, trials))
        return {
            claim.name: [one.measured for one in found]
            for claim in CLAIMS
            if (found := findings(claim, evidence))
        }

    every, alone = tested(EACH), tested({"urgency": EACH["urgency"]})
    assert every["nothing trained"][0].startswith("accuracy on test (chance 0.333)")
    assert every["entities fall faster"][0].endswith(
        "entity F1 minus accuracy (interval over seeds alone)"
    )
    assert every["heads worst for entities"][0].startswith("entity F1 on test")
    assert len(every["below 10,000"]) == 4
    of_one = {"nothing trained", "entities fall faster", "heads worst for entities"}
    assert set(every) - set(alone) == of_one


def test_two_tasks_with_one_metric_are_told_apart() -> None:
    twice = {"in_short": EACH["topic"], "at_length": {**EACH["topic"], "column": "other"}}
    assert [task.metric_title for task in of_experiment({"tasks": twice})] == [
        "in_short accuracy",
        "at_length accuracy",
    ]
    alike = {name: {**task, "title": "topic"} for name, task in twice.items()}
    assert [task.title for task in of_experiment({"tasks": alike})] == [
        "topic (in_short)",
        "topic (at_length)",
    ]


def test_words_for_several_tasks() -> None:
    usual, every = of_experiment({}), of_experiment({"tasks": EACH})
    assert [together(tasks) for tasks in (usual[:1], usual, every)] == [
        "sentence classification",
        "both tasks",
        "all 4 tasks",
    ]
    assert mean_score(usual) == "the mean of accuracy and entity F1"
    assert mean_score(usual[1:]) == "entity F1"


def constant(trial: TrialRecord) -> TrialRecord:
    """The trial, which predicts one number for every sentence."""
    assert trial.test is not None and trial.contributions is not None
    columns = trial.contributions.by_task["urgency"]
    flat = {**columns, "predicted": (1.0,) * len(columns["gold"])}
    scored = trial.test.by_task["urgency"]
    of_test = scored.model_copy(update={"scores": {"r": None, "rho": None, "mae": 2.0}})
    test = trial.test.model_copy(update={"by_task": {"urgency": of_test}})
    update = {"test": test, "contributions": Contributions(by_task={"urgency": flat})}
    return trial.model_copy(update=update)


@pytest.mark.usefixtures("no_figures")
def test_a_scenario_whose_score_is_undefined_is_no_winner(tmp_path: Path) -> None:
    suite, trials = ran({"urgency": EACH["urgency"]})
    low = answers.tested({"urgency": EACH["urgency"]}, 0.1, 0)  # a correlation below 0
    made = [
        constant(trial)
        if trial.scenario == "fully_frozen"
        else trial.model_copy(update={**low, "validation": low["test"]})
        for trial in trials
    ]
    (group,) = groups(suite, made)
    assert group.values("urgency_r")["fully_frozen"] == {}
    found = winner(group)
    assert found is not None and found.scenario != "fully_frozen"
    assert across.frontier(group, group.every[0]) == [], "no shares of what is below 0"
    assert "| `fully_frozen` | –" in body.results(group)
    written = document.write(factory.journal(tmp_path, suite, made)).read_text()
    assert "## Failures" not in written


def test_a_score_that_stays_below_0_has_a_step_at_which_it_is_reached() -> None:
    from mtlab.report.claims.training import _updates_to

    trial = factory.trial("full_finetune", 0, tasks={"urgency": EACH["urgency"]})
    epochs = [
        epoch.model_copy(
            update={"validation": answers.metrics({"urgency": EACH["urgency"]}, -0.5 + at / 100)}
        )
        for at, epoch in enumerate(trial.epochs)
    ]
    assert _updates_to(trial.model_copy(update={"epochs": tuple(epochs)})) == epochs[-1].step


def test_titles_of_tasks_are_inert(tmp_path: Path, drawn_figures: None) -> None:
    title = " ".join(HOSTILE.split())
    tasks = {name: {**task, "title": f"{title} {name}"} for name, task in EACH.items()}
    report(tmp_path, tasks)
    page = check_inert((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.one("main").words.count(title[1:]) >= 8  # a heading begins with a capital letter


class Ordered(Classification):
    """A label of an ordered few; wrong by one is half right."""

    name = "ordered"
    metrics: ClassVar[dict[str, str]] = {"near": "nearness"}
    title = "ordering"

    def score(self, pairs: Sequence[tuple[str, str]]) -> Scored:
        return Scored({"near": float(np.mean([self._near(*pair) for pair in pairs]))})

    def columns(self, pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[int | float, ...]]:
        return {"near": tuple(self._near(*pair) for pair in pairs)}

    def linear(self, columns: Columns) -> np.ndarray | None:
        return np.array(columns["near"])

    def _near(self, gold: str, predicted: str) -> float:
        return max(0.0, 1 - abs(ord(gold) - ord(predicted)) / 2)


def test_a_kind_that_is_known_here_alone_has_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "ordered", Ordered)
    tasks = {"stars": {"kind": "ordered", "column": "stars"}, "slots": EACH["slots"]}
    report(tmp_path, tasks)
    text = (tmp_path / "report.md").read_text()
    assert "| scenario | nearness | change | entity F1 | change |" in text
    assert "## Stars" not in text, "one metric and no parts: the results have it all"
    assert drawn(tmp_path) == OF_ANY | {"parts_slots"}


# staged experiments of several tasks

NEW = ("tones", "urgency")
STAGED: dict[str, tuple[list[str], dict[str, float], tuple[str, ...], float]] = {
    "nothing": ([], {}, NEW, 0.9),
    "around": ([*ENCODER, *(f"head.{task}" for task in NEW)], {}, NEW, 0.6),
    "heads": ([f"head.{task}" for task in NEW], {}, NEW, 0.9),
    "held": ([*ENCODER, *(f"head.{task}" for task in NEW)], {"rehearsal": 0.25}, NEW, 0.85),
    "other": ([*ENCODER, "head.slots"], {}, ("slots",), 0.7),
    "joint": ([*ENCODER, *(f"head.{task}" for task in EACH)], {}, tuple(EACH), 0.9),
}
"""Scenario to trained units, mitigation, losses, and what the scores on the source are afterwards."""


def staged_stage(name: str, seed: int) -> StageRecord:
    units, mitigation, losses, _ = STAGED[name]
    sizes = {**{unit: factory.SIZES[unit] for unit in ENCODER}}
    sizes |= {f"head.{task}": 1_000 for task in EACH}
    digests = {unit: factory.sha(unit) for unit in sizes}
    made = factory.stage(name, 5 if units else 0, units, seed, digests, losses, sizes)
    return made.model_copy(update=mitigation)


def staged_trial(name: str, seed: int) -> TrialRecord:
    def scored(stage: int, domain: str, worth: float) -> DomainScore:
        tested = answers.tested(EACH, worth, seed)
        return DomainScore(
            stage=stage,
            domain=domain,
            metrics=tested["test"],
            contributions=tested["contributions"],
        )

    matrix = (scored(0, "source", 0.9), scored(0, "target", 0.4))
    return factory.trial("full_finetune", seed, tasks=EACH).model_copy(
        update={
            "key": factory.sha(name, seed),
            "scenario": name,
            "stages": (staged_stage(name, seed),),
            "start": factory.sha("start", seed),
            "matrix": (*matrix, scored(1, "source", STAGED[name][3])),
            **answers.tested(EACH, 0.7, seed),
        }
    )


@pytest.fixture(scope="module")
def kept() -> tuple[SuiteRecord, list[TrialRecord]]:
    trials = [staged_trial(name, seed) for name in STAGED for seed in range(5)]
    start = {"data": {"source": "builtin"}, "stages": []}
    scenarios = {name: [] for name in STAGED}
    return factory.suite(
        trials, 5, tasks=EACH, scenarios=scenarios, control="joint", start=start
    ), trials


def test_a_scenario_keeps_every_task_that_it_does_not_train(
    kept: tuple[SuiteRecord, list[TrialRecord]],
) -> None:
    (group,) = groups(*kept)
    topic, tones, urgency, slots = group.every
    assert forgetting.kept_tasks(group) == [topic, tones, urgency, slots]
    assert forgetting.keepers(group, topic) == ["around", "heads", "held", "other"]
    assert forgetting.keepers(group, tones) == ["other"]
    assert forgetting.keepers(group, slots) == ["around", "heads", "held"]
    stages = {name: group.of(name)[0].stages for name in STAGED}
    assert [name for name in STAGED if forgetting.adapts_around(stages[name])] == [
        "around",
        "other",
    ]
    assert [name for name in STAGED if forgetting.leaves_encoder(stages[name])] == ["heads"]
    (effect,) = forgetting.effects(group, topic)
    assert (effect.scenario, effect.without) == ("held", "around")
    assert list(effect.learned) == list(NEW)
    assert forgetting.effects(group, tones) == []


def test_the_matrix_is_over_all_tasks_and_new_ones_have_a_column_each(
    kept: tuple[SuiteRecord, list[TrialRecord]],
) -> None:
    (group,) = groups(*kept)
    text = staged.section(group)
    metrics = ("accuracy", "label F1", "Pearson's r", "entity F1")
    cells = [f"{metric}, {domain}" for metric in metrics for domain in ("source", "target")]
    assert f"| scenario | when | {' | '.join(cells)} |" in text
    columns = (
        "accuracy, source | label F1, target | Pearson's r, target | share of the loss recovered"
    )
    assert f"| against `around` | {columns} |" in text
    assert "What each mitigation changes, at the kept task and at the new tasks:" in text
    assert staged.lost(group).count(", which these scenarios do not train:**") == 4


def test_every_new_task_has_a_panel_beside_every_kept_one(
    kept: tuple[SuiteRecord, list[TrialRecord]],
) -> None:
    (group,) = groups(*kept)
    figure = staged_plots.drawings(group)["kept_and_learnt"][0]()
    assert figure is not None
    pairs = {
        tuple(
            label.split(":")[1].split(",")[0].strip()
            for label in (ax.get_xlabel(), ax.get_ylabel())
        )
        for ax in figure.axes
    }
    assert pairs == {
        ("topic", "tones"),
        ("topic", "urgency"),
        ("topic", "slot filling"),
        ("slot filling", "tones"),
        ("slot filling", "urgency"),
        ("tones", "slot filling"),
        ("urgency", "slot filling"),
    }


@pytest.mark.usefixtures("no_figures")
def test_a_staged_report_of_several_tasks_names_no_other(
    kept: tuple[SuiteRecord, list[TrialRecord]], tmp_path: Path
) -> None:
    document.write(factory.journal(tmp_path, *kept))
    assert not USUAL.search(words_of(tmp_path))
    claims = {claim.name: claim for claim in CLAIMS}
    found = findings(claims["regularisation"], Evidence(kept[0], groups(*kept)))
    assert [finding.scenarios for finding in found] == [("held", "around")] * 2
