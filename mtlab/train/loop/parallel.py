"""Gradients over several processes: each computes those of its part of a batch, and all continue
with their mean.

torch's DistributedDataParallel (Li et al. 2020) does it. It registers the parameters that train
when it wraps a module, and no others later: a block that is unfrozen later would train in every
process separately, and the processes' weights would become different. So the network is wrapped
anew for every piece of a stage, together with its optimizer.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mtlab.data.batches import Batch
from mtlab.model.network import Network
from mtlab.train.distributed.processes import Processes
from mtlab.train.loop.forward import Forward
from mtlab.train.loop.vocabulary import Vocabulary

Losses = tuple[Tensor, dict[str, Tensor]]
"""What was minimised, and each task's own mean loss."""


class Alone:
    """One process: its gradients are those of the whole batch."""

    def logits(self, forward: Forward, batch: Batch, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Logits by task."""
        return forward(batch, tasks)

    def backward(self, loss: Tensor, by_task: Mapping[str, Tensor]) -> Losses:
        """Compute gradients; returns the losses, detached."""
        loss.backward()
        return loss.detach(), {task: value.detach() for task, value in by_task.items()}


class Parallel(Alone):
    """One of several processes: gradients, and the losses that are reported, are means over all
    of them.

    Args:
        network: the parameters that train in it now stay the same in all processes.
        words: the small table of embeddings that trains in place of the large one, where there is
            one.
    """

    def __init__(self, network: Network, words: Vocabulary | None) -> None:
        self.module = _WithLosses(network, words)
        # not through Accelerate: it would run the forward pass in a precision of its own, and keep
        # a reference to every module that it wrapped
        self.wrapped = DistributedDataParallel(
            self.module, find_unused_parameters=True, init_sync=False
        )
        self.losses: Tensor | None = None

    def logits(self, forward: Forward, batch: Batch, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Logits by task, of this process's part of a batch."""
        logits, self.losses = self.wrapped(forward, batch, tasks)
        return logits

    def backward(self, loss: Tensor, by_task: Mapping[str, Tensor]) -> Losses:
        """Compute gradients, and their means with the losses'."""
        assert self.losses is not None, "logits were computed"
        values = torch.stack([loss, *by_task.values()]).detach()
        (loss + (self.losses[: len(values)] * values).sum()).backward()
        self.losses, means = None, self.module.losses.grad
        self.module.losses.grad = None
        return means[0], dict(zip(by_task, means[1:], strict=False))


class _WithLosses(nn.Module):
    """What DistributedDataParallel wraps.

    Losses are sent with the gradients, so that they need no exchange of their own: they are the
    gradient of the parameter ``losses``, whose value stays 0.
    """

    def __init__(self, network: Network, words: Vocabulary | None) -> None:
        super().__init__()
        self.network = network
        self.words = None if words is None else words.weight
        self.losses = nn.Parameter(
            torch.zeros(1 + len(network.heads), device=next(network.heads.parameters()).device)
        )
        self._ddp_params_and_buffers_to_ignore = [
            *(
                name for name, _ in self.named_buffers(remove_duplicate=False)
            ),  # buffers are constant, and the same in all processes
            *(
                name
                for name, parameter in self.named_parameters(remove_duplicate=False)
                if words is not None and words.stands_for(parameter)
            ),
        ]

    def forward(
        self, forward: Forward, batch: Batch, tasks: Sequence[str]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Logits by task, and the factors of the losses, whose gradients send the losses."""
        return forward(batch, tasks), self.losses.clone()


def over(processes: Processes, network: Network, words: Vocabulary | None = None) -> Alone:
    """What computes the gradients of a network that trains in these processes."""
    return Parallel(network, words) if processes.several else Alone()
