"""The verdicts in the terminal: a table and one sentence."""

from pathlib import Path

from mtlab.plan.errors import printable
from mtlab.report import markdown
from mtlab.report.claims import evidence
from mtlab.report.comparison import decisions
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group
from mtlab.report.comparison.winner import winner
from mtlab.report.sections.answer import effect, reason
from mtlab.report.statistics import comparisons, intervals


def lines(directory: Path) -> list[str]:
    """The table of verdicts of a suite and the recommendation, line by line; empty where no trial
    ended well.

    Args:
        directory: of the records.

    Raises:
        UserError: there is no suite, or a record cannot be read.
    """
    group = evidence.read(directory).base
    if not group.tasks:
        return []
    at = [f"at {group.label}:"] if group.label else []
    return [*at, *_aligned(_rows(group)), _recommendation(group)]


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
    word = contrast.verdict
    if word == "unclear" and contrast.as_good:
        return f"{effect(contrast)} at least as good"
    return f"{effect(contrast)} {word}" + (f" ({reason(contrast)})" if reason(contrast) else "")


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _recommendation(group: Group) -> str:
    best = winner(group)
    if best is None:
        return "recommendation: none, because a trial has no result"
    return f"recommendation: {best.scenario}: {best.why.replace('`', '')}"
