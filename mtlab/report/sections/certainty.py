"""The report's section on how sure its verdicts are."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mtlab.plan.words import counted
from mtlab.report.comparison import choice, decisions
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.markdown import listing, name, text
from mtlab.report.sections import length
from mtlab.report.statistics import intervals
from mtlab.report.wording import reason


def section(group: Group, experiment: Mapping[str, Any]) -> str:
    """What the verdicts rest on, what would make the unclear ones clear, and how long was trained;
    empty without results.

    Args:
        group: of one point.
        experiment: its settings, as a record has them.
    """
    if not group.tasks:
        return ""
    parts = [
        _basis(group),
        _rule(group),
        _looks(group),
        _unclear(group),
        *(_ceiling(group, task) for task in group.tasks),
        length.states(group, experiment),
        _missing(group),
        intervals.SCOPE,
    ]
    return "\n\n".join(part for part in parts if part)


def _basis(group: Group) -> str:
    """Seeds and sentences; with one seed, that it shows nothing."""
    if len(group.seeds) < 2:
        return "**With one seed nothing can be concluded:** a difference may be luck."
    sentences = max(
        len(values)
        for task in group.tasks
        for by_seed in group.samples(task).values()
        for values in by_seed.values()
    )
    return (
        f"Scores are means over {counted(len(group.seeds), 'seed')} on {counted(sentences, 'test sentence')}, with 95% intervals. "
        "A change is paired by seed and sentence."
    )


def _rule(group: Group) -> str:
    """The verdicts and their margins; empty without a contrast."""
    contrasts = decisions.planned(group)
    if group.control is None or not contrasts:
        return ""
    margins = [f"{task.margin:g} of {text(task.metric_title)}" for task in group.every]
    return (
        f"**Verdicts.** *Equivalent*: the interval of the change lies within the margin ({listing(margins)}). *Better*, *worse*: it "
        f"excludes 0. *Unclear*: neither. *At least as good*: it excludes a loss of the margin. {_error(group, contrasts)}"
    )


def _error(group: Group, contrasts: int) -> str:
    """How often the verdicts are wrong."""
    if not group.pilot:
        return f"All {contrasts} intervals together are wrong in at most 5% of suites."
    return (
        "After a pilot these are 90% intervals: each end is wrong in at most 5% of suites. So a candidate that loses more than the margin "
        f"is recommended in at most 5%. In {choice.REPLAYS} replays of published runs the recommendation never lost more than "
        f"{choice.LARGEST} margins, and missed a cheaper scenario in {choice.MISSED}."
    )


def _looks(group: Group) -> str:
    """How looks bear on verdicts; empty where the number of seeds was fixed."""
    if not group.looks:
        return ""
    return (
        f"**Looks.** Verdicts were sought after {listing([str(look) for look in group.looks])} seeds. A decided scenario runs no more, and "
        "keeps the interval of that look; an effect found early is probably exaggerated. Means over different numbers of seeds do not "
        "compare; changes do."
    )


def _unclear(group: Group) -> str:
    """What each unclear verdict needs."""
    unclear = [
        contrast for contrast in decisions.against_control(group) if contrast.verdict == "unclear"
    ]
    if not unclear or len(group.seeds) < 2:
        return ""
    return f"**Unclear.** {'; '.join(map(_need, unclear))}."


def _need(contrast: Contrast) -> str:
    why = reason(contrast)
    return f"{name(contrast.scenario)} in {text(contrast.task.metric_title)}" + (
        f": {why}" if why else ""
    )


def _ceiling(group: Group, task: Task) -> str:
    """Errors as ratios to the control's, where its errors are fewer than two margins: a difference
    within the margin may double them. Empty elsewhere.
    """
    means = {
        scenario: float(np.mean(list(by_seed.values())))
        for scenario, by_seed in group.values(task.metric).items()
        if by_seed
    }
    best = max(task.kind.limits)
    counts = min(task.kind.limits) == 0  # of a correlation, what is missing to 1 is not an error
    if group.control not in means or not counts or best - means[group.control] >= 2 * task.margin:
        return ""
    errors = best - means[group.control]
    ratios = [
        f"{name(scenario)} {(best - mean) / errors:.1f}×"
        for scenario, mean in means.items()
        if scenario != group.control and errors > 0
    ]
    return (
        f"**Near the ceiling.** In {text(task.metric_title)} the control errs in {errors:.3f}, so a margin of {task.margin:g} allows "
        f"{1 + task.margin / errors:.1f} times its errors. Errors against the control's: {', '.join(ratios)}."
        if ratios
        else ""
    )


def _missing(group: Group) -> str:
    """How trials without a result bear on verdicts; empty where all have one."""
    if group.complete:
        return ""
    lost = group.asked - len(group.good)
    return (
        f"**Nothing is recommended:** {lost} of {counted(group.asked, 'trial')} {'has' if lost == 1 else 'have'} no result (see "
        "*Failures*). Changes are over the seeds that both scenarios have."
    )
