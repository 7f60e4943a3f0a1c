"""Which code made a record: a digest of the files on which its numbers depend."""

import hashlib
from functools import cache
from pathlib import Path

PACKAGES = ("data", "model", "tasks", "train")
"""What reads, trains and scores. Reports, pages and checks of data change no number."""

FILES = (
    *(f"plan/{name}.py" for name in ("block_choice", "rates", "scenario", "selectors")),
    *(f"record/{name}.py" for name in ("metrics", "quality")),
)
"""What else does: the meaning of stages and selectors, and the scores."""


@cache
def digest() -> str:
    """SHA-256 (hex) over the names and the text of these packages' files."""
    root, content = Path(__file__).parents[1], hashlib.sha256()
    files = [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    for file in (*files, *(root / name for name in FILES)):
        content.update(file.relative_to(root).as_posix().encode() + b"\0")
        content.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return content.hexdigest()
