"""The page of a benchmark: tables and a plot, made from ``bench.json`` alone, with the part about
engines if it was measured.
"""

import io
import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from mtlab.bench import engines_page
from mtlab.record.files import write_atomically
from mtlab.report.figures.canvas import light
from mtlab.report.figures.looks import COLOURS, STYLE
from mtlab.report.markdown import fixed, name, rounded, table, text

PEERS = ("Trainer, defaults", "Trainer, tuned")
OURS, PLAIN = "mtlab", "mtlab, cache off"


def write(directory: Path) -> Path:
    """Write ``bench.md`` and the plot next to ``bench.json``."""
    result = json.loads((directory / "bench.json").read_text())
    result["rows"] = [row for scenario in result["scenarios"].values() for row in scenario["rows"]]
    picture = io.BytesIO()
    _figure(result).savefig(picture, format="png")
    write_atomically(directory / "speed.png", light(picture.getvalue()))
    page = directory / "bench.md"
    write_atomically(page, "\n".join(_lines(result)) + "\n")
    return page


def _lines(result: dict[str, Any]) -> list[str]:
    facts, data = result["environment"], result["data"]
    sizes = ", ".join(f"{split} {size:,}" for split, size in data["sizes"].items())
    return [
        "# Benchmark",
        "",
        f"{text(', '.join(data['sources']))}: {sizes} sentences; batch {result['experiment']['batch_size']}; "
        f"{text(facts['device_name'])}, {facts['threads']} threads, {facts['precision']}, torch {facts['torch']}.",
        "",
        "Each program ran the scenarios in turn with the others in one process, on the same encoded data, from the same start, with the "
        "same optimizer, rates, epochs and evaluation. Seconds are real time without reading data and weights; the median of three runs "
        "where a run took under two minutes. "
        "mtlab's hold everything it does in that time: certificates, records, the timing of plain steps.",
        "",
        *table(_HEADER, (_row(result, row) for row in result["rows"])).splitlines(),
        "",
        "## Where it comes from",
        "",
        *table(("scenario", *_GAINS), _gains(result)).splitlines(),
        "",
        "One seed, each column against the one that it names. mtlab with the cache off computes everything, as a Trainer does: what it "
        "gains is precision, little padding and a cheaper step. What the cache gains is work skipped; more seeds gain more, for they "
        "share it.",
        "",
        "![Real time of each scenario by who ran it, shorter is faster; all numbers are in the table above](speed.png)",
        "",
        "## What the machine could do",
        "",
        *table(
            (
                "when",
                "products in bf16 (GFLOP/s)",
                "in fp32",
                "memory (GB/s)",
                "a forward pass (s)",
            ),
            _machine(result),
        ).splitlines(),
        "",
        "Measured before each scenario, for a machine's pace drifts. The forward pass is one over all splits without gradient.",
        "",
        *table(
            ("scenario", "floor of a plain loop (s)", "mtlab's training, one seed (s)", "ratio"),
            _floors(result),
        ).splitlines(),
        "",
        "The floor is training FLOPs without padding at that rate of products, and the bytes that AdamW moves at that bandwidth. "
        "Evaluation and passes that fill the cache are on neither side. Where the cache skips work, mtlab is below the floor of a plain "
        "loop.",
        "",
        "## Test metrics of the runs",
        "",
        *table(("scenario", "who", *_scores(result)), _metrics(result)).splitlines(),
        *(["", *engines_page.lines(result["engines"])] if "engines" in result else []),
    ]


_HEADER = (
    "scenario",
    "seeds",
    "mtlab (s)",
    *(f"{peer} (s)" for peer in PEERS),
    *(f"mtlab against {peer}" for peer in PEERS),
)


def _row(result: dict[str, Any], row: dict[str, Any]) -> list[str]:
    ours = statistics.median(row["seconds"][OURS])
    peer_seconds = [_peer(result, row, peer) for peer in PEERS]
    ratios = [f"{value / ours:.1f}x" if value is not None else "–" for value in peer_seconds]
    return [
        name(row["scenario"]),
        str(row["seeds"]),
        rounded(ours),
        *(rounded(value) for value in peer_seconds),
        *ratios,
    ]


