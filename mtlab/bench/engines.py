"""``python -m mtlab.bench.engines FILE [--KEY VALUE ...]``: one suite, run by this process alone, and by workers of a Ray cluster.

Each runs the whole command, in turn, with a thread a worker. What an engine costs is told in seconds a trial: those of one worker of
a cluster beside those of no cluster; what more workers are worth, as a ratio of trials an hour.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mtlab.plan.errors import UserError
from mtlab.record.journal import Journal, write_atomically
from mtlab.report.markdown import rounded, table, text
from mtlab.train import runtime

TURNS = 2
"""How often everybody runs."""

ALONE = "this process"


def run(arguments: list[str]) -> dict[str, Any]:
    """The seconds of each engine, turn by turn, and what they ran.

    Args:
        arguments: of ``mtlab compare``.

    Raises:
        UserError: Ray is not installed, or a suite failed.
    """
    try:
        from ray.cluster_utils import Cluster
    except ImportError:
        raise UserError("Ray is not installed", "pip install 'mtlab[ray]'") from None
    found: dict[str, Any] = {"command": ["mtlab", "compare", *arguments], "cores": runtime.cores(), "runs": {}}
    for turn in range(TURNS):
        for workers in (0, 1, runtime.cores()):
            who = f"Ray, {workers} worker{'' if workers == 1 else 's'}" if workers else ALONE
            with tempfile.TemporaryDirectory() as folder:
                engine = []
                if workers:
                    room = {"num_cpus": workers, "object_store_memory": 100 << 20}
                    cluster = Cluster(initialize_head=True, head_node_args=room)
                    engine = ["--engine", "ray", "--address", cluster.address]
                try:
                    lap = _lap([*arguments, *engine], Path(folder))
                finally:
                    if workers:
                        cluster.shutdown()
            found["runs"].setdefault(who, {"workers": workers, "laps": []})["laps"].append(lap)
            print(f"turn {turn + 1}, {who}: {lap['seconds']:.1f} s, {lap['trials']} trials", flush=True)
    return found


def _lap(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Run a suite; its real seconds, and those between the first trial's beginning and the last one's end."""
    settings = {"OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    command = [sys.executable, "-m", "mtlab.cli", "compare", *arguments, "--output", str(folder / "out")]
    began = time.perf_counter()
    ended = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if ended.returncode:
        raise UserError(f"a suite failed: {(ended.stderr or ended.stdout).strip().splitlines()[-1]}", "run its command by itself")
    suite, trials = Journal(folder / "out").read()
    assert suite.elapsed_s is not None
    last = max(trial.ended_at or 0.0 for trial in trials)
    return {
        "seconds": seconds,
        "suite_s": suite.elapsed_s,
        "trials_s": last - min(trial.started_at for trial in trials),
        "trials": len(trials),
        "shared": sum(bool(trial.untimed) for trial in trials),
        "device": f"{suite.environment['device_name']}, {suite.environment['precision']}",
    }


def lines(found: dict[str, Any]) -> list[str]:
    """Their part of the page, from what :func:`run` returned."""
    rows, alone = [], found["runs"][ALONE]["laps"]
    one = _median(alone, "suite_s")
    first = _median(next(run["laps"] for run in found["runs"].values() if run["workers"] == 1), "trials_s")
    for who, run in found["runs"].items():
        laps = run["laps"]
        overhead = (_median(laps, "suite_s") - one) / laps[0]["trials"] if run["workers"] == 1 else None
        gain = first / _median(laps, "trials_s") if run["workers"] else None
        rows.append(
            [
                who,
                *(rounded(_median(laps, key)) for key in ("seconds", "suite_s", "trials_s")),
                rounded(overhead),
                "–" if gain is None else f"{gain:.2f}",
                f"{laps[0]['shared']} of {laps[0]['trials']}",
            ]
        )
    header = ("engine", "command (s)", "suite (s)", "trials (s)", "overhead a trial (s)", "throughput", "shared their device")
    return [
        "## Engines",
        "",
        f"`{text(' '.join(found['command']))}` on {text(alone[0]['device'])}, {found['cores']} cores, a thread a worker; the median of "
        f"{len(alone)} runs in turn, {alone[0]['trials']} trials each.",
        "",
        *table(header, rows).splitlines(),
        "",
        "*Trials* is the time from the first trial's beginning to the last one's end, *throughput* its ratio to one worker's. The overhead "
        "is what the suite takes longer with one worker of a cluster than without one, over its trials; it holds what each worker does "
        "once: starting, reading data and encoder. How many trials shared their device is of the first run.",
    ]


def _median(laps: list[dict[str, Any]], key: str) -> float:
    return statistics.median(lap[key] for lap in laps)


def main() -> int:
    """The way in."""
    from mtlab.bench import page

    place = Path("reports/bench")
    numbers = place / "bench.json"
    try:
        if not numbers.exists():
            raise UserError("is not there, and the engines stand beside what is in it", "run `make bench` first", where=str(numbers))
        found = run(sys.argv[1:])
    except UserError as error:
        print(f"mtlab: {error}", file=sys.stderr)
        return 2
    write_atomically(numbers, json.dumps({**json.loads(numbers.read_text()), "engines": found}, indent=1))
    print(f"written: {page.write(place)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
