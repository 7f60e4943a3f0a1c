"""How scenarios and labels look in every plot.

A scenario has one colour and one marker in all of them (:func:`looks`), so that a reader learns
them once and a print without colour can still be read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, which colour-blind readers can distinguish; without the yellow, which is
too pale on white paper."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
"""Their number has no common factor with that of the colours: pairs repeat only after 77 scenarios.
"""
INK, PALE = "#444444", "#c9c9c9"

STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "hatch.linewidth": 0.5,
    "hatch.color": INK,
    "savefig.dpi": 150,
    "text.parse_math": False,  # a `$` in a name is a dollar
    "svg.hashsalt": "mtlab",  # else the ids in an SVG differ from run to run
}


@dataclass(frozen=True)
class Look:
    """How a scenario is drawn."""

    colour: str
    marker: str


def looks(scenarios: Sequence[str]) -> dict[str, Look]:
    """Each scenario's colour and marker, by its place in the experiment."""
    return {
        name: Look(COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)])
        for at, name in enumerate(scenarios)
    }


def shown(label: str, width: int = 36) -> str:
    """A label that a plot can show: one line, not too long, and only characters that the font
    has.
    """
    line = "".join(
        mark if ord(mark) in _glyphs() and mark.isprintable() else "?"
        for mark in " ".join(label.split())
    )
    line = line if len(line) <= width else line[: width - 1] + "…"
    return (
        f" {line}" if line.startswith("_") else line
    )  # matplotlib hides labels that begin with an underscore


def keys(scenarios: Sequence[str], look: Mapping[str, Look]) -> list[Line2D]:
    """The handles for a legend of scenarios."""
    return [
        Line2D(
            [], [], color=look[name].colour, marker=look[name].marker, markersize=7, linewidth=1.5
        )
        for name in scenarios
    ]


def seconds_axis(ax: Axes, largest: float, smallest: float) -> None:
    """Set a time axis: linear, or logarithmic where times differ by more than a factor of ten."""
    if smallest <= 0 or largest / smallest <= 10:
        ax.set_xlim(left=0)
        return
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(
        LogLocator(subs=(1.0, 2.0, 5.0) if largest / smallest < 200 else (1.0,))
    )
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda seconds, _: f"{seconds:,.6g}")
    )  # matplotlib's own is mathtext
    ax.xaxis.set_minor_formatter(NullFormatter())


@cache
def _glyphs() -> frozenset[int]:
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())
