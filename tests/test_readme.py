"""What the README says is what a run wrote and what there is."""

import json
import re
import shutil
import statistics
from pathlib import Path

import pytest

from mtlab.cli import main
from mtlab.plan import yaml_file
from mtlab.plan.errors import UserError
from mtlab.record.journal import Journal
from mtlab.report import gallery, verdicts
from tests.conftest import SHARED_DATA
from tests.data import corpus_measures as measures

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_results_table_is_the_reports() -> None:
    report = (ROOT / "reports" / "compare" / "report.md").read_text().splitlines()
    rows = [line for line in README.splitlines() if line.startswith("|") and "[0." in line]
    assert len(rows) == 6
    assert set(rows) <= set(report)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_links_lead_to_files(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))))
def test_commands_are_targets(target: str) -> None:
    assert re.search(rf"^[a-z -]*\b{target}\b[a-z -]*:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("file", sorted(set(re.findall(r"experiments/\w+\.yaml", README))))
def test_experiments_that_are_named_ship_with_a_lab_card(file: str) -> None:
    assert yaml_file.read(ROOT / file).value["question"]
    assert (ROOT / file).read_text().startswith("# ")


REPORTS = sorted(path.parent.name for path in (ROOT / "reports").glob("*/suite.json"))


@pytest.mark.parametrize("name", REPORTS)
def test_the_committed_report_rebuilds_from_its_records_byte_for_byte(tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(ROOT / "reports" / name, tmp_path / name, ignore=shutil.ignore_patterns("predictions", "failures", "cache"))
    written = contents(copy)
    for part in ("report.md", "trials.csv", "plots"):
        shutil.rmtree(copy / part) if (copy / part).is_dir() else (copy / part).unlink()
    assert main(["report", str(ROOT / "experiments" / f"{name}.yaml"), "--output", str(copy)]) == 0
    assert contents(copy) == written


def test_the_committed_page_of_claims_is_what_the_reports_say(tmp_path: Path) -> None:
    for name in REPORTS:
        (tmp_path / name).symlink_to(ROOT / "reports" / name)
    assert verdicts.write_page(tmp_path).read_bytes() == (ROOT / "reports" / "claims.md").read_bytes()


def test_the_committed_gallery_is_what_the_reports_say(tmp_path: Path) -> None:
    for name in REPORTS:
        (tmp_path / name).symlink_to(ROOT / "reports" / name)
    written = gallery.write_page(tmp_path).read_text()
    (tmp_path / "README.md").write_text("somebody's own page")
    with pytest.raises(UserError, match="is left as it is"):
        gallery.write_page(tmp_path)
    assert written == (ROOT / "reports" / "README.md").read_text()
    for target in re.findall(r"\]\(([^)]+)\)", written):
        assert (ROOT / "reports" / target).exists()


CHOICES = re.search(r"## Which scenario should I choose\?\n(.*?)\n## ", README, re.DOTALL)


@pytest.mark.parametrize("choice", re.findall(r"^- (.*?)(?=\n- |\n\n|\Z)", CHOICES[1] if CHOICES else "", re.DOTALL | re.MULTILINE))
def test_every_figure_of_the_advice_stands_in_a_report_that_it_links(choice: str) -> None:
    linked = re.findall(r"\]\((reports/[^)]+)\)", choice)
    told = "".join((ROOT / file).read_text() for file in linked)
    figures = re.findall(r"(?<![\w.])(\d\.\d+|\d{1,3}(?:,\d{3})+|\d+%)", choice)
    assert linked and figures
    assert [figure for figure in figures if figure not in told] == []


def test_what_the_readme_says_of_speed_is_the_benchmarks() -> None:
    found = json.loads((ROOT / "reports" / "bench" / "bench.json").read_text())
    rows = {(row["scenario"], row["seeds"]): row for part in found["scenarios"].values() for row in part["rows"]}

    def seconds(scenario: str, seeds: int, who: str) -> float:
        return statistics.median(rows[scenario, seeds]["seconds"][who])

    trainers = ("Trainer, defaults", "Trainer, tuned")
    heads = [seconds("backbone_frozen", 3, "mtlab"), *(3 * seconds("backbone_frozen", 1, who) for who in trainers)]
    full = [seconds("full_finetune", 1, who) for who in ("mtlab", *trainers)]
    said = " ".join(README.split())
    assert (
        "for three seeds take {:.0f} s, where `transformers.Trainer` takes {:.0f} s as it comes and {:.0f} s tuned".format(*heads) in said
    )
    assert "full fine-tuning takes {:.0f} s beside {:.0f} and {:.0f}".format(*full) in said


def test_the_committed_comparison_is_of_the_corpus_that_ships() -> None:
    suite = json.loads((ROOT / "reports" / "compare" / "suite.json").read_text())
    assert suite["data"][""]["fingerprint"] == measures.corpus("news").fingerprint
    assert suite["data"][""]["sources"] == ["builtin (news)"]


def test_the_default_has_neither_floor_nor_ceiling_and_no_list_of_words_solves_it() -> None:
    """What the default experiment must show, read from the committed run."""
    trials = Journal(ROOT / "reports" / "compare").read()[1]

    def mean(scenario: str, task: str) -> float:
        tested = [trial.test for trial in trials if trial.scenario == scenario]
        assert len(tested) == 5
        values = [test.classifier.accuracy if task == "classifier" else test.ner.default.f1 for test in tested]
        return sum(values) / len(values)

    assert 0.75 <= mean("full_finetune", "classifier") <= 0.96
    assert 0.55 <= mean("full_finetune", "ner") <= 0.93
    assert mean("backbone_frozen", "ner") <= mean("full_finetune", "ner") - 0.05
    assert mean("fully_frozen", "ner") <= 0.08
    assert measures.unigram_accuracy("news") <= mean("full_finetune", "classifier") - 0.05


def test_what_the_readme_shows_of_ones_own_data_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """But for whole lines, for which ``…`` stands."""
    command, block = re.findall(r"```\n\.venv/bin/mtlab (check .*)\n```\n\n```\n(.*?)\n```\n", README, re.DOTALL)[0]
    arguments = command.split()
    for name in arguments[1:]:
        there = SHARED_DATA / Path(name).name
        if not there.is_dir():
            pytest.skip(f"no data set {there.name} beside the checkout")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(there)
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 0
    shape = re.escape(block + "\n").replace("…\\\n", "(?:.*\n)+")
    assert re.fullmatch(shape, capsys.readouterr().out)


def contents(folder: Path) -> dict[Path, bytes | None]:
    """File to bytes; of pixels only that they are there, for another machine may round them otherwise."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "report.html"]  # which is not committed
    return {path.relative_to(folder): None if path.suffix == ".png" else path.read_bytes() for path in files}
