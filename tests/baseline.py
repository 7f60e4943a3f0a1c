"""``python -m tests.baseline COMMIT [NAME ...]``: does the code as it stands measure what it
measured at an earlier commit?

The earlier code runs in a worktree of its own, on the same machine, with the same Python, from its
own experiment files: digests differ between processors, so that none is committed. Times, readings
of the machine and wording may differ; nothing else may."""

import argparse
import csv
import difflib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

SMALL = ("--seeds", "0", "--data.train_size", "160")

SUITES: dict[str, tuple[str, ...]] = {
    "compare": ("--seeds", "0", "1"),
    "staged_long": SMALL,
    "guided": SMALL,
    "learning_rates": SMALL,
}
"""Experiments, and how they are made small."""

OF_TIME = {
    "started_at", "ended_at", "elapsed_s", "wall_s", "wall_plain_s", "step_s", "laps", "machine", "untimed", "peak_memory_mb",
    "tokens_per_s", "attempts", "key", "start", "format", "code",
}  # fmt: skip
"""Fields of a record that depend on the machine's pace, or on the code's version alone."""

COLUMNS_OF_TIME = ("_s", "_mb", "_per_s", "key", "untimed")
"""Endings of such columns."""


def run(code: Path, experiments: Path, name: str, to: Path) -> None:
    """Run one of the suites with the code of a folder."""
    around = {
        **os.environ,
        "PYTHONPATH": str(code),
        "MLFLOW_TRACKING_URI": f"sqlite:///{to}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [
        sys.executable,
        "-m",
        "mtlab",
        "compare",
        str(experiments / f"{name}.yaml"),
        "--output",
        str(to / name),
        "--precision",  # not what suits the machine: that choice is not what is compared
        "fp32",
        *SUITES[name],
    ]
    subprocess.run(command, cwd=code, env=around, check=True, stdout=subprocess.DEVNULL)


def facts(value: Any) -> Any:
    """A record without what may differ."""
    if isinstance(value, dict):
        return {key: facts(inner) for key, inner in value.items() if key not in OF_TIME}
    return [facts(inner) for inner in value] if isinstance(value, list) else value


def records(folder: Path) -> dict[str, Any]:
    """The records of a suite, by scenario, seed and point."""
    read = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in sorted((folder / "records").glob("*.json"))
    ]
    return {
        f"{one['scenario']} {one['seed']} {json.dumps(one['point'], sort_keys=True)}": facts(one)
        for one in read
    }


def table(folder: Path) -> list[dict[str, str]]:
    """The rows of ``trials.csv`` without times."""
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        return [
            {key: cell for key, cell in row.items() if not key.endswith(COLUMNS_OF_TIME)}
            for row in csv.DictReader(file)
        ]


def differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Where two values differ, a line each."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from differences(old.get(key), new.get(key), f"{place}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, f"{place}[{number}]")
    elif old != new and not (old is None and new == ""):  # a new field that says nothing
        yield f"{place}: {str(old)[:80]} was, {str(new)[:80]} is"


def compare(name: str, old: Path, new: Path) -> int:
    """Print where two runs of a suite differ; the number of places."""
    found = list(differences(records(old), records(new), name)) + list(
        differences(table(old), table(new), f"{name} trials.csv")
    )
    print(f"{name}: {len(records(old))} trials, {len(found)} differences", flush=True)
    print("\n".join(found[:20]), end="\n" if found else "")
    said = [
        (folder / "report.md").read_text(encoding="utf-8").splitlines() for folder in (old, new)
    ]
    changed = [line for line in difflib.unified_diff(*said, n=0, lineterm="") if line[0] in "+-"]
    print(f"{name}: {len(changed)} lines of the report differ (times, paths, wording)")
    return len(found)


def main() -> int:
    """The way in; the exit status is 1 where anything differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.baseline", description=__doc__)
    parser.add_argument("commit", help="the earlier code")
    parser.add_argument(
        "names", nargs="*", choices=[*SUITES, []], help=f"some of {' '.join(SUITES)}"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        help="a folder for both sides' output; what is there already is not run again",
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="baseline-") as directory:
        work = (asked.keep or Path(directory)).resolve()
        code = Path(directory) / "code"
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", str(code), asked.commit],
            cwd=ROOT,
            check=True,
        )
        try:
            found = 0
            for name in asked.names or SUITES:
                for side, source in (("old", code), ("new", ROOT)):
                    (work / side).mkdir(parents=True, exist_ok=True)
                    if side == "new" or not (work / side / name / "report.md").exists():
                        shutil.rmtree(work / side / name, ignore_errors=True)
                        run(source, code / "experiments", name, work / side)
                found += compare(name, work / "old" / name, work / "new" / name)
        finally:
            subprocess.run(
                ["git", "worktree", "remove", "--force", str(code)], cwd=ROOT, check=True
            )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
