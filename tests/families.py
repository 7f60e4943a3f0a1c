"""``python -m tests.families FOLDER DATA [NAME ...] [--ray]``: what ``mtlab recommend`` says of families of data sets,
and what is true of them.

In each family ``mtlab recommend`` runs as a user runs it. Then all scenarios train with two seeds that it
did not use. The truth is what these score on every second test sentence; the choice that is judged is made
anew from the other sentences. A choice is *wrong* as :mod:`tests.replay_recommend` says. The cost is that
of everything until the answer, over that of all scenarios with five seeds, in training FLOPs.

FOLDER takes files and records, and a second call goes on there; DATA is the folder of the real data. With
``--ray`` several trials run at once; scores, choices and FLOPs are those of one after the other, minutes are not.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.winner import winner

from .replay_recommend import LOST, MISSED, every, truths

SEEDS = ("8", "9")
"""Seeds of the truth: a pilot and at most seven fresh ones come before them."""

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "snips_300": ("{data}/snips", "--data.train_size", "300"),
    "politics": ("{data}/crossner/politics",),
    "snips_1000": ("{data}/snips", "--data.train_size", "1000"),
    "chat": ("builtin", "--data.subset", "chat"),
    "news": ("builtin",),
    "music": ("{data}/crossner/music",),
    "science": ("{data}/crossner/science",),
    "banking_wnut_2000": (
        "{data}/banking77",
        "{data}/wnut17",
        "--data.classifier.train_size",
        "2000",
        "--data.ner.train_size",
        "2000",
    ),
    "snips_4000": ("{data}/snips", "--data.train_size", "4000"),
}
"""Family to the words of ``mtlab recommend``."""


@dataclass(frozen=True)
class Row:
    """What came out of a family.

    Attributes:
        chosen: what was recommended, and whether it was shown.
        judged: the choice from every second test sentence.
        shortfall: scenario to what it loses against the control, in margins, at its worst task.
        share: of the grid's training FLOPs.
        minutes: of ``mtlab recommend``.
        wrong: whether ``judged`` is.
    """

    chosen: str
    judged: str
    shortfall: Mapping[str, float]
    share: float
    minutes: float
    wrong: bool


def run(folder: Path, words: list[str], spent: Path | None = None) -> None:
    """Run mtlab in a folder, and note the seconds it took where no earlier call did."""
    began = time.perf_counter()
    place = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    command = [sys.executable, "-m", "mtlab", *words]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, **place})
    if spent is not None and not spent.exists():
        spent.write_text(json.dumps(time.perf_counter() - began))


def family(folder: Path, words: list[str], engine: list[str]) -> Row:
    """Run a family in its folder, and judge it.

    Args:
        folder: for its files and records.
        words: of ``mtlab recommend``.
        engine: the setting of the engine, for both commands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run(folder, ["recommend", *words, *engine], folder / "seconds.json")
    file = next(folder.glob("*.yaml"))
    output = folder / "reports" / file.stem
    (group,) = groups(*Journal(output).read())
    run(folder, ["compare", file.name, "--seeds", *SEEDS, *engine])
    (others,) = groups(*Journal(output).read())
    return judged(group, others, json.loads((folder / "seconds.json").read_text()) / 60)


def judged(group: Group, others: Group, minutes: float) -> Row:
    """What a recommendation is worth.

    Args:
        group: of the recommendation.
        others: all scenarios with the seeds of the truth.
        minutes: that the recommendation took.
    """
    truth = truths(every(others, 1))
    control = group.control or ""
    shortfall = {
        name: max(
            (truth[control][task.name] - own[task.name]) / task.margin for task in others.tasks
        )
        for name, own in truth.items()
    }
    half = every(group, 0)
    best, picked = winner(group), winner(replace(half, pilot=group.pilot))
    assert best is not None and picked is not None
    flops = {name: _mean(others.of(name)) for name in others.scenarios}
    cheaper = any(
        flops[name] < flops[picked.scenario] and shortfall[name] < MISSED for name in shortfall
    )
    spent = sum(trial.train_flops or 0 for trial in (*group.pilot, *group.trials))
    return Row(
        f"{best.scenario}{' (shown)' if best.shown else ''}",
        picked.scenario,
        shortfall,
        spent / (5 * sum(flops.values())),
        minutes,
        shortfall[picked.scenario] > LOST or cheaper,
    )


def _mean(trials: list[TrialRecord]) -> float:
    return float(np.mean([trial.train_flops or 0 for trial in trials]))


def main(words: list[str]) -> None:
    """Print a row a family, as it ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.families")
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--ray", action="store_true")
    given = parser.parse_args(words)
    engine = ["--engine.name", "ray"] if given.ray else []
    print(
        "family | recommended | from half the sentences | shortfall of each, margins | of the grid | minutes | wrong",
        flush=True,
    )
    for name in given.names:
        source = [word.format(data=given.data.resolve()) for word in FAMILIES[name]]
        row = family(given.folder.resolve() / name, source, engine)
        losses = ", ".join(f"{other} {loss:+.2f}" for other, loss in row.shortfall.items())
        print(
            f"{name} | {row.chosen} | {row.judged} | {losses} | {row.share:.0%} | {row.minutes:.1f} | {row.wrong}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
