"""How long a suite will take, told before it begins: a few throw-away steps are timed, the rest is arithmetic."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from mtlab.model import freezing
from mtlab.plan.scenario import Stage, Trial, content_key
from mtlab.train import course, plain
from mtlab.train.prefix import depths_of
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime
from mtlab.train.vocabulary import occurring

if TYPE_CHECKING:
    from mtlab.train.worker import Group, Work


def work(prepared: Prepared, trial: Trial) -> int:
    """FLOPs of a trial as this engine runs it, evaluation included; passes that trials share are left out."""
    cached = prepared.experiment.cache.mode != "off"
    total = done = depth = 0
    for stage in prepared.experiment.scenario(trial.scenario).stages:
        partition = freezing.resolve(stage, prepared.counter.network)
        depth = partition.prefix_depth if cached else 0
        total += 0 if done else course.evaluation_flops(prepared, "validation", depth)
        for number in range(stage.epochs):
            total += course.flops(prepared, partition, course.epoch(prepared, stage, done + number), cached=bool(depth))[0]
            total += course.evaluation_flops(prepared, "validation", depth)
        done += stage.epochs
    return total + course.evaluation_flops(prepared, "test", depth)


def passes(whole: "Work", groups: Sequence["Group"]) -> dict[Trial, int]:
    """FLOPs of the passes over all sentences that are made once for everybody, each as work of the first trial that needs it."""
    found: dict[Trial, int] = {}
    made: set[str] = set()
    for trial in (group[0] for group in groups):
        one = whole.of(trial)
        states = content_key(one.encoder_digest, one.encoding_digest)
        cached = whole.experiment.cache.mode != "off" and one.source is None and not one.adapted and states not in made
        if cached and depths_of(one.experiment.scenario(trial.scenario).stages, one.counter.network):
            made.add(states)
            found[trial] = sum(course.evaluation_flops(one, split) for split in one.encoded)
    return found


def seconds_per_flop(points: Mapping[tuple, Prepared], runtime: Runtime, trials: Sequence[Trial], todo: Sequence[int]) -> float | None:
    """Seconds that a FLOP takes here, from steps of the trial with the most of them.

    None where nothing is trained, or where the steps fail: why they do is for the trial to tell, which will meet it too. Of several
    processes one might fail where the others wait for it: they are told nothing.
    The network that is trained for it is thrown away, and the caller's random numbers are left as they were.

    Args:
        points: the point of a trial to what it runs on.
        runtime: device and precision.
        trials: of the suite.
        todo: their FLOPs.
    """
    if not trials or runtime.processes.several:
        return None
    trial = trials[todo.index(max(todo))]
    prepared = points[trial.point].of(trial.scenario)
    stages = [stage for stage in prepared.experiment.scenario(trial.scenario).stages if stage.epochs]
    try:
        with torch.random.fork_rng([runtime.device] if runtime.device.type == "cuda" else []):
            return _timed(prepared, runtime, trial.seed, stages[-1]) if stages else None
    except Exception:
        return None


def _timed(prepared: Prepared, runtime: Runtime, seed: int, stage: Stage) -> float:
    network = prepared.fresh_network(seed, runtime.device)
    prepared.adapt(network, seed)
    partition = freezing.resolve(stage, network)
    freezing.apply(network, partition)
    words = occurring(network, prepared.encoded["train"].examples, prepared.pad_id, partition.trained_units)
    return plain.seconds_per_flop(prepared, runtime, network, partition, stage, course.epoch(prepared, stage, 0), words)
