"""What a figure shows, read from its artists."""

from collections.abc import Iterator

import numpy as np
from matplotlib import colors
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from mtlab.plan.colours import contrast


def has_data(ax: Axes) -> bool:
    """Whether axes show an estimate: a mark, a course or bars within their limits."""
    courses = [line for line in ax.lines if _drawn(line) and line.get_transform() != ax.transAxes]
    marks = [line for line in courses if line.get_marker() != "None" or len(line.get_xdata()) > 2]
    return (
        any(_within(line, ax) for line in marks)
        or any(isinstance(patch, Rectangle) and patch.get_width() for patch in ax.patches)
        or any(isinstance(cells, PolyCollection) for cells in ax.collections)
    )


def _within(line: Line2D, ax: Axes) -> bool:
    points = line.get_transform().transform(
        np.column_stack([np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)])
    )
    box = ax.bbox.padded(1.0)
    return any(box.contains(*point) for point in points)


def _drawn(line: Line2D) -> bool:
    return line.get_visible() and (line.get_linestyle() != "None" or line.get_marker() != "None")


def texts(figure: Figure) -> list[Text]:
    """The words of a figure, and of what it contains."""
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in texts(figure))


def pale_texts(figure: Figure) -> list[str]:
    """Words whose contrast with white is below 4.5:1."""
    return [
        text.get_text() for text in texts(figure) if contrast(colors.to_hex(text.get_color())) < 4.5
    ]


def pale_marks(figure: Figure) -> set[str]:
    """The colours of marks, lines, bars and cells whose contrast with white is below 3:1: of what
    has an edge, that of the edge."""
    return {colour for colour in _marks(figure) if contrast(colour) < 3.0}


def _marks(figure: Figure) -> Iterator[str]:
    for ax in figure.axes:
        for line in ax.lines:
            if _drawn(line):
                yield colors.to_hex(line.get_color())
                assert (line.get_alpha() or 1.0) == 1.0
        for artist in (*ax.patches, *ax.collections):
            if not _background(artist):
                yield colors.to_hex(np.atleast_2d(artist.get_edgecolor())[0])


def _background(artist: Artist) -> bool:
    """A band of seeds, which is transparent, or the margin, which lies below all else."""
    return bool(artist.get_alpha()) or artist.get_zorder() == 0
