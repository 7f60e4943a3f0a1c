"""How scenarios and labels look in every plot.

A scenario has one colour and one marker in all figures of a report, and as far as possible in all
reports (:func:`looks`). A reader learns them once, and can read a print without colours.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from matplotlib import font_manager
from matplotlib.lines import Line2D

from mtlab.plan.colours import MARKERS, parsed
from mtlab.report.comparison.groups import Group

COLOURS = (
    "#0072b2", "#d55e00", "#00875a", "#c9519e", "#6b4423", "#7a4fc9", "#6e6b00", "#1f93ae", "#a3123f",
)  # fmt: skip
"""Colours that differ in hue and lightness, so that colour-blind readers can distinguish most of
them; each has a contrast of 3:1 or more on white."""
BLACK, DIAMOND = "#000000", "D"
"""The colour and the marker of the control."""
INK = "#444444"
"""The colour of texts and lines."""

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
    "svg.hashsalt": "mtlab",  # without it, the ids in an SVG differ from run to run
}


@dataclass(frozen=True)
class Look:
    """How a scenario is drawn."""

    colour: str
    marker: str


def looks(group: Group) -> dict[str, Look]:
    """Each scenario's colour and marker: a black diamond for the control; for other scenarios, the
    look in the experiment file or, without one, a look computed from the name.
    """
    configured = {name: parsed(str(group.colours.get(name, ""))) for name in group.scenarios}
    chosen = {name: Look(*look) for name, look in configured.items() if look is not None}
    if group.control is not None:
        chosen[group.control] = Look(BLACK, DIAMOND)
    for name in group.scenarios:
        if name not in chosen:
            chosen[name] = _of_name(name, set(chosen.values()))
    return {name: chosen[name] for name in group.scenarios}


def _of_name(name: str, taken: set[Look]) -> Look:
    """A look computed from the digest of a name, so that reports agree; if it is taken, the next free
    look.
    """
    pairs = [Look(colour, marker) for marker in MARKERS for colour in COLOURS]
    first = int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(pairs)
    order = [*pairs[first:], *pairs[:first]]
    return next((look for look in order if look not in taken), order[0])


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


@cache
def _glyphs() -> frozenset[int]:
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())
