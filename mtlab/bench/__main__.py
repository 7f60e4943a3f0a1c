"""``python -m mtlab.bench FILE [--whole-suite] [--once] [--KEY VALUE ...]``: mtlab compared with
the alternatives that a user has.

All contenders run a scenario in turn in one process, on the same data from the same initial
weights. A run that takes under two minutes is done three times (with ``--once``, once), and the
median counts. Results go to the experiment's output: ``bench.json``, ``bench.md`` and a plot.
"""

import gc
import json
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
from mtlab.model import backbone
from mtlab.parser import parse_overrides
from mtlab.plan import experiment as plan
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Trial
from mtlab.record.files import write_atomically
from mtlab.record.journal import Journal
from mtlab.record.quality import primaries
from mtlab.record.records import TrialRecord
from mtlab.train import prepare as preparing
from mtlab.train import worker
from mtlab.train.measure import warm
from mtlab.train.measure.facts import describe_data
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime, resolve
from mtlab.train.trial import run_trials
from mtlab.train.worker import Work

SHORT_S, TIMES = 120.0, 3


OURS, PLAIN = "mtlab", "mtlab, cache off"
SUITE = "whole suite"

OTHERS = ("engines", "reach")
"""Parts of ``bench.json`` that ``mtlab.bench.engines`` and ``tests.reach`` write."""


@dataclass(frozen=True)
class Lap:
    """One run: its seconds, its results on the test split, and, if known, the seconds of training
    among them.
    """

    seconds: float
    metrics: dict[str, float | None]
    train_s: float | None = None


@dataclass
class Row:
    """One scenario by contender: the seconds of each run, the seconds of training among them, and
    the test metrics of the last run.
    """

    scenario: str
    seeds: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    train_s: dict[str, list[float | None]] = field(default_factory=dict)
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)


def _ignore(_: object) -> None:
    """Ignore a message, which the benchmark does not show."""


