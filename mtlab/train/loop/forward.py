"""What a training step and an evaluation know of a forward pass."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from mtlab.data.batches import Batch


class Forward(Protocol):
    """How the logits of the named tasks come about for a batch: from its words, or from states that
    are cached.
    """

    def __call__(self, batch: Batch, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Logits by task."""
        ...
