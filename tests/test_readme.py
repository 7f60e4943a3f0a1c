"""What the README says is what a run wrote and what there is."""

import re
from pathlib import Path

import pytest

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
