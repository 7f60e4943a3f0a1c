"""The training step and the evaluation pass: what every scenario, stage and trial shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LRScheduler
from transformers import get_scheduler

from mtlab.data import batches
from mtlab.data.batches import Batch
from mtlab.data.encoding import IGNORE, Encoded
from mtlab.data.sources import Sentence
from mtlab.model.freezing import Partition, units
from mtlab.model.network import Network
from mtlab.plan.experiment import Optimizer as OptimizerSettings
from mtlab.plan.scenario import Stage
from mtlab.record.metrics import Prediction
from mtlab.train.runtime import Runtime

EVALUATION_TOKENS = 2048
"""Padded tokens in an evaluation batch: no gradient flows, so its size changes nothing but speed."""


@dataclass(frozen=True)
class StepOutput:
    """Losses of a step, on the device and detached: reading them would make the host wait.

    Attributes:
        loss: the weighted sum that was minimised.
        by_task: each task's own mean loss.
    """

    loss: Tensor
    by_task: dict[str, Tensor]


@dataclass(frozen=True)
class Learner:
    """A stage's optimizer and the course of its rates. A stage boundary makes a new one: moments do not carry over."""

    optimizer: torch.optim.Optimizer
    scheduler: LRScheduler
    parameters: tuple[nn.Parameter, ...]
    clip_norm: float
    weights: Mapping[str, float]

    def step(self, network: Network, batch: Batch, tasks: Sequence[str], runtime: Runtime) -> StepOutput:
        """One update on one batch. Nothing written here makes the host wait for the device.

        (On CUDA transformers itself reads the mask once a step, to see whether the batch is padded.)
        """
        with runtime.autocast():
            logits = network(batch.input_ids, batch.attention_mask, tasks)
        by_task = {task: _mean_loss(logits[task], _targets(batch, task)) for task in tasks}
        loss = torch.stack([self.weights[task] * value for task, value in by_task.items()]).sum()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        return StepOutput(loss.detach(), {task: value.detach() for task, value in by_task.items()})


def learner(
    network: Network, partition: Partition, stage: Stage, steps: int, settings: OptimizerSettings, weights: Mapping[str, float]
) -> Learner | None:
    """The optimizer of a stage: AdamW over the trained units alone, one parameter group a selector; none where all is frozen."""
    known = units(network)
    groups: list[dict[str, Any]] = [
        {"params": [p for unit in group.units for p in known[unit].parameters.values()], "lr": group.rate} for group in partition.trainable
    ]
    if not groups:
        return None
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    name = "constant_with_warmup" if stage.schedule == "constant" else str(stage.schedule)
    scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup_steps(stage, steps), num_training_steps=steps)
    parameters = tuple(parameter for group in groups for parameter in group["params"])
    return Learner(optimizer, scheduler, parameters, settings.clip_norm, weights)


def warmup_steps(stage: Stage, steps: int) -> int:
    """Steps in which the rates rise; the first of them has rate 0."""
    return int((stage.warmup or 0.0) * steps)


@torch.no_grad()
def evaluate(
    network: Network,
    encoded: Encoded,
    sentences: Sequence[Sentence],
    names: Mapping[str, Sequence[str]],
    pad_id: int,
    runtime: Runtime,
) -> tuple[list[Prediction], dict[str, float | None]]:
    """Predict a split, everything in eval mode.

    Args:
        network: left in eval mode.
        encoded: the split's examples.
        sentences: the same sentences, with gold names.
        names: task to class names.
        pad_id: what inputs are padded with.
        runtime: device and precision.

    Returns:
        A prediction a sentence, in the split's order, and each task's mean loss.
    """
    network.eval()
    sums = {task: torch.zeros(2, dtype=torch.float64, device=runtime.device) for task in network.heads}
    predictions: dict[int, Prediction] = {}
    for ids in batches.by_length(encoded, EVALUATION_TOKENS):
        batch = batches.collate(encoded.examples, ids, pad_id).to(runtime.device)
        with runtime.autocast():
            logits = network(batch.input_ids, batch.attention_mask, tuple(network.heads))
        for task in logits:
            targets = _targets(batch, task)
            sums[task] += torch.stack([_sum_loss(logits[task], targets).double(), (targets != IGNORE).sum().double()])
        best = {task: values.argmax(dim=-1).cpu().numpy() for task, values in logits.items()}
        for row, index in enumerate(ids):
            predictions[index] = _prediction(sentences[index], encoded.examples[index].words, {t: b[row] for t, b in best.items()}, names)
    losses = {task: float(total / count) if count else None for task, (total, count) in ((t, s.tolist()) for t, s in sums.items())}
    return [predictions[index] for index in range(len(predictions))], losses


def _prediction(sentence: Sentence, words: np.ndarray, best: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> Prediction:
    predicted = None
    if sentence.tags is not None:  # a word without a sub-word counts, as O
        predicted = [names["ner"][best["ner"][position]] if position >= 0 else "O" for position in words]
    label = names["classifier"][best["classifier"]] if sentence.label is not None else None
    return Prediction(sentence.label, label, sentence.tags, predicted)


def _targets(batch: Batch, task: str) -> Tensor:
    return batch.labels if task == "classifier" else batch.tags


def _sum_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, -2).float(), targets.flatten(), ignore_index=IGNORE, reduction="sum")


def _mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over the items that have a target; 0 where none has, which torch's own mean would make NaN."""
    return _sum_loss(logits, targets) / (targets != IGNORE).sum().clamp(min=1)
