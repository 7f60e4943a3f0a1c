"""The figures of a report where not all are wanted: the decision, and the one that answers the
experiment's question.
"""

from collections.abc import Sequence
from pathlib import Path

from mtlab.report.comparison.groups import Group
from mtlab.report.figures import canvas, curves, scores, shift_plots, staged_plots

FIRST = "decision"
"""The figure that represents a report."""

QUESTIONS = (
    "kept_and_learnt",
    "conditions",
    shift_plots.KIND,
    "quality_vs_data",
    "quality_vs_blocks",
    "settings",
    "learning_curves",
)
"""The figures that answer a question, the most particular first: a report has the first that its
records have values for."""


def most_telling(groups: Sequence[Group], base: Group, suffix: str) -> list[str]:
    """The names of the two figures; fewer where they cannot be drawn.

    Args:
        groups: every point.
        base: the group that represents the whole.
        suffix: what the names of its figures end with.
    """
    question = question_figure(groups, base, suffix)
    drawn = canvas.can_be_drawn(scores.drawings(base).get(FIRST))
    return [*([f"{FIRST}{suffix}"] if drawn else []), *([question] if question else [])]


def question_figure(groups: Sequence[Group], base: Group, suffix: str) -> str | None:
    """The name of the figure that answers the experiment's question; None where none can be drawn.

    Args:
        groups: every point.
        base: the group that represents the whole.
        suffix: what the names of its figures end with.
    """
    over = curves.drawings(groups, base)
    drawings = {
        **over,
        **scores.drawings(base),
        **staged_plots.drawings(base),
        **shift_plots.drawings(base),
    }
    kind = next((kind for kind in QUESTIONS if canvas.can_be_drawn(drawings.get(kind))), None)
    return kind if kind is None or kind in over else f"{kind}{suffix}"


def main_figure(plots: Path, kinds: Sequence[str] = ()) -> str | None:
    """The file of the figure that represents a report: the first of ``kinds`` that it has, else the
    decision; of several points, that of the first.
    """
    files = (
        file
        for kind in (*kinds, FIRST)
        for file in (plots / f"{kind}.png", *sorted(plots.glob(f"{kind}-[0-9]*.png")))
    )
    return next((file.name for file in files if file.exists()), None)
