"""The colours and markers of scenarios in figures, as experiment files write them."""

import re
from pathlib import Path
from typing import Any

from mtlab.plan import yaml_file
from mtlab.plan.errors import mistake, shown
from mtlab.plan.tree import merged
from mtlab.plan.yaml_file import Located

FILE = "colours.yaml"
"""The file beside experiment files with the colours of all their scenarios."""

MARKERS = ("o", "s", "^", "v", "P", "X", "<", ">", "p", "h")
"""Matplotlib's names of the markers; the diamond ``D`` is the control's."""

CONTRAST = 3.0
"""The lowest contrast of a mark on white (WCAG 2.2, 1.4.11)."""

LOOK = re.compile(rf"(#[0-9a-fA-F]{{6}}) ([{re.escape(''.join(MARKERS))}])")


def contrast(colour: str, on: str = "#ffffff") -> float:
    """The contrast of two colours, from 1 to 21, as WCAG 2.2 computes it.

    Args:
        colour: such as ``#0072b2``.
        on: the background.
    """
    bright, dark = sorted((_luminance(colour), _luminance(on)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def parsed(look: str) -> tuple[str, str] | None:
    """The colour and the marker of ``"#0072b2 o"``; None if the text is not that, or too pale."""
    match = LOOK.fullmatch(look)
    return (match[1].lower(), match[2]) if match and contrast(match[1]) >= CONTRAST else None


def check_colours(colours: dict[str, str]) -> dict[str, str]:
    """Refuse values that are not a colour and a marker, and colours that are too pale.

    Raises:
        PydanticCustomError: there is such a value.
    """
    for name, look in colours.items():
        if parsed(look) is not None:
            continue
        problem = f"{shown(look)} is not a colour and a marker; write them as in '#0072b2 o' (markers: {' '.join(MARKERS)})"
        if match := LOOK.fullmatch(look):
            problem = (
                f"the colour {match[1]} has a contrast of {contrast(match[1]):.1f}:1 on white; "
                f"take a darker one, of at least {CONTRAST:g}:1"
            )
        raise mistake(problem, name, code="bad-colour")
    return colours


def fill_in_colours(located: Located, folder: Path) -> None:
    """Give the scenarios of an experiment file the colours of :data:`FILE` in its folder, unless
    the file itself has colours for them.

    Args:
        located: the content of the experiment file; it is changed.
        folder: the folder of that file.

    Raises:
        UserError: the file of colours cannot be read.
    """
    own, scenarios = located.value.get("colours", {}), located.value.get("scenarios")
    if not isinstance(own, dict) or not isinstance(scenarios, dict):
        return  # a mistake, which the checks of the experiment report
    shared = Located({}, {})
    if (folder / FILE).exists():
        shared = yaml_file.read(folder / FILE)
    all_colours: dict[str, Any] = merged(shared.value, own)
    located.value["colours"] = {
        name: all_colours[name] for name in scenarios if name in all_colours
    }
    places = {("colours", *path): place for path, place in shared.places.items() if path}
    located.places = places | located.places
