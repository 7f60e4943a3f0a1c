"""The lock with which a process reserves a directory for itself."""

import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from mtlab.plan.errors import Busy
from mtlab.record.files import HALF, cannot_write, write_atomically

LOCK, HOLDER = ".lock", "running.json"
"""The file that a process locks to reserve a directory, and the file in which that process
describes itself."""


def _held_by(holder: Path) -> str:
    try:
        facts = json.loads(holder.read_text(encoding="utf-8"))
        return f" by process {facts['pid']} on {facts['host']} since {facts['started']} (`{facts['command']}`)"
    except (OSError, ValueError, KeyError, TypeError):
        return " by another process"


@contextmanager
def held(directory: Path, command: str) -> Iterator[None]:
    """Within the block, the directory belongs to this process alone; the system frees it when the
    process ends for any reason.

    The half-written files of a killed process are removed.

    Args:
        directory: the directory to reserve.
        command: what holds it, for the message to other processes.

    Raises:
        Busy: another process has it.
        UserError: the directory cannot be written.
    """
    holder = directory / HOLDER
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = _lock(directory)
    except OSError as error:
        raise cannot_write(directory, error) from None
    try:
        for half_written in list(directory.rglob(f"*{HALF}")):
            shutil.rmtree(
                half_written
            ) if half_written.is_dir() and not half_written.is_symlink() else half_written.unlink(
                missing_ok=True
            )
        facts = {
            "pid": os.getpid(),
            "host": platform.node(),
            "started": time.strftime("%Y-%m-%d %H:%M:%S"),
            "command": command,
        }
        write_atomically(holder, json.dumps(facts) + "\n")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def check_free(directory: Path) -> None:
    """Check that no other process has the directory, without writing anything.

    Raises:
        Busy: another process has it.
    """
    if (directory / LOCK).exists():
        _lock(directory).release()


def _lock(directory: Path) -> BaseFileLock:
    """Acquire the lock of a directory, and return it.

    Raises:
        Busy: another process has it.
    """
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        holder = _held_by(directory / HOLDER)
        raise Busy(
            f"is in use{holder}",
            "wait for it, or choose another --output",
            where=str(directory),
            code="in-use",
        ) from None
    return lock
