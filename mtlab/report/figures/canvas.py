"""Common parts of all figures: one style, one legend, and the same bytes for the same values."""

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
"""A function that draws a figure, or returns None without values; the text alternative of the figure;
its caption."""


ID = re.compile(r'(?<=["#])[a-z][0-9a-f]{10}(?=[")])')
"""The ids that matplotlib gives to clip paths, markers and hatches in an SVG."""


@dataclass(frozen=True)
class Plot:
    """A figure that was saved: its file name in ``plots/`` without an ending, its text alternative
    and its caption.
    """

    name: str
    alt: str
    caption: str


LEFT_OUT = Plot("", "", "")
"""Stands for a figure that was not asked for."""


def can_be_drawn(drawing: Drawing | None) -> bool:
    """Whether the figure exists and has values."""
    with style():
        return drawing is not None and drawing[0]() is not None


def write_all(
    drawings: Mapping[str, Drawing],
    directory: Path,
    suffix: str = "",
    wanted: Collection[str] | None = None,
) -> dict[str, Plot]:
    """Draw figures into ``directory``, each as SVG and as PNG: all figures, or only those whose name
    with ``suffix`` is in ``wanted``.

    Returns:
        Kind of figure to the figure; :data:`LEFT_OUT` if it is not wanted. Figures without values
        are left out.
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
    """Apply matplotlib's defaults and mtlab's style, but not the user's own settings."""
    with styles.context(["default", STYLE]):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG and as PNG of 150 dpi: the same figure gives the same bytes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # both formats use the layout computed above
    for ending, metadata in (
        ("svg", {"Date": None, "Creator": "mtlab"}),
        ("png", {"Software": "mtlab"}),
    ):
        buffer = io.BytesIO()  # an error while drawing leaves no incomplete file
        figure.savefig(buffer, format=ending, metadata=metadata)
        content = (
            buffer.getvalue() if ending == "png" else _numbered(buffer.getvalue().decode()).encode()
        )
        path.with_name(f"{path.name}.{ending}").write_bytes(content)


def light(png: bytes) -> bytes:
    """The PNG with a palette of 64 colours: it has about a third of the size, and even rare colours
    change little.
    """
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        palette = image.convert("RGB").quantize(
            64, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
        )
        palette.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _numbered(svg: str) -> str:
    """An SVG with its ids numbered in order of appearance. Matplotlib computes ids from all digits of
    a position, and the last digit depends on the processor.
    """
    numbers: dict[str, str] = {}
    return ID.sub(lambda match: numbers.setdefault(match[0], f"{match[0][0]}{len(numbers)}"), svg)


def figure(height: float) -> Figure:
    """An empty figure with this height in inches; all figures have the same width."""
    return Figure(figsize=(10.0, height), dpi=STYLE["savefig.dpi"], layout="constrained")


LINE = 145
"""The number of characters of 9 points that fit in a line of the whole width."""

COLUMNS = 2
"""The most panels side by side."""


def rows(count: int) -> int:
    """The number of rows that this number of panels needs."""
    return -(-count // COLUMNS)


def panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels, and its axes; ``height`` is that of a row in inches."""
    fig = figure(height * rows(count))
    grid = fig.subplots(rows(count), min(count, COLUMNS), squeeze=False)
    for spare in grid.flat[count:]:
        spare.remove()
    return fig, list(grid.flat[:count])


def legend(
    figure: Figure, group: Group, names: Sequence[str], extra: Sequence[tuple[Line2D, str]] = ()
) -> None:
    """Draw a legend of the scenarios and of ``extra`` marks below the panels."""
    handles = keys(names, looks(group)) + [handle for handle, _ in extra]
    labels = [counted(group, name) for name in names] + [label for _, label in extra]
    figure.legend(handles, labels, loc="outside lower center", ncols=columns(labels))


def columns(labels: Sequence[str]) -> int:
    """The number of columns of a legend with these labels, at most four: a line has about 136
    characters.
    """
    for columns in (4, 3, 2):
        rows = -(-len(labels) // columns)
        if (
            sum(6 + max(map(len, labels[at : at + rows])) for at in range(0, len(labels), rows))
            <= 136
        ):
            return columns
    return 1


def counted(group: Group, name: str) -> str:
    """A scenario's label, with the number of its seeds if some have no result."""
    finished, asked = len(group.of(name)), len(group.seeds_of(name))
    return shown(name) + (f" ({finished} of {asked} seeds)" if finished < asked else "")
