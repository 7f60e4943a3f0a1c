"""The pieces of a stage that does not train all its blocks at once: each piece is the stage with
some units withheld.
"""

from collections.abc import Collection

from mtlab.model import block_choice, freezing
from mtlab.model.freezing import Partition
from mtlab.plan.scenario import Stage
from mtlab.record.pieces import name_of_stage
from mtlab.train.loop import block_choice as scoring
from mtlab.train.loop import schedule
from mtlab.train.loop.block_choice import GradientSums
from mtlab.train.state import TrialState


def first(state: TrialState, stage: Stage) -> Stage:
    """The first piece of a stage; the stage itself, if it has neither ``rotate`` nor ``choose``.

    Args:
        state: of the trial, as the stage begins.
        stage: of the scenario.
    """
    if stage.rotate is not None:
        return turned(state, stage, 0, stage.epochs) or stage
    if stage.choose is None:
        return stage
    partition = freezing.resolve(stage, state.network)
    scores = _scores(state, stage, partition)
    ranked = sorted(scores, key=lambda block: -scores[block])
    state.history.scores = scores
    return _only(stage, partition, ranked[: stage.choose.blocks])


def turned(state: TrialState, stage: Stage, done: int, left: int) -> Stage | None:
    """The piece of the turn that begins after ``done`` epochs of a stage; None if no turn begins
    then.

    Args:
        state: of the trial.
        stage: of the scenario.
        done: epochs of the stage that are done.
        left: epochs that are left.
    """
    assert stage.rotate is not None
    number, within = divmod(done, stage.rotate.every)
    if within:
        return None
    partition = freezing.resolve(stage, state.network)
    candidates = block_choice.blocks(partition)
    training = block_choice.turn(stage.rotate, candidates, number, state.trial.seed)
    return _only(_later(stage, left) if done else stage, partition, training)


def shrunk(
    state: TrialState, piece: Stage, done: int, left: int, sums: GradientSums
) -> Stage | None:
    """The rest of a stage, with those blocks frozen that learn little; None if there are none.

    Args:
        state: of the trial; the norms of this look are stored in its history.
        piece: the piece that trained so far.
        done: epochs of the stage that are done.
        left: epochs that are left.
        sums: of the gradients since the last look.
    """
    assert piece.freeze_when is not None
    if done % piece.freeze_when.every:
        return None
    norms = sums.take()
    frozen, changes = scoring.still(piece.freeze_when, state.history.norms, norms)
    state.history.norms = norms
    if not frozen:
        return None
    state.history.scores = changes
    withheld = dict.fromkeys((*piece.withheld, "embeddings", *frozen))
    shorter = _later(piece, left).model_copy(update={"withheld": tuple(withheld)})
    training = block_choice.blocks(freezing.resolve(shorter, state.network))
    return _named(shorter, training)


def _scores(state: TrialState, stage: Stage, partition: Partition) -> dict[str, float]:
    """The scores of the blocks, for ``choose``; their time and FLOPs count as training."""
    prepared, tally = state.setup.prepared, state.tally
    done = state.record.epochs[-1].epoch if state.record.epochs else 0
    sentences = scoring.looked_at(prepared, stage, done)
    before = state.clock.laps["train"]
    with state.clock.lap("train"):
        runtime = state.setup.runtime
        # the first process computes them for all: rounding might make others choose other blocks
        scores = runtime.processes.once(
            lambda: scoring.scores(state.network, partition, stage, prepared, sentences, runtime)
        )
    state.history.uncached_s += state.clock.laps["train"] - before
    padded, exact = schedule.flops(prepared, partition, sentences)
    tally.flops, tally.flops_exact = tally.flops + padded, tally.flops_exact + exact
    return scores


def _only(stage: Stage, partition: Partition, training: Collection[str]) -> Stage:
    candidates = block_choice.blocks(partition)
    training_now = [block for block in candidates if block in training]
    return _named(block_choice.only(stage, candidates, training_now), training_now)


def _later(stage: Stage, left: int) -> Stage:
    """The rest of a stage that has begun: it has ``left`` epochs, and draws nothing anew."""
    return stage.model_copy(update={"epochs": left, "reinit": ()})


def _named(stage: Stage, training: Collection[str]) -> Stage:
    name = name_of_stage(stage.name)
    return stage.model_copy(update={"name": f"{name} ({', '.join(training)})"})
