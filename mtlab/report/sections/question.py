"""The report's sections on the question that an experiment asks beyond which scenario is best: by
size of the data, by blocks, by settings, by conditions, over what a model knew, over time, on other test sets.
"""

from mtlab.report.comparison.groups import Group
from mtlab.report.comparison.shifts import shifts
from mtlab.report.figures import shift_plots, staged_plots
from mtlab.report.sections import chosen, guided, joint, staged
from mtlab.report.sections import shifts as sets
from mtlab.report.view import Pairs, Plots, View, each, figures, folded, joined, part


def sections(view: View, pairs: Pairs, plots: Plots, over: Plots) -> list[str]:
    """The sections that this report has.

    Args:
        view: what the report shows.
        pairs: the groups that it shows, with their figures.
        plots: those of the group that represents the whole.
        over: the figures that look over all groups.
    """
    return [
        _sizes(view, over),
        part("## Under each condition", figures(over, "conditions")),
        part(
            "## Blocks that train",
            joint.fewest(view.base),
            figures(over, "quality_vs_blocks"),
            folded("Scores by number of blocks", joint.frontier(view.base)),
        ),
        _settings(view, over),
        part("## What was kept", each(pairs, _kept)),
        part("## Out of distribution", each(pairs, _other_sets)),
        part(
            "## Training",
            figures(plots, "learning_curves"),
            folded("What guidance did", guided.section(view.base)),
            folded("Which blocks trained when", chosen.section(view.base)),
        ),
    ]


def _sizes(view: View, over: Plots) -> str:
    return part(
        "## By size of the training data",
        figures(over, "quality_vs_data"),
        folded("Scores and crossovers by size", joint.sizes(view.groups)),
    )


def _settings(view: View, over: Plots) -> str:
    if not view.picked:
        return ""
    table = joint.settings(view.suite, view.groups, view.picked)
    return part(
        "## Settings",
        figures(over, "settings"),
        folded("Every setting", table),
    )


def _kept(group: Group, plots: Plots) -> str:
    return part("", staged.lost(group), figures(plots, *staged_plots.FIGURES))


def _other_sets(group: Group, plots: Plots) -> str:
    group_shifts = shifts(group)
    return joined(
        sets.answer(group, group_shifts),
        figures(plots, shift_plots.KIND),
        folded("Scores and drops on each set", sets.table(group, group_shifts)),
    )
