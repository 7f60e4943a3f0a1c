"""The values of a comparison are those of its report, its table of trials and the command line."""

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from mtlab import api
from mtlab.cli import main
from mtlab.comparison import Comparison
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load
from mtlab.record.journal import Journal
from mtlab.report.markdown import measured
from mtlab.report.table import to_csv
from tests.report.html_page import IMAGE, Page

METRICS = {"classifier": "classifier_accuracy", "ner": "ner_f1"}


def files(folder: Path) -> dict[Path, float]:
    """The files of a folder, with when each was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def cells(row: Any, metric: str) -> list[str]:
    """What a report writes of a task in a row of the table of results."""
    ends = [
        [None if math.isnan(value) else value for value in row[[f"{name}{end}" for end in ENDS]]]
        for name in (metric, f"{metric}_change")
    ]
    verdict = row[f"{metric}_verdict"]
    change = f"{measured(*ends[1], sign=True)} {verdict}" if verdict else "–"
    return [measured(*ends[0]), change.replace("at least", "unclear, at least")]


ENDS = ("", "_low", "_high")


def test_the_table_says_what_the_report_says(compared: Comparison) -> None:
    report = compared.report.read_text(encoding="utf-8")
    assert list(compared.table.index) == ["nothing", "heads", "full"]
    for scenario, row in compared.table.iterrows():
        control = " (control)" if scenario == "full" else ""
        share = f"{row['flops_share']:.2f}×"
        parts = [part for metric in METRICS.values() for part in cells(row, metric)]
        line = " | ".join([f"`{scenario}`{control}", *parts, share, str(row["seeds"])])
        assert f"| {line} |" in report


def test_the_trials_are_those_of_the_file(compared: Comparison) -> None:
    written = (compared.output / "trials.csv").read_text(encoding="utf-8")
    assert to_csv(compared.trials) == written
    assert compared.failures == {}


def test_the_decision_has_the_parts_of_the_box(
    compared: Comparison, capsys: pytest.CaptureFixture
) -> None:
    decision = compared.decision
    assert decision.scenario in compared.table.index
    report = compared.report.read_text(encoding="utf-8").replace("`", "")
    for part in (decision.answer, decision.cost, decision.sure, decision.change, decision.step):
        assert part in report
    assert main(["report", str(compared.output / "experiment.yaml")]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("report: ")
    assert lines == compared.lines == str(compared).splitlines()
    assert "\n".join(lines).endswith(str(decision))


def test_a_verdict_is_that_of_the_table(compared: Comparison) -> None:
    for task, metric in METRICS.items():
        for scenario in ("nothing", "heads"):
            column = compared.table[f"{metric}_verdict"]
            assert compared.verdict(scenario, task) == column[scenario] != ""


@pytest.mark.parametrize(
    ("scenario", "task", "line"),
    [
        ("hads", "ner", "there is no scenario 'hads' with a result; did you mean 'heads'?"),
        ("heads", "nre", "there is no task 'nre' with a result; did you mean 'ner'?"),
        ("full", "ner", "full is compared with nothing: it is the control; name another scenario"),
    ],
)
def test_a_verdict_that_is_not_there_is_one_line(
    compared: Comparison, scenario: str, task: str, line: str
) -> None:
    with pytest.raises(UserError, match=re.escape(line)):
        compared.verdict(scenario, task)


def test_the_figure_is_that_of_the_decision(compared: Comparison) -> None:
    figure = compared.figure()
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 2 + len(METRICS), "what trains, each task, the cost"


def test_a_notebook_shows_decision_figure_and_table(compared: Comparison) -> None:
    page = Page(compared._repr_html_())
    assert [image.attributes["src"][: len(IMAGE)] for image in page.all("img")] == [IMAGE]
    assert not page.all("script", "style", "link", "iframe")
    assert all(not name.startswith("on") for one in page.elements for name in one.attributes)
    assert not any("src" in one.attributes for one in page.elements if one.tag != "img")
    words = page.elements[0].words
    assert compared.decision.answer in words and compared.decision.limits in words
    rows = [one.words for one in page.all("tr")]
    assert len(rows) == 4 and rows[3].startswith("full (control)")


def test_records_are_loaded_from_a_folder_or_by_their_experiment(
    compared: Comparison, settings: dict[str, Any]
) -> None:
    before = files(compared.output)
    for source in (compared.output, str(compared.output), settings):
        again = api.load(source)
        assert again.suite == compared.suite and again.records == compared.records
        assert again.table.equals(compared.table) and again.report == compared.report
    assert files(compared.output) == before, "nothing was written"


def test_a_mapping_a_path_and_an_experiment_are_the_same_trials(
    compared: Comparison, settings: dict[str, Any], home: Path
) -> None:
    """Each reads back all trials, and the file that a mapping leaves is the experiment."""
    file = compared.output / "experiment.yaml"
    assert compared.suite.command == f"mtlab compare {file}"
    experiment = load(file)
    for source in (file, experiment, settings):
        again = api.compare(source)
        assert again.suite.trials == compared.suite.trials
        assert [one.started_at for one in again.records] == [
            one.started_at for one in compared.records
        ]
    assert load(file) == experiment or load(file).model_dump() == experiment.model_dump()
    assert main(["compare", str(file)]) == 0
    assert Journal(compared.output).read()[0].trials == compared.suite.trials


def test_a_model_is_exported_from_a_comparison(
    compared: Comparison, home: Path, settings: dict[str, Any]
) -> None:
    folder = api.export_model(compared, "heads", home / "model")
    assert folder == home / "model" and (folder / "model.safetensors").exists()
    with pytest.raises(UserError, match="is there already") as error:
        api.export_model(settings, "heads", to=folder)
    assert "\n" not in str(error.value)


def test_a_plan_is_what_the_command_prints(
    settings: dict[str, Any], compared: Comparison, capsys: pytest.CaptureFixture
) -> None:
    plan = api.dry_run(settings)
    assert capsys.readouterr().out == ""
    assert main(["plan", str(compared.output / "experiment.yaml")]) == 0
    assert capsys.readouterr().out == f"{plan}\n"
    assert list(plan.table.index) == ["nothing", "heads", "full"]
    good = compared.trials[compared.trials["seed"] == 0].set_index("scenario")
    for column in ("params_trainable", "params_frozen"):
        assert plan.table[column].to_dict() == good[column].to_dict()
    assert plan.table["train_flops_plain"].to_dict() == {
        name: some["train_flops"].sum() for name, some in compared.trials.groupby("scenario")
    }
    swept = api.dry_run(settings, **{"sweep.batch_size": [4, 8]}).table
    assert swept.index.names == ["point", "scenario"] and len(swept) == 6


def test_a_comparison_stays_as_it_was(compared: Comparison) -> None:
    assert {one.name for one in dataclasses.fields(compared)} >= {"suite", "records"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        compared.output = Path()  # type: ignore[misc]
