"""What decides which blocks train: the scores of ``choose``, the gradients of ``freeze_when``."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from mtlab.data import batches
from mtlab.data.batches import Batch
from mtlab.model import block_choice, freezing
from mtlab.model.freezing import Partition
from mtlab.model.losses import losses_of
from mtlab.model.network import Network
from mtlab.plan.block_choice import Choose, FreezeWhen
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage
from mtlab.train.loop import schedule
from mtlab.train.loop.schedule import Step
from mtlab.train.loop.step import FullForward, mean_loss
from mtlab.train.prepare import Prepared
from mtlab.train.resume import watchdog
from mtlab.train.runtime import Runtime

Scores = dict[str, float]
"""Block to the number that decides about it."""

Weights = dict[str, dict[str, nn.Parameter]]
"""Block to its trained weights by name."""


def trained_weights(network: Network, partition: Partition) -> Weights:
    """The trained weights of each block, bottom first."""
    units = freezing.units(network, partition.divided)
    return {
        block: {
            name: weight
            for unit in block_choice.units_of(partition, block)
            for name, weight in units[unit].parameters.items()
        }
        for block in block_choice.blocks(partition)
    }


def looked_at(prepared: Prepared, stage: Stage, first_epoch: int) -> list[Step]:
    """The sentences that ``choose`` looks at, each as a step of its own."""
    assert stage.choose is not None
    steps = [step for step in schedule.epoch(prepared, stage, first_epoch) if not step.rehearsal]
    some = steps[: stage.choose.batches]
    return [replace(planned, ids=(number,)) for planned in some for number in planned.ids]


def scores(
    network: Network,
    partition: Partition,
    stage: Stage,
    prepared: Prepared,
    sentences: Sequence[Step],
    runtime: Runtime,
) -> Scores:
    """The scores of blocks: :class:`mtlab.plan.block_choice.Choose` has the formulas.

    Args:
        network: it is left in eval mode, without gradients.
        partition: what the stage may train.
        stage: whose losses count.
        prepared: the data.
        sentences: of the training split, see :func:`looked_at`.
        runtime: device and precision.

    Raises:
        UserError: a score is not finite.
    """
    assert stage.choose is not None
    freezing.apply(network, partition)
    network.eval()
    blocks = trained_weights(network, partition)
    squared = stage.choose.by == "fisher"
    sums = {
        name: torch.zeros_like(weight)
        for of_block in blocks.values()
        for name, weight in of_block.items()
    }
    for loss in _losses(network, stage, prepared, sentences, runtime):
        network.zero_grad(set_to_none=True)
        loss.backward()
        for weights in blocks.values():
            for name, weight in weights.items():
                if weight.grad is not None:
                    sums[name] += weight.grad**2 if squared else weight.grad
    network.zero_grad(set_to_none=True)
    count = len(sentences)
    by_block = {
        block: _score(stage.choose, of_block, sums, count) for block, of_block in blocks.items()
    }
    if not all(map(math.isfinite, by_block.values())):
        problem = "a block has no relative gradient, for all its weights that train are 0"
        raise UserError(problem, "write `by: fisher`", where="choose.by", code="conflict")
    return by_block


def _score(
    choose: Choose, weights: Mapping[str, nn.Parameter], sums: Mapping[str, Tensor], count: int
) -> float:
    block_sums = [sums[name].double() for name in weights]
    if choose.by == "fisher":
        total = sum(float(tensor.sum()) for tensor in block_sums)
        return total / (max(1, count) * sum(tensor.numel() for tensor in block_sums))
    norms = [
        torch.stack([tensor.norm() for tensor in tensors]).norm()
        for tensors in (block_sums, [weight.detach().double() for weight in weights.values()])
    ]
    return float(norms[0] / norms[1]) if norms[1] else math.inf


def _losses(
    network: Network, stage: Stage, prepared: Prepared, sentences: Iterable[Step], runtime: Runtime
) -> Iterator[Tensor]:
    forward, losses = FullForward(network), losses_of(prepared.corpus.tasks)
    factors = prepared.experiment.loss_factors
    for planned in sentences:
        watchdog.beat()
        examples = prepared.encoded["train"].examples
        batch = batches.collate(examples, planned.ids, prepared.pad_id).to(runtime.device)
        with runtime.autocast():
            logits = forward(batch, planned.tasks)
        targets = batch.targets
        yield torch.stack(
            [
                factors[task]
                * stage.weight(task)
                * mean_loss(losses[task], logits[task], targets[task], targets[task], 1)
                for task in planned.tasks
            ]
        ).sum()


@dataclass(frozen=True)
class GradientSums:
    """The gradients of each block, added up over steps: a term that adds nothing to the loss
    (:class:`mtlab.train.loop.step.Term`).

    Attributes:
        weights: whose gradients they are.
        sums: by name.
    """

    weights: Weights
    sums: dict[str, Tensor]

    @classmethod
    def over(cls, network: Network, partition: Partition) -> "GradientSums":
        """Sums over the trained weights, which begin at 0."""
        weights = trained_weights(network, partition)
        by_name = {
            name: weight for of_block in weights.values() for name, weight in of_block.items()
        }
        return cls(weights, {name: torch.zeros_like(weight) for name, weight in by_name.items()})

    def tasks(self, losses: Sequence[str]) -> tuple[str, ...]:
        """None: the term reads gradients alone."""
        return ()

    def loss(
        self, logits: Mapping[str, Tensor], part: Batch, batch: Batch, processes: int
    ) -> Tensor:
        """Never called: :meth:`tasks` names none."""
        raise AssertionError("gradients are read, and no loss is added")

    def after_backward(self) -> None:
        """Add the gradients of a step."""
        for weights in self.weights.values():
            for name, weight in weights.items():
                if weight.grad is not None:
                    self.sums[name] += weight.grad

    def take(self) -> Scores:
        """The L1 norm of each block's sum; afterwards the sums begin at 0 again."""
        norms = {
            block: float(sum(self.sums[name].abs().sum(dtype=torch.float64) for name in of_block))
            for block, of_block in self.weights.items()
        }
        for total in self.sums.values():
            total.zero_()
        return norms


def still(rule: FreezeWhen, before: Scores, now: Scores) -> tuple[list[str], Scores]:
    """The blocks that ``freeze_when`` freezes, bottom first, and the change of each block's
    gradients.

    Args:
        rule: of the stage.
        before: the norms at the look before; where there are none, nothing is frozen.
        now: the norms of the blocks that train, bottom first.
    """
    if not before:
        return [], {}
    changes = {
        block: abs(before[block] - norm) / before[block] if before[block] else 0.0
        for block, norm in now.items()
    }
    bound = np.percentile(list(changes.values()), rule.percentile)
    # by rounding, a percentile between two values may be slightly above the largest value
    bound = min(float(bound), max(changes.values()))
    frozen = []
    for block, change in changes.items():
        if change >= bound:
            break
        frozen.append(block)
    return frozen, changes
