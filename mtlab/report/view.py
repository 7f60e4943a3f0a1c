"""What a report shows of a suite, and how its parts are put together."""

from collections.abc import Callable
from typing import Literal

from mtlab.record.records import SuiteRecord
from mtlab.report import markdown
from mtlab.report.claims.evidence import Evidence
from mtlab.report.comparison import across
from mtlab.report.comparison.groups import Group
from mtlab.report.figures.canvas import LEFT_OUT, Plot

Plots = dict[str, Plot]
"""Kind of figure to what was drawn."""

Pairs = list[tuple[Group, Plots]]
"""Groups with their figures."""

Chosen = Literal["all", "main"]
"""Which figures a report has: all that can be drawn, or the two that tell the most."""


class View:
    """What a report shows of a suite.

    Attributes:
        suite: the record of the experiment.
        groups: its points.
        picked: scenario to the point of its best setting, where points are settings.
        base: the group that represents the whole: the best settings, or the point with the most
            sentences.
        shown: the groups whose results are shown in full.
        chosen: the figures.
    """

    def __init__(self, suite: SuiteRecord, groups: list[Group], chosen: Chosen = "all") -> None:
        self.suite, self.groups, self.chosen = suite, groups, chosen
        self.base = Evidence(suite, groups).base
        self.picked: dict[str, Group] = (
            across.chosen(groups)[1] if across.settings_only(groups) else {}
        )
        self.shown = [self.base] if self.picked else groups


def part(heading: str, *words: str) -> str:
    """A section; empty where it has no words."""
    return joined(heading, *words) if any(words) else ""


def joined(*parts: str) -> str:
    """Paragraphs, without the empty ones."""
    return "\n\n".join(part for part in parts if part)


def folded(summary: str, body: str) -> str:
    """A folded part; empty where it has no words."""
    return markdown.details(summary, body) if body else ""


def each(pairs: Pairs, make: Callable[[Group, Plots], str]) -> str:
    """A part for every point that has words for it, under the point's name where there are several."""
    parts = [(group.label, make(group, plots)) for group, plots in pairs]
    return joined(
        *(
            joined(f"### At {markdown.text(label)}" if label else "", words)
            for label, words in parts
            if words
        )
    )


def figures(plots: Plots, *kinds: str) -> str:
    """The figures that were drawn, with their captions; one that nobody asked for is left out."""
    drawn = [plots[kind] for kind in kinds if kind in plots and plots[kind] is not LEFT_OUT]
    return joined(
        *(
            f"![{markdown.text(plot.alt)}](plots/{plot.name}.png)\n\n*{plot.caption}*"
            for plot in drawn
        )
    )
