"""The training step and the evaluation pass: what every scenario, stage and trial shares."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from mtlab.data.batches import Batch
from mtlab.data.encoding import Encoded
from mtlab.data.stored import Sentence
from mtlab.model.freezing import Partition, units
from mtlab.model.losses import Loss, losses_of
from mtlab.model.network import Network
from mtlab.plan.experiment import Optimizer as OptimizerSettings
from mtlab.plan.scenario import Stage
from mtlab.record.metrics import Prediction
from mtlab.tasks.kind import Task
from mtlab.train.distributed.processes import ALONE, Processes
from mtlab.train.loop import adamw
from mtlab.train.loop.course import Course
from mtlab.train.loop.dropout import quick
from mtlab.train.loop.forward import Forward
from mtlab.train.loop.parallel import Alone, over
from mtlab.train.loop.vocabulary import Vocabulary
from mtlab.train.resume import watchdog
from mtlab.train.runtime import Runtime


@dataclass(frozen=True)
class StepOutput:
    """Losses of a step, on the device and detached: reading them would make the host wait.

    Attributes:
        loss: the weighted sum that was minimised, without the pull of an anchor.
        by_task: each task's own mean loss; NaN where no item of the batch had a target.
    """

    loss: Tensor
    by_task: dict[str, Tensor]


class Term(Protocol):
    """What a stage adds to the loss of its steps, or to their gradients."""

    def tasks(self, losses: Sequence[str]) -> tuple[str, ...]:
        """The tasks, besides those of ``losses``, whose logits the term needs."""
        ...

    def loss(
        self, logits: Mapping[str, Tensor], part: Batch, batch: Batch, processes: int
    ) -> Tensor:
        """What the term adds to the loss of a step, if :meth:`tasks` names any tasks for it.

        Args:
            logits: by task of :meth:`tasks`, of a process's part of a batch.
            part: that part.
            batch: the whole batch.
            processes: number of processes; the mean of their values is the term for the whole
                batch.
        """
        ...

    def after_backward(self) -> None:
        """Change the gradients, before they are clipped."""
        ...


@dataclass
class FullForward:
    """The plain forward pass, from the token ids."""

    network: Network

    def __call__(self, batch: Batch, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Logits by task."""
        return self.network(batch.input_ids, batch.attention_mask, tasks)


