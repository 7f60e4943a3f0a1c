"""The decision figure: for each scenario a row with what trains, the change at each task against the
control, and the cost.
"""

import math
import re
import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure

from mtlab.report.comparison import forgetting, training_failures
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.figures import block_map, canvas, columns
from mtlab.report.figures.changes import MOST_TASKS, changes, meaning, metric
from mtlab.report.figures.columns import Column, Mark
from mtlab.report.figures.costs import Costs, costs
from mtlab.report.figures.looks import BLACK, DIAMOND, INK, shown
from mtlab.report.figures.takeaway import takeaway
from mtlab.report.markdown import fixed
from mtlab.report.statistics import intervals

ROW, AROUND, MAP = 0.54, 1.75, 1.5
"""In inches: the height of a row, the height above and below all rows, and the width of the map."""

SHARES = {1 / 64: "1/64", 1 / 16: "1/16", 1 / 8: "⅛", 1 / 4: "¼", 1 / 2: "½"}
TICKS = {**SHARES, 1.0: "1", 2.0: "2", 4.0: "4", 8.0: "8", 16.0: "16", 64.0: "64"}
"""Ratios of costs to their labels on an axis."""

FARTHEST = 128.0
"""The largest ratio on the axis of costs; its inverse is the smallest. A longer interval ends in an
arrow."""

LABELS = 6.6
"""The number of labels for which the axis of costs has room."""


def decision(group: Group) -> Figure | None:
    """The decision figure of a group; None without test scores."""
    tasks = group.tasks[:MOST_TASKS]
    if not tasks:
        return None
    compared = group.control is not None and bool(group.of(group.control))
    names = sorted(group.scenarios, key=lambda name: name != group.control)
    spent = costs(group)
    all_columns = [
        *((_change if compared else _score)(group, task) for task in tasks),
        *([_cost(group, spent)] if spent.means else []),
    ]
    labels = [_row_label(group, name) for name in names]
    note = _note(group, all_columns, compared)
    figure = canvas.figure(AROUND + ROW * len(names) + 0.17 * (note.count("\n") + 1))
    width = columns.width(labels, len(all_columns), MAP)
    widths = [MAP, *[width] * len(all_columns)]
    axes = figure.subplots(1, len(widths), sharey=True, width_ratios=widths)
    block_map.draw(group, names, axes[0])
    axes[0].set_title("Dark cells train,\na line for each stage", loc="left", fontsize=9.5)
    for column, ax in zip(all_columns, axes[1:], strict=True):
        columns.draw(column, {name: row for row, name in enumerate(names)}, width, ax)
    axes[0].set_yticks(range(len(names)), labels)
    axes[0].set_ylim(len(names) - 0.5, columns.TOP)
    title = textwrap.fill(takeaway(group, spent, tasks), 104)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    figure.supxlabel(note, x=0.01, ha="left", fontsize=9, color=INK)
    return figure


def _row_label(group: Group, name: str) -> str:
    """A scenario's name, broken into lines at the ends of its words, with the number of its seeds if
    some have no result.
    """
    words = re.findall(r"[^_.-]{1,20}[_.-]?|[_.-]", shown(name, 64))
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 20 and lines[-1]:
            lines.append("")
        lines[-1] += word
    counted = canvas.counted(group, name).removeprefix(shown(name)).strip()
    return "\n".join([*lines, *([counted] if counted else [])])


def _change(group: Group, task: Task) -> Column:
    """The column of the changes at a task against the control."""
    marks = changes(group, task, "control")
    score = intervals.estimate(group.samples(task)[group.control or ""]).mean
    title = f"{shown(task.heading)}, test\nchange in {metric(task)} from {fixed(score)}"
    ends = columns.limits(list(marks.values()), (-1.2 * task.margin, 1.2 * task.margin))
    return Column(title, marks, ends, 0.0, task.margin)


def _score(group: Group, task: Task) -> Column:
    """The column of a task's mean scores, for a group without a result of the control."""
    marks = {}
    for name, sample in group.samples(task).items():
        estimate = intervals.estimate(sample, within=task.kind.limits)
        if estimate.mean is not None:
            words, trains = fixed(estimate.mean), training_failures.trains(group, name)
            marks[name] = Mark(
                estimate.mean, estimate.low, estimate.high, words, INK, "o", ruling=trains
            )
    ends = [end for mark in marks.values() if mark.ruling for end in mark.ends]
    every = ends or [mark.mean for mark in marks.values()]
    space = 0.08 * ((max(every) - min(every)) or 0.1)
    limits = min(every) - space, max(every) + space
    return Column(f"{shown(task.heading)}\n{metric(task)}, test", marks, limits)


def _cost(group: Group, spent: Costs) -> Column:
    """The column of costs: ratios to the control's cost, or amounts if the control has no cost."""
    if not spent.ratios and group.control not in spent.means:
        amounts = {
            name: Mark(cost, None, None, spent.words(name), INK, "o")
            for name, cost in spent.means.items()
        }
        limits = 0.0, 1.15 * (max(spent.means.values()) or 1.0)
        return Column(f"{spent.title}\nmean over seeds", amounts, limits, ticks={0.0: "0"})
    control = group.control or ""
    marks = {control: Mark(1.0, None, None, "1×", BLACK, DIAMOND)}
    for name, cost in spent.ratios.items():
        interval = cost.interval
        if interval.mean is not None:
            trains = training_failures.trains(group, name)
            side = spent.side(name)
            words = f"{interval.mean:.2f}× {side}".strip() if trains else "trains nothing"
            marks[name] = Mark(
                interval.mean,
                interval.low,
                interval.high,
                words,
                INK,
                "o",
                filled=bool(side),
                ruling=trains,
            )
    ends = [end for mark in marks.values() if mark.ruling for end in mark.ends if end > 0]
    low, high = min(0.45, min(ends) / 1.3), max(2.2, 1.3 * max(ends))
    limits = max(low, 1 / FARTHEST), min(high, FARTHEST)
    title = f"{spent.title}, log axis\nratio to {spent.words(control)}"
    return Column(title, marks, limits, 1.0, ticks=_ticks(*limits), log=True)


def _ticks(low: float, high: float) -> dict[float, str]:
    """Labels of an axis of ratios: for every power of 2 in :data:`TICKS`, or for every second or
    third power.
    """
    doublings = math.log2(high / low)
    step = next(step for step in (1, 2, 3) if doublings / step <= LABELS)
    return {
        ratio: label
        for ratio, label in TICKS.items()
        if low < ratio < high and math.log2(ratio) % step == 0
    }


def _note(group: Group, all_columns: Sequence[Column], compared: bool) -> str:
    """Lines that explain the marks, the margin and the labels."""
    sentences = [meaning(group) if compared else "Bars: 95% intervals over seeds and sentences."]
    tasks = [column for column in all_columns if not column.log]
    if len({column.limits for column in tasks}) > 1:
        sentences.append("The tasks' scales differ.")
    if any(column.beyond(mark) for column in all_columns for mark in column.marks.values()):
        sentences.append("◀ ▶ beyond the axis.")
    if forgetting.staged(group):
        sentences.append("Scores are those on the new data.")
    if len(group.tasks) > MOST_TASKS:
        sentences.append(f"{len(group.tasks) - MOST_TASKS} more tasks are in the table.")
    if all_columns[-1].log and len(group.seeds) > 1:
        sentences.append("Cost: a filled mark is clearly cheaper or costlier.")
    paragraphs = [" ".join(sentences), block_map.words(group)]
    return "\n".join(textwrap.fill(paragraph, canvas.LINE) for paragraph in paragraphs)
