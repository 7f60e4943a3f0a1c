"""The part of a benchmark's page about engines."""

import statistics
from typing import Any

from mtlab.report.markdown import rounded, table, text

ALONE = "this process"


def lines(result: dict[str, Any]) -> list[str]:
    """The lines about engines, from the result of :func:`mtlab.bench.engines.run`."""
    rows, alone = [], result["runs"][ALONE]["laps"]
    alone_s = _median(alone, "suite_s")
    one_worker_s = _median(
        next(run["laps"] for run in result["runs"].values() if run["workers"] == 1), "trials_s"
    )
    for engine_name, run in result["runs"].items():
        laps = run["laps"]
        overhead = (
            (_median(laps, "suite_s") - alone_s) / laps[0]["trials"]
            if run["workers"] == 1
            else None
        )
        gain = one_worker_s / _median(laps, "trials_s") if run["workers"] else None
        rows.append(
            [
                engine_name,
                *(rounded(_median(laps, key)) for key in ("seconds", "suite_s", "trials_s")),
                rounded(overhead),
                "–" if gain is None else f"{gain:.2f}",
                f"{laps[0]['shared']} of {laps[0]['trials']}",
            ]
        )
    header = (
        "engine",
        "command (s)",
        "suite (s)",
        "trials (s)",
        "overhead a trial (s)",
        "throughput",
        "shared their device",
    )
    return [
        "## Engines",
        "",
        f"`{text(' '.join(result['command']))}` on {text(alone[0]['device'])}, {result['cores']} cores, a thread a worker; the median of "
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
