"""What the README and the guides say is what runs wrote and what there is."""

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
from mtlab.report.comparison import forgetting
from mtlab.report.pages import advice, grounds, guides
from mtlab.report.pages.reports import Reports
from mtlab.report.statistics import scale
from tests.conftest import SHARED_DATA
from tests.data import corpus_measures as measures

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PUBLISHED = ROOT / "reports" / "published"
GUIDES = ("README.md", "experiments/README.md", "mtlab/README.md", "tests/README.md")
MOST_WORDS = 900


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= MOST_WORDS


def anchors(page: Path) -> set[str]:
    """The addresses of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("guide", [*GUIDES, "reports/advice.md", "SECURITY.md"])
def test_links_lead_to_files_and_headings(guide: str) -> None:
    page = ROOT / guide
    lost = []
    for link in set(re.findall(r"\]\(([^)]+)\)", page.read_text())):
        file, _, heading = link.partition("#")
        target = page.parent / file if file else page
        if "://" in link:
            continue
        if not target.exists() or (heading and heading not in anchors(target)):
            lost.append(link)
    assert lost == []


def named(pattern: str) -> list[str]:
    """What matches in any guide."""
    found = (re.findall(pattern, (ROOT / guide).read_text(), re.MULTILINE) for guide in GUIDES)
    return sorted({match for matches in found for match in matches})


@pytest.mark.parametrize("target", named(r"(?:^|`)make ([a-z-]+)"))
def test_commands_are_targets(target: str) -> None:
    assert re.search(
        rf"^[a-z -]*\b{target}\b[a-z -]*:", (ROOT / "Makefile").read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("file", named(r"experiments/\w+\.yaml"))
def test_experiments_that_are_named_ship_with_a_lab_card(file: str) -> None:
    assert yaml_file.read(ROOT / file).value["question"]
    assert (ROOT / file).read_text().startswith("# ")


REPORTS = sorted(path.parent.name for path in PUBLISHED.glob("*/suite.json"))
EXPERIMENTS = [f"experiments/{path.name}" for path in sorted((ROOT / "experiments").glob("*.yaml"))]
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


def test_published_trials_were_made_by_one_state_of_the_code() -> None:
    """Those of 0.2.0 carry no digest of the code."""
    codes = {trial.code for name in REPORTS for trial in Journal(PUBLISHED / name).read()[1]}
    assert len(codes - {""}) == 1, "a report was published by another state of the code"


def test_what_is_committed_is_light() -> None:
    files = [path for path in PUBLISHED.rglob("*") if path.is_file()]
    assert len(files) <= 6 * len(REPORTS) and sum(path.stat().st_size for path in files) < 9e6
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
        "advice.md",
        "advice.yaml",
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


def test_generated_parts_are_what_the_reports_say(tmp_path: Path) -> None:
    """The whole pages, byte for byte: what people wrote between the parts stays."""
    for folder in ("reports", "experiments"):
        (tmp_path / folder).mkdir()
    linked = [PUBLISHED, ROOT / "experiments" / "ways", ROOT / "reports" / advice.FILE]
    for path in linked:
        (tmp_path / path.relative_to(ROOT)).symlink_to(path)
    for copied in [*guides.GUIDES, *EXPERIMENTS]:
        shutil.copy(ROOT / copied, tmp_path / copied)
    written = guides.write_pages(tmp_path / "reports")
    cards = {path.stem for path in written if path.suffix == ".yaml"}
    assert cards == set(REPORTS), "each published experiment, and no other, says what was measured"
    assert len(written) == len(guides.GUIDES) + 1 + len(cards)
    changed = [
        path.relative_to(tmp_path)
        for path in written
        if path.read_bytes() != (ROOT / path.relative_to(tmp_path)).read_bytes()
    ]
    assert changed == [], "make pages"


OLD_ADVICE = {
    "Only sentences are classified, and time is short: freeze the backbone": {
        "scenario": "backbone_frozen",
        "tasks": ["classifier", "intent"],
        "supports": ["better", "equivalent", "at least as good"],
    },
    "Gradual unfreezing takes nearly the time of full fine-tuning": {
        "measure": "cost",
        "scenario": "gradual_unfreeze",
        "supports": ["costlier"],
    },
    "95% of full fine-tuning takes 5 of the 6 blocks, 4 with 4,000 sentences": {
        "scenario": "top_4",
        "tasks": ["ner", "slots"],
        "supports": ["better", "equivalent", "at least as good"],
    },
    "slowing and freezing it again by rules did less, 0.053 at best": {
        "scenario": "with_guidance",
        "tasks": ["classifier"],
        "supports": ["better"],
    },
    "Mix in old sentences (rehearsal)": {
        "measure": "mitigation",
        "scenario": "with_rehearsal",
        "tasks": ["classifier", "ner"],
        "staged": True,
        "supports": ["better"],
    },
}
"""Sentences of an earlier README, each with the verdicts that it needs."""


@pytest.fixture(scope="module")
def published() -> Reports:
    return Reports(ROOT / "reports")


@pytest.mark.parametrize("sentence", OLD_ADVICE)
def test_advice_that_contradicts_the_reports_is_refused(
    tmp_path: Path, published: Reports, sentence: str
) -> None:
    cost = {"report": "compare", "scenario": "backbone_frozen", "other": "full_finetune"}
    piece = {
        "situation": "any",
        "choice": sentence,
        "cost": cost,
        "grounds": [OLD_ADVICE[sentence]],
    }
    (tmp_path / advice.FILE).write_text(json.dumps({"old": piece}))
    with pytest.raises(UserError, match=r"advice\.yaml") as refused:
        advice.read(tmp_path / advice.FILE, published)
    assert refused.value.code == "unsupported"
    assert sentence.partition(",")[0] not in " ".join(README.split())


def test_what_an_earlier_readme_called_a_loss_is_unclear(published: Reports) -> None:
    """'Fifteen epochs cost the kept task 0.102 of F1.'"""
    group = published.evidence("staged_long").base
    (task,) = forgetting.kept_tasks(group)
    change = forgetting.change(group, "ner_head_frozen", task)
    assert scale.verdict(change, task.margin) == "unclear"
    assert "0.102" not in README


@pytest.mark.parametrize("scenario", ["ner_head_frozen", "gradual_unfreeze"])
def test_what_advice_says_of_a_kept_task_is_the_reports_interval(
    published: Reports, scenario: str
) -> None:
    ground = grounds.Ground(
        measure="kept", scenario=scenario, tasks=("ner",), staged=True, supports=("worse",)
    )
    group = published.evidence("staged_long").base
    (task,) = forgetting.kept_tasks(group)
    change = forgetting.change(group, scenario, task)
    (found,) = (one for one in grounds.verdicts(ground, published) if one.report == "staged_long")
    assert found.interval == change and found.word == scale.verdict(change, task.margin)


def test_what_the_guides_say_of_speed_is_the_benchmarks() -> None:
    found = json.loads((ROOT / "reports" / "bench" / "bench.json").read_text())
    rows = {
        (row["scenario"], row["seeds"]): row["seconds"]
        for part in found["scenarios"].values()
        for row in part["rows"]
    }

    def faster(scenario: str, seeds: int, who: str) -> str:
        """How many times as fast as a Trainer, which runs one seed after another."""
        mine, theirs = rows[scenario, seeds]["mtlab"], rows[scenario, 1][who]
        return f"{seeds * statistics.median(theirs) / statistics.median(mine):.1f}"

    said = " ".join((ROOT / "mtlab" / "README.md").read_text().split())
    heads, full = (
        [faster(*run, who) for who in ("Trainer, defaults", "Trainer, tuned")]
        for run in (("backbone_frozen", 3), ("full_finetune", 1))
    )
    assert (
        f"{heads[0]} times as fast as with `transformers.Trainer` with its defaults, "
        f"and {heads[1]} times as fast as with a tuned one" in said
    )
    assert f"full fine-tuning is {full[0]} and {full[1]} times as fast" in said
    assert "a tenth of the time of a tuned" in " ".join(README.split())
    assert 9 <= float(heads[1]) <= 11


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


def test_what_the_guide_shows_of_ones_own_data_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """But for whole lines, for which ``…`` stands."""
    guide = (ROOT / "experiments" / "README.md").read_text()
    command, block = re.findall(
        r"```\n\.venv/bin/mtlab (check [^\n]*)\n```\n\n```\n(.*?)\n```\n", guide, re.DOTALL
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
