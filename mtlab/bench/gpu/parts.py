"""The parts of a GPU run, the most important first: each runs, and returns its results as JSON."""

import json
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from mtlab.bench.gpu.setting import Failed, Setting, bert_base, without_dropout
from mtlab.plan import experiment as plan
from mtlab.record.quality import primaries
from mtlab.record.records import TrialRecord

Part = Callable[[Setting], dict[str, Any]]

COMPARE = "experiments/five_epochs.yaml"

SMALL = ("--data.train_size", "64")
"""Options that make the data small, for a rehearsal."""

EXACT = ("--precision", "fp32", "--head.dropout", "0", "--data.train_size", "320")
"""Options for trials that are compared step by step: nothing is random without dropout, and in fp32
sums differ only by their order."""


def compare(setting: Setting) -> dict[str, Any]:
    """The full comparison with the embedded encoder, on this device."""
    return _compared(
        setting,
        COMPARE,
        *_size(setting),
        *(("--seeds", "0") if setting.dry else ()),
        name="compare",
    )


def _compared(setting: Setting, file: str, *words: str, name: str) -> dict[str, Any]:
    """A comparison in numbers; after an interruption or a failure, those of the trials that ended."""
    try:
        seconds, trials = setting.compare(file, *words, name=name)
    except Failed as error:
        ended = [trial for trial in setting.trials(name) if trial.ok]
        return {"failed": str(error), **(summary(ended) if ended else {})}
    return {"command_s": seconds, **summary(trials)}


def _size(setting: Setting) -> tuple[str, ...]:
    """Options that make a comparison small in a rehearsal; none otherwise."""
    return ("--encoder", without_dropout(setting), *SMALL) if setting.dry else ()


def tests(setting: Setting) -> dict[str, Any]:
    """The tests that need a GPU."""
    seconds = setting.run(
        "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", "tests", name="tests"
    )
    lines = (setting.out / "tests.log").read_text(encoding="utf-8").strip().splitlines()
    return {"command_s": seconds, "outcome": lines[-1].strip("= ")}


def speed(setting: Setting) -> dict[str, Any]:
    """Steps of bert-base at fixed shapes."""
    file = setting.out / "speed.json"
    setting.run(
        "mtlab.bench.gpu.speed", bert_base(setting), setting.device, str(file), name="speed"
    )
    return dict(json.loads(file.read_text(encoding="utf-8")))


def trainer(setting: Setting) -> dict[str, Any]:
    """bert-base in mtlab and in transformers.Trainer, in turn."""
    size = "64" if setting.dry else "512"
    sizes = (
        "--encoder",
        bert_base(setting),
        "--data.train_size",
        size,
        "--seeds",
        *(("0",) if setting.dry else ("0", "1", "2")),
    )
    experiment = plan.load(COMPARE)
    heads = next(
        name
        for name in experiment.scenarios
        if [list(stage.train) for stage in experiment.scenario(name).stages] == [["heads"]]
    )
    scenarios = (
        "--scenarios",
        heads,
        *(() if setting.dry else (str(experiment.control),)),
        "--control",
        heads,
    )
    shutil.rmtree(setting.out / "trainer", ignore_errors=True)
    where = ("--device", setting.device, "--output", str(setting.out / "trainer"))
    setting.run(
        "mtlab.bench",
        "experiments/bench.yaml",
        "--once",
        *sizes,
        *scenarios,
        *where,
        name="trainer",
    )
    return dict(json.loads((setting.out / "trainer" / "bench.json").read_text(encoding="utf-8")))


def snips(setting: Setting) -> dict[str, Any]:
    """Five scenarios and the control on SNIPS."""
    if setting.snips is None:
        raise Failed("no folder of SNIPS was given (--snips DIR)")
    seeds = ("--seeds", "0") if setting.dry else ("--seeds", "0", "1")
    words = (
        "--data.source",
        str(setting.snips),
        "--data.max_duplicates",
        "1.0",
        *seeds,
        *_size(setting),
    )
    return _compared(setting, "experiments/snips.yaml", *words, name="snips")


def whole(setting: Setting) -> TrialRecord:
    """The reference trial: one process trains it without interruption."""
    if not (setting.out / "undisturbed" / "suite.json").exists():
        setting.compare(COMPARE, *_trial(setting), name="undisturbed")
    return setting.records("undisturbed")[0]


def _trial(setting: Setting) -> tuple[str, ...]:
    return (
        "--encoder",
        without_dropout(setting),
        *EXACT,
        *_alone(_gradual()),
        "--seeds",
        "0",
        "--checkpoints.every_steps",
        "10",
    )


def _gradual() -> str:
    """The scenario of the comparison with the most stages."""
    experiment = plan.load(COMPARE)
    return max(experiment.scenarios, key=lambda name: len(experiment.scenario(name).stages))


def _alone(scenario: str) -> tuple[str, ...]:
    """Options that select one scenario of a comparison."""
    return ("--scenarios", scenario, "--control", scenario)


def resume(setting: Setting) -> dict[str, Any]:
    """A process that is killed in the middle of a gradual trial and resumed, compared with one
    without interruption.
    """
    output = setting.out / "killed"
    shutil.rmtree(output, ignore_errors=True)
    process = setting.start(
        "mtlab", *setting.comparison(COMPARE, *_trial(setting), name="killed"), name="killed"
    )
    while not list(output.glob("unfinished/*/0*.json")):
        if process.poll() is not None or not setting.left_s:
            raise Failed("it ended before it wrote a resume state")
        time.sleep(0.01)
    os.kill(
        json.loads((output / "running.json").read_text(encoding="utf-8"))["pid"], signal.SIGKILL
    )
    setting.finish(process, "killed")
    (other,) = setting.records("killed")
    if other.attempts < 2:
        raise Failed("it was not killed")
    return {"begun": other.attempts, **differences(whole(setting), other)}


