"""The figures that represent a report where not all are wanted: one that answers and, if possible,
another that says why.
"""

from collections.abc import Sequence
from pathlib import Path

from mtlab.report.comparison.groups import Group
from mtlab.report.figures import canvas, curves, scores, staged_plots

FIRST = (
    "quality_vs_data",
    "quality_vs_blocks",
    "quality_vs_epochs",
    "kept_and_learnt",
    "quality_vs_time",
)
"""The figures that can represent a report, the most telling first."""

SECOND = ("drift", "settings")
"""The second figures: they show what no table of the report says."""


def most_telling(groups: Sequence[Group], base: Group, suffix: str) -> list[str]:
    """The names of the one or two figures.

    Args:
        groups: every point.
        base: the group that represents the whole.
        suffix: what the names of its figures end with.
    """
    over, own = (
        curves.drawings(groups, base),
        {**scores.drawings(base), **staged_plots.drawings(base)},
    )
    drawings = {**over, **own}
    guided = any(trial.ledger for trial in base.good)
    names = []
    for kinds in (FIRST, ("learning_curves", *SECOND) if guided else SECOND):
        kind = next(
            (kind for kind in kinds if kind in drawings and canvas.can_be_drawn(drawings[kind])),
            None,
        )
        if kind is not None:
            names.append(kind if kind in over else f"{kind}{suffix}")
    return names


def main_figure(plots: Path) -> str | None:
    """The file of the figure that represents a report; of several points, that of the first."""
    for kind in FIRST:
        for file in (plots / f"{kind}.png", *sorted(plots.glob(f"{kind}-[0-9]*.png"))):
            if file.exists():
                return file.name
    return None
