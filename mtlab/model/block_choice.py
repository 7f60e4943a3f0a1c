"""Which blocks of a network a stage chooses among, and which of them train: what can be known before
training.
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
"""Of the turns that a plan counts the cost of; a trial has its own."""


def blocks(partition: Partition) -> tuple[str, ...]:
    """The blocks of which anything trains, bottom first."""
    touched = sorted(
        (unit for unit in partition.touched if unit.startswith("layers[")),
        key=lambda unit: int(unit[7:-1]),
    )
    return tuple(touched)


def check(stage: Stage, partition: Partition) -> None:
    """See that there is something to choose among.

    Args:
        stage: nothing is withheld in it.
        partition: of the stage.

    Raises:
        UserError: no block trains, or not more than are to be chosen; ``where`` is the key.
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
    """The stage in which of these blocks some alone train."""
    withheld = tuple(block for block in candidates if block not in training)
    return stage.model_copy(update={"withheld": withheld})


def expected(stage: Stage, network: Network, partition: Partition) -> tuple[Partition, ...]:
    """What trains in the turns of a stage, as far as it is known beforehand: in those that seed 0
    draws; with ``choose`` the lowest blocks, which cost most; with ``freeze_when`` all.

    Args:
        stage: nothing is withheld in it.
        network: any of its shape.
        partition: of the stage.
    """
    candidates = blocks(partition)
    if stage.rotate is not None:
        turns = range(-(-stage.epochs // stage.rotate.every))
        chosen = [turn(stage.rotate, candidates, number, SEED) for number in turns]
    elif stage.choose is not None:
        chosen = [candidates[: stage.choose.blocks]]
    else:
        return (partition,)
    return tuple(freezing.resolve(only(stage, candidates, some), network) for some in chosen)


def units_of(partition: Partition, block: str) -> list[str]:
    """The trained unit, or sub-units, of a block."""
    return [name for name in partition.trained_units if sub_units.owner(name) == block]
