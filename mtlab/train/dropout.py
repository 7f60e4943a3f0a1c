"""Dropout whose masks cost little on a CPU.

torch draws a mask there one element at a time, which takes a fifth of a small encoder's training step. One 64-bit draw
serves four elements here: each is compared with the probability as a 16-bit number. Dropout stays what it is
(Srivastava et al. 2014): elements are zeroed independently, and the rest scaled so that the mean stays.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

LEVELS = 1 << 16
"""Probabilities are multiples of 1/LEVELS: 0.1 becomes 0.100006."""


def mask(shape: torch.Size, p: float, dtype: torch.dtype, device: torch.device, generator: torch.Generator | None = None) -> Tensor:
    """What to multiply by: 0 with probability ``p``, and else the scale that keeps the mean, of the probability as it was rounded.

    Args:
        shape: of the mask.
        p: the probability, in [0, 1).
        dtype: of the mask.
        device: where it is drawn.
        generator: torch's global one where none is given.
    """
    dropped = round(p * LEVELS)
    draws = torch.empty((shape.numel() + 3) // 4, dtype=torch.int64, device=device).random_(-(2**63), None, generator=generator)
    kept = draws.view(torch.int16)[: shape.numel()].view(shape) >= dropped - LEVELS // 2
    return kept.to(dtype).mul_(LEVELS / max(1, LEVELS - dropped))


class _Quick(TorchFunctionMode):
    def __torch_function__(self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func is functional.dropout:
            return _called(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _called(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """``torch.nn.functional.dropout``'s arguments."""
    if not training or p == 0.0:
        return input
    return input * mask(input.shape, p, input.dtype, input.device)


def quick(device: torch.device) -> AbstractContextManager[object]:
    """Within this context every dropout of a model on the CPU, in modules or called as a function, takes its mask from :func:`mask`."""
    return _Quick() if device.type == "cpu" else nullcontext()
