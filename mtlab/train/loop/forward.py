"""The interface of a forward pass, for training steps and evaluations."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from mtlab.data.batches import Batch


class Forward(Protocol):
    """Computes the logits of some tasks for a batch, from its token ids or from cached states."""

    def __call__(self, batch: Batch, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Logits by task."""
        ...
