"""The optimizer of every stage, the course of its rates, and both as they stand in the middle of
one.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler
from transformers import get_scheduler

from mtlab.plan.experiment import Optimizer as Settings
from mtlab.plan.scenario import Stage


def adamw(
    groups: list[dict[str, Any]], stage: Stage, steps: int, settings: Settings
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """A new optimizer (Loshchilov and Hutter 2019) over parameter groups, and the course of its
    rates over a stage of so many steps.
    """
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    name = "constant_with_warmup" if stage.schedule == "constant" else str(stage.schedule)
    return optimizer, get_scheduler(
        name, optimizer, num_warmup_steps=warmup_steps(stage, steps), num_training_steps=steps
    )


def warmup_steps(stage: Stage, steps: int) -> int:
    """Steps in which the rates rise; the first of them has rate 0."""
    return int((stage.warmup or 0.0) * steps)


def state_of(
    optimizer: torch.optim.Optimizer, scheduler: LRScheduler
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Both as they stand: all that is not a tensor, and the moments by name."""
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
    """Give a new optimizer over the same parameters the state that :func:`state_of` told."""
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
