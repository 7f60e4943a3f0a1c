"""``python -m mtlab.bench.engines FILE [--KEY VALUE ...]``: one suite, run by this process alone,
and by workers of a Ray cluster.

The engines run the whole command in turn, with one thread per worker. The cost of an engine is
measured in seconds per trial: one worker of a cluster compared with no cluster. The gain of more
workers is a ratio of trials per hour.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mtlab.bench import page
from mtlab.bench.engines_page import ALONE
from mtlab.plan.errors import UserError
from mtlab.record.files import write_atomically
from mtlab.record.journal import Journal
from mtlab.train import runtime

TURNS = 2
"""How often each engine runs."""


def run(arguments: list[str]) -> dict[str, Any]:
    """The seconds of each engine, turn by turn, and the trials that it ran.

    Args:
        arguments: the arguments of ``mtlab compare``.

    Raises:
        UserError: Ray is not installed, or a suite failed.
    """
    try:
        from ray.cluster_utils import Cluster
    except ImportError:
        raise UserError(
            "Ray is not installed", "pip install 'mtlab[ray]'", code="not-installed"
        ) from None
    result: dict[str, Any] = {
        "command": ["mtlab", "compare", *arguments],
        "cores": runtime.cores(),
        "runs": {},
    }
    for turn in range(TURNS):
        for workers in (0, 1, runtime.cores()):
            engine_name = (
                f"Ray, {workers} worker{'' if workers == 1 else 's'}" if workers else ALONE
            )
            with tempfile.TemporaryDirectory() as folder:
                engine = []
                if workers:
                    resources = {"num_cpus": workers, "object_store_memory": 100 << 20}
                    cluster = Cluster(initialize_head=True, head_node_args=resources)
                    engine = ["--engine", "ray", "--address", cluster.address]
                try:
                    lap = _lap([*arguments, *engine], Path(folder))
                finally:
                    if workers:
                        cluster.shutdown()
            result["runs"].setdefault(engine_name, {"workers": workers, "laps": []})["laps"].append(
                lap
            )
            print(
                f"turn {turn + 1}, {engine_name}: {lap['seconds']:.1f} s, {lap['trials']} trials",
                flush=True,
            )
    return result


def _lap(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Run a suite, and return the seconds of the command, of the suite, and from the beginning of
    the first trial to the end of the last one, with facts about the suite.
    """
    settings = {"OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    command = [
        sys.executable,
        "-m",
        "mtlab.cli",
        "compare",
        *arguments,
        "--output",
        str(folder / "out"),
    ]
    began = time.perf_counter()
    process = subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if process.returncode:
        raise UserError(
            f"a suite failed: {(process.stderr or process.stdout).strip().splitlines()[-1]}",
            "run its command by itself",
            code="trial-failed",
        )
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


def main() -> int:
    """The entry point."""
    place = Path("reports/bench")
    numbers = place / "bench.json"
    try:
        if not numbers.exists():
            raise UserError(
                "is missing; the engines' times go into it",
                "run `make bench` first",
                where=str(numbers),
                code="file-missing",
            )
        result = run(sys.argv[1:])
    except UserError as error:
        print(f"mtlab: {error}", file=sys.stderr)
        return 2
    write_atomically(
        numbers, json.dumps({**json.loads(numbers.read_text()), "engines": result}, indent=1)
    )
    print(f"written: {page.write(place)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
