"""Run a suite on more sentences than anybody wants in memory, and tell what it took: ``python -m
tests.reach --sentences 1000000``.

Sentences are made from templates, no two alike, each with an intent and with slots, and go through
``mtlab compare`` with one scenario: heads on the frozen embedded encoder, one epoch, one seed. The
command runs in processes of its own, whose anonymous memory (what no file stands behind, and so
what must fit) is read from ``/proc`` ten times a second, imports included. Linux alone tells it.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtlab.record.journal import Journal

HELD_OUT = 5_000
"""Sentences of validation, and of test."""

EVERY_S = 0.1
"""Seconds between two readings of memory."""

WORDS = """\
first ada ivo uma noor lena omar ines hugo mara tariq yuki pablo greta amir nadia felix
last okwu silva meyer tanaka novak rossi haddad larsen moreau costa weber ito bauer dubois kaya lund
city oslo quito lagos turin lima cairo perth delhi porto accra sofia dakar hanoi tunis bergen leeds
genre jazz blues folk soul metal opera swing techno gospel salsa disco punk ska waltz tango reggae
time today tonight tomorrow monday tuesday wednesday thursday friday saturday sunday noon midnight
dish soup bread rice curry pasta salad pizza stew noodles pie sushi tacos
weather rain snow wind fog sun hail storms clouds frost heat
how please now quickly again maybe kindly soon just
"""
SLOTS = {name: words for name, *words in map(str.split, WORDS.splitlines())}
"""Slot to the words that may stand there."""

TEMPLATES = {
    "PlayMusic": "{how} play {genre} by {first} {last} in {city} {time}",
    "BookTable": "{how} book {dish} for {first} {last} in {city} {time}",
    "GetWeather": "{how} tell {first} {last} if {weather} reaches {city} {time}",
}
ENTITY = {
    "first": "B-person",
    "last": "I-person",
    "city": "B-city",
    "genre": "B-genre",
    "time": "B-time",
    "dish": "B-dish",
}
"""Slot to its tag; words of other slots have none."""

EXPERIMENT = """\
question: How much memory and time does a sentence take?
encoder: minilm
data: {{source: {folder}/data}}
seeds: [0]
control: backbone_frozen
output: {folder}/output
scenarios:
  backbone_frozen: [{{epochs: 1, train: {{heads: 1.0e-3}}}}]
