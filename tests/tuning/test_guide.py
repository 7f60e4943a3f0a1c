"""The guide's Python runs as it is written."""

import csv
import random
import re
from pathlib import Path

import pytest

from tests import tiny

GUIDE = (Path(__file__).parents[2] / "experiments" / "README.md").read_text(encoding="utf-8")
SECTION = GUIDE.split("## In your own training\n")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)


@pytest.mark.filterwarnings("ignore:'pin_memory'")
@pytest.mark.parametrize("code", BLOCKS, ids=["schedule", "train_only"])
def test_the_guides_code_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.write_encoder(tmp_path / "encoder")
    rows = tiny.sentences(40, 0)
    with (tmp_path / "sentences.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        draw = random.Random(0)
        writer.writerows([" ".join(row["tokens"]), draw.choice("ab")] for row in rows)
    exec(compile(code, "the guide", "exec"), {})
    assert "parameters" in capsys.readouterr().out
