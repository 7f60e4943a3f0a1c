"""``python -m tests.cost_of_heads``: what a training step with six heads costs beside one with two, timed in
turn in one run, on the embedded encoder and made-up sentences."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mtlab.model import freezing
from mtlab.plan.experiment import load
from mtlab.train.loop import schedule
from mtlab.train.measure.uncached import stepping
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import Runtime, resolve
from tests import tiny
from tests.data.files import write_jsonl

TASKS = {
    "topic": {"kind": "classification", "column": "label"},
    "entities": {"kind": "tagging", "column": "ner_tags"},
    "types": {"kind": "multilabel", "column": "types"},
    "share": {"kind": "regression", "column": "share"},
    "plain": {"kind": "tagging", "column": "plain", "spans": False},
    "first": {"kind": "classification", "column": "first"},
}
ROUNDS, STEPS = 12, 4


def write(folder: Path) -> None:
    """Sentences with gold of six tasks."""
    for seed, split in enumerate(("train", "validation", "test")):
        rows = tiny.sentences(256 if split == "train" else 32, seed)
        for row in rows:
            tags = row["ner_tags"]
            row |= {
                "types": sorted({tag[2:] for tag in tags if tag != "O"}),
                "share": sum(tag != "O" for tag in tags) / len(tags),
                "plain": [tag[:1] for tag in tags],
                "first": row["tokens"][0],
            }
        write_jsonl(folder / f"{split}.jsonl", rows)


def made(folder: Path, tasks: int) -> tuple[Prepared, Runtime]:
    """An experiment with so many of the tasks."""
    file = folder / f"{tasks}.yaml"
    chosen = json.dumps(dict(list(TASKS.items())[:tasks]))
    scenario = "[{epochs: 1, train: {encoder: 1.0e-4, heads: 1.0e-3}}]"
    file.write_text(
        f"tasks: {chosen}\ndata: {{source: {folder}, max_duplicates: 1.0, unseen_labels: count_as_error}}\n"
        f"output: {folder / 'out'}\nscenarios: {{full: {scenario}}}\n"
    )
    experiment = load(file)
    runtime = resolve(experiment)
    return prepare(experiment, runtime)[()], runtime


def main() -> None:
    """Print both steps, and their ratio."""
    with tempfile.TemporaryDirectory() as directory:
        write(Path(directory))
        laps: dict[int, list[float]] = {2: [], 6: []}
        takers: dict[int, tuple[Callable[..., object], list[schedule.Step]]] = {}
        contexts = []
        for tasks in laps:
            prepared, runtime = made(Path(directory), tasks)
            network = prepared.fresh_network(0, runtime.device)
            (stage,) = prepared.experiment.scenario("full").stages
            partition = freezing.resolve(stage, network)
            freezing.apply(network, partition)
            context = stepping(prepared, runtime, network, partition, stage, ROUNDS * STEPS)
            contexts.append(context)
            takers[tasks] = (context.__enter__(), schedule.epoch(prepared, stage, 0)[:STEPS])
        for turn in range(ROUNDS):
            for tasks, (take, steps) in takers.items():
                began = time.perf_counter()
                for step in steps:
                    take(step)
                if turn >= ROUNDS // 4:  # the first warm up
                    laps[tasks].append((time.perf_counter() - began) / STEPS)
        for context in contexts:
            context.__exit__(None, None, None)
    medians = {tasks: statistics.median(seconds) for tasks, seconds in laps.items()}
    print(", ".join(f"{tasks} heads: {seconds * 1e3:.1f} ms" for tasks, seconds in medians.items()))
    print(f"ratio {medians[6] / medians[2]:.3f}")


if __name__ == "__main__":
    main()
