"""The report's section on what was expected of scenarios, beside what came out."""

from collections.abc import Mapping, Sequence
from typing import Any

from mtlab.report import markdown
from mtlab.report.comparison.groups import Group
from mtlab.report.comparison.shifts import Shift
from mtlab.report.markdown import name, text
from mtlab.report.results import Row, scenario_rows
from mtlab.report.sections import shifts as sets
from mtlab.report.wording import verdict


def section(group: Group, experiment: Mapping[str, Any], group_shifts: Sequence[Shift] = ()) -> str:
    """A row for each scenario with an expectation in the file; empty without one.

    Args:
        group: of one point.
        experiment: its settings.
        group_shifts: the scores out of distribution; empty without such test sets.
    """
    expected = experiment.get("expected", {})
    rows = [row for row in scenario_rows(group) if row.scenario in expected]
    if not rows:
        return ""
    header = ["scenario", "expected", *(text(task.title) for task in group.tasks)]
    header += [*(["out of distribution"] if group_shifts else []), "training FLOPs"]
    lines = [
        [
            name(row.scenario),
            text(expected[row.scenario]),
            *_verdicts(group, row),
            *([sets.brief(group_shifts, row.scenario) or "–"] if group_shifts else []),
            _cost(row),
        ]
        for row in rows
    ]
    lead = "What the file expects of each scenario, and the verdict here against the control."
    return f"{lead}\n\n{markdown.table(header, lines, words=2)}"


def _verdicts(group: Group, row: Row) -> list[str]:
    contrasts = (row.contrasts.get(task.name) for task in group.tasks)
    return ["–" if contrast is None else verdict(contrast) for contrast in contrasts]


def _cost(row: Row) -> str:
    return "–" if row.flops is None else f"{row.flops:.2f}×"
