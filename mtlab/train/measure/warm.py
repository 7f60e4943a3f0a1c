"""Warming up a GPU: CUDA loads a kernel when it is first launched, and picks one for each shape
that it first meets.

On an H200 the first steps of a process took five times as long as later ones, and a scenario that
came first looked slower than one that came last. So before anything is timed, some steps of every
kind that trials make are made on weights that are thrown away.
"""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from mtlab.data import batches
from mtlab.data.batches import EVALUATION_TOKENS
from mtlab.model import freezing
from mtlab.model.network import Network
from mtlab.plan.scenario import Stage
from mtlab.train.cache.heads import Heads, Readings
from mtlab.train.cache.prefix import States
from mtlab.train.distributed.processes import ALONE
from mtlab.train.loop import schedule
from mtlab.train.loop.vocabulary import occurring
from mtlab.train.measure import uncached
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime

STEPS = 24
"""Steps and passes of each kind, on batches spread over all lengths."""

RATE = 1e-6
"""Learning rate of weights that are thrown away."""

_warm: set[str] = set()
"""The devices that this process has warmed up."""


def up(prepared: Prepared, runtime: Runtime) -> None:
    """Warm up the device, once a process; a CPU needs none. The caller's random numbers are left as
    they were.

    Args:
        prepared: whose shapes the work is to have.
        runtime: device and precision.
    """
    if runtime.device.type == "cpu" or str(runtime.device) in _warm:
        return
    _warm.add(str(runtime.device))
    alone = replace(runtime, processes=ALONE)  # each of several processes warms up by itself
    with (
        suppress(torch.OutOfMemoryError),
        torch.random.fork_rng([runtime.device]),
    ):  # the first trial will report it
        exercise(prepared, alone)
    runtime.synchronize()
    torch.cuda.empty_cache()


def exercise(prepared: Prepared, runtime: Runtime) -> None:
    """Train everything, then heads alone, and make passes without gradient, some batches of
    each.
    """
    network = prepared.fresh_network(0, runtime.device)
    everything, heads = (_stage("encoder", "heads"), _stage("heads"))
    partition = freezing.resolve(everything, network)
    freezing.apply(network, partition)
    words = occurring(
        network, prepared.encoded["train"].examples, prepared.pad_id, partition.trained_units
    )
    with uncached.stepping(prepared, runtime, network, partition, everything, STEPS, words) as take:
        for planned in uncached.spread(schedule.epoch(prepared, everything, 0), STEPS):
            take(planned)
    readings = Readings(prepared, network, _passes(prepared, runtime, network), runtime, Path())
    stack = Heads(
        [network] * 2,
        [0, 1],
        freezing.resolve(heads, network),
        heads,
        STEPS,
        prepared,
        readings,
        runtime,
    )
    stack.train(uncached.spread(schedule.epoch(prepared, heads, 0), STEPS), 0, lambda: False)


def _stage(*parts: str) -> Stage:
    return Stage(epochs=1, train=dict.fromkeys(parts, RATE), schedule="constant")


@torch.no_grad()
def _passes(prepared: Prepared, runtime: Runtime, network: Network) -> States:
    """Passes as an evaluation makes them; returns states of the training split that are all
    zero.
    """
    network.eval()
    encoded, hidden = prepared.encoded["train"], torch.zeros(0)
    for ids in uncached.spread(batches.by_length(encoded, EVALUATION_TOKENS), STEPS):
        batch = batches.collate(encoded.examples, ids, prepared.pad_id).to(runtime.device)
        with runtime.autocast():
            hidden = network.encoder(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask
            ).last_hidden_state
            network.read(hidden, batch.attention_mask, tuple(network.heads))
    starts = encoded.examples.starts
    return States(hidden.new_zeros(int(starts[-1]) + 1, hidden.shape[-1]), None, starts)
