"""Trials from their first weights to their records: the stages of a scenario in order, selection on
validation, and the test split scored once.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial

import torch

from mtlab.launch import Lost
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.train import outcome, pieces
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.group import Group, Position
from mtlab.train.measure.machine import Machine
from mtlab.train.measure.memory import Memory
from mtlab.train.measure.occupancy import Occupancy
from mtlab.train.measure.uncached import Uncached
from mtlab.train.prepare import Prepared
from mtlab.train.resume.keeper import Keeper
from mtlab.train.resume.signals import Stopped
from mtlab.train.resume.unfinished import Died, Unfinished
from mtlab.train.runtime import Runtime
from mtlab.train.stage import StageRunner, teach
from mtlab.train.stage_plan import in_step
from mtlab.train.state import Advance, Setup, TrialState


def train(group: Group) -> None:
    """Train trials in step, select their weights and score the test split.

    A trial that fails ends with its reason as its status; the others continue.
    """
    stages = group.states[0].scenario.stages
    group.each(TrialState.begin)
    saved = None
    with group.together():
        saved = group.resume()
    if saved is None and any(stage.distillation for stage in stages):
        group.each(lambda state: teach(state, stages[0].silent))
    for index, stage in list(enumerate(stages))[group.at.stage :]:
        if saved is None:
            group.begin_stage(index, stage)
            with group.together():
                if stage.chooses and group.alive:
                    group.at.piece = pieces.first(group.alive[0], stage)
        while group.alive and group.at.piece is not None:  # guidance may cut a stage into pieces
            with group.together():
                rest = StageRunner(group, stage, saved).run()
                group.at, saved = Position(index, rest), None
        if stage is not stages[-1]:
            group.each(partial(outcome.hand_on, stage=stage))
            group.each(outcome.snapshot)
    for state in tuple(group.alive):
        if group.attempt(outcome.conclude, state):
            outcome.finish(state, "ok")


def run_trials(
    prepared: Prepared,
    trials: Sequence[Trial],
    runtime: Runtime,
    journal: Journal,
    prefixes: Prefixes | None,
    advance: Advance,
    say: Callable[[str], None] = print,
    apart: str = "",
) -> list[TrialState]:
    """Run trials of one scenario that differ in their seed alone, write their records, and return
    them with their networks.

    Several trials train in step, which they can only do where all their stages train heads alone
    on cached states. A trial that fails leaves a record too. Interrupted trials continue from their
    last resume state.

    Args:
        prepared: what the trials run on.
        trials: of one scenario and point.
        runtime: device, precision and threads.
        journal: where records go.
        prefixes: states of frozen prefixes; None computes everything each time.
        advance: is called with the FLOPs of what was just done.
        say: tells the user what happened to a resume state.
        apart: why the times of these trials cannot be compared with those of others; empty where
            they can.

    Raises:
        Stopped: the process was asked to stop; a resume state is written.
        Lost: of several processes this one failed, or another did.
        UserError: a record cannot be written.
    """
    stacks = prefixes is not None and in_step(prepared.stage_plans(trials[0].scenario))
    assert len(trials) == 1 or stacks, "trials that cannot train in step are run one by one"
    memory = Memory(runtime)
    keeper = _keeper(prepared, trials, runtime, journal, memory, say)
    uncached, machine = Uncached(prepared, runtime, memory), Machine(runtime.device)
    occupancy = Occupancy(runtime.device, apart)
    setup = Setup(
        prepared, runtime, journal, prefixes, advance, memory, uncached, keeper, machine, occupancy
    )
    try:
        setup.keeper.begin()
    except Died as error:
        group = Group(trials, setup)
        for state in group.states:
            outcome.finish(state, "crashed", str(error))
    else:
        group = Group(trials, setup)
        if setup.keeper.saved is not None:
            labels = ", ".join(trial.label for trial in trials)
            say(f"{labels}: continuing from the last checkpoint")
        _supervised(group)
        if prefixes is not None:
            prefixes.forget_unwanted()
    setup.keeper.end()
    return group.states


def _keeper(
    prepared: Prepared,
    trials: Sequence[Trial],
    runtime: Runtime,
    journal: Journal,
    memory: Memory,
    say: Callable[[str], None],
) -> Keeper:
    keys = [prepared.key(trial, runtime) for trial in trials]
    return Keeper(
        Unfinished(journal.directory, keys, say),
        prepared.experiment.checkpoints,
        say,
        memory.uncounted,
        runtime.processes,
    )


def _supervised(group: Group) -> None:
    """Train, while the machine's load and other users of the device are noted, and the watchdog
    runs.
    """
    setup, keeper = group.setup, group.setup.keeper
    cuda = setup.runtime.device.type == "cuda"
    # on a CPU only the first process of a suite registers: the others do not count as other users
    own = cuda or setup.runtime.processes.leads
    occupancy = setup.occupancy if own else nullcontext()
    devices = [setup.runtime.device] if cuda else []
    try:
        # dropout draws from torch's global random stream; the caller's state is restored afterwards
        with setup.machine, occupancy, torch.random.fork_rng(devices), keeper.watched():
            train(group)
    except Lost as error:
        keeper.left(str(error))
        raise
    except Stopped:
        keeper.left()
        raise
