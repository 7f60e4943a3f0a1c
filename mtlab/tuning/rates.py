"""The course of the learning rates in a stage of a Trainer: the stage's own schedule; else that of
the Trainer's arguments, which begins again in every stage; or that of a scheduler of the user's
own, which continues over all stages.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainingArguments, get_scheduler

from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage
from mtlab.train.loop.course import Course
from mtlab.tuning.optimizer import original

Factor = Callable[[int], float]
"""A function from a step, counted from 0, to the factor on the rates."""


class Chosen(Course):
    """A course whose factors a function gives.

    Args:
        stage: the stage, with its cooldown.
        steps: the number of steps of the stage; with patience, the most.
        function: from a step to the factor.
    """

    def __init__(self, stage: Stage, steps: int, function: Factor) -> None:
        super().__init__(stage, steps)
        self.function = function

    def _planned(self, step: int) -> float:
        return float(self.function(step))


def chosen(scheduler: Any, args: TrainingArguments, max_steps: int) -> Factor | None:
    """The function of the user's own scheduler; None if the Trainer created the scheduler from its
    arguments.

    Raises:
        UserError: its rates are not one function of the step.
    """
    functions = original(scheduler) if isinstance(scheduler, LambdaLR) else []
    if not functions or any(not _same(function, functions[0]) for function in functions):
        raise UserError(
            f"the rates of {type(scheduler).__name__} are not one function of the step",
            "take another `lr_scheduler_type`, such as constant, linear or cosine",
            where="lr_scheduler_type",
            code="conflict",
        )
    usual = _of_arguments(args, max_steps, args.get_warmup_steps(max_steps))
    own: Factor = functions[0]
    return None if _same(own, usual) else own


def course(
    stage: Stage, steps: int, first: int, args: TrainingArguments, own: Factor | None
) -> Course:
    """The course of a stage.

    Args:
        stage: the stage, with its cooldown; what it leaves open is taken from ``args``.
        steps: the number of steps of the stage; with patience, the most.
        first: the step of the whole training at which the stage begins.
        args: the Trainer's arguments.
        own: the result of :func:`chosen`; it is called with steps of the whole training.
    """
    warmup = stage.warmup_steps
    if warmup is None:
        has_warmup = stage.warmup is not None
        warmup = int((stage.warmup or 0.0) * steps) if has_warmup else args.get_warmup_steps(steps)
    filled = stage.model_copy(update={"warmup_steps": warmup})
    if stage.schedule is not None:
        return Course(filled, steps)
    if own is not None:
        return Chosen(filled, steps, lambda step: own(first + step))
    return Chosen(filled, steps, _of_arguments(args, steps, warmup))


def check(stage: Stage, args: TrainingArguments, own: Factor | None) -> None:
    """Refuse a stage whose warm-up or patience does not fit the schedule of its rates.

    Raises:
        UserError: there is such a mistake; ``where`` is the key of the stage.
    """
    name = str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type))
    warms = stage.warmup is not None or stage.warmup_steps is not None
    if stage.schedule is None and warms and (own is not None or name == "constant"):
        raise UserError(
            "the scheduler of the Trainer has no warm-up",
            "add `schedule: constant` to the stage",
            where="warmup" if stage.warmup is not None else "warmup_steps",
            code="conflict",
        )
    if stage.patience is None:
        return
    schedule = stage.schedule or ("" if own else name.removesuffix("_with_warmup"))
    if schedule != "constant":
        raise UserError(
            "patience needs constant rates, which its cooldown ends",
            "add `schedule: constant` to the stage",
            where="patience",
            code="conflict",
        )
    share = stage.warmup if warms else 0 < args.warmup_steps < 1
    if share and stage.warmup_steps is None:
        raise UserError(
            "with patience the number of steps is not known before, so warmup cannot be a share of it",
            "write warmup_steps",
            where="warmup" if stage.warmup else "patience",
            code="conflict",
        )


def _of_arguments(args: TrainingArguments, steps: int, warmup: int) -> Factor:
    """The function of the scheduler that transformers creates from these arguments."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(
        args.lr_scheduler_type,
        optimizer=optimizer,
        num_warmup_steps=warmup,
        num_training_steps=steps,
        scheduler_specific_kwargs=args.lr_scheduler_kwargs,
    )
    if not isinstance(scheduler, LambdaLR):
        return lambda _step: 1.0
    function: Factor = scheduler.lr_lambdas[0]
    return function


def _same(function: Any, other: Any) -> bool:
    """Whether two functions are equal: partials with equal arguments, or functions with the same
    code.
    """
    if isinstance(function, partial) and isinstance(other, partial):
        return (function.func, function.args, function.keywords) == (
            other.func,
            other.args,
            other.keywords,
        )
    return getattr(function, "__code__", function) is getattr(other, "__code__", other)
