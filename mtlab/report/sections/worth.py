"""The report's section on many scenarios: which match the control, at what cost, and which
never pay.
"""

from collections.abc import Sequence

from mtlab.report.comparison import decisions
from mtlab.report.comparison.groups import Group
from mtlab.report.comparison.shifts import Shift
from mtlab.report.markdown import name, signed, text
from mtlab.report.results import Row, scenario_rows
from mtlab.report.sections import shifts as sets

MANY = 10
"""Scenarios besides the control from which on a reader needs them sorted."""

HOW = (
    "Sorted by the verdicts against {control} and by training FLOPs, in brackets as a share of its own (means over seeds). *Dominated*: "
    "worse at a task and better at none, and it takes no fewer FLOPs than {control} or than a scenario that is at least as good."
)


def section(group: Group, group_shifts: Sequence[Shift]) -> str:
    """The scenarios in four lists, each with the lowest cost first; empty for few scenarios.

    Args:
        group: of one point.
        group_shifts: its scores out of distribution; empty without such test sets.
    """
    if group.control is None or group.pilot or len(decisions.rivals(group)) < MANY:
        return ""
    rows = [row for row in scenario_rows(group) if row.scenario != group.control and row.flops]
    rows.sort(key=lambda row: row.flops or 0.0)
    good = [row for row in rows if _good(group, row)]
    worse = [row for row in rows if _has(row, "worse") and not _has(row, "better")]
    floor = min([1.0, *(row.flops or 0.0 for row in good)])
    dominated = [row for row in worse if (row.flops or 0.0) >= floor]
    cheaper = [row for row in worse if row not in dominated]
    rest = [row for row in rows if row not in (*good, *worse)]
    control = name(group.control)
    lists = {
        f"At least as good as {control} at every task": [_cost(row, group_shifts) for row in good],
        "Cheaper, and worse at a task": [_loss(row) for row in cheaper],
        "Dominated": [_loss(row) for row in dominated],
        "Unclear": [_cost(row, group_shifts) for row in rest],
    }
    lines = [f"- **{title}:** {'; '.join(names) or 'none'}." for title, names in lists.items()]
    return "\n".join([HOW.format(control=control), "", *lines])


def _good(group: Group, row: Row) -> bool:
    """Whether a scenario is shown to be at least as good as the control at every task."""
    contrasts = [row.contrasts.get(task.name) for task in group.tasks]
    return all(contrast is not None and contrast.as_good for contrast in contrasts)


def _has(row: Row, verdict: str) -> bool:
    return any(contrast.verdict == verdict for contrast in row.contrasts.values())


def _cost(row: Row, group_shifts: Sequence[Shift]) -> str:
    """A scenario with its cost and its verdicts out of distribution."""
    lost = sets.brief(group_shifts, row.scenario).replace(sets.NOTHING, "")
    return (
        f"{name(row.scenario)} ({row.flops:.2f}×{f'; out of distribution: {lost}' if lost else ''})"
    )


def _loss(row: Row) -> str:
    """A scenario with its cost, and its changes at the tasks at which it is worse."""
    losses = [
        f"{text(contrast.task.metric_title)} {signed(contrast.interval.mean)}"
        for contrast in row.contrasts.values()
        if contrast.verdict == "worse"
    ]
    return f"{name(row.scenario)} ({row.flops:.2f}×; {', '.join(losses)})"