def _peer(result: dict[str, Any], row: dict[str, Any], peer: str) -> float | None:
    """A Trainer's seconds: those of one seed, times the number of seeds, because a Trainer shares
    no work among seeds. None if they were not measured.
    """
    single = {
        other["scenario"]: other["seconds"]
        for other in result["rows"]
        if other["seeds"] == 1 and peer in other["seconds"]
    }
    if row["scenario"] in single:
        return row["seeds"] * float(statistics.median(single[row["scenario"]][peer]))
    if set(single) == set(result["experiment"]["scenarios"]):
        return row["seeds"] * sum(statistics.median(seconds[peer]) for seconds in single.values())
    return None


_GAINS = (
    "a Trainer's tuning",
    "mtlab's step and batches, against the tuned Trainer",
    "work skipped, against cache off",
)


def _gains(result: dict[str, Any]) -> list[list[str]]:
    lines = []
    for row in result["rows"]:
        medians = {who: statistics.median(laps) for who, laps in row["seconds"].items()}
        if row["seeds"] == 1 and all(peer in medians for peer in PEERS):
            plain = medians.get(PLAIN, medians[OURS])
            ratios = (
                medians[PEERS[0]] / medians[PEERS[1]],
                medians[PEERS[1]] / plain,
                plain / medians[OURS],
            )
            lines.append([name(row["scenario"]), *(f"{ratio:.2f}x" for ratio in ratios)])
    return lines


def _machine(result: dict[str, Any]) -> list[list[str]]:
    lines = []
    for scenario, measured in result["scenarios"].items():
        if "machine" in measured:
            machine = measured["machine"]
            rates = [rounded(machine["gemm"][kind] / 1e9) for kind in ("bf16", "fp32")]
            passing = rounded(statistics.median(measured["forward_pass_s"]))
            lines.append([name(scenario), *rates, rounded(machine["bandwidth"] / 1e9), passing])
    return lines


def _floors(result: dict[str, Any]) -> list[list[str]]:
    lines = []
    for row in result["rows"]:
        floor = result["scenarios"][row["scenario"]].get("floor_s")
        if row["seeds"] == 1 and floor:
            ours = statistics.median(row["train_s"][OURS])
            lines.append(
                [name(row["scenario"]), rounded(floor), rounded(ours), f"{ours / floor:.2f}"]
            )
    return lines


def _scores(result: dict[str, Any]) -> list[str]:
    return list(next(iter(result["rows"][0]["metrics"].values())))


def _metrics(result: dict[str, Any]) -> list[list[str]]:
    return [
        [name(row["scenario"]), text(who), *map(fixed, metrics.values())]
        for row in result["rows"]
        for who, metrics in row["metrics"].items()
        if row["seeds"] == 1
    ]


def _figure(result: dict[str, Any]) -> Figure:
    with mpl.rc_context(STYLE):
        rows = [
            row for row in result["rows"] if "machine" in result["scenarios"][row["scenario"]]
        ]  # the suite's bar would dwarf the others
        figure = Figure(figsize=(8.0, 1.0 + 0.62 * len(rows)), layout="constrained")
        ax = figure.subplots()
        for place, row in enumerate(rows):
            ours = statistics.median(row["seconds"][OURS])
            bars = {
                OURS: ours,
                **{
                    peer: value for peer in PEERS if (value := _peer(result, row, peer)) is not None
                },
            }
            for line, (who, seconds) in enumerate(bars.items()):
                y = place + (line - 1) * 0.26
                ax.barh(
                    y,
                    seconds,
                    height=0.24,
                    color=COLOURS[line],
                    label=who if place == 0 else None,
                )
                ratio = "" if who == OURS else f"  {seconds / ours:.1f}x"
                ax.text(seconds, y, f" {seconds:.0f} s{ratio}", va="center", fontsize=7.5)
        ax.set_yticks(
            range(len(rows)),
            [f"{row['scenario']}, {row['seeds']} seed{'s' * (row['seeds'] > 1)}" for row in rows],
        )
        ax.invert_yaxis()
        ax.set_xlabel("real time (s)")
        ax.margins(x=0.15)
        figure.legend(loc="outside lower center", ncols=3)
    return figure
