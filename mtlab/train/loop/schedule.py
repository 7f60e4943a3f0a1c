"""The steps of a stage, known before it runs: their batches, tasks and FLOPs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtlab.data import batches
from mtlab.model.flops import Cost
from mtlab.model.freezing import Partition
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage
from mtlab.train.prepare import Prepared
from mtlab.train.stage_plan import StagePlan


@dataclass(frozen=True, slots=True)
class Step:
    """One training step: the examples of its batch, and the tasks whose losses count: those that
    the examples' source has labels for.

    Attributes:
        ids: of the training split; of the source data's where the step rehearses.
        tasks: whose losses count.
        kept: tasks whose logits distillation keeps near the teacher's.
        rehearsal: whether the step is on source sentences.
    """

    ids: tuple[int, ...]
    tasks: tuple[str, ...]
    kept: tuple[str, ...] = ()
    rehearsal: bool = False


def epoch(prepared: Prepared, stage: Stage, number: int) -> list[Step]:
    """The steps of one epoch: the same for every scenario and seed whose stage has the same losses
    and mitigations.

    Args:
        prepared: the data.
        stage: for its losses and mitigations.
        number: the epoch, counted over all stages of the trial.
    """
    tasks = [
        tuple(task for task in labelled if task in stage.losses)
        for labelled in prepared.corpus.served
    ]
    sources = [source for source, useful in enumerate(tasks) if useful]
    experiment, encoded = prepared.experiment, prepared.encoded["train"]
    order = batches.epoch(encoded, sources, experiment.batch_size, experiment.data_seed, number)
    kept = stage.silent if stage.distillation else ()
    steps = [Step(ids, tasks[encoded.examples.sources[ids[0]]], kept) for ids in order]
    return _with_rehearsal(prepared, stage, steps, number) if stage.rehearsal else steps


def epochs(prepared: Prepared, plan: StagePlan) -> Iterator[list[Step]]:
    """The steps of each epoch of a stage, made when they are asked for."""
    for number in range(plan.stage.epochs):
        yield epoch(prepared, plan.stage, plan.first_epoch + number)


def _with_rehearsal(
    prepared: Prepared, stage: Stage, steps: Sequence[Step], number: int
) -> list[Step]:
    """Insert steps on source sentences, at equal distances, with the losses that the stage leaves
    out.

    This is experience replay (Robins 1995; Rolnick et al. 2019). An epoch continues in the source
    sentences where the one before it ended.
    """
    assert prepared.source is not None, "the experiment was checked"
    wanted, first = (
        round(stage.rehearsal * len(steps)),
        (number * round(stage.rehearsal * len(steps))),
    )
    changes = {"losses": stage.silent, "distillation": 0.0, "rehearsal": 0.0}
    of_source = stage.model_copy(update=changes)
    passes: dict[int, list[Step]] = {0: epoch(prepared.source, of_source, 0)}
    if not passes[0]:
        raise UserError(
            f"the source data have no labels for {' and '.join(stage.silent)}",
            "take rehearsal out",
            where="start.data",
            code="no-labels",
        )
    rehearsed = []
    for turn in range(first, first + wanted):
        lap, place = divmod(turn, len(passes[0]))
        if lap not in passes:
            passes[lap] = epoch(prepared.source, of_source, lap)
        rehearsed.append(replace(passes[lap][place], rehearsal=True))
    placed = [(float(at), planned) for at, planned in enumerate(steps)]
    placed += [
        ((turn + 1) * len(steps) / wanted - 0.5, planned) for turn, planned in enumerate(rehearsed)
    ]
    return [planned for _, planned in sorted(placed, key=lambda place: place[0])]


def flops(
    prepared: Prepared, partition: Partition, steps: Sequence[Step], cached: bool = False
) -> tuple[int, int]:
    """FLOPs of training steps as they run, padding included, and what they would be without
    padding.

    Args:
        prepared: lengths of sentences and the cost of a step.
        partition: what the steps train.
        steps: the steps.
        cached: leave out the frozen prefix, as if its hidden states were cached.
    """
    padded = exact = 0
    costs = {
        tasks: prepared.counter.step(partition, tasks)
        for tasks in {_computed(planned) for planned in steps}
    }
    if cached and "embeddings" in partition.frozen:
        costs = {
            tasks: cost - prepared.counter.prefix(partition.prefix_depth)
            for tasks, cost in costs.items()
        }
    for planned in steps:
        cost, lengths = costs[_computed(planned)], lengths_of(prepared, planned)
        padded += cost.padded(len(lengths), max(lengths))
        exact += cost.exact(lengths)
    return padded, exact


def lengths_of(prepared: Prepared, planned: Step) -> list[int]:
    """Tokens of each sentence of a step."""
    lengths: list[int] = (
        prepared.examples("train", of_source=planned.rehearsal).lengths[list(planned.ids)].tolist()
    )
    return lengths


def _computed(planned: Step) -> tuple[str, ...]:
    """The tasks whose heads a step computes, forward and backward."""
    return (*planned.tasks, *(task for task in planned.kept if task not in planned.tasks))


def evaluation_flops(prepared: Prepared, split: str, depth: int = 0) -> int:
    """FLOPs of one forward pass over a split from block ``depth`` on, padding not counted."""
    return forward_flops(prepared, prepared.encoded[split].examples.lengths, depth)


def forward_flops(prepared: Prepared, lengths: Sequence[int] | np.ndarray, depth: int = 0) -> int:
    """FLOPs of a forward pass from block ``depth`` on over sentences of these lengths, padding not
    counted.
    """
    return _above(prepared, depth).exact(lengths)


def _above(prepared: Prepared, depth: int) -> Cost:
    blocks = prepared.counter.prefix(len(prepared.pristine.blocks))
    return blocks - prepared.counter.prefix(depth) if depth else blocks
