"""Ways to keep a network from forgetting while it learns something else: a pull on its weights, and
distillation of its earlier logits.

The third way, rehearsal, adds steps on the source sentences:
:func:`mtlab.train.loop.schedule.epoch`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtlab.data.batches import Batch
from mtlab.model.losses import Loss
from mtlab.model.network import Network
from mtlab.train.prepare import Prepared
from mtlab.train.resume import watchdog
from mtlab.train.runtime import Runtime

TEMPERATURE = 2.0
"""The number by which old and new logits are divided in distillation (Li and Hoiem 2016 take 2)."""


@dataclass(frozen=True, eq=False)
class Anchor:
    """L2-SP (Li, Grandvalet and Davoine 2018): it adds ``strength / 2 * sum((w - w0)**2)`` over the
    encoder's trained weights to the loss.

    In fact its gradient, ``strength * (w - w0)``, is added to the weights' gradients before
    clipping and AdamW, as with the paper's penalty. Heads are not pulled: the head that trains
    learns from the data of a new task.

    Attributes:
        strength: the paper's alpha.
        weights: the trained weights, each with its initial value.
    """

    strength: float
    weights: tuple[tuple[nn.Parameter, Tensor], ...]

    def tasks(self, losses: Sequence[str]) -> tuple[str, ...]:
        """None: the term depends on the weights alone."""
        return ()

    def loss(
        self, logits: Mapping[str, Tensor], part: Batch, batch: Batch, processes: int
    ) -> Tensor:
        """Never called: :meth:`tasks` names none."""
        raise AssertionError("L2-SP enters as a gradient")

    @torch.no_grad()
    def after_backward(self) -> None:
        """Add the penalty's gradient."""
        for weight, initial in self.weights:
            if weight.grad is not None:
                weight.grad.add_(weight.detach() - initial, alpha=self.strength)


@dataclass(frozen=True, eq=False)
class Teacher:
    """Learning without forgetting (Li and Hoiem 2016): distillation of the logits that the network
    computed for the new sentences before it learnt from them.

    It adds ``strength * T**2 * KL(softmax(z0 / T) || softmax(z / T))`` with the temperature ``T``
    (Hinton, Vinyals and Dean 2015) to the loss, as a mean over sentences, or over sub-words. Where
    a task has several labels, each is a distribution over present and absent; for numbers, their
    squared difference replaces the divergence. ``z0`` are the logits, in eval mode, of the network
    at the time when the task left the losses, or when the trial began.

    Attributes:
        strength: weight of the term.
        logits: task to each training sentence's logits: (outputs,), or (sub-words, outputs).
        losses: task to its loss, which knows how far apart logits are.
    """

    strength: float
    logits: Mapping[str, Sequence[Tensor]]
    losses: Mapping[str, Loss]

    def tasks(self, losses: Sequence[str]) -> tuple[str, ...]:
        """The tasks of :attr:`logits` without a loss in the step; in rehearsal they have one."""
        return tuple(task for task in self.logits if task not in losses)

    def loss(
        self, logits: Mapping[str, Tensor], part: Batch, batch: Batch, processes: int
    ) -> Tensor:
        """The term for training sentences (:class:`mtlab.train.loop.step.Term`)."""
        terms = []
        for task, values in logits.items():
            rows = [self.logits[task][index].view(-1, values.shape[-1]) for index in part.ids]
            sentence = values.dim() == 2
            current = values if sentence else values[part.attention_mask.bool()]
            old, new = (side.float() / TEMPERATURE for side in (torch.cat(rows), current))
            items = len(batch.ids) if sentence else sum(batch.lengths)
            divergence = self.losses[task].apart(old, new).sum()
            terms.append(divergence * processes / items)
        return self.strength * TEMPERATURE**2 * torch.stack(terms).sum()

    def after_backward(self) -> None:
        """Do nothing: the whole term is in the loss."""


@torch.no_grad()
def said(
    prepared: Prepared, network: Network, tasks: Sequence[str], runtime: Runtime
) -> dict[str, list[Tensor]]:
    """Task to the network's current logits of each training sentence, computed in one pass."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    by_task: dict[str, dict[int, Tensor]] = {task: {} for task in tasks}
    for batch in prepared.ready("train", runtime.device):
        watchdog.beat()
        with runtime.autocast():
            logits = network(batch.input_ids, batch.attention_mask, tasks)
        for task in tasks:
            for row, index in enumerate(batch.ids):
                of_row = logits[task][row]
                by_task[task][index] = (
                    of_row if of_row.dim() == 1 else of_row[batch.attention_mask[row].bool()]
                ).float()
    for module, training in modes.items():
        module.training = training
    return {task: [by_id[index] for index in range(len(by_id))] for task, by_id in by_task.items()}


def anchor(network: Network, began: Mapping[str, Tensor], strength: float) -> Anchor:
    """An anchor that pulls the encoder's trained weights to ``began``, by their names in the
    network.
    """
    trained = [
        (weight, began[name])
        for name, weight in network.named_parameters()
        if name in began and weight.requires_grad
    ]
    return Anchor(strength, tuple(trained))
