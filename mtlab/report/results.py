"""The results of a suite as values: for each scenario a row with means, changes against the control,
and costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mtlab.report.comparison import decisions
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.comparison.shifts import shifts
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.intervals import Interval
from mtlab.report.table import ALSO
from mtlab.report.wording import verdict


@dataclass(frozen=True)
class Row:
    """The results of a scenario.

    Attributes:
        scenario: its name.
        scores: task to the mean of its metric on test.
        contrasts: task to the change against the control; empty for the control.
        flops: training FLOPs as a ratio to the control's; None if they cannot be compared.
        time: the same ratio of the times without a cache.
        seeds: how many seeds have a result.
    """

    scenario: str
    scores: Mapping[str, Interval]
    contrasts: Mapping[str, Contrast]
    flops: float | None
    time: float | None
    seeds: int


def scenario_rows(group: Group) -> list[Row]:
    """The results of a group, in the order of its scenarios."""
    compared = {task.name: decisions.of_task(group, task) for task in group.tasks}
    samples = {task.name: group.samples(task) for task in group.tasks}
    flops, time = (_shares(group, column) for column in ("train_flops", "wall_plain_s"))
    return [
        Row(
            scenario,
            {
                task.name: intervals.estimate(samples[task.name][scenario], within=task.kind.limits)
                for task in group.tasks
            },
            {
                task: contrasts[scenario]
                for task, contrasts in compared.items()
                if scenario in contrasts
            },
            flops.get(scenario),
            time.get(scenario),
            len(group.of(scenario)),
        )
        for scenario in group.scenarios
    ]


def table(groups: Sequence[Group]) -> pd.DataFrame:
    """The results as a table, indexed by scenario; with several groups, by point and scenario.

    Each task has the columns ``TASK_METRIC`` with the bounds of its interval (``_low``, ``_high``),
    the change against the control (``_change``) with its bounds, and the verdict (``_verdict``).
    Costs as shares of the control's and the number of seeds follow. With test sets out of
    distribution, columns that begin with ``also.SET.TASK_METRIC`` follow: the score on the set with
    its bounds; the score minus the score on test (``_drop``); this drop minus the control's with
    its bounds (``_drop_change``), and the verdict on it (``_drop_verdict``); and the verdict on the
    scores on the set (``_verdict``). Undefined numbers are NaN, missing verdicts are empty.
    """
    rows: list[dict[str, Any]] = []
    index: list[tuple[str, str]] = []
    # all groups have the columns of all tasks: a task may have results at some points only
    tasks = list({task.name: task for group in groups for task in group.tasks}.values())
    for group in groups:
        also = _also(group)
        for row in scenario_rows(group):
            index.append((group.label, row.scenario))
            rows.append({**_cells(row, tasks), **also[row.scenario]})
    frame = pd.DataFrame(rows, index=pd.MultiIndex.from_tuples(index, names=INDEX))
    # a scenario without a score on a set has NaN in its columns, even for verdicts
    words = [column for column in frame if str(column).endswith("_verdict")]
    frame[words] = frame[words].fillna("")
    return frame if len(groups) > 1 else frame.droplevel(INDEX[0])


INDEX = ("point", "scenario")


def _cells(row: Row, tasks: Sequence[Task]) -> dict[str, Any]:
    """Column name to value, in the order of the table."""
    cells: dict[str, Any] = {}
    for task in tasks:
        contrast = row.contrasts.get(task.name)
        compared = contrast is not None and contrast.interval.mean is not None
        cells |= _interval(task.metric, row.scores.get(task.name))
        cells |= _interval(f"{task.metric}_change", contrast.interval if contrast else None)
        cells[f"{task.metric}_verdict"] = verdict(contrast) if contrast and compared else ""
    shares = {"flops_share": row.flops, "time_share": row.time}
    return {**cells, **{name: _number(share) for name, share in shares.items()}, "seeds": row.seeds}


def _also(group: Group) -> dict[str, dict[str, Any]]:
    """Scenario to its columns for test sets out of distribution."""
    cells: dict[str, dict[str, Any]] = {scenario: {} for scenario in group.scenarios}
    for shift in shifts(group):
        name, against = f"{ALSO}.{shift.on.name}.{shift.task.metric}", shift.against
        cells[shift.scenario] |= {
            **_interval(name, shift.score),
            f"{name}_drop": _number(shift.drop),
            **_interval(f"{name}_drop_change", against.interval if against else None),
            f"{name}_drop_verdict": against.word if against else "",
            f"{name}_verdict": verdict(against.there) if against else "",
        }
    return cells


def _interval(name: str, interval: Interval | None) -> dict[str, float]:
    ends = (None, None, None) if interval is None else (interval.mean, interval.low, interval.high)
    return {f"{name}{end}": _number(value) for end, value in zip(ENDS, ends, strict=True)}


ENDS = ("", "_low", "_high")


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _shares(group: Group, column: str) -> dict[str, float]:
    """Scenario to the ratio of its cost to the control's, without an interval."""
    if group.control is None or not group.of(group.control):
        return {}
    costs = comparisons.costs(group.values(column), group.control)
    shares = {cost.scenario: cost.interval.mean for cost in costs}
    return {
        scenario: share
        for scenario, share in [*shares.items(), (group.control, 1.0)]
        if share is not None
    }
