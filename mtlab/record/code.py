"""Which code made a record: a digest of the files on which its numbers depend."""

import hashlib
from functools import cache
from pathlib import Path

PACKAGES = ("data", "model", "tasks", "train")
"""What reads, trains and scores. Reports, pages and checks of data change no number."""


@cache
def digest() -> str:
    """SHA-256 (hex) over the names and the text of these packages' files."""
    root, content = Path(__file__).parents[1], hashlib.sha256()
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            content.update(file.relative_to(root).as_posix().encode() + b"\0")
            content.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return content.hexdigest()
