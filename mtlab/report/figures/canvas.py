"""The canvas of figures: one style, one legend, and the same bytes for the same values."""

import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matplotlib import style as styles
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from mtlab.report.comparison.groups import Group
from mtlab.report.figures.looks import STYLE, keys, looks, shown

Drawing = tuple[Callable[[], Figure | None], str, str]
"""A function that draws a figure, or returns None without values; its text alternative; its
caption."""


ID = re.compile(r'(?<=["#])[a-z][0-9a-f]{10}(?=[")])')
"""Matplotlib's ids of a clip path, a marker or a hatch in an SVG."""


@dataclass(frozen=True)
class Plot:
    """A figure that was saved: its name under ``plots/`` without an ending, and its words."""

    name: str
    alt: str
    caption: str


LEFT_OUT = Plot("", "", "")
"""A figure that was not asked for."""


def can_be_drawn(drawing: Drawing | None) -> bool:
    """Whether there is such a figure, and values for it."""
    with style():
        return drawing is not None and drawing[0]() is not None


def write_all(
    drawings: Mapping[str, Drawing],
    directory: Path,
    suffix: str = "",
    wanted: Collection[str] | None = None,
) -> dict[str, Plot]:
    """Draw figures into ``directory``, each as SVG and as PNG: those that are ``wanted``, or all.

    Returns:
        Kind of figure to the paths that were written.
    """
    written: dict[str, Plot] = {}
    for kind, (draw, alt, caption) in drawings.items():
        if wanted is not None and f"{kind}{suffix}" not in wanted:
            written[kind] = LEFT_OUT
            continue
        with style():
            figure = draw()
            if figure is None:
                continue
            directory.mkdir(parents=True, exist_ok=True)
            save(figure, directory / f"{kind}{suffix}")
        written[kind] = Plot(f"{kind}{suffix}", alt, caption)
    return written


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's defaults and ours, without the user's own settings."""
    with styles.context(["default", STYLE]):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG and as PNG of 150 dpi: the same figure gives the same bytes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout is computed once, not for each format
    for ending, metadata in (
        ("svg", {"Date": None, "Creator": "mtlab"}),
        ("png", {"Software": "mtlab"}),
    ):
        buffer = io.BytesIO()  # a figure that cannot be drawn leaves no half a file
        figure.savefig(buffer, format=ending, metadata=metadata)
        content = (
            buffer.getvalue() if ending == "png" else _numbered(buffer.getvalue().decode()).encode()
        )
        path.with_name(f"{path.name}.{ending}").write_bytes(content)


def light(png: bytes) -> bytes:
    """The PNG in a palette of 64 colours, which makes it a third as large; every colour stays near
    what it was, however rare it is.
    """
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        palette = image.convert("RGB").quantize(
            64, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
        )
        palette.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _numbered(svg: str) -> str:
    """An SVG with its ids numbered in their order: matplotlib computes them from all digits of a
    position, the last of which depends on the processor.
    """
    numbers: dict[str, str] = {}
    return ID.sub(lambda match: numbers.setdefault(match[0], f"{match[0][0]}{len(numbers)}"), svg)


def figure(height: float) -> Figure:
    """An empty figure with a height in inches; all figures have the same width."""
    return Figure(figsize=(10.0, height), dpi=STYLE["savefig.dpi"], layout="constrained")


LINE = 145
"""Characters of 9 points in a line of the whole width."""

COLUMNS = 2
"""Panels that stand side by side."""


def rows(count: int) -> int:
    """The rows of so many panels."""
    return -(-count // COLUMNS)


def panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with panels, whose rows have a height in inches."""
    fig = figure(height * rows(count))
    grid = fig.subplots(rows(count), min(count, COLUMNS), squeeze=False)
    for spare in grid.flat[count:]:
        spare.remove()
    return fig, list(grid.flat[:count])


def legend(
    figure: Figure, group: Group, names: Sequence[str], extra: Sequence[tuple[Line2D, str]] = ()
) -> None:
    """Name the scenarios, and what ``extra`` marks mean, below the panels."""
    handles = keys(names, looks(group)) + [handle for handle, _ in extra]
    labels = [counted(group, name) for name in names] + [label for _, label in extra]
    figure.legend(handles, labels, loc="outside lower center", ncols=columns(labels))


def columns(labels: Sequence[str]) -> int:
    """The number of columns of labels in a legend, at most four: a line has about 136 characters."""
    for columns in (4, 3, 2):
        rows = -(-len(labels) // columns)
        if (
            sum(6 + max(map(len, labels[at : at + rows])) for at in range(0, len(labels), rows))
            <= 136
        ):
            return columns
    return 1


def counted(group: Group, name: str) -> str:
    """A scenario's label, with the number of its seeds where some have no result."""
    finished, asked = len(group.of(name)), len(group.seeds_of(name))
    return shown(name) + (f" ({finished} of {asked} seeds)" if finished < asked else "")
