"""The parts of a suite that a report shows, and functions that join the parts of a report."""

from collections.abc import Callable
from typing import Literal

from mtlab.record.records import SuiteRecord
from mtlab.report import markdown
from mtlab.report.claims.evidence import Evidence
from mtlab.report.comparison import across
from mtlab.report.comparison.groups import Group
from mtlab.report.figures.canvas import LEFT_OUT, Plot

Plots = dict[str, Plot]
"""Kind of figure to the figure."""

Pairs = list[tuple[Group, Plots]]
"""Groups with their figures."""

Chosen = Literal["all", "main"]
"""Which figures a report has: all that can be drawn, or the two most important ones."""


class View:
    """The parts of a suite that a report shows.

    Attributes:
        suite: the record of the experiment.
        groups: the results at all its points.
        picked: scenario to the group of its best setting; empty unless the points are settings.
        base: the group that represents the whole: the best settings, or the point with the most
            sentences.
        shown: the groups whose results are shown in full.
        chosen: which figures the report has.
    """

    def __init__(self, suite: SuiteRecord, groups: list[Group], chosen: Chosen = "all") -> None:
        self.suite, self.groups, self.chosen = suite, groups, chosen
        self.base = Evidence(suite, groups).base
        self.picked: dict[str, Group] = (
            across.chosen(groups)[1] if across.settings_only(groups) else {}
        )
        self.shown = [self.base] if self.picked else groups


def part(heading: str, *words: str) -> str:
    """A section; empty if it has no text."""
    return joined(heading, *words) if any(words) else ""


def joined(*parts: str) -> str:
    """Paragraphs, without the empty ones."""
    return "\n\n".join(part for part in parts if part)


def folded(summary: str, body: str) -> str:
    """A folded part; empty if it has no text."""
    return markdown.details(summary, body) if body else ""


def each(pairs: Pairs, make: Callable[[Group, Plots], str]) -> str:
    """A part for every group that has text for it; each has its point as a heading, if any."""
    parts = [(group.label, make(group, plots)) for group, plots in pairs]
    return joined(
        *(
            joined(f"### At {markdown.text(label)}" if label else "", words)
            for label, words in parts
            if words
        )
    )


def figures(plots: Plots, *kinds: str) -> str:
    """The figures that were drawn, with their captions; figures that were not asked for are left
    out.
    """
    drawn = [plots[kind] for kind in kinds if kind in plots and plots[kind] is not LEFT_OUT]
    return joined(
        *(
            f"![{markdown.text(plot.alt)}](plots/{plot.name}.png)\n\n*{plot.caption}*"
            for plot in drawn
        )
    )
