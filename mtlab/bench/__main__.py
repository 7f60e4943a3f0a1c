"""``python -m mtlab.bench FILE [--whole-suite] [--KEY VALUE ...]``: mtlab beside what a user would run instead.

Everything runs in turn in one process, on the same data from the same start. What takes under two minutes is run three times, and the
median counts. Results go to the experiment's output: ``bench.json``, ``bench.md`` and a plot.
"""

import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mtlab.bench import floor, peer
from mtlab.cli import parse_overrides
from mtlab.model import backbone
from mtlab.model.freezing import resolve as resolve_stage
from mtlab.plan import experiment as plan
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal, write_atomically
from mtlab.record.records import TrialRecord
from mtlab.train import prepare as preparing
from mtlab.train import suite
from mtlab.train.group import run_trials
from mtlab.train.prepare import Prepared
from mtlab.train.progress import PlainProgress
from mtlab.train.runtime import Runtime, resolve

SHORT_S, TIMES = 120.0, 3


OURS, PLAIN = "mtlab", "mtlab, cache off"


@dataclass(frozen=True)
class Lap:
    """One run: real seconds, what it reached on the test split, and, where known, the seconds of them that were training."""

    seconds: float
    metrics: dict[str, float | None]
    train_s: float | None = None


@dataclass
class Row:
    """Seconds that one scenario took, by who ran it; training among them, and test metrics, of the last run."""

    scenario: str
    seeds: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    train_s: dict[str, list[float | None]] = field(default_factory=dict)
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def median(self, who: str) -> float:
        """The median of the runs, in seconds."""
        return statistics.median(self.seconds[who])


