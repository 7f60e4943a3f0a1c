"""The page of a GPU run: tables and a figure, made from ``gpu.json`` alone."""

import io
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from mtlab.bench import page as bench_page
from mtlab.plan.words import counted
from mtlab.record.files import write_atomically
from mtlab.report.figures import canvas
from mtlab.report.figures.looks import COLOURS, STYLE
from mtlab.report.markdown import fixed, name, rounded, table, text, whole

Part = dict[str, Any]

TITLES = {
    "compare": "The comparison: `mtlab compare experiments/five_epochs.yaml --device cuda`",
    "speed": "A training step of bert-base",
    "trainer": "Beside transformers.Trainer",
    "checks": "What must hold",
    "together": "Three trials at once on one GPU",
    "snips": "SNIPS, 4,000 sentences",
}


def write(directory: Path) -> Path:
    """Write ``gpu.md``, and ``gpu.png`` where the comparison ran, next to ``gpu.json``."""
    result = json.loads((directory / "gpu.json").read_text(encoding="utf-8"))
    facts, parts = result["facts"], result["parts"]
    lines = [
        "# On a GPU",
        "",
        f"{text(facts['device'])}; torch {text(facts['torch'])}, transformers {text(facts['transformers'])}.",
    ]
    for part, title in TITLES.items():
        if part in parts:
            lines += ["", f"## {title}", "", *_body(part, parts[part])]
    if result.get("notes"):
        lines += ["", "## To know", "", *(f"- {text(note)}" for note in result["notes"])]
    if "scenarios" in parts.get("compare", {}):
        drawn = io.BytesIO()
        _figure(parts["compare"]).savefig(drawn, dpi=110)
        (directory / "gpu.png").write_bytes(canvas.light(drawn.getvalue()))
    write_atomically(directory / "gpu.md", "\n".join(lines) + "\n")
    return directory / "gpu.md"


def _body(key: str, part: Part) -> list[str]:
    """The results of a part; for a failed part, the reason and the results until then."""
    if "failed" not in part:
        return BODIES[key](part)
    results = ["", *_comparison(part)] if "scenarios" in part and key != "trainer" else []
    return [f"Failed: {text(part['failed'])}.", *results]


def _comparison(part: Part) -> list[str]:
    scores = next(iter(part["scenarios"].values()))["scores"]
    header = (
        "scenario",
        "seeds",
        *scores,
        "uncached (s)",
        "as run (s)",
        "training (s)",
        "peak memory (MB)",
        "GPU busy",
    )
    rows = [_scenario(key, means) for key, means in part["scenarios"].items()]
    took = (
        f"The whole command took {part['command_s']:.0f} s. "
        if "command_s" in part
        else "Of the trials that had ended. "
    )
    return [table(header, rows), "", f"{took}Means over seeds, on the test split."]


def _scenario(key: str, means: Part) -> list[str]:
    busy = means["gpu_utilization_percentage"]
    return [
        name(key),
        str(means["seeds"]),
        *map(fixed, means["scores"].values()),
        *(rounded(means[field]) for field in ("wall_plain_s", "wall_s", "train_s")),
        whole(None if means["peak_memory_mb"] is None else round(means["peak_memory_mb"])),
        "–" if busy is None else f"{busy:.0f}%",
    ]


def _compare(part: Part) -> list[str]:
    return [
        *_comparison(part),
        "",
        "![Each scenario's scores and the time of a trial; the numbers are in the table above](gpu.png)",
    ]


def _speed(part: Part) -> list[str]:
    header = (
        "sentences × tokens",
        "step (ms)",
        "tokens/s",
        "TFLOP/s",
        "of measured products",
        "of the data sheet",
        "peak memory (MB)",
    )
    rows = []
    for shape, measured in part["shapes"].items():
        shares = [
            "–" if measured[field] is None else f"{100 * measured[field]:.1f}%"
            for field in ("of_products", "of_datasheet")
        ]
        memory = whole(
            None if measured["peak_memory_mb"] is None else round(measured["peak_memory_mb"])
        )
        rates = [
            rounded(measured["step_ms"]),
            whole(round(measured["tokens_per_s"])),
            rounded(measured["flop_s"] / 1e12),
        ]
        rows.append([shape, *rates, *shares, memory])
    note = (
        f"Everything trains, {part['precision']}, random weights, no padding; the median of 20 steps. A large product ran at "
        f"{part['products_flop_s'] / 1e12:.0f} TFLOP/s here."
    )
    return [table(header, rows), "", note]


