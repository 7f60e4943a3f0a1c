"""The figure of each scenario's change against the control, under each condition of the data."""

import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure

from mtlab.report.comparison import across
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.figures import canvas, columns
from mtlab.report.figures.changes import MOST_TASKS, changes, meaning, metric
from mtlab.report.figures.columns import Column, Mark
from mtlab.report.figures.looks import INK, shown
from mtlab.report.markdown import fixed
from mtlab.report.statistics import intervals

ROW, BETWEEN = 0.45, 0.45
"""The height of a row in inches, and the space before each further condition in rows."""


def conditions(groups: Sequence[Group], base: Group) -> Figure | None:
    """A figure with rows of scenarios for each condition and a column for each task. None without a
    result of the control or without test scores, or if nothing but settings of scenarios or the
    size of the data varies.
    """
    varied, tasks = across.varied(groups), base.tasks[:MOST_TASKS]
    compared = [group for group in groups if group.control and group.of(group.control)]
    if (
        across.settings_only(groups)
        or not varied.keys() - {across.SIZE}
        or not tasks
        or not compared
    ):
        return None
    rows, labels = _rows(
        compared, [across.condition(varied, groups.index(group)) for group in compared]
    )
    task_columns = [_column(compared, task) for task in tasks]
    note = textwrap.fill(meaning(base, compared), canvas.LINE)
    figure = canvas.figure(1.3 + ROW * (max(rows.values()) + 1))
    width = columns.width(list(labels.values()), len(task_columns))
    for column, ax in zip(
        task_columns,
        figure.subplots(1, len(task_columns), sharey=True, squeeze=False)[0],
        strict=True,
    ):
        columns.draw(column, rows, width, ax)
    first = figure.axes[0]
    first.set_yticks(list(rows.values()), list(labels.values()))
    for key, label in zip(rows, first.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if key.endswith(f"/{base.control}") else "normal")
    first.set_ylim(max(rows.values()) + 0.5, columns.TOP)
    figure.suptitle(f"Change against {shown(base.control or '')}, by condition", x=0.01, ha="left")
    figure.supxlabel(note, x=0.01, ha="left", fontsize=9, color=INK)
    return figure


def _rows(groups: Sequence[Group], words: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
    """Key of a mark to its height, and to its label; the control's label is the condition in words."""
    rows: dict[str, float] = {}
    labels: dict[str, str] = {}
    height = 0.0
    for at, (group, condition) in enumerate(zip(groups, words, strict=True)):
        for name in sorted(group.scenarios, key=lambda name: name != group.control):
            rows[f"{at}/{name}"] = height
            labels[f"{at}/{name}"] = (
                textwrap.fill(shown(condition, 72), 32) if name == group.control else shown(name)
            )
            height += 1
        height += BETWEEN
    return rows, labels


def _column(groups: Sequence[Group], task: Task) -> Column:
    """The column of the changes at a task under all conditions."""
    marks: dict[str, Mark] = {}
    for at, group in enumerate(groups):
        score = intervals.estimate(group.samples(task)[group.control or ""]).mean
        if score is not None:
            group_marks = changes(group, task, f"control {fixed(score)}")
            marks |= {f"{at}/{name}": mark for name, mark in group_marks.items()}
    ends = columns.limits(list(marks.values()), (-1.2 * task.margin, 1.2 * task.margin))
    return Column(f"{shown(task.heading)}: {metric(task)}", marks, ends, 0.0, task.margin)
