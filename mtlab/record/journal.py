"""The journal: records on disk, written atomically, one file a trial."""

import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from mtlab.plan.errors import Busy, UserError
from mtlab.record import archive
from mtlab.record.records import SuiteRecord, TrialRecord, V, parsed

HALF = ".half"
"""What names of files end with that are being written; one that a killed process left is removed by
the next."""

LOCK, HOLDER = ".lock", "running.json"
"""The file that a process locks to have a directory for itself, and the one in which it says who it
is."""


class Journal:
    """The directory of one experiment: ``suite.json``, ``records/<label>-<key>.json``,
    ``predictions/``, ``weights/``.

    Where the answer alone was published, ``records.jsonl.gz`` stands for ``records/``, and nothing
    else is there.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def held(self, command: str) -> Iterator[None]:
        """Within, the directory is this process's alone; the system frees it when the process ends,
        in whatever way.

        What a process that was killed left half written is removed.

        Args:
            command: what holds it, for whoever is turned away.

        Raises:
            Busy: another process has it.
            UserError: the directory cannot be written.
        """
        holder = self.directory / HOLDER
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = self._lock()
        except OSError as error:
            raise cannot_write(self.directory, error) from None
        try:
            for left in list(self.directory.rglob(f"*{HALF}")):
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink(
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

    def check_free(self) -> None:
        """See that no other process has the directory; nothing is written.

        Raises:
            Busy: another process has it.
        """
        if (self.directory / LOCK).exists():
            self._lock().release()

    def _lock(self) -> BaseFileLock:
        """The lock, taken.

        Raises:
            Busy: another process has it.
        """
        lock = FileLock(self.directory / LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            by = _held_by(self.directory / HOLDER)
            raise Busy(
                f"is in use{by}",
                "wait for it, or choose another --output",
                where=str(self.directory),
            ) from None
        return lock

    def write_suite(self, suite: SuiteRecord) -> None:
        """Write what the trials share."""
        write_atomically(self.directory / "suite.json", suite.model_dump_json(indent=1) + "\n")

    def write_trial(self, trial: TrialRecord) -> Path:
        """Write a trial's record; called again as the trial goes on, each time replacing the one
        before.
        """
        path = self.directory / "records" / f"{_name(trial)}.json"
        write_atomically(path, trial.model_dump_json(indent=1) + "\n")
        return path

    def write_archive(self, trials: Iterable[TrialRecord]) -> Path:
        """Write trials as one file, without the losses of single steps."""
        path = self.directory / archive.NAME
        write_atomically(path, archive.packed(trials))
        return path

    def write_predictions(self, trial: TrialRecord, lines: list[dict[str, object]]) -> Path:
        """Write the test predictions of a trial, one JSON object a sentence."""
        path = self.predictions_path(trial)
        write_atomically(
            path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        )
        return path

    def predictions_path(self, trial: TrialRecord) -> Path:
        """Where the test predictions of a trial lie."""
        return self.directory / "predictions" / f"{_name(trial)}.jsonl"

    @property
    def ran_here(self) -> bool:
        """Whether trials ran in this place: a report that was copied, or came with a clone, has no
        predictions.
        """
        return any((self.directory / "predictions").glob("*"))

    def weights_path(self, trial: TrialRecord) -> Path:
        """Where the weights of a trial lie, if they are kept."""
        return self.directory / "weights" / f"{_name(trial)}.safetensors"

    def read(self) -> tuple[SuiteRecord, list[TrialRecord]]:
        """The last suite of the directory and those of its trials that left a record, in the
        suite's order.

        Raises:
            UserError: there is no suite, or a record cannot be read.
        """
        path = self.directory / "suite.json"
        if not path.exists():
            raise UserError(
                "nothing was run here yet",
                "run `mtlab compare` first, or pass the --output it had",
                where=str(self.directory),
            )
        suite = _read(path, SuiteRecord)
        trials = self.records(suite.trials)
        return suite, [
            one
            for one in trials
            if one.key in suite.read_back or (one.ended_at or one.started_at) >= suite.started_at
        ]

    def records(self, keys: Iterable[str]) -> list[TrialRecord]:
        """The records that trials left, in the order of ``keys``: from files of their own or, where
        there are none, from the archive.

        Raises:
            UserError: a record cannot be read.
        """
        found, packed = self._paths(), self.directory / archive.NAME
        if not found and packed.exists():
            archived = {trial.key: trial for trial in archive.unpacked(packed)}
            return [archived[key] for key in keys if key in archived]
        return [_read(found[key[:12]], TrialRecord) for key in keys if key[:12] in found]

    def find(self, key: str) -> TrialRecord | None:
        """The record of a trial that ran here, by its key; None where there is none that can be
        read.
        """
        path = self._paths().get(key[:12])
        try:
            record = _read(path, TrialRecord) if path is not None else None
        except UserError:
            return None
        return record if record is not None and record.key == key else None

    def last_suite(self) -> SuiteRecord | None:
        """The last suite of the directory; None where there is none that can be read."""
        try:
            return _read(self.directory / "suite.json", SuiteRecord)
        except UserError:
            return None

    def finished(
        self, keys: Iterable[str], environment: Mapping[str, object]
    ) -> dict[str, TrialRecord]:
        """Trials among ``keys`` that ended well here before, on the same machine, with all that
        they left behind.

        A record without predictions, as a copied report has it, does not count, nor does one in an
        archive: its trial was run elsewhere.
        """
        suite = self.last_suite()
        if suite is None or suite.environment != environment:
            return {}
        found = {}
        for path in self._paths().values():
            try:
                trial = _read(path, TrialRecord)
            except UserError:
                continue  # the trial runs again, and writes it anew
            if trial.ok and self.predictions_path(trial).exists():
                found[trial.key] = trial
        return {key: found[key] for key in keys if key in found}

    def _paths(self) -> dict[str, Path]:
        """The files of records, by the beginnings of their keys."""
        return {
            path.stem.rpartition("-")[2]: path
            for path in sorted((self.directory / "records").glob("*.json"))
        }


def _held_by(holder: Path) -> str:
    try:
        facts = json.loads(holder.read_text(encoding="utf-8"))
        return f" by process {facts['pid']} on {facts['host']} since {facts['started']} (`{facts['command']}`)"
    except (OSError, ValueError, KeyError, TypeError):
        return " by another process"


def _name(trial: TrialRecord) -> str:
    return f"{trial.label}-{trial.key[:12]}"


def _read(path: Path, kind: type[V]) -> V:
    try:
        return parsed(path.read_bytes(), kind, str(path))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=str(path)) from None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` under a temporary name, sync it, rename it: a reader sees the old file or
    the new one.

    Raises:
        UserError: the file cannot be written; what was there before is as it was.
    """
    try:
        _write(path, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: Exception) -> UserError:
    """What a user is told where a file cannot be written."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return UserError(
        f"cannot be written ({reason})", "choose another --output, or make room", where=str(path)
    )


def sync(path: Path) -> None:
    """Wait until what was written to a file would outlive a loss of power."""
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
