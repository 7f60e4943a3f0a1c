"""Trials that have begun and not ended: folders with the resume states that they continue from.

Trials that run together (mostly one) share a folder, whose name is a key over their keys. A
checkpoint is a file of tensors (safetensors) and a manifest (JSON) with all other state and the
SHA-256 of both. The manifest is written last: without it a checkpoint is incomplete and not read.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mtlab import launch
from mtlab.plan.scenario import content_key
from mtlab.record.journal import write_atomically
from mtlab.train.weights.source_checkpoint import write_tensors
from mtlab.watched import DEATHS, NOTE, STALLED, hung, why

KEPT = 2
"""Number of checkpoints that stay: the newest, and the one before, in case the newest is
damaged."""


class Died(Exception):
    """The process, or one of several, died twice while these trials ran."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it was read.

    Attributes:
        facts: all that is not a tensor.
        tensors: by name, on the CPU.
        manifest: of the checkpoint.
    """

    facts: dict[str, Any]
    tensors: dict[str, Tensor]
    manifest: Path


class Unfinished:
    """The folder of trials that run together.

    Args:
        directory: of the experiment.
        keys: of the trials.
        say: tells the user what is wrong with a file.
    """

    def __init__(self, directory: Path, keys: Sequence[str], say: Callable[[str], None]) -> None:
        self.keys, self.say = tuple(keys), say
        self.folder = directory / "unfinished" / content_key(*keys)[:16]

    def begin(self) -> int:
        """Note that the trials have begun; returns how often they had before.

        Raises:
            Died: the process, or one of several, died twice while they ran.
        """
        file = self.folder / "trials.json"
        noted = _read_json(file)
        before = int(noted.get("begun", 0))
        if before and (stacks := hung(self.folder)):
            self._left(before).write_text(self._put_by(stacks, before), encoding="utf-8")
        if (
            before
            and launch.restarts()
            and noted.get("launch") == launch.name()
            and not self._reason(before)
        ):
            self._left(before).write_text(
                "one was lost"
            )  # the launcher restarts only after a loss; a killed process cannot leave a reason
        write_atomically(
            file, json.dumps({"trials": self.keys, "begun": before + 1, "launch": launch.name()})
        )
        _note(str(self.folder))
        deaths = self.folder / DEATHS
        numbers = json.loads(deaths.read_text()) if deaths.exists() else []
        if len(numbers) > 1:
            raise Died(why(numbers))
        reasons = [reason for attempt in range(1, before + 1) if (reason := self._reason(attempt))]
        if len(numbers) + len(reasons) > 1:
            subject = "processes" if launch.number() > 1 else "process"
            raise Died(
                f"the {subject} ended {len(numbers) + len(reasons)} times while the trial ran, at last: {reasons[-1]}"
            )
        return before

    def left(self, attempt: int, reason: str) -> bool:
        """Note why one of several processes leaves the trials, which ends the others.

        Args:
            attempt: how often the trials had begun, this time included.
            reason: empty where nothing failed.

        Returns:
            Whether it is the first that leaves; the errors of the others are a consequence.
        """
        try:
            with self._left(attempt).open("x", encoding="utf-8") as file:
                file.write(reason)
        except OSError:
            return False
        return True

    def save(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Write a checkpoint, and remove all but the newest ones (:data:`KEPT`).

        Raises:
            UserError: it cannot be written; the earlier ones are unchanged.
        """
        number = 1 + max((int(path.stem) for path in self._manifests()), default=0)
        file = self.folder / f"{number:06}.safetensors"
        write_tensors(tensors, file)
        state = json.dumps(facts)
        manifest = {
            "facts": state,
            "sha256": {"facts": _sha256(state.encode()), "tensors": _sha256_of(file)},
        }
        write_atomically(self._manifest(number), json.dumps(manifest))
        for path in self._manifests()[:-KEPT]:
            path.unlink()
            path.with_suffix(".safetensors").unlink(missing_ok=True)

    def read(self) -> Saved | None:
        """The newest checkpoint that is not damaged; None where there is none. The user gets a line
        about each damaged one.
        """
        for manifest in reversed(self._manifests()):
            try:
                return read(manifest)
            except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
                self.say(f"{manifest} is not what was written ({error}); an earlier state is taken")
        return None

    def end(self) -> None:
        """The trials have ended, and their records are written: nothing is left to resume."""
        _note("")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _put_by(self, stacks: Sequence[Path], attempt: int) -> str:
        """Keep the stacks of processes that hung in a report; returns the reason that names it."""
        report = self.folder.parents[1] / "failures" / f"hung-{self.folder.name}-{attempt}.txt"
        write_atomically(
            report, "\n".join(f"{file.stem}: {file.read_text(errors='replace')}" for file in stacks)
        )
        for file in self.folder.glob(STALLED):
            file.unlink()
        reason = f"it hung (failures/{report.name})"
        self.say(f"while these trials ran last, what ran them ended: {reason}")
        return reason

    def _left(self, attempt: int) -> Path:
        return self.folder / f"left-{attempt}.txt"

    def _reason(self, attempt: int) -> str:
        file = self._left(attempt)
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def _manifests(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("[0-9]*.json") if path.stem.isdigit())

    def _manifest(self, number: int) -> Path:
        return self.folder / f"{number:06}.json"


def begun(directory: Path, ended: Iterable[str]) -> set[str]:
    """Keys of the trials in groups that have begun and in which not all trials have ended: all
    trials of such a group run again, together.

    Folders of groups in which all trials have ended are removed.

    Args:
        directory: of the experiment.
        ended: keys of the trials that have ended.
    """
    ended, keys_begun = set(ended), set()
    for folder in (directory / "unfinished").glob("*"):
        keys = set(_read_json(folder / "trials.json").get("trials", ()))
        if keys <= ended:
            shutil.rmtree(folder, ignore_errors=True)
        keys_begun |= keys - ended and keys
    return keys_begun


def _note(folder: str) -> None:
    """Note the folder of the running trials for the watching process, if there is one."""
    if os.environ.get(NOTE):
        Path(os.environ[NOTE]).write_text(folder)


def read(manifest: Path) -> Saved:
    """The checkpoint of a manifest.

    Raises:
        OSError, ValueError, KeyError, TypeError, SafetensorError: it is damaged or incomplete.
    """
    written = json.loads(manifest.read_text(encoding="utf-8"))
    if _sha256(written["facts"].encode()) != written["sha256"]["facts"]:
        raise ValueError("its state is another")
    file = manifest.with_suffix(".safetensors")
    if _sha256_of(file) != written["sha256"]["tensors"]:
        raise ValueError(f"{file.name} is another")
    return Saved(json.loads(written["facts"]), load_file(file, device="cpu"), manifest)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sha256_of(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
