"""What makes the steps of a stage, whatever it trains."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor

from mtlab.train.loop.schedule import Step
from mtlab.train.loop.step import StepOutput


class Trainer(Protocol):
    """Makes steps, and has a state between two of them."""

    def in_place(self) -> AbstractContextManager[None]:
        """Within, steps are made; after, the networks have the weights that they came to."""
        ...

    def train(
        self, steps: Sequence[Step], first: int, enough: Callable[[], bool]
    ) -> list[list[StepOutput]]:
        """Make steps of an epoch; the outputs of each, by trial.

        Args:
            steps: of the epoch, those that are left.
            first: steps that the trials had made before.
            enough: asked after every step whether to leave the others for later.
        """
        ...

    def state_dict(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Moments and rates, and the weights that are not in the networks yet."""
        ...

    def load_state_dict(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Take up what :meth:`state_dict` gave in the same stage."""
        ...
