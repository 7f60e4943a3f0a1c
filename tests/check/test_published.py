"""Data as they are published: `mtlab check` reads each layout, and the file of `mtlab init` reads the same
without a word more."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mtlab.cli import main
from mtlab.data import sources
from mtlab.data.stored import Sentence
from tests.check.test_resolution import looked, planned
from tests.data import published
from tests.data.published import LAYOUTS, Layout, Line


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def expected(some: Sequence[Line], layout: Layout) -> list[tuple[Any, ...]]:
    def tags(line: Line) -> tuple[str, ...]:
        if layout.has == "bare tags":
            return tuple(tag if tag == "O" else f"{tag[0]}-entity" for tag in line.tags)
        if layout.has == "pos":
            return tuple(published.POS[: len(line.tags)])
        return tuple(
            tag if layout.has != "marked" else f"{tag[:2]}{tag[2:].lower()}" for tag in line.tags
        )

    words = [None if layout.has == "label" else (line.text, tags(line)) for line in some]
    labels = [None if layout.has in ("tags", "bare tags", "pos") else line.label for line in some]
    texts = [line.text for line in some]
    return sorted(zip(texts, words, labels, strict=True), key=str)


def found(rows: Sequence[Sentence]) -> list[tuple[Any, ...]]:
    """What was read: text, words with tags, label."""
    made = []
    for row in rows:
        text = " ".join(row.tokens) if row.tokens else row.text
        tags = row.gold.get("ner", row.gold.get("column_4"))
        made.append((text, None if tags is None else (text, tags), row.gold.get("classifier")))
    return sorted(made, key=str)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_published_layout_is_read_and_its_file_runs(encoder: Path, name: str) -> None:
    layout, made = LAYOUTS[name], published.splits()
    Path("set").mkdir()
    layout.write(Path("set"), made)
    survey = looked(encoder, layout.source)
    assert [str(mistake) for mistake in survey.mistakes] == []
    wanted = {"train": made["train"]} if layout.alone else made
    whole = survey.checks[0].whole
    assert {split: found(rows) for split, rows in whole.items()} == {
        split: expected(some, layout) for split, some in wanted.items()
    }
    experiment = planned(survey)
    corpus = sources.load(experiment.data, experiment.tasks, 0)
    assert sum(map(len, corpus.splits.values())) == sum(map(len, wanted.values()))
    if not layout.alone:
        assert {split: found(rows) for split, rows in corpus.splits.items()} == {
            split: expected(some, layout) for split, some in wanted.items()
        }


@pytest.mark.parametrize("name", ["germeval", "massive", "doccano"])
def test_the_file_of_a_published_layout_can_be_planned(
    encoder: Path, name: str, capsys: pytest.CaptureFixture
) -> None:
    layout = LAYOUTS[name]
    Path("set").mkdir()
    layout.write(Path("set"), published.splits())
    assert main(["init", layout.source, "--output", "mine.yaml", "--encoder", str(encoder)]) == 0
    assert "  # a guess" in Path("mine.yaml").read_text()
    assert main(["plan", "mine.yaml"]) == 0
    assert capsys.readouterr().err == ""
