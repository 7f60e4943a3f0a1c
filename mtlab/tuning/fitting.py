"""Checks that the arguments of a Trainer allow the stages to run as written."""

import math
from typing import Any

from transformers import TrainerState, TrainingArguments

from mtlab.plan.errors import UserError
from mtlab.plan.words import counted
from mtlab.tuning.stages import Reading


def check(args: TrainingArguments, reading: Reading) -> None:
    """Check the arguments of a Trainer.

    Args:
        args: the arguments.
        reading: the stages.

    Raises:
        UserError: an argument does not fit the stages; ``where`` is its name.
    """
    mode = str(getattr(args.parallel_mode, "value", args.parallel_mode))
    if mode != "not_parallel" or args.fsdp or args.deepspeed:
        raise _mistake(
            "several processes or devices train this model, and a stage freezes it on one",
            "start one process on one device, as with CUDA_VISIBLE_DEVICES=0",
            "parallel_mode",
        )
    if args.max_steps > 0:
        raise _mistake("stages last whole epochs", "take it out", "max_steps")
    epochs = reading.epochs
    if args.num_train_epochs != epochs:
        raise _mistake(
            f"the stages last {counted(epochs, 'epoch')}, and the Trainer {args.num_train_epochs:g}",
            f"write num_train_epochs={epochs}",
            "num_train_epochs",
        )
    if not reading.patient:
        return
    strategy = getattr(args.eval_strategy, "value", args.eval_strategy)
    if strategy != "epoch":
        raise _mistake(
            "a stage has patience, which looks at one evaluation an epoch",
            'write eval_strategy="epoch"',
            "eval_strategy",
        )
    if args.metric_for_best_model is None:
        raise _mistake(
            "a stage has patience, and no metric is named that it could watch",
            'write metric_for_best_model="loss", or another metric of your evaluation',
            "metric_for_best_model",
        )


def steps_of(loader: Any, args: TrainingArguments) -> int:
    """Optimizer steps of an epoch.

    Raises:
        UserError: the dataset has no length.
    """
    try:
        batches = len(loader)
    except TypeError:
        raise _mistake(
            "stages last whole epochs, and the dataset has no length",
            "give a dataset with `__len__`",
            "train_dataset",
        ) from None
    return max(1, math.ceil(batches / args.gradient_accumulation_steps))


def saved_by_steps(args: TrainingArguments, state: TrainerState) -> bool:
    """Whether the Trainer wrote a checkpoint after the last step, because it writes one every
    ``save_steps`` steps.
    """
    by_steps = getattr(args.save_strategy, "value", args.save_strategy) == "steps"
    return by_steps and state.save_steps > 0 and state.global_step % state.save_steps == 0


def watched(args: TrainingArguments) -> str:
    """The name of the metric that patience watches."""
    name = str(args.metric_for_best_model)
    return name if name.startswith("eval_") else f"eval_{name}"


def score(args: TrainingArguments, value: float) -> float:
    """A metric as a score; higher is better."""
    better = args.greater_is_better
    if better is None:
        better = not watched(args).endswith("loss")
    return float(value) if better else -float(value)


def _mistake(problem: str, remedy: str, where: str) -> UserError:
    return UserError(problem, remedy, where=where, code="conflict")
