"""Generated parts of pages, and advice that the reports must support."""

import json
from pathlib import Path
from typing import Any

import pytest

from mtlab.cli import main
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.record.records import TrialRecord
from mtlab.report.pages import advice, guides, keys, markers
from mtlab.report.pages.reports import Reports

from . import factory, test_forgetting

PAGE = """\
# Mine

before
<!-- mtlab: answer compare -->
old
<!-- mtlab: end -->
between
  <!-- mtlab: table -->
<!-- mtlab: end -->
after, without a line's end"""

WRITERS: markers.Writers = {"answer": lambda about: f"of {about}", "table": lambda _: "a\nb\n"}


def test_only_what_is_between_the_comments_is_written() -> None:
    filled = markers.filled(PAGE, WRITERS, "page.md")
    assert filled == PAGE.replace("\nold\n", "\n\nof compare\n\n").replace(
        "table -->\n", "table -->\n\na\nb\n\n"
    )
    assert markers.filled(filled, WRITERS, "page.md") == filled


def test_a_page_keeps_the_ends_of_its_lines() -> None:
    page = PAGE.replace("\n", "\r\n")
    filled = markers.filled(page, WRITERS, "page.md")
    assert filled == markers.filled(PAGE, WRITERS, "page.md").replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("page", "place", "code"),
    [
        ("\n<!-- mtlab: answer -->\ntext\n", "page.md:2", "malformed"),
        (
            "<!-- mtlab: answer -->\n\n<!-- mtlab: table -->\n<!-- mtlab: end -->",
            "page.md:1",
            "malformed",
        ),
        ("text\n<!-- mtlab: end -->\n", "page.md:2", "malformed"),
        ("<!-- mtlab: anwser -->\n<!-- mtlab: end -->\n", "page.md:1", "unknown-value"),
    ],
)
def test_a_part_that_cannot_be_written_is_reported_with_its_line(
    page: str, place: str, code: str
) -> None:
    with pytest.raises(UserError) as refused:
        markers.filled(page, WRITERS, "page.md")
    assert (refused.value.where, refused.value.code) == (place, code)


def of_another_run(trial: TrialRecord, run: str) -> TrialRecord:
    """The trial with weights of its own, as another run would have them."""
    return trial.model_copy(update={"final_digest": factory.sha(trial.final_digest, run)})


def reports(folder: Path, *runs: tuple[str, dict[str, tuple[float, float]]]) -> Reports:
    """A folder with a report for each run, whose scenarios have these accuracies and F1."""
    for name, scores in runs:
        trials = [
            of_another_run(factory.trial(scenario, seed, scores=pair, spread=0.002), name)
            for scenario, pair in scores.items()
            for seed in range(3)
        ]
        suite = factory.suite(trials, 3, scenarios={scenario: [] for scenario in scores})
        factory.journal(folder / "reports" / name, suite, trials)
    return Reports(folder / "reports")


WORSE = {"backbone_frozen": (0.90, 0.50), "full_finetune": (0.90, 0.80)}
BETTER = {"backbone_frozen": (0.90, 0.90), "full_finetune": (0.90, 0.80)}
GROUND = {"scenario": "backbone_frozen", "tasks": ["ner"], "supports": ["worse"]}


def written(folder: Path, *grounds: dict[str, Any], **changes: Any) -> Path:
    """A file with one piece of advice."""
    cost = {"report": "one", "scenario": "full_finetune", "other": "backbone_frozen"}
    piece = {"situation": "Tags matter", "choice": "Train", "cost": cost, "grounds": grounds}
    path = folder / "reports" / advice.FILE
    path.write_text(json.dumps({"tags": {**piece, **changes}}))
    return path


def test_advice_names_what_speaks_for_it_against_it_and_what_is_unclear(tmp_path: Path) -> None:
    read = reports(tmp_path, ("one", WORSE), ("two", WORSE), ("three", BETTER))
    (piece,) = advice.read(written(tmp_path, GROUND), read)
    assert sorted(verdict.report for verdict in piece.supporting) == ["one", "two"]
    assert [(verdict.report, verdict.word) for verdict in piece.opposing] == [("three", "better")]
    table = advice.table([piece], read, tmp_path / "README.md")
    assert "2× `backbone_frozen` worse (−0.30" in table
    assert "1× `backbone_frozen` better (+0." in table and "(reports/three/report.md)" in table
    page = advice.page([piece], read, tmp_path / "reports" / "advice.md")
    assert page.count("](two/report.md)") == 1 and "| against | [three](three/report.md) |" in page


