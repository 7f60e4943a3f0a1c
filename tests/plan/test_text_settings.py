"""Settings that are text, from the command line: what the shell hands over is that text."""

from pathlib import Path
from typing import Any

import pytest

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load

FILE = (
    "data: {source: here, revision: main}\nscenarios: {heads: [{epochs: 1, train: {heads: 1}}]}\n"
)
TEXTS: list[tuple[str, list[str], Any]] = [
    ("data.columns.label", ["1"], "1"),
    ("data.columns.label", ["null"], "null"),
    ("data.columns.label", ["#tags"], "#tags"),
    ("data.columns.label", ["words: split"], "words: split"),
    ("data.columns.label", ["2024-01-01"], "2024-01-01"),
    ("data.columns.label", ["true"], "true"),
    ("data.columns.label", ["[a]"], "[a]"),
    ("data.columns.label", ["'1'"], "1"),
    ("data.columns", ["{label: a, text: b}"], {"label": "a", "text": "b"}),
    ("data.splits.train", ["1"], "1"),
    ("data.split_column", ["1"], "1"),
    ("data.source", ["2024"], "2024"),
    ("data.source", ["~"], "~"),
    ("data.revision", ["1e5"], "1e5"),
    ("data.revision", ["null"], None),
    ("data.subset", ["1.0"], "1.0"),
    ("data.labels", ["1", "2"], ("1", "2")),
    ("data.labels", ["1"], ("1",)),
    ("data.labels", ["null"], ("null",)),
    ("data.labels", ["[a, b]"], ("a", "b")),
    ("name", ["2024"], "2024"),
    ("question", ["Why: because # of it"], "Why: because # of it"),
    ("tasks.heat.column", ["3"], "3"),
]


@pytest.mark.parametrize(("key", "values", "expected"), TEXTS)
def test_text_stays_text(tmp_path: Path, key: str, values: list[str], expected: Any) -> None:
    (tmp_path / "exp.yaml").write_text(FILE)
    more = {"tasks.heat.kind": ["regression"]} if key.startswith("tasks") else {}
    found: Any = load(tmp_path / "exp.yaml", {**more, key: values})
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert found == expected


def test_sources_that_vary_are_text_too(tmp_path: Path) -> None:
    (tmp_path / "exp.yaml").write_text(FILE)
    made = load(tmp_path / "exp.yaml", {"sweep.data.source": ["2023", "2024"]})
    assert list(made.sweep["data.source"]) == ["2023", "2024"]


def test_what_is_no_text_is_read_as_yaml(tmp_path: Path) -> None:
    (tmp_path / "exp.yaml").write_text(FILE)
    assert load(tmp_path / "exp.yaml", {"batch_size": ["8"]}).batch_size == 8
    with pytest.raises(UserError, match="--max_length"):
        load(tmp_path / "exp.yaml", {"max_length": ["[1]"]})
