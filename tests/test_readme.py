"""What the README says is what a run wrote and what there is."""

import re
import shutil
from pathlib import Path

import pytest

from mtlab.cli import main
from mtlab.plan import yaml_file

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_results_table_is_the_reports() -> None:
    report = (ROOT / "reports" / "snips" / "report.md").read_text().splitlines()
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


def test_the_committed_report_rebuilds_from_its_records_byte_for_byte(tmp_path: Path) -> None:
    copy = shutil.copytree(ROOT / "reports" / "snips", tmp_path / "snips", ignore=shutil.ignore_patterns("predictions", "failures"))
    written = contents(copy)
    for name in ("report.md", "trials.csv", "plots"):
        shutil.rmtree(copy / name) if (copy / name).is_dir() else (copy / name).unlink()
    assert main(["report", str(ROOT / "experiments" / "snips.yaml"), "--output", str(copy)]) == 0
    assert contents(copy) == written


def contents(folder: Path) -> dict[Path, bytes | None]:
    """File to bytes; of pixels only that they are there, for another machine may round them otherwise."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder): None if path.suffix == ".png" else path.read_bytes() for path in files}
