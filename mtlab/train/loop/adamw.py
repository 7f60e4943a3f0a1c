"""The optimizer of every stage, the scheduler of its rates, and the state of both between two
steps.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from mtlab.plan.experiment import Optimizer as Settings
from mtlab.train.loop.course import Course


def adamw(
    groups: list[dict[str, Any]], course: Course, settings: Settings
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """A new optimizer (Loshchilov and Hutter 2019) over parameter groups, and the scheduler that
    sets its rates.
    """
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    return optimizer, LambdaLR(optimizer, course.factor)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set all rates to their initial values times a factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def state_of(
    optimizer: torch.optim.Optimizer, scheduler: LRScheduler
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The state of both: the facts that are not tensors, and the moments by name."""
    moments = optimizer.state_dict()["state"]
    tensors = {
        f"moments/{index}/{name}": tensor
        for index, state in moments.items()
        for name, tensor in state.items()
    }
    return {"schedule": scheduler.state_dict()}, tensors


def give_state(
    optimizer: torch.optim.Optimizer,
    scheduler: LRScheduler,
    facts: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> None:
    """Give a new optimizer over the same parameters, and its scheduler, the state that
    :func:`state_of` returned.
    """
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "moments":
            index, _, which = rest.partition("/")
            moments.setdefault(int(index), {})[which] = tensor
    optimizer.load_state_dict(
        {"state": moments, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    scheduler.load_state_dict(dict(facts["schedule"]))
    for group, rate in zip(optimizer.param_groups, scheduler.get_last_lr(), strict=True):
        group["lr"] = rate
