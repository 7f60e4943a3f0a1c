"""Trials that run together: the seeds of a scenario, whose heads train as one problem where only heads train."""

import time
from collections.abc import Sequence

import torch

from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.train.heads import Heads
from mtlab.train.memory import Memory
from mtlab.train.plain import Plain
from mtlab.train.prefix import Prefixes
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime
from mtlab.train.trial import Advance, HeadsEpoch, Run, Shared


def run_trials(
    prepared: Prepared, trials: Sequence[Trial], runtime: Runtime, journal: Journal, prefixes: Prefixes | None, advance: Advance
) -> list[TrialRecord]:
    """Run trials of one scenario that differ in their seed alone, and write their records; see :func:`run_all`."""
    return [run.record for run in run_all(prepared, trials, runtime, journal, prefixes, advance)]


def run_all(
    prepared: Prepared, trials: Sequence[Trial], runtime: Runtime, journal: Journal, prefixes: Prefixes | None, advance: Advance
) -> list[Run]:
    """Run trials of one scenario that differ in their seed alone, write their records, and return them with their networks.

    They run one after another but where heads train on states of a frozen encoder: there they train together. A trial that fails
    leaves a record too, with its reason as status; the others go on.

    Args:
        prepared: what the trials run on.
        trials: of one scenario and point.
        runtime: device, precision and threads.
        journal: where records go.
        prefixes: states of frozen prefixes; None computes everything each time.
        advance: is told what was done.
    """
    memory = Memory(runtime)
    shared = Shared(prepared, runtime, journal, prefixes, advance, memory, Plain(prepared, runtime, memory))
    runs = [Run(shared, trial) for trial in trials]
    devices = [runtime.device] if runtime.device.type == "cuda" else []
    with torch.random.fork_rng(devices):  # dropout draws from torch's global stream; the caller's is left as it was
        asking = {run: request for run in runs if (request := run.go(None)) is not None}
        together: dict[int, tuple[list[Run], Heads]] = {}
        while asking:
            asking = _train_heads(asking, together)
    if prefixes is not None:
        prefixes.forget_unwanted()
    return runs


def _train_heads(asking: dict[Run, HeadsEpoch], together: dict[int, tuple[list[Run], Heads]]) -> dict[Run, HeadsEpoch]:
    """Give trials the epoch that they ask for, all at once; returns what they ask for next.

    Args:
        asking: the trials, all before the same epoch.
        together: stage to the trials that train together in it, and their heads; filled here.
    """
    request = next(iter(asking.values()))
    began = time.perf_counter()
    try:
        if request.stage not in together:
            together[request.stage] = (list(asking), _heads(list(asking), request))
        runs, heads = together[request.stage]
        outputs = heads.epoch(request.steps, len(next(iter(asking)).losses["total"]))
        runs[0].runtime.synchronize()
    except Exception as error:
        for run in asking:
            run.fail(error)
        return {}
    seconds = time.perf_counter() - began
    return {run: following for run in asking if (following := run.go((outputs[runs.index(run)], seconds))) is not None}


def _heads(runs: list[Run], request: HeadsEpoch) -> Heads:
    first = runs[0]
    networks, seeds = [run.network for run in runs], [run.trial.seed for run in runs]
    return Heads(networks, seeds, request.partition, request.plan, request.total, first.prepared, first.readings(), first.runtime)