@dataclass(frozen=True)
class Learner:
    """A stage's optimizer and the course of its rates. A stage boundary makes a new one: moments do
    not carry over.
    """

    optimizer: torch.optim.Optimizer
    scheduler: LRScheduler
    parameters: tuple[nn.Parameter, ...]
    clip_norm: float
    weights: Mapping[str, float]
    losses: Mapping[str, Loss]
    gradients: Alone
    vocabulary: Vocabulary | None = None
    terms: tuple[Term, ...] = ()

    def in_place(self) -> AbstractContextManager[None]:
        """Within, steps are made; afterwards the network has the weights that result from them."""
        return self.vocabulary.in_place() if self.vocabulary is not None else nullcontext()

    def step(
        self, forward: Forward, batch: Batch, tasks: Sequence[str], runtime: Runtime
    ) -> StepOutput:
        """One update on one batch. Nothing written here makes the host wait for the device.

        (On CUDA, :func:`mtlab.train.runtime.leave_masks_unread` keeps transformers from reading the
        mask in each step.)

        With several processes, each computes its part of the sentences. A loss is the sum over that
        part, times the number of processes, divided by the number of targets in the whole batch. So
        the mean over processes is the mean over the batch, even if some parts have more targets.
        """
        processes = runtime.processes
        part = batch.part(processes.rank, processes.number) if processes.several else batch
        needed = {term: extra_tasks for term in self.terms if (extra_tasks := term.tasks(tasks))}
        others = tuple(task for extra_tasks in needed.values() for task in extra_tasks)
        with runtime.autocast(), quick(runtime.device):
            logits = self.gradients.logits(forward, part, (*tasks, *others))
        by_task = {
            task: mean_loss(
                self.losses[task],
                logits[task],
                part.targets[task],
                batch.targets[task],
                processes.number,
            )
            for task in tasks
        }
        loss = torch.stack([self.weights[task] * value for task, value in by_task.items()]).sum()
        for term, extra_tasks in needed.items():
            of_term = {task: logits[task] for task in extra_tasks}
            loss = loss + term.loss(of_term, part, batch, processes.number)
        total, means = self.gradients.backward(loss, by_task)
        for term in self.terms:
            term.after_backward()
        self._clip(runtime)
        self.optimizer.step()
        if self.vocabulary is not None:
            self.vocabulary.decay *= self._decay_of(self.vocabulary.weight)
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        return StepOutput(
            total,
            {
                task: recorded(self.losses[task], value, batch.targets[task])
                for task, value in means.items()
            },
        )

    def state_dict(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The state of moments, rates and the small table of embeddings between two steps: the
        facts that are not tensors, and the tensors.
        """
        facts, tensors = adamw.state_of(self.optimizer, self.scheduler)
        if self.vocabulary is not None:
            facts["decay"], tensors["vocabulary"] = self.vocabulary.decay, self.vocabulary.weight
        return facts, tensors

    @torch.no_grad()
    def load_state_dict(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Restore what :meth:`state_dict` returned for a learner of the same stage."""
        adamw.give_state(self.optimizer, self.scheduler, facts, tensors)
        if self.vocabulary is not None:
            self.vocabulary.decay = facts["decay"]
            self.vocabulary.weight.copy_(tensors["vocabulary"])

    def _clip(self, runtime: Runtime) -> None:
        """Clip gradients as ``torch.nn.utils.clip_grad_norm_`` does. On a CPU the norm can be read
        without waiting, so that a product with 1 is left out.
        """
        grads = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norm = nn.utils.get_total_norm(grads)
        if runtime.device.type != "cpu" or not float(norm) + 1e-6 <= self.clip_norm:
            nn.utils.clip_grads_with_norm_(self.parameters, self.clip_norm, norm)

    def _decay_of(self, parameter: nn.Parameter) -> float:
        """The factor of AdamW's last step on a weight whose gradient is always 0: decoupled weight
        decay (Loshchilov and Hutter 2019) at the rate of the parameter's group.
        """
        group = next(
            group
            for group in self.optimizer.param_groups
            if any(member is parameter for member in group["params"])
        )
        return 1.0 - float(group["lr"]) * float(group["weight_decay"])


def learner(
    network: Network,
    partition: Partition,
    stage: Stage,
    steps: int,
    settings: OptimizerSettings,
    weights: Mapping[str, float],
    tasks: Mapping[str, Task],
    vocabulary: Vocabulary | None = None,
    terms: tuple[Term, ...] = (),
    processes: Processes = ALONE,
    course: Course | None = None,
) -> Learner:
    """The optimizer of a stage that trains something: AdamW over the trained units alone, one
    parameter group a selector; its rates take the stage's course where none is given.
    """
    gradients = over(processes, network, vocabulary)
    known = units(network, partition.divided)
    groups: list[dict[str, Any]] = [
        {
            "params": [p for unit in group.units for p in known[unit].parameters.values()],
            "lr": group.rate,
        }
        for group in partition.trainable
    ]
    if vocabulary is not None:
        for group in groups:
            group["params"] = [
                vocabulary.weight if vocabulary.stands_for(parameter) else parameter
                for parameter in group["params"]
            ]
    optimizer, scheduler = adamw.adamw(groups, course or Course(stage, steps), settings)
    parameters = tuple(parameter for group in groups for parameter in group["params"])
    weights_of = {task: weight * stage.weight(task) for task, weight in weights.items()}
    return Learner(
        optimizer,
        scheduler,
        parameters,
        settings.clip_norm,
        weights_of,
        losses_of(tasks),
        gradients,
        vocabulary,
        terms,
    )


@torch.no_grad()
def evaluate(
    forward: Forward,
    ready: Sequence[Batch],
    encoded: Encoded,
    sentences: Sequence[Sentence],
    tasks: Mapping[str, Task],
    runtime: Runtime,
) -> tuple[list[Prediction], dict[str, float | None]]:
    """Predict a split; with several processes, each predicts some of its batches.

    Args:
        forward: the forward pass of a network in eval mode.
        ready: the split in batches, on the device.
        encoded: the split's examples.
        sentences: the same sentences, with gold names.
        tasks: by name.
        runtime: device, precision and processes.

    Returns:
        A prediction a sentence, in the split's order, and each task's mean loss.
    """
    # results are read from the device only when all batches are queued
    computed = [scored(forward, batch, tasks, runtime) for batch in runtime.processes.share(ready)]
    own_results = [
        (sums.tolist(), {task: values.cpu().numpy() for task, values in best.items()})
        for sums, best in computed
    ]
    all_results = runtime.processes.rejoin(own_results)
    rows = {
        index: {task: values[row] for task, values in best.items()}
        for batch, (_, best) in zip(ready, all_results, strict=True)
        for row, index in enumerate(batch.ids)
    }
    # in the split's order, because sentences on a disk are read in order
    pairs = enumerate(zip(sentences, encoded.examples, strict=True))
    predictions = [
        _prediction(sentence, example.words, rows[index], tasks)
        for index, (sentence, example) in pairs
    ]
    return predictions, _means(tuple(tasks), [sums for sums, _ in all_results])


@torch.no_grad()
def scored(
    forward: Forward, batch: Batch, tasks: Mapping[str, Task], runtime: Runtime
) -> tuple[Tensor, dict[str, Tensor]]:
    """Evaluate one batch; the results stay on the device, and are not read yet.

    Returns:
        (tasks, 2): the sum of each task's losses, and their number; and by task the decisions for
        each sentence, or for each token.
    """
    watchdog.beat()
    with runtime.autocast():
        logits = forward(batch, tuple(tasks))
    gold = batch.targets
    losses = losses_of(tasks)
    sums = [
        torch.stack(
            [
                _sum_loss(loss, logits[task], gold[task]).double(),
                loss.given(gold[task]).sum().double(),
            ]
        )
        for task, loss in losses.items()
    ]
    best = {task: losses[task].decide(values.float()) for task, values in logits.items()}
    return torch.stack(sums), best


def _means(tasks: Sequence[str], sums: Sequence[Any]) -> dict[str, float | None]:
    """Each task's mean loss; None where nothing had a target.

    Args:
        tasks: whose losses they are.
        sums: of each batch, for each task: the sum of losses, and how many there are.
    """
    losses = np.zeros((len(tasks), 2))
    for of_batch in sums:  # in the same order as with one process, for the same rounding
        losses += of_batch
    return {
        task: float(total / count) if count else None
        for task, (total, count) in zip(tasks, losses.tolist(), strict=True)
    }


def _prediction(
    sentence: Sentence,
    words: np.ndarray,
    best: Mapping[str, Any],
    tasks: Mapping[str, Task],
) -> Prediction:
    gold = {task: sentence.gold[task] for task in tasks if task in sentence.gold}
    return Prediction(gold, {task: tasks[task].predicted(best[task], words) for task in gold})


def _sum_loss(loss: Loss, logits: Tensor, targets: Tensor) -> Tensor:
    of_words = logits.dim() > 2
    items = logits.flatten(0, -2) if of_words else logits
    return loss.total(items.float(), targets.flatten() if of_words else targets)


def recorded(loss: Loss, value: Tensor, targets: Tensor) -> Tensor:
    """A task's loss for the record: NaN where no item of the batch had a target."""
    return torch.where(loss.given(targets).any(), value, torch.nan)


def mean_loss(loss: Loss, logits: Tensor, targets: Tensor, every: Tensor, processes: int) -> Tensor:
    """Mean over the items that have a target; 0 where none has, which torch's own mean would make
    NaN.

    Args:
        loss: of the task.
        logits: of a process's part of the batch.
        targets: of that part.
        every: of the whole batch.
        processes: number of processes; the mean of their values is the mean over the batch.
    """
    return _sum_loss(loss, logits, targets) * processes / loss.given(every).sum().clamp(min=1)
