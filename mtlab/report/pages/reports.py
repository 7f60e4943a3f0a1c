"""The reports that pages are written from."""

import os
from pathlib import Path

from mtlab.plan.errors import UserError, did_you_mean
from mtlab.report import markdown
from mtlab.report.claims import evidence, verdicts
from mtlab.report.claims.evidence import Evidence
from mtlab.report.comparison import across
from mtlab.report.comparison.groups import Group
from mtlab.report.figures.costs import FLOPS, TIME
from mtlab.report.statistics import comparisons
from mtlab.report.statistics.intervals import Interval

COSTS = {TIME: "time", FLOPS: "FLOPs"}
"""Columns of costs, and their names."""


class Reports:
    """The reports in a folder, by name. Records are read when they are needed, and once."""

    def __init__(self, directory: Path) -> None:
        self.folders = {folder.name: folder for folder in verdicts.folders(directory)}
        self._evidence: dict[str, Evidence] = {}

    def folder(self, name: str) -> Path:
        """The folder of a report.

        Raises:
            UserError: there is no such report.
        """
        if name not in self.folders:
            problem = f"no report is called {name!r}" if name else "the name of a report is missing"
            raise UserError(problem, did_you_mean(name, self.folders), code="no-reports")
        return self.folders[name]

    def evidence(self, name: str) -> Evidence:
        """The results of a report.

        Raises:
            UserError: there is no such report, or a record cannot be read.
        """
        if name not in self._evidence:
            self._evidence[name] = evidence.read(self.folder(name))
        return self._evidence[name]

    def points(self, name: str) -> list[Group]:
        """Where a report compares scenarios: at every point, or each at its best setting."""
        read = self.evidence(name)
        return [read.base] if across.settings_only(read.groups) else list(read.groups)

    def address(self, name: str, page: Path, file: str = "report.md") -> str:
        """The address of a file of a report, as a page links to it."""
        return verdicts.link(Path(os.path.relpath(self.folder(name), page.parent)), file)

    def link(self, name: str, page: Path) -> str:
        """The name of a report as a link to it."""
        return f"[{markdown.text(name)}]({self.address(name, page)})"


def cost(group: Group, scenario: str, other: str) -> tuple[Interval, str]:
    """What a scenario costs over another one: the ratio, and the name of the cost.

    The cost is time where the interval of its ratio is narrow, and FLOPs elsewhere.
    """
    contrasts = max(1, len(group.scenarios) - 1)
    times, flops = (
        comparisons.ratio(values[scenario], values[other], contrasts)
        for values in map(group.values, (TIME, FLOPS))
    )
    return (times, COSTS[TIME]) if comparisons.narrow(times) else (flops, COSTS[FLOPS])
