"""Suites run by several processes, which a launcher starts.

``python -m tests.train.several FILE OUTPUT[:VARIANT,VARIANT] ... [--KEY VALUE ...]``
"""

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from mtlab.data.batches import Batch
from mtlab.model.network import Network
from mtlab.parser import parse_overrides
from mtlab.plan.experiment import load
from mtlab.record.records import TrialRecord
from mtlab.report.comparison.decisions import still_open
from mtlab.train import trainers
from mtlab.train.distributed.processes import Processes
from mtlab.train.engines.local import Local
from mtlab.train.loop import parallel, step
from mtlab.train.loop.parallel import Alone
from mtlab.train.loop.schedule import Step
from mtlab.train.loop.step import Learner
from mtlab.train.loop.vocabulary import Vocabulary
from mtlab.train.measure.progress import Silent
from mtlab.train.state import TrialState
from mtlab.train.suite import Suite


def run(
    file: str, output: Path, overrides: Mapping[str, list[str]] | None = None
) -> list[TrialRecord]:
    """The suite of a file, by as many processes as there are."""
    experiment = load(file, {**(overrides or {}), "output": [str(output)]})
    suite = Suite(experiment, "a test", Silent(), Local(experiment))
    with suite.journal.held("a test"):
        return suite.run(lambda record: record, lambda record, trial: None, still_open)[1]


class Once:
    """The mistake that is easily made: a network is wrapped before its first stage, and not again
    when others thaw blocks."""

    def __init__(self) -> None:
        self.wrapped: dict[int, Alone] = {}

    def __call__(
        self, processes: Processes, network: Network, words: Vocabulary | None = None
    ) -> Alone:
        return self.wrapped.setdefault(id(network), parallel.over(processes, network, words))


def unscaled(
    learner: Learner, forward: step.Forward, batch: object, tasks: object, runtime: object
) -> object:
    """Another: each process divides by the targets that it has, and means of means are taken."""
    with patch.object(
        step,
        "mean_loss",
        lambda loss, logits, targets, every, processes: honest_mean(
            loss, logits, targets, targets, 1
        ),
    ):
        return honest_step(learner, forward, batch, tasks, runtime)  # type: ignore[arg-type]


honest_mean, honest_step, honest_batch = step.mean_loss, Learner.step, trainers.collated


def failing(times: int, how: Callable[[], None]) -> Callable[[TrialState, Step], Batch]:
    """The second process fails in a step of the last stage, so many times."""
    steps = itertools.count()

    def collated(state: TrialState, planned: Step) -> Batch:
        setup, last = state.setup, len(state.record.stages) == 2
        fails = setup.runtime.processes.rank == 1 and setup.keeper.before < times
        if fails and last and next(steps) == 7:
            how()
        return honest_batch(state, planned)

    return collated


def raising() -> None:
    raise RuntimeError("the device is gone")


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hanging() -> None:
    time.sleep(600)


VARIANTS: dict[str, tuple[Callable[[], AbstractContextManager[Any]], dict[str, list[str]]]] = {
    "plain": (nullcontext, {"cache": ["off"]}),
    "raises": (lambda: patch.object(trainers, "collated", failing(1, raising)), {}),
    "killed": (lambda: patch.object(trainers, "collated", failing(1, killed)), {}),
    "hangs": (  # the watch of the process that waits for it may be wound a second earlier
        lambda: patch.object(trainers, "collated", failing(1, hanging)),
        {"checkpoints.stall_s": ["10" if os.environ.get("RANK") == "1" else "40"]},
    ),
    "raises_always": (lambda: patch.object(trainers, "collated", failing(99, raising)), {}),
    "wrapped_once": (lambda: patch.object(step, "over", Once()), {}),
    "mean_of_means": (lambda: patch.object(Learner, "step", unscaled), {}),
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    words = sys.argv[1:]
    first = next((index for index, word in enumerate(words) if word.startswith("--")), len(words))
    file, *outputs = words[:first]
    for wanted in outputs:
        output, _, names = wanted.partition(":")
        overrides = parse_overrides(words[first:])
        with ExitStack() as variants:
            for make, more in (VARIANTS[name] for name in names.split(",") if name):
                variants.enter_context(make())
                overrides |= more
            run(file, Path(output), overrides)
    torch.distributed.destroy_process_group()
