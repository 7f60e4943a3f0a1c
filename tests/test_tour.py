"""The tour runs from its first cell to its last."""

import ast
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import pytest

ROOT = Path(__file__).parents[1]
TOUR = ROOT / "experiments" / "tour.ipynb"


def sources(kind: str) -> list[str]:
    return [
        "".join(cell["source"])
        for cell in json.loads(TOUR.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == kind
    ]


def test_every_cell_ran_and_its_links_lead_somewhere() -> None:
    cells = json.loads(TOUR.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert outputs and not [one for one in outputs if one["output_type"] == "error"]
    assert TOUR.stat().st_size < 400_000, "outputs are small"
    for text in sources("markdown"):
        for link in [part.split(")")[0].split("#")[0] for part in text.split("](")[1:]]:
            assert (TOUR.parent / link).exists(), link


@pytest.mark.nightly
def test_the_tour_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """By plain Python, cell by cell; the first lesson trains."""
    (tmp_path / "reports").mkdir()
    shutil.copytree(ROOT / "reports" / "published", tmp_path / "reports" / "published")
    (tmp_path / "experiments").mkdir()
    monkeypatch.chdir(tmp_path / "experiments")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    matplotlib.use("Agg")
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for source in sources("code"):
            code = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
            exec(compile(ast.parse(code), "the tour", "exec"), names)
    said = capsys.readouterr().out
    assert "ner | heads alone are worse" in said
    assert (
        names["kept"].loc["with_rehearsal", "after"] > names["kept"].loc["full_finetune", "after"]
    )
    assert names["table"].loc["full_finetune", "gap"] > names["table"].loc["backbone_frozen", "gap"]
