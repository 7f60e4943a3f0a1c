"""The lines of a plan about stages: what trains at which rate, what is frozen, and when."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mtlab.model import block_choice, reinit, sub_units
from mtlab.model.freezing import Partition, units
from mtlab.plan.words import counted
from mtlab.train.loop import schedule
from mtlab.train.loop.schedule import Step
from mtlab.train.prepare import Prepared
from mtlab.train.stage_plan import StagePlan


@dataclass(frozen=True)
class Planned(StagePlan):
    """A stage plan with the steps of each of its epochs."""

    epochs: list[list[Step]]

    @property
    def steps(self) -> list[Step]:
        """The steps of all epochs."""
        return [step for steps in self.epochs for step in steps]

    def flops(self, prepared: Prepared, cached: bool = False) -> tuple[int, int]:
        """See :func:`mtlab.train.loop.schedule.flops`. For a stage that chooses blocks, these are
        the FLOPs of the choices that are expected, with the frozen prefix below all its blocks.
        """
        depth = self.partition.prefix_depth
        costs = [
            schedule.flops(
                prepared, replace(self.at(number), prefix_depth=depth), steps, cached=cached
            )
            for number, steps in enumerate(self.epochs)
        ]
        return sum(padded for padded, _ in costs), sum(exact for _, exact in costs)


def stage_lines(prepared: Prepared, stages: list[Planned]) -> Iterator[str]:
    """What the stages of a scenario train, and for how long."""
    for plan in stages:
        stage, losses = plan.stage, " + ".join(plan.stage.losses)
        epochs, steps = counted(stage.epochs, "epoch"), counted(len(plan.steps), "step")
        most = "" if stage.patience is None else "up to "
        yield f"  {stage.name}: {most}{epochs}, {most}{steps} of {prepared.experiment.batch_size}, losses {losses}"
        if stage.patience is not None:
            yield f"    patience {stage.patience}, then a cooldown of {counted(stage.cooldown or 0, 'epoch')}"
        mitigations = [
            f"{key} {getattr(stage, key):g}"
            for key in ("rehearsal", "l2_sp", "distillation")
            if getattr(stage, key)
        ]
        if mitigations:
            yield f"    with {', '.join(mitigations)}"
        if stage.guidance is not None:
            rules = stage.guidance
            yield f"    guided by each task's validation {rules.monitor}, patience {rules.patience}: {', then '.join(rules.actions)}"
        yield from _chosen_lines(plan)
        yield from _drawn_lines(prepared, plan)
        yield from _partition_lines(prepared, plan.partition)


def _chosen_lines(plan: StagePlan) -> Iterator[str]:
    """Which blocks train when, if the stage chooses blocks; and the average, if one is tested."""
    stage, number = plan.stage, len(block_choice.blocks(plan.partition))
    if stage.choose is not None:
        by = stage.choose.by.replace("_", " ")
        yield f"    chooses {stage.choose.blocks} of {number} blocks by {by}; FLOPs are those of the lowest ones, the most that it may take"
    if stage.rotate is not None:
        every, order = counted(stage.rotate.every, "epoch"), stage.rotate.order
        yield f"    trains {stage.rotate.blocks} of {number} blocks at a time, others every {every}, order {order}"
    if stage.freeze_when is not None:
        share, every = stage.freeze_when.percentile, counted(stage.freeze_when.every, "epoch")
        yield f"    every {every}: freezes the lowest blocks, up to the first whose gradients change by percentile {share:g} or more"
    if stage.average is not None:
        yield f"    is tested with start + {stage.average:g} × (trained − start)"


def _drawn_lines(prepared: Prepared, plan: StagePlan) -> Iterator[str]:
    """What a stage draws anew, where it does."""
    network = prepared.counter.network
    drawn = reinit.resolve(plan.stage, network)
    counts = {name: unit.count for name, unit in units(network, drawn.divided).items()}
    names = tuple(name for group in drawn.trainable for name in group.units)
    if names:
        total = sum(counts[name] for name in names)
        yield f"    draws  {total:>12,}  anew: {_listed(names, counts)}"


def _partition_lines(prepared: Prepared, partition: Partition) -> Iterator[str]:
    network = prepared.counter.network
    counts = {name: unit.count for name, unit in units(network, partition.divided).items()}
    for group in partition.trainable:
        trained = sum(counts[name] for name in group.units)
        yield f"    trains {trained:>12,}  at {group.rate:g}: {_listed(group.units, counts)}"
    if not partition.trainable:
        yield f"    trains {0:>12,}"
    if partition.frozen:
        yield f"    frozen {sum(counts[name] for name in partition.frozen):>12,}  {_listed(partition.frozen, counts)}"
    yield f"    frozen prefix: {partition.prefix_depth} of {len(prepared.pristine.blocks)} blocks"


def _listed(names: tuple[str, ...], counts: Mapping[str, int]) -> str:
    """Names with their counts; neighbouring blocks of one size, or the same parts of them, are
    written as a slice.
    """
    runs: list[list[str]] = []
    for name in sorted(names, key=_part):
        before = runs[-1][-1] if runs else ""
        both_blocks = name.startswith("layers[") and before.startswith("layers[")
        if both_blocks and (counts[name], _part(name)) == (counts[before], _part(before)):
            runs[-1].append(name)
        else:
            runs.append([name])
    parts = []
    for run in runs:
        first, last = map(sub_units.owner, (run[0], run[-1]))
        slice_ = first if len(run) == 1 else f"{first[:-1]}:{int(last[7:-1]) + 1}]"
        first, slice_ = run[0], slice_ + _part(run[0])
        parts.append(f"{slice_} {'' if len(run) == 1 else f'{len(run)} × '}{counts[first]:,}")
    return ", ".join(parts)


def _part(name: str) -> str:
    """What follows the unit's name in the name of a sub-unit; empty for a unit."""
    return name.removeprefix(sub_units.owner(name))
