"""Drawing a figure takes seconds, so that in tests its files are dots; who tests figures draws
them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from mtlab.report.figures import canvas

drawn = canvas.save
"""How figures are saved outside tests."""


def dot(figure: Figure, path: Path) -> None:
    """Save a dot for a figure."""
    Image.new("RGB", (1, 1)).save(f"{path}.png")
    Path(f"{path}.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>')


@contextmanager
def saved(save: Callable[[Figure, Path], None]) -> Iterator[None]:
    """Save figures in this way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canvas, "save", save)
        yield
