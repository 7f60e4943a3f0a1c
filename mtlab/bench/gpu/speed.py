"""``python -m mtlab.bench.gpu.speed ENCODER DEVICE FILE``: training steps of an encoder at fixed
shapes, without padding.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mtlab.data.batches import Batch
from mtlab.model import freezing
from mtlab.plan import experiment as plan
from mtlab.plan.scenario import Stage
from mtlab.tasks.kind import IGNORE
from mtlab.train.loop import step
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import Runtime, resolve

SENTENCES, LENGTHS = 32, (12, 32, 128)
WARM, TIMED = 5, 20

DATASHEET = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""A part of the device's name to its rate of dense bf16 products in FLOP/s, from NVIDIA's data
sheets for SXM modules."""


def measure(encoder: str, device: str) -> dict[str, Any]:
    """Measure full training steps, and the share of the device's rate of products that they reach.

    Args:
        encoder: the folder of the encoder.
        device: ``cuda`` or ``cpu``.
    """
    overrides = {
        "encoder": [encoder],
        "device": [device],
        "seeds": ["0"],
        "data.train_size": ["64"],
    }
    experiment = plan.load("experiments/five_epochs.yaml", overrides)
    runtime = resolve(experiment)
    prepared = prepare(experiment, runtime)[()]
    peak = products(runtime, 8192 if runtime.device.type == "cuda" else 512)
    datasheet_rate = next(
        (rate for name, rate in DATASHEET.items() if name in runtime.device_name), None
    )
    shapes = {
        f"{SENTENCES}x{length}": _shape(prepared, runtime, length, peak, datasheet_rate)
        for length in LENGTHS
    }
    return {
        "precision": runtime.precision,
        "products_flop_s": peak,
        "datasheet_flop_s": datasheet_rate,
        "shapes": shapes,
    }


def products(runtime: Runtime, size: int) -> float:
    """FLOP/s of a square product in the suite's precision."""
    dtype = torch.bfloat16 if runtime.precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, dtype=dtype, device=runtime.device) for _ in range(2))
    return 2 * size**3 / statistics.median(_laps(lambda: torch.mm(a, b), runtime))


def _shape(
    prepared: Prepared, runtime: Runtime, length: int, peak: float, datasheet_rate: float | None
) -> dict[str, float | None]:
    network = prepared.fresh_network(0, runtime.device)
    stage = Stage(epochs=1, train={"encoder": 1e-5, "heads": 1e-3}, schedule="constant")
    partition = freezing.resolve(stage, network)
    freezing.apply(network, partition)
    freezing.set_modes(network, partition)
    experiment = prepared.experiment
    learner = step.learner(
        network,
        partition,
        stage,
        WARM + TIMED,
        experiment.optimizer,
        experiment.loss_factors,
        prepared.corpus.tasks,
    )
    assert learner is not None, "everything trains"
    batch = _batch(prepared, length).to(runtime.device)
    if runtime.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    laps = _laps(
        lambda: learner.step(step.FullForward(network), batch, stage.losses, runtime), runtime
    )
    seconds = statistics.median(laps)
    flops = prepared.counter.step(partition, stage.losses).exact([length] * SENTENCES)
    return {
        "step_ms": seconds * 1e3,
        "tokens_per_s": SENTENCES * length / seconds,
        "flop_s": flops / seconds,
        "of_products": flops / seconds / peak,
        "of_datasheet": None if datasheet_rate is None else flops / seconds / datasheet_rate,
        "peak_memory_mb": torch.cuda.max_memory_allocated() / 1e6
        if runtime.device.type == "cuda"
        else None,
    }


def _batch(prepared: Prepared, length: int) -> Batch:
    """Random tokens without padding, and random targets."""
    draw = torch.Generator().manual_seed(length)
    shape = (SENTENCES, length)
    ids = torch.randint(1000, int(prepared.location.config.vocab_size), shape, generator=draw)
    targets = {}
    for task, (outputs, of_words) in prepared.shapes.items():  # built-in tasks: all have classes
        rows = shape if of_words else (SENTENCES,)
        targets[task] = torch.randint(0, outputs, rows, generator=draw)
        if of_words:
            targets[task][:, 0] = IGNORE
    return Batch(
        tuple(range(SENTENCES)),
        ids,
        torch.ones(shape, dtype=torch.int64),
        targets,
        (length,) * SENTENCES,
        frozenset(task for task, shape in prepared.shapes.items() if shape.of_words),
    )


def _laps(call: Callable[[], object], runtime: Runtime) -> list[float]:
    """Seconds of each call, after a few to warm up."""
    laps = []
    for _ in range(WARM + TIMED):
        runtime.synchronize()
        began = time.perf_counter()
        call()
        runtime.synchronize()
        laps.append(time.perf_counter() - began)
    return laps[WARM:]


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(
        json.dumps(measure(sys.argv[1], sys.argv[2]), indent=1), encoding="utf-8"
    )
