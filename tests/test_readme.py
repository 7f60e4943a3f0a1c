"""What the README says is what a run wrote and what there is."""

import json
import re
import shutil
import statistics
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from mtlab.cli import main
from mtlab.plan import yaml_file
from mtlab.plan.errors import UserError
from mtlab.record import archive
from mtlab.record.journal import Journal
from mtlab.report import gallery
from mtlab.report.claims import verdicts
from tests.conftest import SHARED_DATA
from tests.data import corpus_measures as measures

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PUBLISHED = ROOT / "reports" / "published"


def test_the_results_table_is_the_reports() -> None:
    report = (PUBLISHED / "compare" / "report.md").read_text().splitlines()
    rows = [line for line in README.splitlines() if line.startswith("|") and "[0." in line]
    assert len(rows) == 6
    assert set(rows) <= set(report)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_links_lead_to_files(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize(
    "target", sorted(set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)))
)
def test_commands_are_targets(target: str) -> None:
    assert re.search(
        rf"^[a-z -]*\b{target}\b[a-z -]*:", (ROOT / "Makefile").read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("file", sorted(set(re.findall(r"experiments/\w+\.yaml", README))))
def test_experiments_that_are_named_ship_with_a_lab_card(file: str) -> None:
    assert yaml_file.read(ROOT / file).value["question"]
    assert (ROOT / file).read_text().startswith("# ")


REPORTS = sorted(path.parent.name for path in PUBLISHED.glob("*/suite.json"))
FILES = ("suite.json", "records.jsonl.gz")


@pytest.mark.parametrize("name", REPORTS)
def test_the_committed_report_rebuilds_from_its_records_byte_for_byte(
    tmp_path: Path, name: str
) -> None:
    rebuild(name, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("name", REPORTS)
def test_the_committed_report_rebuilds_with_its_figures_drawn(
    tmp_path: Path, name: str, drawn_figures: None
) -> None:
    rebuild(name, tmp_path)


def rebuild(name: str, tmp_path: Path) -> None:
    """Publish a report again and compare it with the committed one: of figures only that they are
    there, for another machine may round a pixel otherwise; and the archive as what is in it."""
    made = tmp_path / "published" / name
    made.mkdir(parents=True)
    for file in FILES:
        shutil.copy(PUBLISHED / name / file, made / file)
    assert (
        main(
            [
                "publish",
                str(ROOT / "experiments" / f"{name}.yaml"),
                "--output",
                str(tmp_path / name),
            ]
        )
        == 0
    )
    assert contents(made) == contents(PUBLISHED / name)
    assert len(contents(made)) in (5, 6), "report, table, suite, records, and a figure or two"
    assert archive.unpacked(made / archive.NAME) == archive.unpacked(
        PUBLISHED / name / archive.NAME
    )


def test_what_is_committed_is_light() -> None:
    files = [path for path in PUBLISHED.rglob("*") if path.is_file()]
    assert len(files) <= 6 * len(REPORTS) and sum(path.stat().st_size for path in files) < 8e6
    for path in [
        *PUBLISHED.rglob("*.png"),
        *(ROOT / "reports").glob("*.png"),
        *(ROOT / "reports").glob("[bg]*/*.png"),
    ]:
        with Image.open(path) as picture:
            assert picture.mode == "P" and picture.width >= 800, path


def test_git_takes_what_is_published_and_nothing_that_a_run_writes() -> None:
    ran = [
        f"reports/{name}"
        for name in (
            "compare/report.md",
            "compare/plots/a.png",
            "compare/records/a.json",
            "mine/suite.json",
            "a.csv",
        )
    ]
    kept = [
        "README.md",
        "claims.md",
        "mlflow_suite.png",
        "mlflow_runs.png",
        "bench/bench.md",
        "published/mine/records.jsonl.gz",
    ]
    ran, kept = (
        [*ran, "reports/gpu/mlflow.db", "reports/gpu/snips/trials.csv"],
        [*kept, "gpu/gpu.md", "gpu/compare/records.jsonl.gz"],
    )
    paths = "\n".join([*ran, *(f"reports/{name}" for name in kept)])
    command = ["git", "check-ignore", "--stdin", "--no-index"]
    git = subprocess.run(
        command, cwd=ROOT, input=paths, capture_output=True, text=True, check=False
    )
    if git.returncode == 128:
        pytest.skip("not a checkout of git's")
    assert git.stdout.splitlines() == ran


def test_the_committed_page_of_claims_is_what_the_reports_say(tmp_path: Path) -> None:
    (tmp_path / "published").symlink_to(PUBLISHED)
    assert (
        verdicts.write_page(tmp_path).read_bytes() == (ROOT / "reports" / "claims.md").read_bytes()
    )


def test_the_committed_gallery_is_what_the_reports_say(tmp_path: Path) -> None:
    (tmp_path / "published").symlink_to(PUBLISHED)
    written = gallery.write_page(tmp_path).read_text()
    (tmp_path / "README.md").write_text("somebody's own page")
    with pytest.raises(UserError, match="stays unchanged"):
        gallery.write_page(tmp_path)
    assert written == (ROOT / "reports" / "README.md").read_text()
    for target in re.findall(r"\]\(([^)]+)\)", written):
        assert (ROOT / "reports" / target).exists()


CHOICES = re.search(r"## Which scenario should I choose\?\n(.*?)\n## ", README, re.DOTALL)


@pytest.mark.parametrize(
    "choice",
    re.findall(
        r"^- (.*?)(?=\n- |\n\n|\Z)", CHOICES[1] if CHOICES else "", re.DOTALL | re.MULTILINE
    ),
)
def test_every_figure_of_the_advice_stands_in_a_report_that_it_links(choice: str) -> None:
    linked = re.findall(r"\]\((reports/[^)]+)\)", choice)
    told = "".join((ROOT / file).read_text() for file in linked)
    figures = re.findall(r"(?<![\w.])(\d\.\d+|\d{1,3}(?:,\d{3})+|\d+%)", choice)
    assert linked and figures
    assert [figure for figure in figures if figure not in told] == []


def test_what_the_readme_says_of_speed_is_the_benchmarks() -> None:
    found = json.loads((ROOT / "reports" / "bench" / "bench.json").read_text())
    rows = {
        (row["scenario"], row["seeds"]): row
        for part in found["scenarios"].values()
        for row in part["rows"]
    }

    def seconds(scenario: str, seeds: int, who: str) -> float:
        return statistics.median(rows[scenario, seeds]["seconds"][who])

    trainers = ("Trainer, defaults", "Trainer, tuned")
    heads = [
        seconds("backbone_frozen", 3, "mtlab"),
        *(3 * seconds("backbone_frozen", 1, who) for who in trainers),
    ]
    full = [seconds("full_finetune", 1, who) for who in ("mtlab", *trainers)]
    said = " ".join(README.split())
    assert (
        "for three seeds take {:.0f} s, where `transformers.Trainer` takes {:.0f} s as it comes and {:.0f} s tuned".format(
            *heads
        )
        in said
    )
    assert "full fine-tuning takes {:.0f} s beside {:.0f} and {:.0f}".format(*full) in said


def test_the_committed_comparison_is_of_the_corpus_that_ships() -> None:
    suite = json.loads((PUBLISHED / "compare" / "suite.json").read_text())
    assert suite["data"][""]["fingerprint"] == measures.corpus("news").fingerprint
    assert suite["data"][""]["sources"] == ["builtin (news)"]


def test_the_default_has_neither_floor_nor_ceiling_and_no_list_of_words_solves_it() -> None:
    """What the default experiment must show, read from the committed run."""
    trials = Journal(PUBLISHED / "compare").read()[1]

    def mean(scenario: str, task: str) -> float:
        tested = [trial.test for trial in trials if trial.scenario == scenario]
        assert len(tested) >= 2
        values = [test.primary(task) for test in tested]
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
    command, block = re.findall(
        r"```\n\.venv/bin/mtlab (check .*)\n```\n\n```\n(.*?)\n```\n", README, re.DOTALL
    )[0]
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
    """File to bytes, which another machine may draw, or press, otherwise."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder): None if path.suffix in (".png", ".gz") else path.read_bytes()
        for path in files
    }
