"""Margins in an experiment's file: the differences below which two scenarios count as equally good."""

from pathlib import Path

import pytest

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import NOT_IN_KEY, Experiment, load
from mtlab.report.tasks import of_experiment

FILE = """\
data: {source: here}
margins: {ner: 0.1}
scenarios:
  full: [{epochs: 1, train: {all: 1.0e-4}}]
"""
KINDS = """\
tasks:
  topic: {kind: classification, column: topic}
  tones: {kind: multilabel, column: tones}
  urgency: {kind: regression, column: urgency}
  slots: {kind: tagging, column: slots}
  words: {kind: tagging, column: words, spans: false}
"""


def read(
    directory: Path, text: str = FILE, overrides: dict[str, list[str]] | None = None
) -> Experiment:
    (directory / "exp.yaml").write_text(text)
    return load(directory / "exp.yaml", overrides)


def margins(experiment: Experiment) -> dict[str, float]:
    """What the report of an experiment takes them to be."""
    return {task.name: task.margin for task in of_experiment(experiment.model_dump(mode="json"))}


def test_the_margins_of_a_file_reach_the_report(tmp_path: Path) -> None:
    assert margins(read(tmp_path)) == {"classifier": 0.02, "ner": 0.1}
    given = read(tmp_path, overrides={"margins.classifier": ["0.005"]})
    assert margins(given) == {"classifier": 0.005, "ner": 0.1}


def test_without_margins_each_kind_has_its_own(tmp_path: Path) -> None:
    text = FILE.replace("margins: {ner: 0.1}\n", KINDS)
    usual = {"topic": 0.02, "tones": 0.04, "urgency": 0.04, "slots": 0.04, "words": 0.02}
    assert margins(read(tmp_path, text)) == usual
    assert margins(read(tmp_path, text + "margins: {urgency: 0.2}\n")) == {**usual, "urgency": 0.2}


def test_a_record_that_has_no_margins_has_the_usual_ones() -> None:
    assert [task.margin for task in of_experiment({})] == [0.02, 0.04]


def test_margins_change_no_trial_and_cannot_be_swept(tmp_path: Path) -> None:
    assert "margins" in NOT_IN_KEY
    with pytest.raises(UserError, match=r"margins\.ner cannot be swept"):
        read(tmp_path, overrides={"sweep.margins.ner": ["0.1", "0.2"]})
