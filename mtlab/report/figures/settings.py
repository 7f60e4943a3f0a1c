"""The figure of settings: how much each scenario gained on validation by the choice of its setting."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlab.plan.scenario import SETTING
from mtlab.report.comparison import across
from mtlab.report.comparison.groups import Group
from mtlab.report.figures import canvas
from mtlab.report.figures.looks import INK, Look, looks, shown
from mtlab.report.markdown import fixed
from mtlab.report.tasks import mean_score

ROW = 0.62
"""The height of a row in inches."""
BELOW = 1.0
"""How far the axis reaches below the scores of all first and chosen settings, in ranges of these
scores; settings with lower scores are only counted."""


def settings(groups: Sequence[Group], base: Group) -> Figure | None:
    """A row for each scenario: the first setting, the chosen setting, and strokes for all others. None
    unless the points differ in settings alone and there are results.
    """
    if not across.settings_only(groups):
        return None
    picked = across.chosen(groups)[1]
    scores = {
        name: {
            at: across.validation_score(group.of(name))
            for at, group in enumerate(groups)
            if group.of(name)
        }
        for name in base.scenarios
    }
    chosen = {name: groups.index(picked[name]) for name in base.scenarios if scores[name]}
    if not chosen:
        return None
    low, high = _limits(scores, chosen)
    figure = canvas.figure(1.2 + ROW * len(chosen))
    ax = figure.subplots()
    ax.set_xlim(low, high)
    for row, (name, best) in enumerate(chosen.items()):
        _row(row, scores[name], best, looks(base)[name], ax)
        first = min(scores[name])
        lines = [f"chosen: {_values(base, name, groups[best])}"]
        if best != first:
            lines.insert(0, f"first: {_values(base, name, groups[first])}")
        across_axes = ax.get_yaxis_transform()
        ax.text(1.02, row, "\n".join(lines), transform=across_axes, va="center", color=INK)
    ax.set_yticks(range(len(chosen)), [shown(name) for name in chosen])
    ax.set_ylim(len(chosen) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    measure = shown(mean_score(base.every).removeprefix("the "), 60)
    ax.set_xlabel(f"validation score: {measure}")
    ax.set_title("What choosing the setting gained on validation", loc="left")
    return figure


def _limits(scores: dict[str, dict[int, float]], chosen: dict[str, int]) -> tuple[float, float]:
    """Limits that include the first and the chosen setting of each scenario, and settings near them."""
    ends = [scores[name][at] for name, best in chosen.items() for at in (min(scores[name]), best)]
    low, high = min(ends), max(ends)
    span = (high - low) or 0.02
    every = [score for name in chosen for score in scores[name].values()]
    return max(min(every), low - BELOW * span) - 0.06 * span, high + 0.12 * span


def _row(row: int, scores: dict[int, float], best: int, look: Look, ax: Axes) -> None:
    """Draw the scores of a scenario's settings."""
    low, first = ax.get_xlim()[0], scores[min(scores)]
    inside = [score for score in scores.values() if score >= low]
    ax.plot(inside, [row] * len(inside), "|", color=look.colour, markersize=9, zorder=2)
    ax.plot([first, scores[best]], [row, row], color=look.colour, linewidth=1.6, zorder=3)
    hollow: dict[str, Any] = {"markerfacecolor": "#ffffff", "markeredgewidth": 1.4}
    ax.plot(first, row, look.marker, color=look.colour, markersize=8, zorder=4, **hollow)
    ax.plot(scores[best], row, look.marker, color=look.colour, markersize=8, zorder=5)
    gain = scores[best] - first
    words = f"{fixed(scores[best])} (+{gain:.3f})" if gain else fixed(scores[best])
    style: dict[str, Any] = {
        "xytext": (0, 8),
        "textcoords": "offset points",
        "ha": "center",
        "color": INK,
    }
    ax.annotate(words, (scores[best], row), **style)
    lower = len(scores) - len(inside)
    if lower:
        ax.text(
            0.01,
            row,
            f"◀ {lower} lower",
            transform=ax.get_yaxis_transform(),
            va="center",
            color=INK,
        )


def _values(base: Group, name: str, group: Group) -> str:
    """The values that a setting gives a scenario: rates by their selectors, each value once, and the
    epochs of all stages in order.
    """
    number = int(group.point[SETTING]) - 1
    values: dict[str, list[str]] = {}
    for key, listed in base.experiment.get("settings", {}).items():
        if key.startswith(f"scenarios.{name}."):
            short_key = (
                key.removeprefix(f"scenarios.{name}.").partition(".")[2].removeprefix("train.")
            )
            value = _short(listed[number])
            if short_key == "epochs" or value not in values.get(short_key, []):
                values.setdefault(short_key, []).append(value)
    phrases = [
        f"{shown(short_key, 20)} {' + '.join(several)}" for short_key, several in values.items()
    ]
    return shown(", ".join(phrases), 60) if phrases else group.label


def _short(value: object) -> str:
    """A value without superfluous digits, such as 6e-5."""
    return f"{value:g}".replace("e-0", "e-") if isinstance(value, float) else str(value)
