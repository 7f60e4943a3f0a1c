"""What steps and passes cost where everything is computed, timed on work that is thrown away."""

import copy
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from mtlab.data import batches
from mtlab.model import freezing
from mtlab.model.freezing import Partition
from mtlab.model.network import Network
from mtlab.plan.scenario import Stage
from mtlab.record.measure import Clock
from mtlab.train.loop import schedule, step
from mtlab.train.loop.schedule import Step
from mtlab.train.loop.vocabulary import Vocabulary
from mtlab.train.measure.memory import Memory
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime

T = TypeVar("T")

WARM_STEPS = 3
"""Steps that are left out of a step's time: allocators and caches fill in them."""

TIMED_STEPS = 8
"""Steps after the warm ones, whose mean is the time of a step."""

TIMED_PASSES = 2
"""Batches after a warm one, which give the time of a forward pass."""


class Uncached:
    """Times of plain work, each taken once for all trials that run together: their work has the
    same shape.

    Args:
        prepared: what the trials run on.
        runtime: device, precision and threads.
        memory: does not count what is used here.
    """

    def __init__(self, prepared: Prepared, runtime: Runtime, memory: Memory) -> None:
        self.prepared, self.runtime, self.memory = prepared, runtime, memory
        self._steps: dict[int, float] = {}
        self._pace: float | None = None

    def step_s(
        self,
        number: int,
        network: Network,
        partition: Partition,
        stage: Stage,
        steps: Sequence[Step],
    ) -> float:
        """Seconds that a step of a stage takes where everything is computed, in the mean over
        ``steps``.

        Args:
            number: of the stage.
            network: a copy of it trains.
            partition: what trains.
            stage: rates and losses.
            steps: of an epoch of the stage.
        """
        if number not in self._steps:
            with self.memory.uncounted():
                pace = seconds_per_flop(
                    self.prepared, self.runtime, copy.deepcopy(network), partition, stage, steps
                )
            self._steps[number] = (
                pace * schedule.flops(self.prepared, partition, steps)[0] / len(steps)
            )
        return self._steps[number]

    @torch.no_grad()
    def pass_s(self, network: Network, flops: int) -> float:
        """Seconds that forward passes of ``flops`` FLOPs, padding not counted, take where
        everything is computed.
        """
        if self._pace is None:
            with self.memory.uncounted():
                self._pace = self._time_passes(network)
        return flops * self._pace

    def _time_passes(self, network: Network) -> float:
        network.eval()
        ready = spread(self.prepared.ready("validation", self.runtime.device), 1 + TIMED_PASSES)
        warm = min(1, len(ready) - 1)
        clock, began = Clock(self.runtime.synchronize), 0.0
        for number, batch in enumerate(ready):
            began = clock.read() if number == warm else began
            with self.runtime.autocast():
                network.encoder(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        seconds = clock.read() - began
        lengths = [
            len(self.prepared.encoded["validation"].examples[index])
            for batch in ready[warm:]
            for index in batch.ids
        ]
        return (
            seconds / schedule.forward_flops(self.prepared, lengths) / self.runtime.processes.number
        )  # of several processes each computes a share of the batches


def seconds_per_flop(
    prepared: Prepared,
    runtime: Runtime,
    network: Network,
    partition: Partition,
    stage: Stage,
    steps: Sequence[Step],
) -> float:
    """Seconds that a FLOP of a training step takes where everything is computed.

    Args:
        prepared: the data and the experiment's settings.
        runtime: device and precision.
        network: it trains, and should be thrown away.
        partition: what trains.
        stage: rates and losses.
        steps: some are taken, spread over all of them, for batches differ in length.
    """
    chosen = spread(steps, WARM_STEPS + TIMED_STEPS)
    warm = min(WARM_STEPS, len(chosen) - 1)
    before = (
        chosen[:warm] if runtime.device.type == "cpu" else chosen
    )  # on a GPU, the first step of each shape may be slow
    clock, began = Clock(runtime.synchronize), 0.0
    with stepping(prepared, runtime, network, partition, stage, len(steps)) as take:
        for number, planned in enumerate([*before, *chosen[warm:]]):
            began = clock.read() if number == len(before) else began
            take(planned)
        seconds = clock.read() - began
    return seconds / schedule.flops(prepared, partition, chosen[warm:])[0]


def readings(
    prepared: Prepared,
    runtime: Runtime,
    network: Network,
    partition: Partition,
    stage: Stage,
    steps: Sequence[Step],
    words: Vocabulary | None,
) -> Generator[tuple[float, int], None, None]:
    """Seconds and FLOPs of one step after another, from the first one on; without end: the caller
    decides how long to measure.

    Args:
        prepared: the data and the experiment's settings.
        runtime: device and precision.
        network: it trains, and should be thrown away.
        partition: what trains.
        stage: rates and losses.
        steps: some, spread over all of them, are taken again and again.
        words: the embeddings that occur, where only those are to train.
    """
    chosen, clock = spread(steps, TIMED_STEPS), Clock(runtime.synchronize)
    with stepping(prepared, runtime, network, partition, stage, len(steps), words) as take:
        for planned in (
            () if runtime.device.type == "cpu" else chosen
        ):  # as in :func:`seconds_per_flop`
            take(planned)
        for planned in itertools.cycle(chosen):
            began = clock.read()
            take(planned)
            yield clock.read() - began, schedule.flops(prepared, partition, [planned])[0]


@contextmanager
def stepping(
    prepared: Prepared,
    runtime: Runtime,
    network: Network,
    partition: Partition,
    stage: Stage,
    total: int,
    words: Vocabulary | None = None,
) -> Iterator[Callable[[Step], object]]:
    """Gives a function that makes a step of a stage with ``total`` steps."""
    freezing.set_modes(network, partition)
    experiment, processes = prepared.experiment, runtime.processes
    learner = step.learner(
        network,
        partition,
        stage,
        total,
        experiment.optimizer,
        experiment.loss_factors,
        prepared.corpus.tasks,
        words,
        processes=processes,
    )
    forward = step.FullForward(network)

    def take(planned: Step) -> object:
        batch = batches.collate(
            prepared.examples("train", planned.rehearsal), planned.ids, prepared.pad_id
        ).to(runtime.device)
        return learner.step(forward, batch, planned.tasks, runtime)

    with learner.in_place():
        yield take


def spread(items: Sequence[T], count: int) -> Sequence[T]:
    """At most ``count`` of the items, at equal distances."""
    return items[:: max(1, len(items) // count)][:count]