def test_verdicts_on_the_same_weights_count_once(tmp_path: Path) -> None:
    read = reports(tmp_path, ("one", WORSE))
    suite, trials = read.evidence("one").suite, read.evidence("one").base.trials
    fewer = [trial for trial in trials if trial.seed < 2]
    factory.journal(tmp_path / "reports" / "again", suite, fewer)
    (piece,) = advice.read(written(tmp_path, GROUND), Reports(tmp_path / "reports"))
    assert [verdict.report for verdict in piece.supporting] == ["one"]


@pytest.mark.parametrize(
    ("runs", "ground", "says"),
    [
        (
            [("one", BETTER)],
            GROUND,
            "no verdict of a report says that backbone_frozen is worse at ner",
        ),
        ([("one", WORSE), ("two", BETTER)], GROUND, "only 1 of 2 clear verdicts"),
        ([("one", WORSE)], {**GROUND, "scenario": "backbone_frozn"}, "no verdict of a report"),
        ([("one", WORSE)], {**GROUND, "most_sentences": 100}, "no verdict of a report"),
        ([("one", WORSE)], {**GROUND, "staged": True}, "no verdict of a report"),
        ([("one", WORSE)], {**GROUND, "tasks": ["classifier"]}, "no verdict of a report"),
    ],
)
def test_advice_without_more_verdicts_for_it_than_against_it_is_refused(
    tmp_path: Path, runs: list[tuple[str, Any]], ground: dict[str, Any], says: str
) -> None:
    read = reports(tmp_path, *runs)
    with pytest.raises(UserError) as refused:
        advice.read(written(tmp_path, ground), read)
    assert refused.value.code == "unsupported" and says in refused.value.problem
    assert refused.value.where.endswith("advice.yaml:1 tags.grounds.0")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cost": {"report": "on", "scenario": "a", "other": "b"}}, "no-reports"),
        (
            {"cost": {"report": "one", "scenario": "full", "other": "backbone_frozen"}},
            "unknown-scenario",
        ),
        ({"choise": "Train"}, "unknown-key"),
        ({"grounds": []}, "wrong-type"),
        ({"grounds": [{**GROUND, "supports": ["unclear"]}]}, "unknown-value"),
    ],
)
def test_a_mistake_in_the_file_of_advice_is_reported_with_its_place(
    tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    read = reports(tmp_path, ("one", WORSE))
    path = written(tmp_path, GROUND, **changes)
    with pytest.raises(UserError) as refused:
        advice.read(path, read)
    assert refused.value.code == code and refused.value.where.startswith(f"{path}:1")


def test_costs_and_mitigations_can_support_advice(tmp_path: Path) -> None:
    suite, trials = test_forgetting.ran("around", "half", "everything")
    factory.journal(tmp_path / "reports" / "staged", suite, trials)
    read = reports(tmp_path, ("one", WORSE))
    cheaper = {"measure": "cost", "scenario": "backbone_frozen", "supports": ["cheaper"]}
    held = {**GROUND, "measure": "mitigation", "scenario": "half", "staged": True}
    held |= {"tasks": ["classifier"], "supports": ["better"]}
    (piece,) = advice.read(written(tmp_path, cheaper, held), read)
    assert [(verdict.report, verdict.word, verdict.pair) for verdict in piece.supporting] == [
        ("one", "cheaper", ("backbone_frozen", "full_finetune")),
        ("staged", "better", ("half", "around")),
    ]
    assert piece.supporting[0].effect.endswith("×") or "× [" in piece.supporting[0].effect
    assert piece.supporting[1].effect.startswith("+0.1")


README = """\
# Mine

<!-- mtlab: answer one -->
<!-- mtlab: end -->
<!-- mtlab: table one -->
<!-- mtlab: end -->
<!-- mtlab: advice -->
<!-- mtlab: end -->
caf\xe9
"""


def test_one_command_writes_the_parts_of_every_page(tmp_path: Path, capsys: Any) -> None:
    reports(tmp_path, ("one", WORSE))
    written(tmp_path, GROUND)
    (tmp_path / "README.md").write_bytes(README.encode("latin-1"))
    (tmp_path / "experiments").mkdir()
    guide = tmp_path / "experiments" / "README.md"
    guide.write_text("<!-- mtlab: experiments -->\n<!-- mtlab: end -->\n")
    for name, question in (("one", "Why?"), ("two", "When?")):
        (tmp_path / "experiments" / f"{name}.yaml").write_text(f"question: {question}\n")
    (tmp_path / "experiments" / "colours.yaml").write_text("full_finetune: black\n")
    assert main(["claims", str(tmp_path / "reports")]) == 0
    said = capsys.readouterr().out
    page = (tmp_path / "README.md").read_bytes().decode("latin-1")
    assert "- **" in page and "| `full_finetune` (control) |" in page and page.endswith("caf\xe9\n")
    assert "| Tags matter | **Train** |" in page and "(reports/one/report.md)" in page
    assert guide.read_text().splitlines()[4:6] == [
        "| [one](one.yaml) | Why? | [one](../reports/one/report.md) |",
        "| [two](two.yaml) | When? | not published |",
    ]
    for path in (tmp_path / "README.md", guide, tmp_path / "reports" / "advice.md"):
        assert str(path) in said
    assert guides.write_pages(tmp_path / "reports")
    assert (tmp_path / "README.md").read_bytes().decode("latin-1") == page


CARD = """\
# Why? caf\xe9
#
# Measured: nothing
# at all.
#
# More.
question: "Why? # Measured: no"
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_lab_card_tells_what_was_measured_and_the_rest_of_the_file_stays(
    tmp_path: Path, newline: str
) -> None:
    reports(tmp_path, ("one", WORSE))
    file = tmp_path / "experiments" / "one.yaml"
    file.parent.mkdir()
    file.write_bytes(CARD.replace("\n", newline).encode("latin-1"))
    other = file.with_name("two.yaml")
    other.write_text("# It has not been run.\nquestion: When?\n")
    assert guides.write_pages(tmp_path / "reports") == [file]
    card = file.read_bytes().decode("latin-1")
    before, after = (
        part.replace("\n", newline) for part in CARD.split("# Measured: nothing\n# at all.\n")
    )
    assert card.startswith(before) and card.endswith(after)
    told = " ".join(card[len(before) : -len(after)].replace("# ", "").split())
    assert told.startswith("Measured: 6 trials")
    assert "full_finetune: accuracy 0.897, entity F1 0.799." in told
    assert told.endswith("See reports/one/report.md.") and "`" not in told
    assert all(len(line) <= 140 for line in card.splitlines())
    assert guides.write_pages(tmp_path / "reports") == [file]
    assert file.read_bytes().decode("latin-1") == card


def test_every_key_that_a_file_may_write_is_listed_with_its_meaning_and_default() -> None:
    page = keys.page()
    sections = dict(part.split("\n", 1) for part in page.split("## ")[1:])
    assert page.count("| See below. |") == 5, "their values have keys, which are told"
    assert set(sections) >= {
        "`seeds`",
        "`data`, `start.data`",
        "`scenarios.NAME.0`, `start.stages.0`",
    }
    assert "| `batch_size` | Sentences in every training batch, exactly. | `32` |" in page
    assert "| `epochs` |" in page and page.count("| required |") >= 8
    assert "| `withheld` |" not in page and "``" not in page and ":mod:" not in page
    for name in Experiment.model_fields.keys() - {"looks", "pilot"}:
        assert f"| `{name}` |" in sections["The file itself"], name


def test_a_lab_card_without_a_report_is_reported_with_its_line(tmp_path: Path) -> None:
    reports(tmp_path, ("one", WORSE))
    (tmp_path / "experiments").mkdir()
    file = tmp_path / "experiments" / "two.yaml"
    file.write_text(CARD)
    with pytest.raises(UserError, match="there is no report") as refused:
        guides.write_pages(tmp_path / "reports")
    assert refused.value.where == f"{file}:3" and file.read_text() == CARD


def test_a_page_without_parts_stays_as_it_is(tmp_path: Path) -> None:
    reports(tmp_path, ("one", WORSE))
    (tmp_path / "README.md").write_bytes(b"somebody's \xff page")
    assert guides.write_pages(tmp_path / "reports") == []
    assert (tmp_path / "README.md").read_bytes() == b"somebody's \xff page"


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("table two", "no report is called 'two'"),
        ("answer", "the name of a report is missing"),
        ("figure one", "has no figure"),
        ("advice", "there is no advice"),
    ],
)
def test_a_part_without_what_it_needs_is_reported_with_its_line(
    tmp_path: Path, part: str, says: str
) -> None:
    reports(tmp_path, ("one", WORSE))
    page = f"# Mine\n<!-- mtlab: {part} -->\n<!-- mtlab: end -->\n"
    (tmp_path / "README.md").write_text(page)
    with pytest.raises(UserError) as refused:
        guides.write_pages(tmp_path / "reports")
    assert says in refused.value.problem
    assert refused.value.where == f"{tmp_path / 'README.md'}:2"
    assert (tmp_path / "README.md").read_text() == page
