"""The verdicts for the terminal: a table and the decision."""

import html
import re
from pathlib import Path

from mtlab.plan.errors import printable
from mtlab.report import markdown
from mtlab.report.claims import evidence
from mtlab.report.claims.evidence import Evidence
from mtlab.report.comparison import decisions
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group
from mtlab.report.decision.box import box
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.wording import effect, reason, verdict


def lines(directory: Path) -> list[str]:
    """The table of verdicts of a suite and its decision, line by line; empty without test scores
    and without a pilot.

    Args:
        directory: where the records are.

    Raises:
        UserError: there is no suite, or a record cannot be read.
    """
    return of(evidence.read(directory))


def of(results: Evidence) -> list[str]:
    """The same lines from results that were read already."""
    group = results.base
    if not group.tasks and not group.pilot:
        return []
    at = [f"at {group.label}:"] if group.label else []
    decided = box(results.suite, results.groups, group)
    parts = [f"{label}: {plain(words)}" for label, words in decided.lines]
    table = [*_aligned(_rows(group)), ""] if group.trials else []
    return [*at, *table, *parts]


def plain(words: str) -> str:
    """Markdown as a terminal shows it."""
    return html.unescape(re.sub(r"\\(?=\W)|`", "", words))


def _rows(group: Group) -> list[list[str]]:
    titles = [printable(task.metric_title) for task in group.tasks]
    against = [decisions.of_task(group, task) for task in group.tasks]
    flops = comparisons.costs(group.values("train_flops"), group.control or "")
    shares = {cost.scenario: cost.interval.mean for cost in flops}
    rows = [["scenario", *titles, "training FLOPs", "seeds"]]
    for scenario in group.scenarios:
        cells = [
            _against(contrasts[scenario])
            if scenario in contrasts
            else markdown.fixed(intervals.estimate(group.samples(task)[scenario]).mean)
            for task, contrasts in zip(group.tasks, against, strict=True)
        ]
        control = " (control)" if scenario == group.control else ""
        share = 1.0 if scenario == group.control else shares.get(scenario)
        cost = "–" if share is None else f"{share:.2f}×"
        rows.append([scenario + control, *cells, cost, str(len(group.of(scenario)))])
    return rows


def _against(contrast: Contrast) -> str:
    why = f" ({reason(contrast)})" if contrast.verdict == "unclear" and reason(contrast) else ""
    return f"{effect(contrast)} {verdict(contrast)}{why if not contrast.as_good else ''}"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
