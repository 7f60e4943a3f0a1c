"""The records of a suite's trials in one file that is small enough to commit: complete, except for
the losses of single steps.

The file keeps the mean losses of epochs and everything else that a report needs.
"""

import gzip
import io
import zlib
from collections.abc import Iterable
from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.record.files import write_atomically
from mtlab.record.records import TrialRecord, damaged, parsed

NAME = "records.jsonl.gz"
"""The file, next to ``suite.json``: one JSON object per line."""


def packed(trials: Iterable[TrialRecord]) -> bytes:
    """The archive of some trials: the same records give the same bytes."""
    lines = (trial.model_dump_json(exclude={"step_losses"}) + "\n" for trial in trials)
    content = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=7, fileobj=content, mtime=0) as file:
        file.write("".join(lines).encode())
    return content.getvalue()


def write(directory: Path, trials: Iterable[TrialRecord]) -> Path:
    """Write trials as one file, without the losses of single steps."""
    path = directory / NAME
    write_atomically(path, packed(trials))
    return path


def unpacked(path: Path) -> list[TrialRecord]:
    """The trials of an archive, in its order.

    Raises:
        UserError: the file cannot be read, or a line is not a record.
    """
    try:
        with gzip.open(path) as file:
            trials = [
                parsed(line, TrialRecord, f"{path}:{number}")
                for number, line in enumerate(file, start=1)
            ]
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise damaged(str(path)) from None
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror})", where=str(path), code="unreadable"
        ) from None
    if not trials:
        raise damaged(str(path))  # an empty file unpacks without an error
    return trials
