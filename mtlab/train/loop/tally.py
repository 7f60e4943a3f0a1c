"""The sums over a trial's steps: losses, FLOPs, tokens, and a digest of the sentences' order."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from mtlab.model.freezing import Partition
from mtlab.train.loop import schedule
from mtlab.train.loop.schedule import Step
from mtlab.train.loop.step import StepOutput
from mtlab.train.prepare import Prepared


class Diverged(Exception):
    """A training loss was not finite."""


@dataclass
class Tally:
    """The sums, and the losses of the epoch that runs, which are read from the device when the
    epoch has ended.

    Attributes:
        losses: ``total`` and each task's at every step of the epochs that have ended; None where
            the batch had no label of the task.
        running: outputs of the steps of the epoch that runs.
        flops: of training, everything computed, padding included.
        flops_exact: the same without padding.
        tokens: trained on, padding not counted.
        order: SHA-256 (hex) of the ids so far, step by step.
    """

    losses: dict[str, list[float | None]] = field(default_factory=lambda: {"total": []})
    running: list[StepOutput] = field(default_factory=list)
    flops: int = 0
    flops_exact: int = 0
    tokens: int = 0
    order: str = ""

    @classmethod
    def over(cls, tasks: Iterable[str]) -> "Tally":
        """The sums of a trial with these tasks, before any step."""
        return cls({"total": [], **{task: [] for task in tasks}})

    @property
    def steps(self) -> int:
        """Steps so far, those of the epoch that runs included."""
        return len(self.losses["total"]) + len(self.running)

    def end_epoch(
        self, prepared: Prepared, partition: Partition, steps: Sequence[Step]
    ) -> dict[str, float]:
        """Add an epoch's steps, read their losses from the device at once, and return the mean
        losses.

        Raises:
            Diverged: a loss is not finite; the message names the first such step.
        """
        padded, exact = schedule.flops(prepared, partition, steps)
        self.flops, self.flops_exact = self.flops + padded, self.flops_exact + exact
        for planned in steps:
            self.order = hashlib.sha256(
                f"{self.order} {planned.ids} {planned.rehearsal}".encode()
            ).hexdigest()
            self.tokens += sum(schedule.lengths_of(prepared, planned))
        first, means = len(self.losses["total"]), {}
        for name, read in self._read().items():
            self.losses[name].extend(read)
            finite = [value for value in read if value is not None]
            if finite:
                means[name] = sum(finite) / len(finite)
        self.running = []
        for number, value in enumerate(self.losses["total"][first:]):
            if value is None:
                raise Diverged(
                    f"the loss is not finite at step {first + number + 1}, sentences {list(steps[number].ids)}"
                )
        return means

    def facts(self) -> dict[str, Any]:
        """All sums and losses, for a resume state."""
        sums = {
            name: getattr(self, name)
            for name in ("losses", "flops", "flops_exact", "tokens", "order")
        }
        return {**sums, "running": self._read()}

    @classmethod
    def of(cls, facts: Mapping[str, Any], device: torch.device) -> "Tally":
        """The tally that :meth:`facts` described."""
        names = [
            name
            for name, read in facts["running"].items()
            if any(value is not None for value in read)
        ]
        running = []
        for row in zip(*facts["running"].values(), strict=True):
            values = {
                name: _tensor(value, device)
                for name, value in zip(facts["running"], row, strict=True)
            }
            running.append(
                StepOutput(
                    values["total"], {name: values[name] for name in names if name != "total"}
                )
            )
        sums = {name: facts[name] for name in ("losses", "flops", "flops_exact", "tokens", "order")}
        return cls(**sums, running=running)

    def _read(self) -> dict[str, list[float | None]]:
        read: dict[str, list[float | None]] = {}
        for name in self.losses:
            values = [
                output.loss if name == "total" else output.by_task.get(name)
                for output in self.running
            ]
            present = [value for value in values if value is not None]
            numbers = iter(torch.stack(present).tolist() if present else [])
            read[name] = [None if value is None else _finite(next(numbers)) for value in values]
        return read


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _tensor(value: float | None, device: torch.device) -> torch.Tensor:
    return torch.tensor(math.nan if value is None else value, device=device)
