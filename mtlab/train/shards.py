"""Tensors of which each of several processes holds a part."""

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor, distribute_tensor


def gathered(tensor: Tensor) -> Tensor:
    """All of a tensor: where it is held in parts every process must ask."""
    return tensor.detach().full_tensor() if isinstance(tensor, DTensor) else tensor


def on_host(tensor: Tensor) -> Tensor:
    """As :func:`gathered`, to be written down: what was held in parts lies on the CPU then, of the first process; others have nothing."""
    if not isinstance(tensor, DTensor):
        return tensor
    found = gathered(tensor)
    return found.cpu() if distributed.get_rank() == 0 else torch.empty(0)


def like(tensor: Tensor, other: Tensor) -> Tensor:
    """A tensor held as another of its shape is: in parts, of which this process takes its own, or whole.

    Args:
        tensor: whole, the same in every process.
        other: decides.
    """
    if not isinstance(other, DTensor):
        return tensor
    return distribute_tensor(tensor.to(other.device), other.device_mesh, other.placements, src_data_rank=None)
