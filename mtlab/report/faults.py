"""Errors while a report is written: errors of the disk, and bugs in mtlab."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.record.files import write_atomically

TRACEBACK = "report-traceback.txt"
"""The file, next to the records, that keeps the traceback of a bug."""


@contextmanager
def explain_errors(directory: Path) -> Iterator[None]:
    """Turn errors of a block into messages for a user. The block writes a report of the records in
    ``directory``.

    A UserError passes through; damaged records raise one when they are read. An OSError is an
    error of the disk. Any other exception is a bug.

    Raises:
        UserError: a record is damaged, a file cannot be written, or mtlab has a bug.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f"cannot be written ({error.strerror})",
            "make room, or choose another place",
            where=str(directory),
            code="unwritable",
        ) from error
    except Exception as error:
        path = directory / TRACEBACK
        write_atomically(path, traceback.format_exc())
        raise UserError(
            f"the report cannot be written, for a bug in mtlab ({type(error).__name__}: {error})",
            f"report it with the traceback in {path}; the records are whole",
            where=str(directory),
            code="bug",
        ) from error
