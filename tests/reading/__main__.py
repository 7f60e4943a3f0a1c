"""``python -m tests.reading FOLDER``: the first screen of the flagship report, as a picture."""

import shutil
import sys
from pathlib import Path

from mtlab.cli import main
from tests.screens import page

ROOT = Path(__file__).parents[2]
COMPARE = ROOT / "experiments" / "compare.yaml"


def shown(folder: Path) -> Path:
    """Draw the report of the published records, and its first screen."""
    shutil.copytree(
        ROOT / "reports" / "published" / "compare",
        folder / "published" / "compare",
        dirs_exist_ok=True,
    )
    main(["report", str(COMPARE), "--output", str(folder / "compare")])
    picture = folder / "screen.png"
    with page(1280, 1000) as browser:
        browser.goto((folder / "compare" / "report.html").as_uri())
        browser.screenshot(path=picture)
    return picture


if __name__ == "__main__":
    print(shown(Path(sys.argv[1])))
