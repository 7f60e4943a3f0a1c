"""``python -m tests.time_to_decision FOLDER [--KEY VALUE ...]``: the time to the verdicts of
experiments/compare.yaml on other data, beside a user's way.

The user's way: a tuned ``transformers.Trainer`` trains each of the six scenarios with five seeds, for as
many epochs as mtlab's trials came to have. A Trainer's seed is timed once a scenario, in this run, and
counts five times. FOLDER holds the data, SNIPS with 1,000 training sentences where nothing else is said.
"""

import json
import sys
import tempfile
from pathlib import Path

from mtlab import cli
from mtlab.bench import peer
from mtlab.bench.__main__ import Bench
from mtlab.plan.scenario import Stage
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord

SEEDS = 5
COMPARE = Path(__file__).parents[1] / "experiments" / "compare.yaml"


def trained(stages: tuple[Stage, ...], trial: TrialRecord) -> tuple[Stage, ...]:
    """The stages with the epochs that a trial came to have, and constant rates to their end."""
    ended = {"patience": None, "cooldown": None}
    return tuple(
        stage.model_copy(update={**ended, "epochs": record.epochs})
        for stage, record in zip(stages, trial.stages, strict=True)
    )


def trainer_s(bench: Bench, stages: tuple[Stage, ...]) -> float:
    """Seconds of a Trainer's seed."""
    network = peer.network(bench.prepared, bench.pretrained, 0, bench.runtime.device)
    return peer.run(bench.prepared, network, stages, peer.tuned(bench.runtime.precision))[0]


def main() -> int:
    """Print the times and their ratio."""
    source, overrides = sys.argv[1], sys.argv[2:] or ["--data.train_size", "1000"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "decision.yaml"
        settings = {
            "extends": str(COMPARE),
            "data": {"source": str(Path(source).resolve()), "subset": None},
            "output": f"{folder}/reports",
        }
        file.write_text(json.dumps(settings))
        if cli.main(["compare", str(file), *overrides]):
            return 1
        suite, trials = Journal(Path(folder) / "reports").read()
        options = dict(
            zip((key[2:] for key in overrides[::2]), ([v] for v in overrides[1::2]), strict=True)
        )
        bench = Bench(str(file), options, times=1)
        seconds = {}
        for trial in trials:
            if trial.seed == 0:
                stages = trained(bench.experiment.scenario(trial.scenario).stages, trial)
                seconds[trial.scenario] = trainer_s(bench, stages)
                epochs = sum(stage.epochs for stage in stages)
                print(
                    f"Trainer: {trial.scenario}, {epochs} epochs: {seconds[trial.scenario]:.1f} s a seed"
                )
    ours, theirs = suite.elapsed_s or 0.0, SEEDS * sum(seconds.values())
    print(
        f"mtlab, to its verdicts: {ours:.0f} s, {len(trials)} trials; Trainer, {SEEDS} seeds: {theirs:.0f} s"
    )
    print(f"ratio: {theirs / ours:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
