"""Stage plans: all that is known of a scenario's stages before training, worked out once."""

from collections.abc import Sequence
from dataclasses import dataclass

from mtlab.model import block_choice, freezing, reinit
from mtlab.model.freezing import Partition
from mtlab.model.network import Network
from mtlab.plan.block_choice import KEYS
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage


@dataclass(frozen=True)
class StagePlan:
    """A stage, resolved against a network.

    Attributes:
        stage: as the scenario has it.
        partition: what trains at which rate, and what is frozen.
        cached_depth: blocks whose output may be read from the cache; 0 without a cache, and where
            a mitigation needs the whole network.
        untouched: whether no earlier stage trained anything below ``cached_depth``, and no stage up
            to this one draws anything anew there.
        first_epoch: epochs of the stages before; with patience, the most that there may be.
        turns: what trains in the turns of a stage that chooses blocks, as far as it is known
            beforehand (:func:`mtlab.model.block_choice.expected`).
    """

    stage: Stage
    partition: Partition
    cached_depth: int
    untouched: bool
    first_epoch: int
    turns: tuple[Partition, ...]

    def at(self, epoch: int) -> Partition:
        """What trains in an epoch of the stage, as far as it is known beforehand."""
        turn = epoch // self.stage.rotate.every if self.stage.rotate is not None else 0
        return self.turns[turn]

    @property
    def stacks(self) -> bool:
        """Whether seeds can train as one stacked problem: only heads train, on cached states that
        are the same for all seeds. Where blocks are drawn anew, states differ from seed to seed.
        """
        able = bool(self.cached_depth and self.stage.epochs) and not self.stage.reinit
        return able and only_heads(self.partition)


def in_step(plans: Sequence[StagePlan]) -> bool:
    """Whether seeds can train these stages as one stacked problem.

    A stage that patience may end must be the last: each seed may end it at another epoch, and would
    then meet other batches than the rest in the next stage.
    """
    trained = [plan for plan in plans if plan.stage.epochs]
    ends_once = all(plan.stage.patience is None for plan in trained[:-1])
    return ends_once and all(plan.stacks for plan in trained)


def plan_stages(stages: Sequence[Stage], network: Network, cached: bool) -> tuple[StagePlan, ...]:
    """The plans of a scenario's stages, in order.

    Args:
        stages: of the scenario.
        network: any network of the same shape; weights do not matter.
        cached: whether there is a cache of frozen prefixes.

    Raises:
        UserError: a selector does not fit the network; ``where`` is ``INDEX.train.SELECTOR`` or
            ``INDEX.reinit``, or another key of the stage.
    """
    plans: list[StagePlan] = []
    changed: set[str] = set()
    epochs = 0
    for index, stage in enumerate(stages):
        key = "reinit"
        try:
            changed |= reinit.resolve(stage, network).touched
            key = "train"
            plans.append(_plan(stage, network, cached, changed, epochs))
        except UserError as error:
            place = key if key == "reinit" else f"train.{error.where}"
            place = error.where if error.where in KEYS else place
            where = f"{index}.{place}"
            raise UserError(error.problem, error.remedy, where=where, code=error.code) from None
        changed |= plans[-1].partition.touched
        epochs += stage.epochs
    return tuple(plans)


def _plan(
    stage: Stage, network: Network, cached: bool, changed: set[str], first_epoch: int
) -> StagePlan:
    partition = freezing.resolve(stage, network)
    block_choice.check(stage, partition)
    turns = block_choice.expected(stage, network, partition)
    depth = cached_depth(stage, partition, cached)
    below = {"embeddings", *(f"layers[{index}]" for index in range(depth))}
    return StagePlan(stage, partition, depth, not below & changed, first_epoch, turns)


def cached_depth(stage: Stage, partition: Partition, cached: bool) -> int:
    """Blocks whose output may be read from the cache in a stage, or in a piece of one.

    With ``rotate`` it is 0: states would be used in one turn only, and cost as much as they save
    there.
    """
    able = cached and not stage.mitigated and stage.rotate is None
    return partition.prefix_depth if able else 0


def only_heads(partition: Partition) -> bool:
    """Whether heads train and nothing else does."""
    units = partition.trained_units
    return bool(units) and all(unit.startswith("head.") for unit in units)
