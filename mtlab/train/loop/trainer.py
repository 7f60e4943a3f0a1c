"""The interface of trainers, which make the steps of a stage."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor

from mtlab.train.loop.schedule import Step
from mtlab.train.loop.step import StepOutput


class Trainer(Protocol):
    """Makes steps, and has a state between two of them."""

    def in_place(self) -> AbstractContextManager[None]:
        """Within, steps are made; afterwards the networks have the weights that result."""
        ...

    def train(
        self, steps: Sequence[Step], first: int, enough: Callable[[], bool]
    ) -> list[list[StepOutput]]:
        """Make steps of an epoch; the outputs of each, by trial.

        Args:
            steps: of the epoch, those that are left.
            first: steps that the trials had made before.
            enough: called after every step; the others are left for later if it returns True.
        """
        ...

    def state_dict(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Moments and rates, and the weights that are not in the networks yet."""
        ...

    def load_state_dict(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Restore what :meth:`state_dict` returned in the same stage."""
        ...
