"""The course of a stage before it is run: which batches, for which tasks, at how many FLOPs."""

from collections.abc import Sequence
from dataclasses import dataclass

from mtlab.data import batches
from mtlab.model.flops import Cost
from mtlab.model.freezing import Partition
from mtlab.plan.scenario import Stage
from mtlab.train.prepare import Prepared


@dataclass(frozen=True, slots=True)
class Step:
    """One training step: the examples of its batch, and the tasks whose losses count (their source has labels for)."""

    ids: tuple[int, ...]
    tasks: tuple[str, ...]


def epoch(prepared: Prepared, stage: Stage, number: int) -> list[Step]:
    """The steps of one epoch: the same for every scenario and seed whose stage has the same losses.

    Args:
        prepared: the data.
        stage: for its losses.
        number: the epoch, counted over all stages of the trial.
    """
    tasks = [tuple(task for task in has if task in stage.losses) for has in prepared.corpus.tasks]
    sources = [source for source, useful in enumerate(tasks) if useful]
    experiment, encoded = prepared.experiment, prepared.encoded["train"]
    order = batches.epoch(encoded, sources, experiment.batch_size, experiment.data_seed, number)
    return [Step(ids, tasks[encoded.examples[ids[0]].source]) for ids in order]


def flops(prepared: Prepared, partition: Partition, steps: Sequence[Step], cached: bool = False) -> tuple[int, int]:
    """FLOPs of training steps as they run, padding included, and what they would be without padding.

    Args:
        prepared: lengths of sentences and the cost of a step.
        partition: what the steps train.
        steps: the steps.
        cached: leave out the frozen prefix, as if its hidden states were at hand.
    """
    padded = exact = 0
    costs = {tasks: prepared.counter.step(partition, tasks) for tasks in {one.tasks for one in steps}}
    if cached and "embeddings" in partition.frozen:
        costs = {tasks: cost - prepared.counter.prefix(partition.prefix_depth) for tasks, cost in costs.items()}
    examples = prepared.encoded["train"].examples
    for one in steps:
        cost, lengths = costs[one.tasks], [len(examples[index]) for index in one.ids]
        padded += cost.padded(len(lengths), max(lengths))
        exact += cost.exact(lengths)
    return padded, exact


def evaluation_flops(prepared: Prepared, split: str, depth: int = 0) -> int:
    """FLOPs of one forward pass over a split from block ``depth`` on, padding not counted."""
    return forward_flops(prepared, [len(example) for example in prepared.encoded[split].examples], depth)


def forward_flops(prepared: Prepared, lengths: Sequence[int], depth: int = 0) -> int:
    """FLOPs of a forward pass from block ``depth`` on over sentences of these lengths, padding not counted."""
    return _above(prepared, depth).exact(lengths)


def _above(prepared: Prepared, depth: int) -> Cost:
    blocks = prepared.counter.prefix(len(prepared.pristine.blocks))
    return blocks - prepared.counter.prefix(depth) if depth else blocks
