"""The journal: records on disk, written atomically, one file per trial."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.record import archive, lock
from mtlab.record.files import write_atomically
from mtlab.record.records import SuiteRecord, TrialRecord, V, parsed


class Journal:
    """The directory of one experiment: ``suite.json``, ``records/<label>-<key>.json``,
    ``predictions/``, ``weights/``.

    A published answer has ``records.jsonl.gz`` in place of ``records/``, and nothing else.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def held(self, command: str) -> Iterator[None]:
        """Within the block, the directory belongs to this process alone; the system frees it when
        the process ends for any reason.

        The half-written files of a killed process are removed.

        Args:
            command: what holds it, for the message to other processes.

        Raises:
            Busy: another process has it.
            UserError: the directory cannot be written.
        """
        with lock.held(self.directory, command):
            yield

    def write_suite(self, suite: SuiteRecord) -> None:
        """Write the record of the suite, with the data that its trials share."""
        write_atomically(self.directory / "suite.json", suite.model_dump_json(indent=1) + "\n")

    def write_trial(self, trial: TrialRecord) -> Path:
        """Write a trial's record, in place of an earlier one of the same trial."""
        path = self.directory / "records" / f"{_name(trial)}.json"
        write_atomically(path, trial.model_dump_json(indent=1) + "\n")
        return path

    def write_predictions(
        self, trial: TrialRecord, lines: list[dict[str, object]], also: str = ""
    ) -> Path:
        """Write the predictions of a trial for the test split, or for the out-of-distribution test
        set ``also``, one JSON object per sentence.
        """
        path = self.predictions_path(trial, also)
        write_atomically(
            path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        )
        return path

    def predictions_path(self, trial: TrialRecord, also: str = "") -> Path:
        """The path of a trial's predictions for the test split, or for the out-of-distribution test
        set ``also``.
        """
        name = ".".join(filter(None, (_name(trial), also)))
        return self.directory / "predictions" / f"{name}.jsonl"

    @property
    def ran_here(self) -> bool:
        """Whether trials ran in this directory: a report that was copied, or came with a clone of
        the repository, has no predictions.
        """
        return any((self.directory / "predictions").glob("*"))

    def weights_path(self, trial: TrialRecord) -> Path:
        """The path of a trial's weights, if they are kept."""
        return self.directory / "weights" / f"{_name(trial)}.safetensors"

    def read(self) -> tuple[SuiteRecord, list[TrialRecord]]:
        """The last suite of the directory and its trials with a record, in the suite's order;
        trials that the suite skipped are left out, even if an earlier run left a record of them.

        Raises:
            UserError: there is no suite, or a record cannot be read.
        """
        path = self.directory / "suite.json"
        if not path.exists():
            raise UserError(
                "nothing was run here yet",
                "run `mtlab compare` first, or pass the --output it had",
                where=str(self.directory),
                code="no-records",
            )
        suite = _read(path, SuiteRecord)
        skipped = [skip.trial for skip in suite.skipped]
        trials = [trial for trial in self.records(suite.trials) if trial.trial not in skipped]
        return suite, [
            trial
            for trial in trials
            if trial.key in suite.read_back
            or (trial.ended_at or trial.started_at) >= suite.started_at
        ]

    def records(self, keys: Iterable[str]) -> list[TrialRecord]:
        """The records of trials, in the order of ``keys``: from files of their own or, without any,
        from the archive.

        Raises:
            UserError: a record cannot be read.
        """
        paths, packed = self._paths(), self.directory / archive.NAME
        if not paths and packed.exists():
            archived = {trial.key: trial for trial in archive.unpacked(packed)}
            return [archived[key] for key in keys if key in archived]
        return [_read(paths[key[:12]], TrialRecord) for key in keys if key[:12] in paths]

    def find(self, key: str) -> TrialRecord | None:
        """The record of a trial that ran here, by its key; None if it is missing or cannot be read."""
        path = self._paths().get(key[:12])
        try:
            record = _read(path, TrialRecord) if path is not None else None
        except UserError:
            return None
        return record if record is not None and record.key == key else None

    def last_suite(self) -> SuiteRecord | None:
        """The last suite of the directory; None if it is missing or cannot be read."""
        try:
            return _read(self.directory / "suite.json", SuiteRecord)
        except UserError:
            return None

    def finished(
        self, keys: Iterable[str], environment: Mapping[str, object]
    ) -> dict[str, TrialRecord]:
        """The trials among ``keys`` that an earlier run finished well in this directory, on the
        same machine, and of which all files exist.

        A record without predictions, as in a copied report, does not count, nor does one in an
        archive: its trial ran elsewhere.
        """
        suite = self.last_suite()
        if suite is None or suite.environment != environment:
            return {}
        usable = {}
        for path in self._paths().values():
            try:
                trial = _read(path, TrialRecord)
            except UserError:
                continue  # the trial runs again, and its record is replaced
            files = [self.predictions_path(trial, also) for also in ("", *trial.also)]
            if trial.ok and all(file.exists() for file in files):
                usable[trial.key] = trial
        return {key: usable[key] for key in keys if key in usable}

    def _paths(self) -> dict[str, Path]:
        """The beginning of each trial's key to the file of its record."""
        return {
            path.stem.rpartition("-")[2]: path
            for path in sorted((self.directory / "records").glob("*.json"))
        }


def _name(trial: TrialRecord) -> str:
    return f"{trial.label}-{trial.key[:12]}"


def _read(path: Path, kind: type[V]) -> V:
    try:
        return parsed(path.read_bytes(), kind, str(path))
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror})", where=str(path), code="unreadable"
        ) from None
