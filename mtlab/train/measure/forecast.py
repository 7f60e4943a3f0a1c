"""How long a suite will take, estimated before it begins: some throw-away steps are timed, the rest
is arithmetic.

Where other programs use the same cores, a step may take ten times as long as the next, because all
its threads wait for one that has no core. So steps of several shapes are timed for some seconds,
one by one; the median is shown, and the range where they differ.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

import torch

from mtlab.model import freezing
from mtlab.plan.scenario import Trial, content_key
from mtlab.train.loop import schedule
from mtlab.train.loop.vocabulary import occurring
from mtlab.train.measure import uncached
from mtlab.train.measure.progress import Pace
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime
from mtlab.train.stage_plan import StagePlan


def work(prepared: Prepared, trial: Trial) -> int:
    """FLOPs of a trial as this engine runs it, evaluation included; passes that trials share are
    left out. With patience they are the most that there may be.
    """
    total = depth = 0
    for plan in prepared.stage_plans(trial.scenario):
        depth = plan.cached_depth
        total += 0 if plan.first_epoch else schedule.evaluation_flops(prepared, "validation", depth)
        for number, steps in enumerate(schedule.epochs(prepared, plan)):
            total += schedule.flops(prepared, plan.at(number), steps, cached=bool(depth))[0]
            total += schedule.evaluation_flops(prepared, "validation", depth)
    return total + schedule.evaluation_flops(prepared, "test", depth)


def of_sets(prepared: Prepared) -> int:
    """FLOPs of a trial on the test sets out of distribution. :func:`work` leaves them out, because
    it also decides which scenarios a pilot tries.
    """
    sets = [of.examples("test").lengths for of in prepared.also.values()]
    return sum(schedule.forward_flops(prepared, lengths) for lengths in sets)


def common(
    prepared_of: Callable[[Trial], Prepared], groups: Sequence[Sequence[Trial]]
) -> dict[Trial, int]:
    """FLOPs of what is done once for several trials, each as work of the first trial that needs it.

    These are the passes over all sentences whose states are cached, and the steps that measure the
    time of a step without a cache.

    Args:
        prepared_of: what a trial runs on.
        groups: trials that run together.
    """
    flops: dict[Trial, int] = {}
    passed: set[str] = set()
    for trial in (group[0] for group in groups):
        prepared = prepared_of(trial)
        plans = [plan for plan in prepared.stage_plans(trial.scenario) if plan.cached_depth]
        flops[trial] = sum(_timed_steps(prepared, plan) for plan in plans if plan.stage.epochs)
        states = content_key(prepared.encoder_digest, prepared.encoding_digest)
        alone = prepared.source is not None or prepared.counter.adapted or states in passed
        if not alone and any(plan.untouched for plan in plans):
            passed.add(states)
            splits = prepared.encoded
            flops[trial] += sum(schedule.evaluation_flops(prepared, split) for split in splits)
    return flops


def _timed_steps(prepared: Prepared, plan: StagePlan) -> int:
    """FLOPs of the steps that :class:`mtlab.train.measure.uncached.Uncached` times for a stage."""
    steps = next(schedule.epochs(prepared, plan))
    timed = uncached.spread(steps, uncached.WARM_STEPS + uncached.TIMED_STEPS)
    return schedule.flops(prepared, plan.partition, timed)[0]


MEASURING_S, FEWEST, MOST = 5.0, 4, 48
"""Seconds for which steps are timed, and how many there are at least and at most."""

WARMING_S = 2.0
"""Seconds after which steps count, even if fewer than :data:`uncached.WARM_STEPS` were made to warm
up: the steps of a large encoder take long."""


def pace(
    points: Mapping[tuple, Prepared], runtime: Runtime, trials: Sequence[Trial], todo: Sequence[int]
) -> Pace | None:
    """Seconds that a FLOP takes here, from steps of the trial with the most FLOPs.

    None where nothing is trained, or where the steps fail: the trial will then fail in the same way
    and report the reason. With several processes there is no estimate, because one might fail while
    the others wait for it. The network that is trained for the estimate is thrown away, and the
    caller's random state is restored.

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
    plans = [plan for plan in prepared.stage_plans(trial.scenario) if plan.stage.epochs]
    if not plans:
        return None
    early = any(
        points[other.point].experiment.scenario(other.scenario).ends_early for other in trials
    )
    try:
        with torch.random.fork_rng([runtime.device] if runtime.device.type == "cuda" else []):
            return replace(_timed(prepared, runtime, trial.seed, plans[-1]), at_most=early)
    except Exception:
        return None


def _timed(prepared: Prepared, runtime: Runtime, seed: int, plan: StagePlan) -> Pace:
    network = prepared.fresh_network(seed, runtime.device)
    prepared.adapt(network, seed)
    stage, partition = plan.stage, plan.partition
    freezing.apply(network, partition)
    words = occurring(
        network, prepared.encoded["train"].examples, prepared.pad_id, partition.trained_units
    )
    steps = schedule.epoch(prepared, stage, 0)
    with closing(
        uncached.readings(prepared, runtime, network, partition, stage, steps, words)
    ) as readings:
        return measured(readings)


def measured(readings: Iterator[tuple[float, int]]) -> Pace:
    """The pace of steps, taken until there are enough; the first ones, in which allocators and
    caches fill, are left out.

    Args:
        readings: seconds and FLOPs of a step each.
    """
    seen_readings: list[tuple[float, int]] = []
    warm, warming = 0, 0.0
    while not warm or (warm < uncached.WARM_STEPS and warming < WARMING_S):
        warm, warming = warm + 1, warming + next(readings)[0]
    spent = 0.0
    while len(seen_readings) < FEWEST or (spent < MEASURING_S and len(seen_readings) < MOST):
        seen_readings.append(next(readings))
        spent += seen_readings[-1][0]
    return pace_of(seen_readings)


def pace_of(taken: Sequence[tuple[float, int]]) -> Pace:
    """The median pace of steps, each with the weight of its FLOPs, and the range of those in the
    middle.

    The range includes the mean: if some steps are slow during the whole suite, the mean decides how
    long it takes.
    """
    by_pace = sorted((seconds / flops, flops) for seconds, flops in taken)
    total = sum(flops for _, flops in taken)
    reached = list(itertools.accumulate(flops for _, flops in by_pace))
    quarter, half, three_quarters = (
        next(
            step_pace
            for (step_pace, _), up_to in zip(by_pace, reached, strict=True)
            if up_to >= share * total
        )
        for share in (0.25, 0.5, 0.75)
    )
    mean = sum(seconds for seconds, _ in taken) / total
    return Pace(half, quarter, max(mean, three_quarters))
