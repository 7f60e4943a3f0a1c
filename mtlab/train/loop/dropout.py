"""Dropout whose masks cost little on a CPU.

On a CPU, torch draws a mask one element at a time and converts it slowly, which takes a fifth of a
small encoder's training step. Here, one 64-bit draw serves four elements: each compares its 16-bit
number with the probability. The result is ordinary dropout (Srivastava et al. 2014): elements are
zeroed independently, and the others are scaled so that the mean stays the same.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

LEVELS = 1 << 16
"""Probabilities are multiples of 1/LEVELS: 0.1 becomes 0.100006."""

BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bytes of an element to the integers of that size."""


class Draws:
    """A stream of random bits for masks.

    Args:
        device: where masks are needed.
        seed: decides the stream.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self.device = device
        on_cpu = device.type == "cpu"
        self._numpy = (
            np.random.Generator(np.random.SFC64(seed)) if on_cpu else None
        )  # twice as fast as torch's
        self._torch = None if on_cpu else torch.Generator(device).manual_seed(seed)

    def mask(self, shape: torch.Size, p: float, dtype: torch.dtype) -> Tensor:
        """The mask to multiply with. An element is 0 with probability ``p``, rounded to a multiple
        of 1/:data:`LEVELS`, and otherwise the scale that keeps the mean.

        Args:
            shape: of the mask.
            p: the probability, in [0, 1).
            dtype: of the mask.
        """
        dropped = round(p * LEVELS)
        scale = torch.tensor(LEVELS / max(1, LEVELS - dropped), dtype=dtype)
        numbers = (
            self._bits((shape.numel() + 3) // 4).view(torch.int16)[: shape.numel()].view(shape)
        )
        bits = BITS[
            dtype.itemsize
        ]  # to compare into integers and multiply them is faster than to convert booleans to floats
        kept = torch.ge(
            numbers, dropped - LEVELS // 2, out=torch.empty(shape, dtype=bits, device=self.device)
        )
        return kept.mul_(scale.view(bits).item()).view(dtype)

    def _bits(self, count: int) -> Tensor:
        if self._numpy is not None:
            return torch.from_numpy(
                self._numpy.integers(-(2**63), 2**63 - 1, count, dtype=np.int64, endpoint=True)
            )
        return torch.empty(count, dtype=torch.int64, device=self.device).random_(
            -(2**63), None, generator=self._torch
        )


class _Quick(TorchFunctionMode):
    def __init__(self, draws: Draws) -> None:
        super().__init__()
        self.draws = draws

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is functional.dropout:
            return self._dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(
        self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        """``torch.nn.functional.dropout``'s arguments."""
        return input * self.draws.mask(input.shape, p, input.dtype) if training and p else input


def quick(device: torch.device) -> AbstractContextManager[object]:
    """Within this context every dropout of a model on the CPU, in modules or called as a function,
    takes its mask from :class:`Draws`.

    The seed of these is drawn from torch's global generator, so that the generator's seed decides
    the masks.
    """
    if device.type != "cpu":
        return nullcontext()
    return _Quick(Draws(device, int(torch.randint(2**63 - 1, ()))))