def _trainer(part: Part) -> list[str]:
    header = ("scenario", "seeds", "who", "seconds", "mtlab is so many times as fast")
    rows = []
    for scenario in part["scenarios"].values():
        for row in scenario["rows"]:
            ours = statistics.median(row["seconds"][bench_page.OURS])
            for who, laps in row["seconds"].items():
                seconds = statistics.median(laps)
                ratio = "" if who == bench_page.OURS else f"{seconds / ours:.1f}"
                rows.append(
                    [name(row["scenario"]), str(row["seeds"]), text(who), rounded(seconds), ratio]
                )
    sizes = part["data"]["sizes"]
    return [
        table(header, rows),
        "",
        f"{whole(sizes['train'])} training sentences, five epochs, in turn in one process.",
    ]


def _checks(part: Part) -> list[str]:
    lines = {
        "resume": "A trial was killed (SIGKILL) after its first checkpoint, and the same command went on by itself.",
        "processes": "Two processes that share the GPU (gloo) train what one trains, through a gradual unfreeze.",
        "tests": "`pytest -m gpu tests`:",
    }
    return [f"- {line} {_outcome(part[key])}" for key, line in lines.items()]


def _outcome(part: Part) -> str:
    if "failed" in part:
        return f"Failed: {text(part['failed'])}."
    return f"{text(part['outcome'])}." if "outcome" in part else _apart(part)


def _apart(part: Part) -> str:
    weights = "the same, bit for bit" if part["same_weights"] else "not the same bits"
    scores = "the same" if part["same_scores"] else "not the same"
    largest = f"{part['largest_difference_of_a_loss']:.1e}"
    return f"Over {part['steps']} steps losses differ by {largest} at most; final weights: {weights}; test scores: {scores}."


def _together(part: Part) -> list[str]:
    apart, at_once, number = part["one_after_another_s"], part["at_once_s"], part["trials"]
    return [
        f"{counted(number, 'trial')} of full fine-tuning took {rounded(apart)} s one after another "
        f"(in the comparison above) and {rounded(at_once)} s "
        f"at once, each in a process of its own: {apart / at_once:.2f} times the throughput. Scores differ by "
        f"{part['largest_difference_of_a_score']:.4f} at most. {part['excluded_from_times']} of {number} records say that the GPU was "
        "shared, which keeps their times out of comparisons."
    ]


BODIES: dict[str, Callable[[Part], list[str]]] = {
    "compare": _compare,
    "speed": _speed,
    "trainer": _trainer,
    "checks": _checks,
    "together": _together,
    "snips": _comparison,
}


def _figure(part: Part) -> Figure:
    """One row per scenario: its scores, and the time of a trial."""
    timed = "a trial as run (s)"
    scenarios = {
        key: {**summary["scores"], timed: summary["wall_s"]}
        for key, summary in part["scenarios"].items()
    }
    panels = next(iter(scenarios.values()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.5, 0.8 + 0.3 * len(scenarios)), layout="constrained")
        for ax, field in zip(figure.subplots(1, len(panels), sharey=True), panels, strict=True):
            for row, means in enumerate(scenarios.values()):
                if means[field] is not None:
                    ax.plot(means[field], row, "o", markersize=5, color=COLOURS[0])
                    ax.annotate(
                        f"{means[field]:.3g}",
                        (means[field], row),
                        xytext=(5, 3),
                        textcoords="offset points",
                        fontsize=7,
                    )
            ax.set_yticks(range(len(scenarios)), list(scenarios))
            ax.set_xlim(left=0)
            ax.margins(x=0.25)
            ax.set_xlabel(field)
        ax.invert_yaxis()
    return figure
