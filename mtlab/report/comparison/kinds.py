"""What a scenario trains, read from its records. Claims use this, because a scenario's name says
nothing.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from mtlab.record.records import StageRecord
from mtlab.report.comparison.groups import Group


@dataclass(frozen=True)
class Kind:
    """A way to train: equal for scenarios that train the same parts in the same order, under any
    names.
    """

    name: str
    task: str = ""
    """The task whose head it is about, where it is about one."""
    top: int = 0
    """Blocks that train, counted from the top, where it is about them."""


NOTHING, HEADS, FULL, GRADUAL, OTHER = (
    Kind(name) for name in ("nothing", "heads", "full", "gradual", "other")
)


def head_frozen(task: str) -> Kind:
    """Everything trains but the head of ``task``."""
    return Kind("head frozen", task)


def one_head(task: str) -> Kind:
    """Nothing trains but the head of ``task``."""
    return Kind("one head", task)


def single_task(task: str) -> Kind:
    """The encoder and the head of ``task`` train, on that task's loss alone."""
    return Kind("single task", task)


def top_blocks(count: int) -> Kind:
    """The heads and so many blocks from the top train."""
    return Kind("top blocks", top=count)


def kind(stages: Sequence[StageRecord]) -> Kind:
    """The kind of a scenario whose records have these stages."""
    active = [stage for stage in stages if stage.epochs and stage.params_trainable]
    if not active:
        return NOTHING
    if any(
        stage.decay or stage.reinit or stage.chooses or stage.average is not None
        for stage in active
    ):
        return OTHER
    if any(
        units.trainable and units.frozen for stage in active for units in stage.parameters.values()
    ):
        return OTHER  # parts of blocks
    trained = [
        {name for name, units in stage.parameters.items() if units.trainable} for stage in active
    ]
    if len(active) == 1:
        return _one_stage(trained[0], set(active[0].parameters), active[0].losses)
    growing = all(before < after for before, after in itertools.pairwise(trained))
    return GRADUAL if growing and trained[-1] == set(active[-1].parameters) else OTHER


def find(group: Group, wanted: Kind) -> str | None:
    """The first scenario of a group that is of a kind and has a result."""
    return next(
        (
            name
            for name in group.scenarios
            if (trials := group.of(name)) and kind(trials[0].stages) == wanted
        ),
        None,
    )


def _one_stage(trained: set[str], units: set[str], losses: Sequence[str]) -> Kind:
    heads = {unit for unit in units if unit.startswith("head.")}
    encoder, trained_heads, rest = units - heads, trained & heads, trained - heads
    if {f"head.{task}" for task in losses} != heads:
        alone = len(losses) == 1 and trained_heads == {f"head.{losses[0]}"} and rest == encoder
        return single_task(losses[0]) if alone else OTHER
    if trained_heads == heads:
        return _all_heads(rest, encoder)
    still = heads - trained_heads
    if rest == encoder and len(still) == 1:
        return head_frozen(still.pop().removeprefix("head."))
    if not rest and len(trained_heads) == 1:
        return one_head(trained_heads.pop().removeprefix("head."))
    return OTHER


def _all_heads(rest: set[str], encoder: set[str]) -> Kind:
    """All heads train, and ``rest`` of the encoder."""
    if rest in (set(), encoder):
        return FULL if rest else HEADS
    blocks, trained = (
        sum(unit.startswith("layers[") for unit in units) for units in (encoder, rest)
    )
    top = {f"layers[{index}]" for index in range(blocks - trained, blocks)}
    return top_blocks(trained) if rest in (top, top | {"after"}) and trained else OTHER
