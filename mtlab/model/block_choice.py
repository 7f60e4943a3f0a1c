"""Which blocks of a network a stage chooses among, and which of them train, as far as this is known
before training.
"""

from collections.abc import Collection, Sequence

import torch

from mtlab.model import freezing, sub_units
from mtlab.model.freezing import Network, Partition
from mtlab.model.network import generator
from mtlab.plan.block_choice import Rotate
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage
from mtlab.plan.words import counted

SEED = 0
"""The seed of the turns whose cost a plan counts; a trial uses its own seed."""


def blocks(partition: Partition) -> tuple[str, ...]:
    """The blocks that train as a whole or in part, bottom first."""
    touched = sorted(
        (unit for unit in partition.touched if unit.startswith("layers[")),
        key=lambda unit: int(unit[7:-1]),
    )
    return tuple(touched)


def check(stage: Stage, partition: Partition) -> None:
    """Check that a stage has more blocks than it chooses.

    Args:
        stage: a stage without withheld units.
        partition: of the stage.

    Raises:
        UserError: the stage trains no more blocks than it is to choose; ``where`` is the key.
    """
    key = stage.chooses
    if not key:
        return
    number = len(blocks(partition))
    chosen = getattr(getattr(stage, key), "blocks", 1)
    if number <= chosen:
        problem = f"{key} needs more than {counted(chosen, 'block')} to choose among, and `train` names {number}"
        remedy = "name more blocks in `train`, as in layers[0:]"
        raise UserError(problem, remedy, where=key, code="conflict")


def turn(rotate: Rotate, candidates: Sequence[str], number: int, seed: int) -> tuple[str, ...]:
    """The blocks that train in a turn of a rotation.

    Args:
        rotate: of the stage.
        candidates: the blocks that its ``train`` names, bottom first.
        number: of the turn, from 0.
        seed: of the trial.
    """
    count = len(candidates)
    places = [(number * rotate.blocks + place) % count for place in range(rotate.blocks)]
    if rotate.order == "down":
        places = [count - 1 - place for place in places]
    if rotate.order == "random":
        drawn = torch.randperm(count, generator=generator(f"rotate.{number}", seed))
        places = drawn[: rotate.blocks].tolist()
    return tuple(candidates[place] for place in sorted(places))


def only(stage: Stage, candidates: Sequence[str], training: Collection[str]) -> Stage:
    """A copy of the stage in which, of the candidates, only the blocks in ``training`` train."""
    withheld = tuple(block for block in candidates if block not in training)
    return stage.model_copy(update={"withheld": withheld})


def expected(stage: Stage, network: Network, partition: Partition) -> tuple[Partition, ...]:
    """The partitions of a stage's turns, as far as they are known before training.

    With ``rotate`` they are those of the turns that seed 0 draws; with ``choose``, that of the
    lowest blocks, which cost most; with ``freeze_when``, that of all blocks.

    Args:
        stage: a stage without withheld units.
        network: any network of the same shape.
        partition: of the stage.
    """
    candidates = blocks(partition)
    if stage.rotate is not None:
        turns = range(-(-stage.epochs // stage.rotate.every))
        choices = [turn(stage.rotate, candidates, number, SEED) for number in turns]
    elif stage.choose is not None:
        choices = [candidates[: stage.choose.blocks]]
    else:
        return (partition,)
    return tuple(freezing.resolve(only(stage, candidates, chosen), network) for chosen in choices)


def units_of(partition: Partition, block: str) -> list[str]:
    """The names under which a block trains: its unit, or those of its sub-units that train."""
    return [name for name in partition.trained_units if sub_units.owner(name) == block]
