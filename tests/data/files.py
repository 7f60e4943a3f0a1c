"""Small data sets for tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from mtlab.data.sources import Corpus
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Data
from tests.tiny import load

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
"""Real data, where a machine has it."""


def sentence(words: str, tags: str = "", label: str | None = "a") -> dict[str, Any]:
    tokens = words.split()
    return {"tokens": tokens, "ner_tags": tags.split() or ["O"] * len(tokens), "label": label}


TRAIN = [
    sentence("play some jazz", "O O B-genre", "play"),
    sentence("book a table in oslo", "O O O O B-city", "book"),
    sentence("play miles davis", "O B-artist I-artist", "play"),
    sentence("book two seats", "", "book"),
]
OTHER = {
    "validation": [sentence("play blues", "O B-genre", "play")],
    "test": [sentence("book in rome", "O O B-city", "book")],
}


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def write_source(directory: Path, **splits: list[dict[str, Any]]) -> Path:
    """A directory with train, validation and test; splits given replace the usual ones, empty ones
    are left out."""
    for split, rows in {"train": TRAIN, **OTHER, **splits}.items():
        if rows:
            write_jsonl(directory / f"{split}.jsonl", rows)
    return directory


def many(count: int, labels: int = 4) -> list[dict[str, Any]]:
    """Sentences no two of which are alike, with labels of very different frequency, an entity in
    every third."""
    rows = []
    for number in range(count):
        label = f"label{min(labels - 1, (number % 100).bit_length() * labels // 8)}"
        rows.append(
            sentence(f"word{number} of {label}", "B-x O O" if number % 3 == 0 else "", label)
        )
    return rows


def read(source: Path, seed: int = 0, **options: Any) -> Corpus:
    return load(Data(source=str(source), **options), seed)


def fails(source: Path, **options: Any) -> str:
    """The error line, without the directories above the source."""
    with pytest.raises(UserError) as error:
        read(source, **options)
    line = str(error.value)
    assert "\n" not in line
    return line.replace(f"{source}/", "").replace(f"{source.parent}/", "")
