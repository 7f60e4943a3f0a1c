"""The folders of a GPU run, and how its parts start mtlab."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlab.plan.errors import UserError
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord

PLAIN = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
"""A configuration without dropout, so that two runs draw nothing at random and can be compared step
by step."""


class Failed(Exception):
    """A part failed; its text is the reason, in one line."""


@dataclass(frozen=True)
class Setting:
    """The settings that all parts share.

    Attributes:
        out: the folder of results.
        dry: whether this is a rehearsal on a CPU, with tiny sizes.
        snips: the folder of SNIPS, if there is one.
        ends: the time of :func:`time.monotonic` at which all parts must have ended.
    """

    out: Path
    dry: bool
    snips: Path | None
    ends: float

    @property
    def device(self) -> str:
        """The device, as a setting of mtlab."""
        return "cpu" if self.dry else "cuda"

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return max(0.0, self.ends - time.monotonic())

    def start(self, *words: str, name: str) -> "subprocess.Popen[bytes]":
        """Start a Python module with arguments; its output goes to ``<name>.log``."""
        store = f"sqlite:///{self.out / 'mlflow.db'}"
        environment = {
            "MLFLOW_TRACKING_URI": store,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONUNBUFFERED": "1",
        }
        with (self.out / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *words],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def finish(
        self, process: "subprocess.Popen[bytes]", name: str, allowed: Sequence[int] = (0,)
    ) -> None:
        """Wait for a process, at most for the time that is left.

        Raises:
            Failed: it ended with a status that is not allowed, or time ran out and it was ended.
        """
        try:
            status = process.wait(timeout=self.left_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"was ended because time ran out ({self.out / name}.log)") from None
        finally:
            if process.poll() is None:
                _end(process)
        if status not in allowed:
            lines = (self.out / f"{name}.log").read_text(
                encoding="utf-8", errors="replace"
            ).strip().splitlines() or [""]
            raise Failed(f"ended with status {status}: {lines[-1][:300]} ({self.out / name}.log)")

    def run(self, *words: str, name: str) -> float:
        """Run a Python module to its end; returns the seconds.

        Raises:
            Failed: it did not end well.
        """
        began = time.perf_counter()
        self.finish(self.start(*words, name=name), name)
        return time.perf_counter() - began

    def compare(self, file: str, *words: str, name: str) -> tuple[float, list[TrialRecord]]:
        """Run ``mtlab compare`` into ``<out>/<name>``, and return the seconds and the records.

        Raises:
            Failed: it did not end well, or a trial did not.
        """
        seconds = self.run("mtlab", *self.comparison(file, *words, name=name), name=name)
        return seconds, self.records(name)

    def comparison(self, file: str, *words: str, name: str) -> list[str]:
        """The arguments of ``mtlab`` for a comparison into ``<out>/<name>``."""
        return ["compare", file, "--device", self.device, "--output", str(self.out / name), *words]

    def trials(self, name: str) -> list[TrialRecord]:
        """The trials of ``<out>/<name>`` that left a record, however they ended."""
        try:
            return Journal(self.out / name).read()[1]
        except UserError:
            return []

    def records(self, name: str) -> list[TrialRecord]:
        """The trials of ``<out>/<name>``.

        Raises:
            Failed: one of them did not end well.
        """
        trials = self.trials(name)
        bad = [f"{trial.label}: {trial.ending}" for trial in trials if not trial.ok]
        if bad:
            raise Failed(bad[0])
        return trials


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its children."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def encoder(setting: Setting, name: str, **config: Any) -> str:
    """The folder of a BERT with random weights and the embedded encoder's tokenizer, created on
    first use.
    """
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    from mtlab.model import embedded

    folder = setting.out / "encoders" / name
    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        BertModel(BertConfig(**config)).save_pretrained(folder)
        AutoTokenizer.from_pretrained(embedded.folder()).save_pretrained(folder)
    return str(folder)


def bert_base(setting: Setting) -> str:
    """The folder of an encoder with the configuration of bert-base and random weights, which is
    only good for measuring speed; in a rehearsal, of a tiny encoder.
    """
    tiny = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 128,
    }
    return encoder(setting, "bert-base", **(tiny if setting.dry else {}))


def without_dropout(setting: Setting) -> str:
    """The folder of a small encoder without dropout."""
    size = {
        "hidden_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 256,
    }
    return encoder(setting, "without_dropout", **PLAIN, **size)
