"""The page before several reports: what an experiment is about is read from its records."""

import re
from pathlib import Path

import pytest

from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report import gallery
from mtlab.report.claims.evidence import Evidence
from mtlab.report.comparison.groups import groups

from . import factory, test_forgetting, test_shifts

Records = tuple[SuiteRecord, list[TrialRecord]]
BOTH = ("backbone_frozen", "full_finetune")


def plain(*names: str) -> Records:
    trials = [factory.trial(name, seed) for name in names for seed in range(2)]
    return factory.suite(trials, 2, scenarios={name: [] for name in names}), trials


def guided() -> Records:
    suite, trials = plain(*BOTH)
    stages = [{"epochs": 5, "train": {"all": 1e-3}, "guidance": {"patience": 2}}]
    experiment = {**suite.experiment, "scenarios": dict.fromkeys(BOTH, stages)}
    return suite.model_copy(update={"experiment": experiment}), trials


def varied(**by_key: list[object]) -> Records:
    """One key's values, or those of several keys as settings."""
    settings = {key.replace("__", "."): values for key, values in by_key.items()}
    count = len(next(iter(settings.values())))
    trials = []
    for at in range(count):
        data = {key: values[at] for key, values in settings.items() if key.startswith("data.")}
        trials += [
            factory.trial(name, seed, point={"setting": at + 1, **data})
            for name in BOTH
            for seed in range(2)
        ]
    suite = factory.suite(trials, 2, scenarios={name: [] for name in BOTH}, settings=settings)
    return suite, trials


RECORDS: dict[str, list[Records]] = {
    "Which parts should be frozen?": [plain(*BOTH), plain(*factory.SCENARIOS)],
    "How much data?": [varied(data__train_size=[100, 300])],
    "How many blocks?": [plain(*BOTH, "top_1", "top_2")],
    "How to tune, and how long to train?": [
        varied(scenarios__full_finetune__0__epochs=[1, 2]),
        guided(),
    ],
    "One task or several?": [plain("full_finetune", "ner_alone")],
    "What does a model keep?": [test_forgetting.ran()],
    "What if labels are few or wrong?": [
        varied(data__labelled__ner=[0.1, 1.0]),
        varied(data__train_size=[100, 300], data__label_noise__classifier=[0.0, 0.2]),
    ],
    "Which way of freezing, in and out of distribution?": [test_shifts.ran()],
}


@pytest.mark.parametrize("title", RECORDS)
def test_an_experiment_is_about_what_its_records_vary(title: str) -> None:
    for suite, trials in RECORDS[title]:
        assert gallery.topic_of(Evidence(suite, groups(suite, trials))).title == title


def test_every_topic_has_an_example_here() -> None:
    assert set(RECORDS) == {topic.title for topic in gallery.TOPICS}


def test_experiments_lie_under_their_topics_with_question_amount_and_figure(
    tmp_path: Path,
) -> None:
    by_size = varied(data__train_size=[100, 300])
    for name, (suite, trials) in {"a": plain(*BOTH), "b": by_size, "c": plain(*BOTH)}.items():
        for figure in ("decision", "quality_vs_data", "learning_curves"):
            (tmp_path / name / "plots").mkdir(parents=True, exist_ok=True)
            (tmp_path / name / "plots" / f"{figure}.png").touch()
        asked = suite.model_copy(update={"question": f"What of {name}?", "elapsed_s": 125.0})
        factory.journal(tmp_path / name, asked, trials)
    page = gallery.write_page(tmp_path).read_text()
    lines = [line for line in page.splitlines() if line.startswith("##")]
    assert lines == [
        "## Which parts should be frozen?",
        "### [a](a/report.md)",
        "### [c](c/report.md)",
        "## How much data?",
        "### [b](b/report.md)",
    ]
    assert "**What of a?** (2 scenarios, 2 seeds, 2 minutes)" in page
    figures = re.findall(r"^!\[.*\]\((.*)\)$", page, re.MULTILINE)
    assert figures == [
        "a/plots/decision.png",
        "c/plots/decision.png",
        "b/plots/quality_vs_data.png",
    ]


def test_a_run_that_read_trials_back_has_no_time(tmp_path: Path) -> None:
    suite, trials = plain(*BOTH)
    again = suite.model_copy(update={"elapsed_s": 125.0, "read_back": (trials[0].key,)})
    factory.journal(tmp_path / "a", again, trials)
    assert "(2 scenarios, 2 seeds)" in gallery.write_page(tmp_path).read_text()
