"""Data that do not fit in memory, in nameless files that are mapped into it.

The system removes a nameless file when the process ends, however it ends: nothing is left
behind.
"""

import mmap
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from mtlab.plan.errors import UserError

FILE = 16 << 20
"""A file of sentences with more bytes than this is read again in each pass, and not kept in memory:
as Python objects its rows take about ten times as much."""

SENTENCES = 1 << 16
"""The most sentences that are kept in memory; if there are more, all are stored on disk. As a
Python object, a sentence takes about 1 kB."""

NUMBERS = 16 << 20
"""The most bytes of one column of numbers (such as the sub-words of a split) that are kept in
memory."""

CHUNK = 4096
"""Sentences that are processed at a time."""


@contextmanager
def room(directory: Path | None) -> Iterator[None]:
    """A context in which files are written on the disk of a folder; None is the system's folder for
    temporary files.

    Raises:
        UserError: they cannot be written, for example because the disk is full.
    """
    try:
        yield
    except OSError as error:
        where = str(directory or tempfile.gettempdir())
        problem = f"data that are too many for memory cannot be put there ({error.strerror or type(error).__name__})"
        raise UserError(
            problem, "make room, or choose another --output", where=where, code="unwritable"
        ) from None


@contextmanager
def nameless(directory: Path | None) -> Iterator[IO[bytes]]:
    """A context with a new file that is open for writing, on the disk of a folder; the folder is
    created if it does not exist.

    Raises:
        UserError: the file cannot be created, or not be written to the end.
    """
    with room(directory):
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closing may find no room either
    try:
        yield file
    finally:
        with room(directory):
            file.close()


def mapped(file: IO[bytes]) -> mmap.mmap:
    """The content of a file that is not empty, mapped into memory; the file may then be closed."""
    file.flush()
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class Numbers:
    """A growing column of numbers, or of arrays of one shape: in memory while it is short, then in
    a file.

    Args:
        directory: for the file.
        files: closes the file at the end.
        like: an example: all values that are added have its type and its shape.
    """

    def __init__(
        self, directory: Path | None, files: ExitStack, like: int | float | np.ndarray = 0
    ) -> None:
        self.directory, self.files = directory, files
        value = np.asarray(like)
        self.dtype = np.float64 if value.dtype.kind == "f" else np.int64
        self.shape = value.shape
        self._parts: list[np.ndarray] = []
        self._size = 0
        self._file: IO[bytes] | None = None

    def add(self, values: Sequence[int | float | np.ndarray] | Sequence[int] | np.ndarray) -> None:
        """Append values.

        Raises:
            UserError: there is no room for them.
        """
        part = np.ascontiguousarray(values, dtype=self.dtype)
        self._parts.append(part)
        self._size += part.nbytes
        if self._size <= NUMBERS:
            return
        self._file = self._file or self.files.enter_context(nameless(self.directory))
        with room(self.directory):
            for part in self._parts:
                self._file.write(part.data)
        self._parts.clear()

    def array(self) -> np.ndarray:
        """All values, to be read; call this only after everything was added."""
        if self._file is None:
            empty = np.zeros((0, *self.shape), dtype=self.dtype)
            return np.concatenate(self._parts) if self._parts else empty
        with room(self.directory):
            numbers = np.frombuffer(mapped(self._file), dtype=self.dtype)
            return numbers.reshape(-1, *self.shape)