"""


@dataclass(frozen=True)
class Reached:
    """What a suite took.

    Attributes:
        sentences: of train.
        laps: seconds of its trial by lap.
        suite_s: seconds of the suite, from reading data to the last record.
        process_s: seconds of the command, imports and report included.
        anonymous: the peak of anonymous memory, in bytes, of the command's processes together.
        on_disk: bytes of all files below the folder, those without a name included, at most.
    """

    sentences: int
    laps: dict[str, float]
    suite_s: float
    process_s: float
    anonymous: int
    on_disk: int

    def lines(self) -> Iterator[str]:
        """To read."""
        laps = ", ".join(f"{name} {seconds:,.1f}" for name, seconds in self.laps.items())
        yield f"{self.sentences:,} sentences: {self.suite_s:,.1f} s for the suite, {self.process_s:,.1f} s for the command; laps: {laps}"
        suite, trial = (
            1000 * seconds / self.sentences for seconds in (self.suite_s, sum(self.laps.values()))
        )
        yield f"  {suite:.3f} ms a sentence for the suite, {trial:.3f} ms in laps"
        yield f"  peak anonymous memory {self.anonymous / 2**20:,.0f} MiB; {self.on_disk / 1e9:,.2f} GB on disk"


def sentences(first: int, count: int) -> Iterator[dict[str, Any]]:
    """Sentences number ``first`` and on: the same number is the same sentence, and no two numbers
    below 10 million are alike."""
    intents = list(TEMPLATES)
    for number in range(first, first + count):
        intent, rest = intents[number % len(intents)], number // len(intents)
        words = TEMPLATES[intent].split()
        slots = [word.strip("{}") for word in words if word.startswith("{")]
        size = math.prod(len(SLOTS[slot]) for slot in slots)
        assert rest < size, "there are no more sentences than that"
        rest = (
            rest * 7_654_321 % size
        )  # a prime that divides no size: every rest once, and neighbours differ
        chosen = {}
        for slot in slots:
            rest, at = divmod(rest, len(SLOTS[slot]))
            chosen[slot] = SLOTS[slot][at]
        names = [word.strip("{}") for word in words]
        yield {
            "tokens": [chosen.get(name, name) for name in names],
            "ner_tags": [
                ENTITY.get(name, "O") if word.startswith("{") else "O"
                for word, name in zip(words, names, strict=True)
            ],
            "label": intent,
        }


def write(folder: Path, count: int) -> None:
    """The three splits as JSON lines, a sentence at a time."""
    folder.mkdir(parents=True)
    begin = 0
    for split, size in (("test", HELD_OUT), ("validation", HELD_OUT), ("train", count)):
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in sentences(begin, size))
        begin += size


def reach(folder: Path, count: int, more: list[str]) -> Reached:
    """Generate ``count`` training sentences below ``folder``, and compare on them.

    Args:
        folder: empty, or not there yet.
        count: of sentences.
        more: settings for the command.
    """
    write(folder / "data", count)
    (folder / "reach.yaml").write_text(EXPERIMENT.format(folder=folder))
    command = [
        sys.executable,
        "-m",
        "mtlab.supervise",
        "compare",
        str(folder / "reach.yaml"),
        *more,
    ]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    began, anonymous, on_disk, looked = time.monotonic(), 0, 0, 0.0
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        while process.poll() is None:
            family = _family(process.pid)
            anonymous = max(anonymous, sum(map(_anonymous, family)))
            if time.monotonic() - looked > 5:
                on_disk, looked = (
                    max(on_disk, _named(folder) + sum(_nameless(pid, folder) for pid in family)),
                    time.monotonic(),
                )
            time.sleep(EVERY_S)
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}: see {folder / 'log.txt'}")
    process_s = time.monotonic() - began
    suite, (trial,) = Journal(folder / "output").read()
    return Reached(
        count,
        trial.laps,
        suite.elapsed_s or 0.0,
        process_s,
        anonymous,
        max(on_disk, _named(folder)),
    )


def _family(pid: int) -> list[int]:
    """A process and all that come from it."""
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return [pid]
    return [pid, *(one for child in children for one in _family(child))]


def _anonymous(pid: int) -> int:
    """Bytes of a process's resident memory that no file stands behind; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def _named(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512 if path.is_file() else 0
        except OSError:  # removed in the meantime
            continue
    return total


def _nameless(pid: int, folder: Path) -> int:
    """Bytes of files below ``folder`` that a process maps and that have no name any more."""
    found = {}
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        if str(folder) in line and line.endswith(" (deleted)"):
            begin, end = (int(side, 16) for side in line.split()[0].split("-"))
            found[line.split()[4]] = end - begin
    return sum(found.values())


def main() -> None:
    """The way in."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.reach", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--sentences",
        type=int,
        nargs="+",
        default=[100_000, 1_000_000],
        help="training sentences, a run each",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        required=True,
        help="an empty folder for data, cache and report; what is written stays",
    )
    parser.add_argument(
        "--json",
        type=Path,
        help="a file in which they become `reach`, such as reports/bench/bench.json",
    )
    parser.add_argument(
        "--remove", action="store_true", help="remove what was written after each run"
    )
    options, more = parser.parse_known_args()
    found = []
    for count in options.sentences:
        folder = options.directory.resolve() / f"{count}"
        found.append(reach(folder, count, more))
        print("\n".join(found[-1].lines()), flush=True)
        if options.json:
            others = json.loads(options.json.read_text()) if options.json.exists() else {}
            options.json.write_text(
                json.dumps({**others, "reach": [asdict(one) for one in found]}, indent=1)
            )
        if options.remove:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
