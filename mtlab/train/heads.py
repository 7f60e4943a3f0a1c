"""Heads on frozen states: with the encoder out of the way, several trials are one small batched problem.

Trials of one scenario that differ in their seed alone see the same batches. Where only heads train, their weights are
stacked, and a step is one batched product for all of them; loss, dropout, clipping and update of each are what they would be alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mtlab.data import batches
from mtlab.data.batches import EVALUATION_TOKENS
from mtlab.data.encoding import IGNORE
from mtlab.model.freezing import Partition
from mtlab.model.network import Network, stream_seed
from mtlab.plan.scenario import Stage
from mtlab.train import adamw, step
from mtlab.train.course import Step
from mtlab.train.dropout import Draws
from mtlab.train.prefix import States
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime
from mtlab.train.step import StepOutput

ROWS = 64
"""Words of a batch are filled up to a multiple of so many: a CPU's matrix library compiles code for each shape that it meets."""


class Readings:
    """What heads read of the training split: a vector a sentence, and a vector a word that has a target.

    Args:
        prepared: the encoded split.
        network: for its pooling.
        states: the encoder's output for the split.
        runtime: device and precision.
    """

    def __init__(self, prepared: Prepared, network: Network, states: States, runtime: Runtime) -> None:
        self.states, self.device = states, runtime.device
        examples = prepared.encoded["train"].examples
        self.labels = np.array([example.label for example in examples])
        counted = [(example.words >= 0) & (example.tags != IGNORE) for example in examples]
        self.rows = [
            states.starts[index] + example.words[kept] for index, (example, kept) in enumerate(zip(examples, counted, strict=True))
        ]
        self.tags = [example.tags[kept] for example, kept in zip(examples, counted, strict=True)]
        self.pooled = self._pool(prepared, network, states, runtime)

    @torch.no_grad()
    def _pool(self, prepared: Prepared, network: Network, states: States, runtime: Runtime) -> Tensor:
        encoded = prepared.encoded["train"]
        pooled: dict[int, Tensor] = {}
        for ids in batches.by_length(encoded, EVALUATION_TOKENS):
            batch = batches.collate(encoded.examples, ids, prepared.pad_id).to(runtime.device)
            with runtime.autocast():
                pooled.update(zip(ids, network.pool(states.padded(ids, runtime.device), batch.attention_mask), strict=True))
        return torch.stack([pooled[index] for index in range(len(pooled))])

    def of(self, task: str, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Inputs (items, hidden) and targets (items,) of a task for a batch; what has no label has ``IGNORE``."""
        if task == "classifier":
            return self.pooled[list(ids)], torch.from_numpy(self.labels[list(ids)]).to(self.device)
        missing = -sum(len(self.tags[index]) for index in ids) % ROWS
        none, ignored = np.full(missing, len(self.states.flat) - 1), np.full(missing, IGNORE)
        rows = np.concatenate([*(self.rows[index] for index in ids), none])
        tags = torch.from_numpy(np.concatenate([*(self.tags[index] for index in ids), ignored]))
        return self.states.pick(rows, self.device), tags.to(self.device)


@dataclass(frozen=True)
class Stack:
    """One task's heads of all trials: ``weight`` (trials, classes, hidden) and ``bias`` (trials, 1, classes)."""

    weight: Tensor
    bias: Tensor
    dropout: float
    """0 where the head is frozen: it is then in eval mode."""


class Heads:
    """The heads of several trials in one stage.

    Args:
        networks: of the trials; their heads are where training begins, and where it is written back to.
        seeds: of the trials.
        partition: what trains: heads alone.
        stage: rates, schedule and losses.
        steps: of the stage.
        prepared: the data and the experiment's settings.
        readings: what the heads read.
        runtime: device and precision.
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
    ) -> None:
        self.networks, self.seeds, self.readings, self.runtime = networks, seeds, readings, runtime
        settings = prepared.experiment.optimizer
        weights = prepared.experiment.task_weights.model_dump()
        self.task_weights = {task: weight * stage.weight(task) for task, weight in weights.items()}
        self.clip_norm = settings.clip_norm
        self.stacks = {task: self._stack(task, f"head.{task}" in partition.trained_units) for task in networks[0].heads}
        groups: list[dict[str, Any]] = [
            {"params": [t for task in self.stacks if f"head.{task}" in group.units for t in self._tensors(task)], "lr": group.rate}
            for group in partition.trainable
        ]
        self.trained = [tensor for group in groups for tensor in group["params"]]
        self.optimizer, self.scheduler = adamw.adamw(groups, stage, steps, settings)

    def train(self, steps: Sequence[Step], first: int, enough: Callable[[], bool]) -> list[list[StepOutput]]:
        """Make steps of an epoch; the outputs of each, by trial.

        Args:
            steps: of the epoch, those that are left.
            first: steps that the trials had made before.
            enough: asked after every step whether to leave the others for later.
        """
        outputs = []
        for number, one in enumerate(steps):
            outputs.append(self._step(one, first + number))
            if enough():
                break
        return [
            [StepOutput(loss[trial], {task: value[trial] for task, value in by_task.items()}) for loss, by_task in outputs]
            for trial in range(len(self.networks))
        ]

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Weights, moments and rates as they stand between two steps: what is no tensor, and what is."""
        facts, tensors = adamw.state_of(self.optimizer, self.scheduler)
        for task in self.stacks:
            tensors[f"{task}/weight"], tensors[f"{task}/bias"] = self._tensors(task)
        return facts, tensors

    @torch.no_grad()
    def go_on(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Take up what :meth:`state` told of the heads of the same trials in the same stage."""
        adamw.give_state(self.optimizer, self.scheduler, facts, tensors)
        for task in self.stacks:
            for mine, name in zip(self._tensors(task), ("weight", "bias"), strict=True):
                mine.copy_(tensors[f"{task}/{name}"])

    def _stack(self, task: str, trained: bool) -> Stack:
        heads = [network.heads[task] for network in self.networks]
        weight = torch.stack([head.linear.weight.detach() for head in heads]).requires_grad_(trained)
        bias = torch.stack([head.linear.bias.detach() for head in heads]).unsqueeze(1).requires_grad_(trained)
        return Stack(weight, bias, heads[0].dropout.p if trained else 0.0)

    def _tensors(self, task: str) -> tuple[Tensor, Tensor]:
        return self.stacks[task].weight, self.stacks[task].bias

    def _step(self, one: Step, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        draws = [Draws(self.runtime.device, stream_seed("dropout", seed, number)) for seed in self.seeds]
        read = {task: self.readings.of(task, one.ids) for task in one.tasks}
        by_task = {task: self._losses(task, inputs, gold, draws) for task, (inputs, gold) in read.items()}
        loss = torch.stack([self.task_weights[task] * value for task, value in by_task.items()]).sum(dim=0)
        loss.sum().backward()  # no trial's loss depends on another's weights
        self._clip()
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach(), {task: step.told(value.detach(), read[task][1]) for task, value in by_task.items()}

    def _losses(self, task: str, inputs: Tensor, gold: Tensor, draws: Sequence[Draws]) -> Tensor:
        """(trials,): each trial's mean loss over the items that have a target, 0 where none has."""
        stack = self.stacks[task]
        stacked = inputs.expand(len(self.networks), *inputs.shape)
        if stack.dropout:
            stacked = stacked * torch.stack([draw.mask(inputs.shape, stack.dropout, inputs.dtype) for draw in draws])
        with self.runtime.autocast():
            logits = torch.baddbmm(stack.bias, stacked, stack.weight.transpose(1, 2))
        every = gold.expand(len(self.networks), *gold.shape)
        losses = functional.cross_entropy(logits.float().flatten(0, 1), every.flatten(), ignore_index=IGNORE, reduction="none")
        return losses.view(every.shape).sum(dim=1) / (gold != IGNORE).sum().clamp(min=1)

    def _clip(self) -> None:
        """Clip each trial's own gradient norm (Pascanu et al. 2013), as ``clip_grad_norm_`` does for one."""
        grads = [tensor.grad for tensor in self.trained if tensor.grad is not None]
        if not grads:
            return
        norms = torch.stack([grad.flatten(1).norm(dim=1) for grad in grads]).norm(dim=0)
        factor = (self.clip_norm / (norms + 1e-6)).clamp(max=1.0)
        for grad in grads:
            grad.mul_(factor.view(-1, 1, 1))

    @torch.no_grad()
    def write_back(self) -> None:
        """Give the networks of the trials their weights, as they are now."""
        for task in self.stacks:
            weight, bias = self._tensors(task)
            for trial, network in enumerate(self.networks):
                linear = network.heads[task].linear
                assert isinstance(linear, nn.Linear)
                linear.weight.copy_(weight[trial])
                linear.bias.copy_(bias[trial, 0])


def only_heads(partition: Partition) -> bool:
    """Whether heads train and nothing else does."""
    return bool(partition.trained_units) and all(unit.startswith("head.") for unit in partition.trained_units)
