"""Loads an exported model for MLflow."""

from pathlib import Path
from typing import Any

from mtlab.export.reader import BATCH, Given, Reader


class Served:
    """An exported model behind MLflow's interface."""

    def __init__(self, directory: Path) -> None:
        self.reader = Reader(directory)

    def predict(
        self, model_input: Any, params: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Read sentences: a list of texts, of lists of words, or of objects with ``text`` or
        ``tokens``; or a table.

        A table's columns ``text`` and ``tokens`` hold the sentences; if it has neither, its first
        column does.

        Raises:
            ValueError: a sentence is neither text nor words, or has no sub-words.
        """
        sentences = _rows(model_input) if hasattr(model_input, "columns") else list(model_input)
        return [
            answer
            for at in range(0, len(sentences), BATCH)
            for answer in self.reader(sentences[at : at + BATCH])
        ]


def _rows(table: Any) -> list[Given]:
    columns = [name for name in ("text", "tokens") if name in table.columns]
    if not columns:
        return list(table[table.columns[0]])
    cells = zip(*(table[name] for name in columns), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in cells]


def _load_pyfunc(path: str) -> Served:
    return Served(Path(path))
