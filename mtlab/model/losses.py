"""The losses of heads, by the names that kinds of tasks use for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from mtlab.tasks.kind import IGNORE, Task


@dataclass(frozen=True)
class Loss:
    """A loss and the functions that belong to it. Logits are (items, outputs) in fp32, and targets
    are (items,) or (items, outputs).

    Attributes:
        each: logits and targets to the losses (items,), 0 where there is no target.
        total: logits and targets to the sum of the losses.
        given: targets to (items,): whether the item has a target.
        decide: logits (…, outputs) to predictions: the number of a class, whether each class is
            present, or a number.
        chances: logits (…, outputs) to probabilities of the same shape; a number stays as it is.
        nudged: logits, targets and a share to logits that are moved towards the targets, each by at
            most that share of the item's largest absolute logit (see :func:`_largest`).
        apart: a head's logits at an earlier time and now to (items, outputs), whose sum over
            outputs is a distance; for probabilities, the Kullback-Leibler divergence in nats.
    """

    each: Callable[[Tensor, Tensor], Tensor]
    total: Callable[[Tensor, Tensor], Tensor]
    given: Callable[[Tensor], Tensor]
    decide: Callable[[Tensor], Tensor]
    chances: Callable[[Tensor], Tensor]
    nudged: Callable[[Tensor, Tensor, float], Tensor]
    apart: Callable[[Tensor, Tensor], Tensor]


def _classes_apart(old: Tensor, new: Tensor) -> Tensor:
    before, after = (functional.log_softmax(logits, dim=-1) for logits in (old, new))
    return functional.kl_div(after, before, reduction="none", log_target=True)


def _class_nudged(logits: Tensor, targets: Tensor, share: float) -> Tensor:
    step = share * logits.abs().amax(dim=-1) * (targets >= 0)
    classes = functional.one_hot(targets.clamp(min=0), logits.shape[-1])
    return logits + step.unsqueeze(-1) * classes


def _labels_nudged(logits: Tensor, targets: Tensor, share: float) -> Tensor:
    return logits + share * _largest(logits) * (2 * targets - 1)


def _number_nudged(logits: Tensor, targets: Tensor, share: float) -> Tensor:
    bound = share * _largest(logits)
    return logits + (targets.unsqueeze(-1) - logits).clamp(-bound, bound)


def _largest(logits: Tensor) -> Tensor:
    """The largest absolute logit of each item, (items, 1), and at least 1: a logit near 0 is a sum
    of larger terms that cancel out, so its rounding error is not in proportion to it.
    """
    return logits.abs().amax(dim=-1, keepdim=True).clamp(min=1.0)


def _labels_each(logits: Tensor, targets: Tensor) -> Tensor:
    losses = functional.binary_cross_entropy_with_logits(
        logits, targets.clamp(min=0).to(logits.dtype), reduction="none"
    )
    return torch.where(targets[..., 0] != IGNORE, losses.mean(dim=-1), 0.0)


def _labels_apart(old: Tensor, new: Tensor) -> Tensor:
    present, absent = (
        functional.logsigmoid(sign * old).exp()
        * (functional.logsigmoid(sign * old) - functional.logsigmoid(sign * new))
        for sign in (1, -1)
    )
    return present + absent


def _number_each(logits: Tensor, targets: Tensor) -> Tensor:
    labelled = ~targets.isnan()
    gold = torch.where(labelled, targets, 0.0).to(logits.dtype)
    return torch.where(labelled, (logits[..., 0] - gold) ** 2, 0.0)


LOSSES: Mapping[str, Loss] = {
    "cross-entropy": Loss(
        each=partial(functional.cross_entropy, ignore_index=IGNORE, reduction="none"),
        total=partial(functional.cross_entropy, ignore_index=IGNORE, reduction="sum"),
        given=lambda targets: targets != IGNORE,
        decide=lambda logits: logits.argmax(dim=-1),
        chances=lambda logits: logits.softmax(dim=-1),
        nudged=_class_nudged,
        apart=_classes_apart,
    ),
    "binary cross-entropy": Loss(
        each=_labels_each,
        total=lambda logits, targets: _labels_each(logits, targets).sum(),
        given=lambda targets: targets[..., 0] != IGNORE,
        decide=lambda logits: logits > 0,
        chances=lambda logits: logits.sigmoid(),
        nudged=_labels_nudged,
        apart=_labels_apart,
    ),
    "squared error": Loss(
        each=_number_each,
        total=lambda logits, targets: _number_each(logits, targets).sum(),
        given=lambda targets: ~targets.isnan(),
        decide=lambda logits: logits[..., 0],
        chances=lambda logits: logits,
        nudged=_number_nudged,
        apart=lambda old, new: (old - new) ** 2,
    ),
}
"""Name to loss. ``binary cross-entropy`` is the mean over all labels for each sentence; ``squared
error`` is that of one standardised number."""


def losses_of(tasks: Mapping[str, Task]) -> dict[str, Loss]:
    """Task to its loss."""
    return {name: LOSSES[task.kind.loss] for name, task in tasks.items()}
