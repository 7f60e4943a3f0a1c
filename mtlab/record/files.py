"""Files written atomically: a reader sees the old file or the new one."""

import os
import tempfile
from pathlib import Path

from mtlab.plan.errors import UserError

HALF = ".half"
"""The ending of files that are being written; the next process removes those that a killed process
left."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` under a temporary name, sync it, rename it: a reader sees either the old
    file or the new one.

    Raises:
        UserError: the file cannot be written; an old file is unchanged.
    """
    try:
        _write(path, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: Exception) -> UserError:
    """The user's message for a file that cannot be written."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return UserError(
        f"cannot be written ({reason})",
        "choose another --output, or make room",
        where=str(path),
        code="unwritable",
    )


def sync(path: Path) -> None:
    """Wait until a written file would survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=HALF)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
