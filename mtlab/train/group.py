"""Trials that run together: the seeds of a scenario, whose heads train as one problem where only
heads train.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch

from mtlab.launch import Lost
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.train.cache.heads import Heads
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.measure.machine import Machine
from mtlab.train.measure.memory import Memory
from mtlab.train.measure.occupancy import Occupancy
from mtlab.train.measure.uncached import Plain
from mtlab.train.prepare import Prepared
from mtlab.train.resume.keeper import Keeper
from mtlab.train.resume.signals import Stopped
from mtlab.train.resume.unfinished import Died, Unfinished
from mtlab.train.runtime import Runtime
from mtlab.train.shared import Advance, HeadsEpoch, Shared
from mtlab.train.trial import Run


def run_trials(
    prepared: Prepared,
    trials: Sequence[Trial],
    runtime: Runtime,
    journal: Journal,
    prefixes: Prefixes | None,
    advance: Advance,
    say: Callable[[str], None] = print,
    apart: str = "",
) -> list[Run]:
    """Run trials of one scenario that differ in their seed alone, write their records, and return
    them with their networks.

    They run one after another but where heads train on states of a frozen encoder: there they train
    together. A trial that fails leaves a record too, with its reason as status; the others go on.
    Trials that were interrupted go on from their last checkpoint.

    Args:
        prepared: what the trials run on.
        trials: of one scenario and point.
        runtime: device, precision and threads.
        journal: where records go.
        prefixes: states of frozen prefixes; None computes everything each time.
        advance: is told what was done.
        say: tells the user what happened to a checkpoint.
        apart: why times here do not compare with those of other trials, if they do not.

    Raises:
        Stopped: the process was asked to stop; a checkpoint is written.
        Lost: of several processes this one failed, or another did.
        UserError: a record cannot be written.
    """
    memory = Memory(runtime)
    keys = [prepared.key(trial, runtime) for trial in trials]
    keeper = Keeper(
        Unfinished(journal.directory, keys, say),
        prepared.experiment.checkpoints,
        say,
        runtime.processes,
    )
    machine, occupancy = Machine(runtime.device), Occupancy(runtime.device, apart)
    shared = Shared(
        prepared,
        runtime,
        journal,
        prefixes,
        advance,
        memory,
        Plain(prepared, runtime, memory),
        keeper,
        machine,
        occupancy,
    )
    runs = [Run(shared, trial) for trial in trials]
    try:
        keeper.begin()
    except Died as error:
        for run in runs:
            run.finish(str(error))
        keeper.end()
        return runs
    if keeper.saved is not None:
        say(f"{', '.join(trial.label for trial in trials)}: going on from the last checkpoint")
    devices = [runtime.device] if runtime.device.type == "cuda" else []
    own = (
        runtime.device.type == "cuda" or runtime.processes.leads
    )  # several processes that share a CPU are no strangers there
    try:
        # dropout draws from torch's global stream; the caller's is left as it was
        with (
            machine,
            occupancy if own else nullcontext(),
            torch.random.fork_rng(devices),
            keeper.watched(),
        ):
            _go(runs)
    except Lost as error:
        keeper.left(str(error))
        raise
    except Stopped:
        keeper.left()
        raise
    keeper.end()
    if prefixes is not None:
        prefixes.forget_unwanted()
    return runs


def _go(runs: Sequence[Run]) -> None:
    """Run trials to their ends: each by itself, but for the epochs of heads that all ask for."""
    asking = {run: request for run in runs if (request := run.go()) is not None}
    together: dict[int, tuple[list[Run], Heads]] = {}
    while asking:
        asking = _train_heads(asking, together)


def _train_heads(
    asking: dict[Run, HeadsEpoch], together: dict[int, tuple[list[Run], Heads]]
) -> dict[Run, HeadsEpoch]:
    """Give trials the epoch that they ask for, all at once; returns what they ask for next.

    Args:
        asking: the trials, all before the same epoch, or in it at the same step.
        together: piece to the trials that train together in it, and their heads; filled here.
    """
    first, request = next(iter(asking.items()))
    keeper = first.shared.keeper
    try:
        if request.piece not in together:
            together[request.piece] = (list(asking), _heads(list(asking), request))
            keeper.restore_heads(together[request.piece][1])
        runs, heads = together[request.piece]
        kept = (
            runs if len(asking) == len(runs) else []
        )  # with one that failed, all go on from where it had not
        while first.at.step < len(request.steps):
            keeper.keep_if_due(kept, heads)
            began = time.perf_counter()
            outputs = heads.train(request.steps[first.at.step :], first.tally.steps, keeper.stepped)
            first.runtime.synchronize()
            seconds = time.perf_counter() - began
            for run in asking:
                made = outputs[runs.index(run)]
                run.tally.running += made
                run.at.step += len(made)
                run.clock.laps["train"] += seconds
        keeper.keep_if_due(kept, heads)
        heads.write_back()
    except Exception as error:
        for run in asking:
            run.fail(error)
        return {}
    return {run: following for run in asking if (following := run.go()) is not None}


def _heads(runs: list[Run], request: HeadsEpoch) -> Heads:
    first = runs[0]
    networks, seeds = [run.network for run in runs], [run.trial.seed for run in runs]
    readings = first.ground.readings()
    return Heads(
        networks,
        seeds,
        request.partition,
        request.plan,
        request.total,
        first.prepared,
        readings,
        first.runtime,
    )