class Bench:
    """One experiment, prepared once for all contenders."""

    def __init__(self, file: str, overrides: dict[str, list[str]]) -> None:
        self.experiment = plan.load(file, overrides)
        if len(self.experiment.points) > 1:
            raise UserError("a sweep has no benchmark", "leave it out", where=f"{file} sweep")
        self.runtime: Runtime = resolve(self.experiment)
        if torch.cuda.device_count() > 1:
            raise UserError("a Trainer would take every GPU, and mtlab takes one", "set CUDA_VISIBLE_DEVICES=0", where="device")
        self.prepared: Prepared = preparing.prepare(self.experiment, self.runtime)[()]
        self.pretrained = backbone.load(self.prepared.location, None)
        gc.collect()
        gc.freeze()  # as a suite does

    def mtlab(self, trials: list[Trial], cached: bool = True) -> Lap:
        """These trials with an empty cache or without one, everything included but reading data and weights."""
        with tempfile.TemporaryDirectory() as directory:
            journal = Journal(Path(directory))
            made = suite.prefixes_for(self.experiment, {(): self.prepared}, self.runtime, journal, PlainProgress())
            prefixes = made if cached else None
            began = time.perf_counter()
            records: list[TrialRecord] = []
            for group in suite.groups(trials, {(): self.prepared}, prefixes):
                records += run_trials(self.prepared, group, self.runtime, journal, prefixes, lambda _: None)
            elapsed = time.perf_counter() - began
        failed = [record.status for record in records if not record.ok]
        if failed:
            raise UserError(f"a trial failed: {failed[0]}", where=records[0].label)
        test = records[0].test
        assert test is not None and test.classifier is not None and test.ner is not None
        metrics = {"accuracy": test.classifier.accuracy, "f1": test.ner.default.f1}
        return Lap(elapsed, metrics, sum(record.laps["train"] for record in records))

    def trainer(self, scenario: str, tuning: peer.Tuning) -> Lap:
        """Real seconds of one seed of a scenario in a Trainer, from a network that is at hand."""
        torch.manual_seed(0)
        network = peer.network(self.prepared, self.pretrained, self.experiment.seeds[0], self.runtime.device)
        seconds, metrics = peer.run(self.prepared, network, self.experiment.scenario(scenario).stages, tuning)
        return Lap(seconds, {**metrics})

    def skips(self, scenario: str) -> bool:
        """Whether the cache saves work in training this scenario."""
        stages = self.experiment.scenario(scenario).stages
        return any(resolve_stage(stage, self.prepared.counter.network).prefix_depth for stage in stages if stage.epochs)

    @torch.no_grad()
    def forward_pass(self) -> float:
        """Seconds of one pass over all splits without gradient, in the suite's precision."""
        network = self.prepared.fresh_network(0, self.runtime.device).eval()
        ready = [batch for split in ("train", "validation", "test") for batch in self.prepared.ready(split, self.runtime.device)]
        self.runtime.synchronize()
        began = time.perf_counter()
        for batch in ready:
            with self.runtime.autocast():
                network.encoder(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        self.runtime.synchronize()
        return time.perf_counter() - began


def repeat(row: Row, who: str, call: Callable[[], Lap]) -> None:
    """Run once, and, where that was short, more often."""
    laps: list[Lap] = []
    while not laps or (len(laps) < TIMES and laps[0].seconds < SHORT_S):
        laps.append(call())
        print(f"  {row.scenario} x{row.seeds}, {who}: {laps[-1].seconds:.1f} s, {_shown(laps[-1].metrics)}", flush=True)
    row.seconds[who], row.train_s[who] = [lap.seconds for lap in laps], [lap.train_s for lap in laps]
    row.metrics[who] = laps[-1].metrics


def _shown(metrics: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in metrics.items() if value is not None)


def run(file: str, whole: bool, overrides: dict[str, list[str]]) -> dict[str, Any]:
    """All contenders on all scenarios; the result as it is written to ``bench.json``."""
    bench = Bench(file, overrides)
    experiment, seeds = bench.experiment, bench.experiment.seeds
    config = bench.prepared.location.config
    machine = floor.measure(config.hidden_size, config.intermediate_size, 1024, bench.runtime.device, bench.runtime.synchronize)
    passes = [bench.forward_pass() for _ in range(TIMES + 1)][1:]
    result: dict[str, Any] = {
        "experiment": experiment.model_dump(mode="json"),
        "environment": bench.runtime.describe(),
        "data": bench.prepared.describe_data(),
        "machine": asdict(machine),
        "forward_pass_s": passes,
        "rows": [],
        "floor_s": {},
    }
    for scenario in experiment.scenarios:
        result["floor_s"][scenario] = floor.seconds(bench.prepared, scenario, machine, bench.runtime)
        one, many = Row(scenario, 1), Row(scenario, len(seeds))
        repeat(one, OURS, partial(bench.mtlab, [Trial(scenario, seeds[0])]))
        if one.median(OURS) < SHORT_S / len(seeds) and len(seeds) > 1:
            repeat(many, OURS, partial(bench.mtlab, [Trial(scenario, seed) for seed in seeds]))
        if bench.skips(scenario):
            repeat(one, PLAIN, partial(bench.mtlab, [Trial(scenario, seeds[0])], cached=False))
        for tuning in (peer.DEFAULTS, peer.tuned(bench.runtime.precision)):
            repeat(one, tuning.name, partial(bench.trainer, scenario, tuning))
        result["rows"] += [asdict(row) for row in (one, many) if row.seconds]
    if whole:
        row = Row("whole suite", len(seeds))
        repeat(row, OURS, lambda: bench.mtlab(experiment.trials()))
        result["rows"].append(asdict(row))
    return result


def main() -> int:
    """The way in."""
    arguments = sys.argv[1:]
    whole = "--whole-suite" in arguments
    arguments = [word for word in arguments if word != "--whole-suite"]
    try:
        file, overrides = arguments[0], parse_overrides(arguments[1:])
        result = run(file, whole, overrides)
        directory = Path(result["experiment"]["output"])
        write_atomically(directory / "bench.json", json.dumps(result, indent=1))
        from mtlab.bench import page

        page.write(directory)
        print(f"written: {directory}/bench.md")
    except UserError as error:
        print(f"mtlab: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
