"""The figure of quality against the number of top blocks that train."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlab.report.comparison import across, kinds
from mtlab.report.comparison.across import Reached
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.figures import canvas, labels, plots
from mtlab.report.figures.looks import BLACK, INK, Look, looks, shown
from mtlab.report.markdown import listing
from mtlab.report.statistics import intervals

HEIGHT = 4.2
"""The height of a panel in inches."""


def quality_vs_blocks(groups: Sequence[Group], base: Group) -> Figure | None:
    """A panel for each task; None unless at least three numbers of blocks (0 is the heads alone) and
    full fine-tuning were run.
    """
    by_depth, full = across.depths(base), kinds.find(base, kinds.FULL)
    if len(by_depth) < 3 or full is None:
        return None
    figure, panels = canvas.panels(len(base.tasks), HEIGHT)
    for task, ax in zip(base.tasks, panels, strict=True):
        _panel(base, task, full, by_depth, ax)
    if len(panels) > 1:
        note = "The scales of the tasks differ."
        figure.supxlabel(note, x=0.01, ha="left", fontsize=9, color=INK)
    return figure


def _panel(base: Group, task: Task, full: str, by_depth: Mapping[int, str], ax: Axes) -> None:
    """Draw a task: for each number of blocks a mark in the look of its scenario, and lines at shares
    of full fine-tuning's score.
    """
    samples, look = base.samples(task), looks(base)
    estimates = {
        depth: intervals.estimate(samples[name], within=task.kind.limits)
        for depth, name in by_depth.items()
    }
    means = {depth: value.mean for depth, value in estimates.items() if value.mean is not None}
    if means:
        course = {"": [(float(depth), estimates[depth]) for depth in means]}
        whole = intervals.estimate(samples[full]).mean or 0.0
        levels = [share * whole for share in (*across.SHARES, 1.0)] if whole > 0 else []
        low, high = plots.reach([course])
        space = 0.04 * (high - low)
        ends = [low, high, *(level + side for level in levels for side in (-space, space))]
        plots.courses(course, {"": Look(INK, "")}, ax, (min(ends), max(ends)), log=False)
        _levels(levels, ax)
    for depth, mean in means.items():
        own = look[by_depth[depth]]
        ax.plot(depth, mean, own.marker, color=own.colour, markersize=7, zorder=4)
    frontier = [reached for reached in across.frontier(base, task) if reached.blocks in means]
    for depth in {reached.blocks for reached in frontier if reached.blocks is not None}:
        ax.plot(depth, means[depth], "o", color=INK, markersize=14, fillstyle="none", zorder=5)
    ax.set_xticks(list(by_depth), [_depth(base, depth, name) for depth, name in by_depth.items()])
    title = f"{shown(task.heading)}: {shown(task.metric_title)}, test"
    ax.set_title(f"{title}\n{_fewest(frontier)}", loc="left", fontsize=9)
    ax.set_xlabel("blocks that train, from the top; below: share of all parameters")


def _levels(levels: Sequence[float], ax: Axes) -> None:
    """Draw lines at shares of full fine-tuning's score, with their names at the right."""
    low, high = ax.get_ylim()
    places = labels.spread(
        [(level - low) / (high - low) for level in levels], labels.LINE / (HEIGHT - 1.2)
    )
    for level, place, share in zip(levels, places, (*across.SHARES, 1.0), strict=False):
        colour, line, words = INK, "--", f"{share:.0%}"
        if share == 1:
            colour, line, words = BLACK, "-", "100% (full)"
        ax.axhline(level, color=colour, linewidth=0.9, linestyle=line, zorder=1)
        ax.text(1.01, place, words, transform=ax.transAxes, va="center", color=INK)


def _depth(base: Group, depth: int, name: str) -> str:
    """A number of blocks, and the share of all parameters that train."""
    stage = base.of(name)[0].stages[-1]
    return f"{depth}\n{stage.params_trainable / max(1, stage.params_total):.0%}"


def _fewest(frontier: Sequence[Reached]) -> str:
    """The fewest blocks that reach each share on validation, and the share that they reach on test."""
    if not frontier:
        return "No number of blocks reaches 90% on validation."
    shares = listing([f"{100 * reached.share:.0f}" for reached in frontier])
    blocks = listing([str(reached.blocks) for reached in frontier])
    tested = listing([f"{100 * (reached.ratio or 0.0):.1f}" for reached in frontier])
    return f"{shares}% on validation need {blocks} blocks,\nwhich reach {tested}% on test."
