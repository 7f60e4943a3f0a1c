"""Heads on frozen states: without the encoder's computation, several trials are one small batched
problem.

Trials of one scenario that differ in their seed alone see the same batches. Where only heads train,
their weights are stacked, and a step is one batched product for all of them; loss, dropout,
clipping and update of each are what they would be alone. Trials may be at different points in the
course of their rates. AdamW's update is linear in the rate, so the update at a fraction of the rate
is this fraction of the full update; at rate 0 the weights stay as they are, bit for bit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mtlab.data import batches
from mtlab.data.batches import EVALUATION_TOKENS
from mtlab.model.freezing import Partition
from mtlab.model.losses import losses_of
from mtlab.model.network import Network, stream_seed
from mtlab.plan.scenario import Stage
from mtlab.tasks.kind import IGNORE
from mtlab.train.cache import spill
from mtlab.train.cache.prefix import States
from mtlab.train.loop import adamw, step
from mtlab.train.loop.course import Course
from mtlab.train.loop.dropout import Draws
from mtlab.train.loop.schedule import Step
from mtlab.train.loop.step import StepOutput
from mtlab.train.loop.trainer import Trainer
from mtlab.train.prepare import Prepared
from mtlab.train.resume import watchdog
from mtlab.train.runtime import Runtime

ROWS = 64
"""The words of a batch are padded to a multiple of this number, because a CPU's matrix library
compiles code for each new shape."""


class Readings:
    """The inputs of heads for the training split: one vector for each sentence, and one for each
    word that has a target.

    Args:
        prepared: the encoded split.
        network: for its pooling.
        states: the encoder's output for the split.
        runtime: device and precision.
        directory: for the sentence vectors, where states lie in files.
    """

    def __init__(
        self,
        prepared: Prepared,
        network: Network,
        states: States,
        runtime: Runtime,
        directory: Path,
    ) -> None:
        self.states, self.device = states, runtime.device
        self.examples = prepared.encoded["train"].examples
        self.pooled, self.file = self._pool(prepared, network, states, runtime, directory)

    @torch.no_grad()
    def _pool(
        self,
        prepared: Prepared,
        network: Network,
        states: States,
        runtime: Runtime,
        directory: Path,
    ) -> tuple[Tensor, spill.Mapped | None]:
        """(sentences, hidden): the sentence vectors; and their file, if states lie in a file."""
        encoded = prepared.encoded["train"]
        pooled: Tensor | None = None
        file: spill.Mapped | None = None
        for ids in batches.by_length(encoded, EVALUATION_TOKENS):
            watchdog.beat()
            batch = batches.collate(encoded.examples, ids, prepared.pad_id).to(runtime.device)
            with runtime.autocast():
                pooled_batch = network.pool(
                    states.padded(ids, runtime.device), batch.attention_mask
                )
            if pooled is None:
                shape = (len(encoded.examples), pooled_batch.shape[-1])
                file = (
                    None
                    if states.file is None
                    else spill.scratch(directory, shape, pooled_batch.dtype)
                )
                pooled = pooled_batch.new_empty(shape) if file is None else file.flat
            pooled[list(ids)] = pooled_batch.to(pooled.device)
            if file is not None:
                file.release()
        assert pooled is not None, "there are training sentences"
        return pooled, file

    def of(self, task: str, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Inputs (items, hidden) and targets (items,) or (items, classes) of a task for a batch;
        words without a target are left out.
        """
        if task in self.examples.of_sentence:
            labels = self.examples.of_sentence[task][list(ids)]
            return self._sentences(ids), torch.from_numpy(labels).to(self.device)
        rows, tags = self._words(task, np.asarray(ids))
        missing = -len(tags) % ROWS
        rows = np.concatenate([rows, np.full(missing, len(self.states.flat) - 1)])
        tags = np.concatenate([tags, np.full(missing, IGNORE)])
        return self.states.pick(rows, self.device), torch.from_numpy(tags).to(self.device)

    def _sentences(self, ids: Sequence[int]) -> Tensor:
        picked = self.pooled[list(ids)].to(self.device)
        if self.file is not None:
            self.file.release()
        return picked

    def _words(self, task: str, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each word of a batch that has a target: the row of its state, and the target."""
        begins, ends = self.examples.word_starts[ids], self.examples.word_starts[ids + 1]
        counts = ends - begins
        places = np.arange(counts.sum()) + np.repeat(begins - (np.cumsum(counts) - counts), counts)
        words, tags = self.examples.words[places], self.examples.of_words[task][places]
        counted = (words >= 0) & (tags != IGNORE)
        return (np.repeat(self.states.starts[ids], counts) + words)[counted], tags[counted]


@dataclass(frozen=True)
class Stack:
    """One task's heads of all trials: ``weight`` (trials, classes, hidden) and ``bias`` (trials, 1,
    classes).
    """

    weight: Tensor
    bias: Tensor
    dropout: float
    """0 where the head is frozen: it is then in eval mode."""


class Heads(Trainer):
    """Trains the heads of several trials in one stage.

    Args:
        networks: of the trials; training begins with their heads' weights, and is written back to
            them.
        seeds: of the trials.
        partition: what trains: heads alone.
        stage: rates, schedule and losses.
        steps: of the stage.
        prepared: the data and the experiment's settings.
        readings: what the heads read.
        runtime: device and precision.
        courses: of the trials' rates; the stage's for all where none are given.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        seeds: Sequence[int],
        partition: Partition,
        stage: Stage,
        steps: int,
        prepared: Prepared,
        readings: Readings,
        runtime: Runtime,
        courses: Sequence[Course] = (),
    ) -> None:
        self.courses = courses or [Course(stage, steps)]
        self.networks, self.seeds, self.readings, self.runtime = networks, seeds, readings, runtime
        settings = prepared.experiment.optimizer
        weights = prepared.experiment.loss_factors
        self.losses = losses_of(prepared.corpus.tasks)
        self.task_weights = {task: weight * stage.weight(task) for task, weight in weights.items()}
        self.clip_norm = settings.clip_norm
        self.stacks = {
            task: self._stack(task, f"head.{task}" in partition.trained_units)
            for task in networks[0].heads
        }
        groups: list[dict[str, Any]] = [
            {
                "params": [
                    t
                    for task in self.stacks
                    if f"head.{task}" in group.units
                    for t in self._tensors(task)
                ],
                "lr": group.rate,
            }
            for group in partition.trainable
        ]
        self.trained = [tensor for group in groups for tensor in group["params"]]
        self.optimizer, self.scheduler = adamw.adamw(groups, self.courses[0], settings)

    def train(
        self, steps: Sequence[Step], first: int, enough: Callable[[], bool]
    ) -> list[list[StepOutput]]:
        """See :class:`Trainer`."""
        outputs = []
        for number, planned in enumerate(steps):
            outputs.append(self._step(planned, first + number))
            if enough():
                break
        return [
            [
                StepOutput(loss[trial], {task: value[trial] for task, value in by_task.items()})
                for loss, by_task in outputs
            ]
            for trial in range(len(self.networks))
        ]

    def state_dict(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """See :class:`Trainer`."""
        facts, tensors = adamw.state_of(self.optimizer, self.scheduler)
        for task in self.stacks:
            tensors[f"{task}/weight"], tensors[f"{task}/bias"] = self._tensors(task)
        return facts, tensors

    @torch.no_grad()
    def load_state_dict(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """See :class:`Trainer`."""
        adamw.give_state(self.optimizer, self.scheduler, facts, tensors)
        for task in self.stacks:
            for mine, name in zip(self._tensors(task), ("weight", "bias"), strict=True):
                mine.copy_(tensors[f"{task}/{name}"])

    def _stack(self, task: str, trained: bool) -> Stack:
        heads = [network.heads[task] for network in self.networks]
        weight = torch.stack([head.linear.weight.detach() for head in heads]).requires_grad_(
            trained
        )
        bias = (
            torch.stack([head.linear.bias.detach() for head in heads])
            .unsqueeze(1)
            .requires_grad_(trained)
        )
        return Stack(weight, bias, heads[0].dropout.p if trained else 0.0)

    def _tensors(self, task: str) -> tuple[Tensor, Tensor]:
        return self.stacks[task].weight, self.stacks[task].bias

    def _step(self, planned: Step, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        draws = [
            Draws(self.runtime.device, stream_seed("dropout", seed, number)) for seed in self.seeds
        ]
        read = {task: self.readings.of(task, planned.ids) for task in planned.tasks}
        by_task = {
            task: self._losses(task, inputs, gold, draws) for task, (inputs, gold) in read.items()
        }
        loss = torch.stack(
            [self.task_weights[task] * value for task, value in by_task.items()]
        ).sum(dim=0)
        loss.sum().backward()  # no trial's loss depends on another's weights
        self._clip()
        self._update()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach(), {
            task: step.recorded(self.losses[task], value.detach(), read[task][1])
            for task, value in by_task.items()
        }

    def _losses(self, task: str, inputs: Tensor, gold: Tensor, draws: Sequence[Draws]) -> Tensor:
        """(trials,): each trial's mean loss over the items that have a target, 0 where none has."""
        stack, loss = self.stacks[task], self.losses[task]
        stacked = inputs.expand(len(self.networks), *inputs.shape)
        if stack.dropout:
            stacked = stacked * torch.stack(
                [draw.mask(inputs.shape, stack.dropout, inputs.dtype) for draw in draws]
            )
        with self.runtime.autocast():
            logits = torch.baddbmm(stack.bias, stacked, stack.weight.transpose(1, 2))
        every = gold.expand(len(self.networks), *gold.shape)
        losses = loss.each(logits.float().flatten(0, 1), every.flatten(0, 1))
        return losses.view(every.shape[:2]).sum(dim=1) / loss.given(gold).sum().clamp(min=1)

    def _clip(self) -> None:
        """Clip each trial's own gradient norm (Pascanu et al. 2013), as ``clip_grad_norm_`` does
        for one.
        """
        grads = [tensor.grad for tensor in self.trained if tensor.grad is not None]
        if not grads:
            return
        norms = torch.stack([grad.flatten(1).norm(dim=1) for grad in grads]).norm(dim=0)
        factor = (self.clip_norm / (norms + 1e-6)).clamp(max=1.0)
        for grad in grads:
            grad.mul_(factor.view(-1, 1, 1))

    def _update(self) -> None:
        """Make the optimizer's step, with each trial's own factor on the rates."""
        step_of_stage = self.scheduler.last_epoch
        factors = [course.factor(step_of_stage) for course in self.courses]
        if len(set(factors)) == 1:
            adamw.set_rates(self.optimizer, factors[0])
            self.optimizer.step()
        else:
            adamw.set_rates(self.optimizer, 1.0)
            before = [tensor.detach().clone() for tensor in self.trained]
            self.optimizer.step()
            self._take_part(before, factors)
        self.scheduler.step()

    @torch.no_grad()
    def _take_part(self, before: Sequence[Tensor], factors: Sequence[float]) -> None:
        """Reduce the full update of each trial to the fraction that its factor gives.

        Args:
            before: the trained tensors before the update.
            factors: of the trials; with 1 the full update stays, and with 0 the weights before it,
                bit for bit.
        """
        share = torch.tensor(factors, device=self.runtime.device).view(-1, 1, 1)
        for old, new in zip(before, self.trained, strict=True):
            part = torch.where(share == 1, new, old + share * (new - old))
            new.copy_(torch.where(share == 0, old, part))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """See :class:`Trainer`."""
        yield
        self._write_back()

    @torch.no_grad()
    def _write_back(self) -> None:
        """Give the networks of the trials their weights, as they are now."""
        for task in self.stacks:
            weight, bias = self._tensors(task)
            for trial, network in enumerate(self.networks):
                linear = network.heads[task].linear
                assert isinstance(linear, nn.Linear)
                linear.weight.copy_(weight[trial])
                linear.bias.copy_(bias[trial, 0])