class Bench:
    """One experiment, prepared once for all contenders."""

    def __init__(self, file: str, overrides: dict[str, list[str]], times: int = TIMES) -> None:
        self.times = times
        self.experiment = plan.load(file, overrides)
        if len(self.experiment.points) > 1:
            raise UserError(
                "a sweep has no benchmark",
                "leave it out",
                where=f"{file} sweep",
                code="not-sweepable",
            )
        self.runtime: Runtime = resolve(self.experiment)
        if torch.cuda.device_count() > 1:
            raise UserError(
                "a Trainer would take every GPU, and mtlab takes one",
                "set CUDA_VISIBLE_DEVICES=0",
                where="device",
                code="several-devices",
            )
        self.prepared: Prepared = preparing.prepare(self.experiment, self.runtime)[()]
        self.pretrained = backbone.load(self.prepared.location, None)
        warm.up(self.prepared, self.runtime)
        gc.collect()
        gc.freeze()  # as in a suite

    def mtlab(self, trials: list[Trial], cached: bool = True) -> Lap:
        """Run trials with an empty cache or without one. The time includes everything except
        reading data and weights.
        """
        with tempfile.TemporaryDirectory() as directory:
            journal = Journal(Path(directory))
            work = Work(
                self.experiment, {(): self.prepared}, self.runtime, journal, _ignore, print, _ignore
            )
            prefixes = worker.prefixes_for(work) if cached else None
            began = time.perf_counter()
            records: list[TrialRecord] = []
            for group in worker.groups(trials, work):
                runs = run_trials(self.prepared, group, self.runtime, journal, prefixes, _ignore)
                records += [run.record for run in runs]
            elapsed = time.perf_counter() - began
        failed = [record.ending for record in records if not record.ok]
        if failed:
            raise UserError(
                f"a trial failed: {failed[0]}", where=records[0].label, code="trial-failed"
            )
        return Lap(
            elapsed, primaries(records[0].test), sum(record.laps["train"] for record in records)
        )

    def trainer(self, scenario: str, tuning: peer.Tuning) -> Lap:
        """Run one seed of a scenario in a Trainer. The time begins with a loaded network."""
        torch.manual_seed(0)
        network = peer.network(
            self.prepared, self.pretrained, self.experiment.seeds[0], self.runtime.device
        )
        seconds, metrics = peer.run(
            self.prepared, network, self.experiment.scenario(scenario).stages, tuning
        )
        return Lap(seconds, {**metrics})

    def skips(self, scenario: str) -> bool:
        """Whether the cache saves work in training this scenario."""
        plans = self.prepared.stage_plans(scenario)
        return any(plan.cached_depth for plan in plans if plan.stage.epochs)

    def scenario(self, name: str) -> dict[str, Any]:
        """All contenders' runs of a scenario, and this machine's rates when they ran."""
        config, seeds = self.prepared.location.config, self.experiment.seeds
        machine = floor.measure(
            config.hidden_size,
            config.intermediate_size,
            1024,
            self.runtime.device,
            self.runtime.synchronize,
        )
        contenders: Contenders = {(1, OURS): partial(self.mtlab, [Trial(name, seeds[0])])}
        if len(seeds) > 1 and self.together(name):
            contenders[len(seeds), OURS] = partial(
                self.mtlab, [Trial(name, seed) for seed in seeds]
            )
        if self.skips(name):
            contenders[1, PLAIN] = partial(self.mtlab, [Trial(name, seeds[0])], cached=False)
        for tuning in (peer.DEFAULTS, peer.tuned(self.runtime.precision)):
            contenders[1, tuning.name] = partial(self.trainer, name, tuning)
        return {
            "machine": asdict(machine),
            "forward_pass_s": [self.forward_pass() for _ in range(TIMES + 1)][1:],
            "floor_s": floor.seconds(self.prepared, name, machine, self.runtime),
            "rows": [asdict(row) for row in in_turn(name, contenders, self.times)],
        }

    def suite(self) -> dict[str, Any]:
        """All trials of the experiment."""
        contenders: Contenders = {
            (len(self.experiment.seeds), OURS): lambda: self.mtlab(self.experiment.trials())
        }
        return {"rows": [asdict(row) for row in in_turn(SUITE, contenders, self.times)]}

    def together(self, name: str) -> bool:
        """Whether seeds share work, which they do if only heads train."""
        plans = self.prepared.stage_plans(name)
        return all(plan.stacks for plan in plans if plan.stage.epochs)

    @torch.no_grad()
    def forward_pass(self) -> float:
        """Seconds of one pass over all splits without gradient, in the suite's precision."""
        network = self.prepared.fresh_network(0, self.runtime.device).eval()
        ready = [
            batch
            for split in ("train", "validation", "test")
            for batch in self.prepared.ready(split, self.runtime.device)
        ]
        self.runtime.synchronize()
        began = time.perf_counter()
        for batch in ready:
            with self.runtime.autocast():
                network.encoder(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        self.runtime.synchronize()
        return time.perf_counter() - began


Contenders = dict[tuple[int, str], Callable[[], Lap]]
"""Number of seeds and name of a contender to the function that runs it once."""


def in_turn(scenario: str, contenders: Contenders, times: int) -> list[Row]:
    """Run all contenders in turn, and repeat those whose first run was short. They take turns
    because the speed of a machine drifts, which should not favour any contender.
    """
    laps: dict[tuple[int, str], list[Lap]] = {contender: [] for contender in contenders}
    for turn in range(times):
        for (seeds, who), call in contenders.items():
            runs = laps[seeds, who]
            if turn and runs[0].seconds >= SHORT_S:
                continue
            runs.append(call())
            print(
                f"  {scenario} x{seeds}, {who}: {runs[-1].seconds:.1f} s, {_shown(runs[-1].metrics)}",
                flush=True,
            )
    rows = {seeds: Row(scenario, seeds) for seeds, _ in contenders}
    for (seeds, who), runs in laps.items():
        rows[seeds].seconds[who], rows[seeds].train_s[who] = (
            [lap.seconds for lap in runs],
            [lap.train_s for lap in runs],
        )
        rows[seeds].metrics[who] = runs[-1].metrics
    return list(rows.values())


def _shown(metrics: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in metrics.items() if value is not None)


def run(file: str, whole: bool, overrides: dict[str, list[str]], times: int = TIMES) -> Path:
    """Run all contenders on all scenarios. The result is written to ``bench.json`` after each
    scenario; a later run continues after the last one.

    Returns:
        The experiment's output.
    """
    bench = Bench(file, overrides, times)
    experiment = bench.experiment
    place = experiment.output / "bench.json"
    result: dict[str, Any] = {
        "experiment": experiment.model_dump(mode="json"),
        "environment": bench.runtime.describe(),
        "data": describe_data(bench.prepared),
        "scenarios": {},
    }
    result["scenarios"] = _already(place, result)
    result |= _others(place)
    for scenario in [*experiment.scenarios, *([SUITE] if whole else [])]:
        if scenario not in result["scenarios"]:
            result["scenarios"][scenario] = (
                bench.suite() if scenario == SUITE else bench.scenario(scenario)
            )
            write_atomically(place, json.dumps(result, indent=1))
    return experiment.output


def _already(place: Path, result: dict[str, Any]) -> dict[str, Any]:
    """The scenarios that an interrupted run of the same benchmark finished on this machine."""
    if not place.exists():
        return {}
    try:
        earlier = json.loads(place.read_text())
        same = all(
            earlier[key] == json.loads(json.dumps(result[key]))
            for key in ("experiment", "environment", "data")
        )
    except (ValueError, KeyError, TypeError):
        same = False
    if not same:
        return {}
    print(
        f"{place} already has {', '.join(earlier['scenarios'])}; remove `scenarios` from it to begin anew",
        flush=True,
    )
    return dict(earlier["scenarios"])


def _others(place: Path) -> dict[str, Any]:
    """The measurements of other programs in the same file."""
    try:
        measured = json.loads(place.read_text())
        return {part: measured[part] for part in OTHERS if part in measured}
    except (OSError, ValueError, TypeError):
        return {}


def main() -> int:
    """The entry point."""
    arguments = sys.argv[1:]
    whole_suite, once = "--whole-suite" in arguments, "--once" in arguments
    arguments = [word for word in arguments if word not in ("--whole-suite", "--once")]
    try:
        directory = run(
            arguments[0], whole_suite, parse_overrides(arguments[1:]), times=1 if once else TIMES
        )
        from mtlab.bench import page

        page.write(directory)
        print(f"written: {directory}/bench.md")
    except UserError as error:
        print(f"mtlab: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
