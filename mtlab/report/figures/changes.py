"""Marks for changes against the control; their colours and shapes show the verdicts."""

from collections.abc import Sequence

from mtlab.report.comparison import decisions, training_failures
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.figures.columns import Mark
from mtlab.report.figures.looks import BLACK, DIAMOND
from mtlab.report.markdown import signed
from mtlab.report.statistics.scale import Verdict
from mtlab.report.wording import verdict

MOST_TASKS = 4
"""The most tasks that a figure has columns for."""

VERDICTS: dict[Verdict, tuple[str, str]] = {
    "better": ("#00754a", "^"),
    "worse": ("#c24400", "v"),
    "equivalent": ("#0072b2", "s"),
    "unclear": ("#6a6a6a", "o"),
}
"""Verdict to colour and marker; the marker of an unclear verdict is hollow."""


def changes(group: Group, task: Task, control_label: str) -> dict[str, Mark]:
    """Scenario to the mark of its change at a task, with the control at 0.

    Args:
        group: a group whose control has a result.
        task: the task whose metric is compared.
        control_label: the label of the control's mark.
    """
    marks = {group.control or "": Mark(0.0, None, None, control_label, BLACK, DIAMOND)}
    for name, contrast in decisions.of_task(group, task).items():
        interval = contrast.interval
        if interval.mean is None:
            continue
        colour, marker = VERDICTS[contrast.verdict]
        word = verdict(contrast) if len(group.seeds) > 1 else ""
        marks[name] = Mark(
            interval.mean,
            interval.low,
            interval.high,
            f"{signed(interval.mean)} {word}".strip(),
            colour,
            marker,
            filled=contrast.verdict != "unclear",
            ruling=training_failures.trains(group, name),
        )
    return marks


MEANS = {
    "better": "▲ better: the bar is above 0.",
    "worse": "▼ worse: the bar is below 0.",
    "equivalent": "■ equivalent: the bar is within the margin (shaded).",
    "at least as good": "○ at least as good: the bar has 0 in it and excludes a loss of the margin (shaded).",
    "unclear": "○ unclear: the bar has 0 in it and leaves the margin (shaded) on the side of a loss.",
}
"""Verdict in words to its mark and the meaning of the mark."""


def meaning(group: Group, points: Sequence[Group] = ()) -> str:
    """Sentences that explain the bars and the marks that occur.

    Args:
        group: the group that represents the whole.
        points: all groups that are drawn, if there are several.
    """
    if len(group.seeds) < 2:
        return "One seed: no intervals and no verdicts."
    bars = f"95% intervals, for all {decisions.planned(group)} comparisons together"
    if group.pilot:
        bars = "90% intervals, so that each end is wrong in at most 5% of suites"
    drawn = {
        verdict(contrast)
        for point in points or [group]
        for contrast in decisions.against_control(point)
        if contrast.interval.mean is not None
    }
    return " ".join([f"Bars: {bars}.", *(words for word, words in MEANS.items() if word in drawn)])


def metric(task: Task) -> str:
    """The metric that judges a task, without the task's title."""
    return next(iter(task.kind.metrics.values()))