def processes(setting: Setting) -> dict[str, Any]:
    """Two processes that train one trial through a gradual unfreeze, on one device, compared with
    one process.
    """
    shutil.rmtree(setting.out / "two_processes", ignore_errors=True)
    launcher = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mtlab")
    arguments = setting.comparison(COMPARE, *_trial(setting), name="two_processes")
    arguments[arguments.index("--device") + 1] = "cpu" if setting.dry else "cuda:0"
    setting.run(*launcher, *arguments, name="two_processes")
    (trial,) = setting.records("two_processes")
    return differences(whole(setting), trial)


def checks(setting: Setting) -> dict[str, Any]:
    """Checks whose time does not matter: tests, resuming and several processes, all at once."""
    parts = {"resume": resume, "processes": processes, "tests": tests}
    whole(setting)
    with ThreadPoolExecutor(len(parts)) as pool:
        return dict(
            zip(parts, pool.map(lambda part: attempt(part, setting), parts.values()), strict=True)
        )


def attempt(part: Part, setting: Setting) -> dict[str, Any]:
    """The results of a part, or why it failed: an error of one part must not stop the others."""
    if not setting.left_s:
        return {"failed": "was not begun, for time ran out"}
    try:
        return part(setting)
    except Failed as error:
        return {"failed": str(error)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def together(setting: Setting) -> dict[str, Any]:
    """Three trials at once, compared with the same trials of the comparison, which ran one after
    another.
    """
    names = {seed: f"at_once_{seed}" for seed in range(1 if setting.dry else 3)}
    control = str(plan.load(COMPARE).control)
    apart = [
        trial
        for trial in setting.records("compare")
        if trial.scenario == control and trial.seed in names
    ]
    for name in names.values():
        shutil.rmtree(setting.out / name, ignore_errors=True)
    words = (COMPARE, *_alone(control), *_size(setting))
    started = {
        name: setting.start(
            "mtlab", *setting.comparison(*words, "--seeds", str(seed), name=name), name=name
        )
        for seed, name in names.items()
    }
    for name, process in started.items():
        setting.finish(process, name)
    at_once = [setting.records(name)[0] for name in names.values()]
    first, last = (
        min(began for began, _ in map(_span, at_once)),
        max(ended for _, ended in map(_span, at_once)),
    )
    return {
        "trials": len(names),
        "one_after_another_s": sum(ended - began for began, ended in map(_span, apart)),
        "at_once_s": last - first,
        "excluded_from_times": sum(bool(trial.untimed) for trial in at_once),
        "largest_difference_of_a_score": max(
            abs(score_apart - score_at_once)
            for score_apart, score_at_once in zip(_scores(apart), _scores(at_once), strict=True)
        ),
    }


def _span(trial: TrialRecord) -> tuple[float, float]:
    """When a trial began and ended, Unix seconds."""
    assert trial.ended_at is not None, "it ended well"
    return trial.started_at, trial.ended_at


def _scores(trials: Sequence[TrialRecord]) -> list[float]:
    """The metrics that judge the tasks of each trial on the test split; 0 where one is undefined."""
    return [score or 0.0 for trial in trials for score in primaries(trial.test).values()]


def _primary(name: str, trial: TrialRecord) -> float | None:
    return primaries(trial.test).get(name)


def differences(first: TrialRecord, other: TrialRecord) -> dict[str, Any]:
    """How much two runs of the same trial differ."""
    pairs = [
        (first_loss, other_loss)
        for first_loss, other_loss in zip(
            first.step_losses["total"], other.step_losses["total"], strict=True
        )
        if first_loss and other_loss
    ]
    return {
        "steps": len(pairs),
        "same_weights": first.final_digest == other.final_digest,
        "largest_difference_of_a_loss": max(
            abs(first_loss - other_loss) for first_loss, other_loss in pairs
        ),
        "same_scores": first.contributions == other.contributions,
    }


def summary(trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """Each scenario's scores, times and memory: means over its seeds."""
    scenarios: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        scenarios.setdefault(trial.scenario, []).append(trial)
    return {
        "scenarios": {
            name: {"seeds": len(scenario_trials), **_means(scenario_trials)}
            for name, scenario_trials in scenarios.items()
        }
    }


def _means(trials: Sequence[TrialRecord]) -> dict[str, Any]:
    def mean(read: Callable[[TrialRecord], float | None]) -> float | None:
        values = [value for trial in trials if (value := read(trial)) is not None]
        return math.fsum(values) / len(values) if values else None

    return {
        "scores": {name: mean(partial(_primary, name)) for name in primaries(trials[0].test)},
        "wall_s": mean(lambda trial: trial.wall_s),
        "wall_plain_s": mean(lambda trial: trial.wall_plain_s),
        "train_s": mean(lambda trial: trial.laps.get("train")),
        "peak_memory_mb": mean(lambda trial: trial.peak_memory_mb),
        "gpu_utilization_percentage": mean(_utilization),
    }


def _utilization(trial: TrialRecord) -> float | None:
    values = next(
        (
            row
            for name, row in trial.machine.items()
            if name.startswith("gpu_") and "utilization" in name
        ),
        (),
    )
    return math.fsum(values) / len(values) if values else None


PARTS: dict[str, Part] = {
    "compare": compare,
    "speed": speed,
    "trainer": trainer,
    "checks": checks,
    "together": together,
    "snips": snips,
}


def facts(setting: Setting) -> dict[str, Any]:
    """The machine and the versions of the whole run."""
    import torch
    import transformers

    device = "a rehearsal on a CPU" if setting.dry else torch.cuda.get_device_name()
    return {
        "device": device,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": sys.version.split()[0],
    }
