"""Changes the optimizer and the scheduler of a Trainer in place for a stage.

A callback cannot give a Trainer another optimizer, so the parameter groups of the existing one are
replaced. A checkpoint has the optimizer's state in the groups with which the Trainer created it,
because a new Trainer has these groups when it loads the checkpoint.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from mtlab.plan.errors import UserError
from mtlab.train.loop.course import Course

NOT_OPTIONS = ("params", "lr", "initial_lr")
"""Keys of a parameter group that are not options, because a stage sets them."""

Rates = Sequence[tuple[float, Sequence[nn.Parameter]]]
"""Learning rates, each with its parameters."""


class Groups:
    """The parameter groups of an optimizer.

    Attributes:
        optimizer: the optimizer of torch.
        made: the groups with which it was created.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.made = [{**group, "params": list(group["params"])} for group in optimizer.param_groups]
        optimizer.register_state_dict_post_hook(self._as_made)
        optimizer.register_load_state_dict_pre_hook(self._make_again)

    def regroup(self, rates: Rates, *, fresh: bool) -> None:
        """Replace the groups, so that only these parameters are trained. Each parameter keeps the
        options of the group in which it was when the optimizer was created.

        Args:
            rates: the learning rates of the stage, with their parameters.
            fresh: whether all moments are reset; else only those of other parameters are removed.

        Raises:
            UserError: the optimizer was created without one of the parameters.
        """
        groups = [group for rate, parameters in rates for group in self._split(rate, parameters)]
        self.optimizer.param_groups.clear()
        for group in groups:
            self.optimizer.add_param_group(group)
        trained = {id(parameter) for _, parameters in rates for parameter in parameters}
        for parameter in list(self.optimizer.state):
            if fresh or id(parameter) not in trained:
                del self.optimizer.state[parameter]

    def _split(self, rate: float, parameters: Sequence[nn.Parameter]) -> list[dict[str, Any]]:
        """The parameters in groups of equal options, all with one rate."""
        wanted = {id(parameter) for parameter in parameters}
        groups = []
        for group in self.made:
            members = [parameter for parameter in group["params"] if id(parameter) in wanted]
            wanted -= {id(parameter) for parameter in members}
            options = {key: value for key, value in group.items() if key not in NOT_OPTIONS}
            if members:
                groups.append({**options, "params": members, "lr": rate, "initial_lr": rate})
        if wanted:
            raise UserError(
                f"the optimizer was made without {len(wanted)} tensors that a stage trains",
                "give the schedule to the Trainer as one of its `callbacks`, and an optimizer of your own all parameters",
                where="optimizer",
                code="conflict",
            )
        return groups

    def _as_made(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        """Convert a state dict of the regrouped optimizer to the groups with which it was
        created.
        """
        parameters = (own for group in self.made for own in group["params"])
        places = {id(parameter): place for place, parameter in enumerate(parameters)}
        current_places = [
            places[id(own)] for group in optimizer.param_groups for own in group["params"]
        ]
        moments = {
            current_places[key] if isinstance(key, int) else key: value
            for key, value in state["state"].items()
        }
        groups = [
            {**group, "params": [places[id(own)] for own in group["params"]]} for group in self.made
        ]
        return {**state, "state": moments, "param_groups": groups}

    def _make_again(self, optimizer: torch.optim.Optimizer, _state: dict[str, Any]) -> None:
        optimizer.param_groups[:] = [
            {**group, "params": list(group["params"])} for group in self.made
        ]


def groups_of(optimizer: torch.optim.Optimizer) -> Groups:
    """The groups of an optimizer, which accelerate may have wrapped; every call returns the same
    object.
    """
    own = getattr(optimizer, "optimizer", optimizer)
    groups: Groups = getattr(own, "_mtlab_groups", None) or Groups(own)
    own._mtlab_groups = groups
    return groups


def follow(
    scheduler: LambdaLR, optimizer: torch.optim.Optimizer, course: Course, step: int
) -> None:
    """Make a scheduler set the rates of the regrouped parameters according to the course of a
    stage.

    Args:
        scheduler: the scheduler that the Trainer steps.
        optimizer: the optimizer whose rates it sets.
        course: the course of the stage.
        step: the number of steps of the stage so far.
    """

    def factor(step: int) -> float:
        """The factor at a step. A scheduler does not save plain functions in its state."""
        return course.factor(step)

    factor.original = original(scheduler)[0]  # type: ignore[attr-defined]
    groups = optimizer.param_groups
    scheduler.lr_lambdas = [factor] * len(groups)
    scheduler.base_lrs = [group["initial_lr"] for group in groups]
    scheduler.last_epoch = step
    for group in groups:
        group["lr"] = group["initial_lr"] * factor(step)
    scheduler._last_lr = [group["lr"] for group in groups]


def original(scheduler: LambdaLR) -> list[Any]:
    """The functions with which a scheduler was created."""
    return [getattr(function, "original", function) for function in scheduler.lr_lambdas]
