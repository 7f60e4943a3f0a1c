"""A pair of scenarios has one interval on a task: every part of a report that speaks of the pair prints
the same numbers, in the committed reports as their records have them."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from mtlab.record.journal import Journal
from mtlab.report import document, markdown
from mtlab.report.claims import verdicts
from mtlab.report.claims.evidence import Evidence, Finding, at
from mtlab.report.claims.register import CLAIMS, findings
from mtlab.report.comparison import decisions
from mtlab.report.comparison.groups import Group, Task, groups
from mtlab.report.sections import body, joint
from mtlab.report.statistics.intervals import Interval
from mtlab.report.wording import effect

PUBLISHED = Path(__file__).parents[2] / "reports" / "published"
REPORTS = sorted(path.parent.name for path in PUBLISHED.glob("*/suite.json"))
QUICK = ("compare", "data_size_snips", "staged")
"""The reports that every run of the tests reads: plain, by size, and from checkpoints."""
ALL = [pytest.param(name, marks=() if name in QUICK else pytest.mark.nightly) for name in REPORTS]

NUMBERS = r"(?:0|[+−])[\d.]+(?: ± [\d.]+| \[−?[\d.]+, −?[\d.]+\])?"
"""A difference, and its interval where it has one."""
MEASURED = re.compile(r"(.+) on test, (\S+) minus ([^\s,(]+)")
SIZES = re.compile(r"`(\S+)` minus `(\S+)`: (.*?)\.(?:\s|\Z)")
AT_SIZE = re.compile(rf"({NUMBERS}) at (\d[\d,]*\b)")


@dataclass
class Report:
    """A committed run, read from its records, and the report of it."""

    name: str

    @cached_property
    def view(self) -> document.View:
        suite, trials = Journal(PUBLISHED / self.name).read()
        return document.View(suite, groups(suite, trials))

    @cached_property
    def findings(self) -> list[Finding]:
        evidence = Evidence(self.view.suite, self.view.groups)
        return [finding for claim in CLAIMS for finding in findings(claim, evidence)]

    @cached_property
    def sizes(self) -> str:
        """The section on sizes of the training data; empty where there are not several."""
        return joint.sizes(self.view.groups)


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    return {name: Report(name) for name in REPORTS}


def printed(interval: Interval) -> str:
    return markdown.measured(interval.mean, interval.low, interval.high, sign=True)


def task_of(group: Group, metric: str) -> Task:
    (task,) = [task for task in group.every if task.metric_title == metric]
    return task


def rows(text: str) -> list[list[str]]:
    """The cells of the lines of the one table of a text, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_there_are_reports() -> None:
    assert len(REPORTS) >= 18


@pytest.mark.parametrize("name", ALL)
def test_a_claim_has_the_interval_of_the_pair(name: str, reports: dict[str, Report]) -> None:
    """Of the pair at the point that the finding names; and turned round its mirror."""
    report = reports[name]
    shown = [report.view.base, *report.view.groups]
    for finding in report.findings:
        pair = MEASURED.match(finding.measured)
        if pair is None or not {pair[2], pair[3]} <= set(report.view.base.scenarios):
            continue
        had = Interval(finding.effect, finding.low, finding.high, finding.seeds)
        at_point = [group for group in shown if at(group) == finding.at]
        contrasts = [
            decisions.pair(group, task_of(group, pair[1]), pair[2], pair[3]) for group in at_point
        ]
        assert had in [contrast.interval for contrast in contrasts], finding
        for group, contrast in zip(at_point, contrasts, strict=True):
            back = decisions.pair(group, contrast.task, pair[3], pair[2])
            assert back == contrast.turned() and back.turned() == contrast


@pytest.mark.parametrize("name", ALL)
def test_results_print_the_interval_of_every_pair_with_the_control(
    name: str, reports: dict[str, Report]
) -> None:
    report = reports[name]
    for group in report.view.shown:
        if group.control is None:
            continue
        table = body.results(group)
        for task in group.tasks:
            for scenario, contrast in decisions.of_task(group, task).items():
                assert printed(contrast.interval) == effect(contrast)
                line = re.compile(
                    rf"^\| `{scenario}` \|.* {re.escape(effect(contrast))} {contrast.verdict}",
                    re.MULTILINE,
                )
                assert line.search(table), (scenario, task.name)


@pytest.mark.parametrize("name", ALL)
def test_the_section_on_sizes_prints_the_interval_of_the_pair(
    name: str, reports: dict[str, Report]
) -> None:
    report = reports[name]
    for metric, words in re.findall(
        r"^\*\*[^*]+\*\* \((.+?), test\), at equal \w+:(.*?)(?=^\*\*|\Z)",
        report.sizes,
        re.DOTALL | re.MULTILINE,
    ):
        for first, second, listed in SIZES.findall(words):
            for numbers, size in AT_SIZE.findall(listed):
                at_size = [group for group in report.view.groups if f"{group.sentences:,}" == size]
                contrasts = [
                    decisions.pair(group, task_of(group, metric), first, second)
                    for group in at_size
                ]
                assert numbers in [effect(contrast) for contrast in contrasts], (first, size)


def test_the_section_on_sizes_was_read(reports: dict[str, Report]) -> None:
    """So that the test above is of something."""
    assert len(SIZES.findall(reports["data_size_snips"].sizes)) >= 2


def test_the_results_table_and_the_claims_table_print_the_same_of_a_pair(
    reports: dict[str, Report],
) -> None:
    """By their text: the committed comparison has five pairs with its control."""
    view = reports["compare"].view
    table = body.results(view.base)
    head = table.splitlines()[0]
    metrics = [cell.strip() for cell in head.strip("|").split(" | ")]
    (control,) = re.findall(r"^\| `(\w+)` \(control\)", table, re.MULTILINE)
    results = {}
    for row in rows(table):
        for column, metric in enumerate(metrics):
            if metric == "change" and row[0].strip("`") != row[0]:
                numbers = re.match(NUMBERS, row[column])
                if numbers is not None:
                    results[metrics[column - 1], row[0].strip("`")] = numbers[0]
    assert len(results) == 10
    seen = 0
    for row in rows(verdicts.section(view.suite, view.groups)):
        for effect_of, measured in zip(row[2].split("<br>"), row[3].split("<br>"), strict=True):
            pair = MEASURED.match(measured.replace("\\", ""))
            if pair is not None and pair[3] == control:
                assert effect_of == results[pair[1], pair[2]], row
                seen += 1
    assert seen >= 3
