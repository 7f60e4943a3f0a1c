"""Trainers, which make the steps of a stage: for one trial's network, or several trials' heads."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mtlab.data import batches
from mtlab.model.freezing import Partition
from mtlab.model.network import stream_seed
from mtlab.plan.scenario import Stage
from mtlab.train.cache.heads import Heads
from mtlab.train.loop import step
from mtlab.train.loop.block_choice import GradientSums
from mtlab.train.loop.schedule import Step
from mtlab.train.loop.step import StepOutput
from mtlab.train.loop.trainer import Trainer
from mtlab.train.loop.vocabulary import occurring
from mtlab.train.resume.keeper import above, below
from mtlab.train.state import TrialState


class OneNetwork(Trainer):
    """Trains the network of one trial.

    Args:
        state: of the trial.
        stage: the piece of a stage to train.
        partition: what trains.
        total: steps of the piece.
    """

    def __init__(self, state: TrialState, stage: Stage, partition: Partition, total: int) -> None:
        self.state = state
        prepared, processes = state.setup.prepared, state.setup.runtime.processes
        words = None
        if not stage.l2_sp and not stage.rehearsal:
            # L2-SP also pulls rows of words that do not occur; source sentences have other words
            examples, trained = prepared.encoded["train"].examples, partition.trained_units
            words = occurring(state.network, examples, prepared.pad_id, trained)
        terms = state.mitigations.terms(stage)
        self.sums: GradientSums | None = None
        """The gradients that ``freeze_when`` compares; None where the stage has none."""
        if stage.freeze_when is not None:
            self.sums = GradientSums.over(state.network, partition)
            terms = (*terms, self.sums)
        self.learner = step.learner(
            state.network,
            partition,
            stage,
            total,
            prepared.experiment.optimizer,
            prepared.experiment.loss_factors,
            prepared.corpus.tasks,
            words,
            terms,
            processes,
            state.course,
        )
        # each process draws dropout masks of its own
        self.stream = (processes.rank,) if processes.several else ()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """See :class:`Trainer`."""
        self.forward = self.state.passes.forward("train")  # before the steps, which are timed
        with self.learner.in_place():
            yield

    def train(
        self, steps: Sequence[Step], first: int, enough: Callable[[], bool]
    ) -> list[list[StepOutput]]:
        """See :class:`Trainer`."""
        runtime = self.state.setup.runtime
        outputs: list[StepOutput] = []
        for number, planned in enumerate(steps, start=first):
            seed = stream_seed("dropout", self.state.trial.seed, number, *self.stream)
            torch.manual_seed(seed)
            batch = collated(self.state, planned)
            outputs.append(self.learner.step(self.forward, batch, planned.tasks, runtime))
            if enough():
                break
        return [outputs]

    def state_dict(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """See :class:`Trainer`."""
        facts, tensors = self.learner.state_dict()
        return facts, tensors | above("sums", self.sums.sums if self.sums else {})

    def load_state_dict(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """See :class:`Trainer`."""
        self.learner.load_state_dict(facts, tensors)
        for name, total in below(dict(tensors), "sums").items():
            assert self.sums is not None, "the stage is the same"
            self.sums.sums[name].copy_(total)


def collated(state: TrialState, planned: Step) -> batches.Batch:
    """The batch of a step, on the device."""
    prepared = state.setup.prepared
    examples = prepared.examples("train", of_source=planned.rehearsal)
    batch = batches.collate(examples, planned.ids, prepared.pad_id)
    return batch.to(state.setup.runtime.device)


def stacked(states: Sequence[TrialState], stage: Stage, partition: Partition, total: int) -> Heads:
    """A trainer of the heads of several trials, or of one, on their encoder's cached states."""
    setup = states[0].setup
    return Heads(
        [state.network for state in states],
        [state.trial.seed for state in states],
        partition,
        stage,
        total,
        setup.prepared,
        states[0].passes.readings(),
        setup.runtime,
        [state.course for state in states],
    )
