"""Gradients over several processes: each computes those of its part of a batch, and all go on with their mean.

torch's DistributedDataParallel (Li et al. 2020) does it. It knows the parameters that train when it wraps a module, and never learns of
others: a block that thaws later would train in every process by itself, and the processes would drift apart. So every piece of
a stage is wrapped anew, together with its optimizer. So it is where torch's FSDP2 (Zhao et al. 2023; here parameter by parameter) divides
weights, gradients and moments among the processes as well.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from mtlab.data.batches import Batch
from mtlab.model.network import Network
from mtlab.train.processes import Processes
from mtlab.train.shards import gathered
from mtlab.train.vocabulary import Vocabulary

if TYPE_CHECKING:
    from mtlab.train.step import Forward

Losses = tuple[Tensor, dict[str, Tensor]]
"""What was minimised, and each task's own mean loss."""


class Alone:
    """One process: its gradients are those of the whole batch.

    Args:
        network: that trains.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        """Whose parameters an optimizer is to train."""

    @property
    def in_parts(self) -> bool:
        """Whether each process holds a part of them, so that all are needed to write them down."""
        return False

    def onto(self, forward: "Forward") -> "Forward":
        """The same forward pass, through what trains."""
        return forward

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, steps are made; after, the network that was given has the weights that they came to."""
        yield

    def logits(self, forward: "Forward", batch: Batch, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Logits by task."""
        return forward(batch, tasks)

    def backward(self, loss: Tensor, by_task: Mapping[str, Tensor]) -> Losses:
        """Compute gradients; returns the losses, detached."""
        loss.backward()
        return loss.detach(), {task: value.detach() for task, value in by_task.items()}


class Parallel(Alone):
    """One of several processes: gradients, and the losses that are told, are means over all of them.

    Args:
        network: what trains in it now is what stays the same in all processes.
        words: the small table of embeddings that trains in place of the large one, where there is one.
    """

    def __init__(self, network: Network, words: Vocabulary | None) -> None:
        super().__init__(network)
        self.module = _Told(network, words)
        # not through Accelerate: it would wrap the forward pass in a precision of its own, and keep every module that it wrapped
        self.wrapped = DistributedDataParallel(self.module, find_unused_parameters=True, init_sync=False)
        self.told: Tensor | None = None

    def logits(self, forward: "Forward", batch: Batch, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Logits by task, of this process's part of a batch."""
        logits, self.told = self.wrapped(forward, batch, tasks)
        return logits

    def backward(self, loss: Tensor, by_task: Mapping[str, Tensor]) -> Losses:
        """Compute gradients, and their means with the losses'."""
        assert self.told is not None, "logits were computed"
        values = torch.stack([loss, *by_task.values()]).detach()
        (loss + (self.told[: len(values)] * values).sum()).backward()
        self.told, means = None, self.module.told.grad
        self.module.told.grad = None
        return means[0], dict(zip(by_task, means[1:], strict=False))


class Sharded(Alone):
    """One of several processes, each of which holds a part of every weight, with its gradient and its moments.

    A copy of the network trains. A block's weights are gathered when it computes, and let go after. The network itself has no weights
    while steps are made, and is whole between epochs: it is evaluated, hashed and kept as it is everywhere else.

    Args:
        network: what trains in it now is what stays the same in all processes.
    """

    def __init__(self, network: Network) -> None:
        super().__init__(_on_host(network))
        self.whole = network
        encoder, mesh = self.network.encoder, _mesh(next(network.parameters()).device.type)
        for module in (encoder.get_input_embeddings(), *(encoder.get_submodule(name) for name in network.backbone.blocks)):
            fully_shard(module, mesh=mesh)  # moves it to the device, so that one after another is there as a whole
        self.module = fully_shard(_Called(self.network), mesh=mesh)

    @property
    def in_parts(self) -> bool:
        """They are."""
        return True

    def onto(self, forward: "Forward") -> "Forward":
        """The same forward pass, through the copy."""
        return forward.onto(self.network)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, steps are made; after, the network is gathered. Not after a failure, which the other processes may not share."""
        for weight in self.whole.parameters():
            weight.data = weight.data.new_empty(0)
        yield
        for weight, part in zip(self.whole.parameters(), self.network.parameters(), strict=True):
            weight.data = gathered(part)

    def logits(self, forward: "Forward", batch: Batch, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Logits by task, of this process's part of a batch."""
        return self.module(forward, batch, tasks)

    def backward(self, loss: Tensor, by_task: Mapping[str, Tensor]) -> Losses:
        """Compute gradients, and the means of the losses."""
        means = torch.stack([loss, *by_task.values()]).detach()
        loss.backward()
        distributed.all_reduce(means)
        means /= distributed.get_world_size()
        return means[0], dict(zip(by_task, means[1:], strict=True))


class _Called(nn.Module):
    """What is wrapped: a network, and how its logits come about, which is known when they are wanted."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, forward: "Forward", batch: Batch, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Logits by task."""
        return {task: values.clone() for task, values in forward(batch, tasks).items()}  # of views FSDP2 would warn each time


class _Told(nn.Module):
    """What DistributedDataParallel wraps.

    Losses travel with the gradients, so that they cost no exchange of their own: as the gradient of ``told``, which is 0 and stays so.
    """

    def __init__(self, network: Network, words: Vocabulary | None) -> None:
        super().__init__()
        self.network = network
        self.words = None if words is None else words.weight
        self.told = nn.Parameter(torch.zeros(1 + len(network.heads), device=next(network.heads.parameters()).device))
        self._ddp_params_and_buffers_to_ignore = [
            *(name for name, _ in self.named_buffers(remove_duplicate=False)),  # the same everywhere, and constant
            *(name for name, one in self.named_parameters(remove_duplicate=False) if words is not None and words.stands_for(one)),
        ]

    def forward(self, forward: "Forward", batch: Batch, tasks: Sequence[str]) -> tuple[dict[str, Tensor], Tensor]:
        """Logits by task, and where losses are to be told."""
        return forward(batch, tasks), self.told.clone()


def over(processes: Processes, network: Network, words: Vocabulary | None = None) -> Alone:
    """How a network that trains in these processes comes by its gradients."""
    if not processes.several:
        return Alone(network)
    return Sharded(network) if processes.sharded else Parallel(network, words)


def _on_host(network: Network) -> Network:
    """A copy on the CPU, so that the device never holds the network twice."""
    held: dict[int, Tensor] = {
        id(weight): nn.Parameter(weight.detach().to("cpu", copy=True), weight.requires_grad) for weight in network.parameters()
    }
    held |= {id(buffer): buffer.detach().to("cpu", copy=True) for buffer in network.buffers()}
    return copy.deepcopy(network, dict[int, object](held))


@cache
def _mesh(kind: str) -> DeviceMesh:
    return init_device_mesh(kind, (distributed.get_world_size(),))
