"""What MLflow loads an exported model with."""

from pathlib import Path
from typing import Any

from mtlab.export.reader import BATCH, Reader


class Served:
    """An exported model behind MLflow's interface."""

    def __init__(self, directory: Path) -> None:
        self.reader = Reader(directory)

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Read sentences: a list of texts, or a table whose first column, or the one called ``text``, has them."""
        if hasattr(model_input, "columns"):
            model_input = model_input["text" if "text" in model_input.columns else model_input.columns[0]]
        texts = [str(text) for text in model_input]
        return [found for at in range(0, len(texts), BATCH) for found in self.reader(texts[at : at + BATCH])]


def _load_pyfunc(path: str) -> Served:
    return Served(Path(path))
