"""``python -m mtlab.bench.scale``: on paper, a comparison on 10⁹ tokens and 1,000 GPUs; from what was measured here, and data sheets.

Nothing here was run at that size. Every figure is a product of constants that the page names, so that who has better ones can put them in.
"""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path

from transformers import BertConfig

from mtlab.model import freezing
from mtlab.model.flops import Counter
from mtlab.plan import experiment as plan
from mtlab.plan.scenario import Stage
from mtlab.record.journal import Journal, write_atomically
from mtlab.report.markdown import name, table
from mtlab.report.verdicts import PUBLISHED

HERE = Path("reports/bench")

TOKENS, GPUS, SEEDS, BATCH = 10**9, 1000, 5, 32
LABELS = {"classifier": 10, "ner": 9}


@dataclass(frozen=True)
class Gpu:
    """A GPU by its data sheet (NVIDIA H200 SXM), and the network beside it."""

    flops: float = 989e12
    """Products in bf16, dense, a second."""
    memory: float = 141e9
    """Bytes."""
    network: float = 50e9
    """Bytes a second to other machines: 400 Gb/s each."""
    disk: float = 1e11
    """Bytes a second that a parallel file system gives to all machines together."""


@dataclass(frozen=True)
class Measured:
    """What the committed runs measured.

    Attributes:
        share: of what the machine's matrix products alone would take, of the time of full fine-tuning.
        tokens: of a sentence.
        reading_s: seconds of one process to read, check and encode a sentence.
        step: bytes of a record for each training step.
    """

    share: float
    tokens: float
    reading_s: float
    step: float


def measured(folder: Path) -> Measured:
    """Constants, from ``bench.json``, and from the published records of ``compare``."""
    bench = json.loads((folder / "bench.json").read_text())
    scenario, data = bench["scenarios"][bench["experiment"]["control"]], bench["data"]
    suite, trials = Journal(folder.parent / PUBLISHED / "compare").read()
    full = next(trial for trial in trials if trial.scenario == suite.experiment["control"])
    means = [loss for epoch in full.epochs for loss in epoch.train_loss.values()]  # as long, written out, as those of steps
    large = max(bench["reach"], key=lambda run: run["sentences"])
    return Measured(
        share=scenario["floor_s"] / statistics.median(scenario["rows"][0]["seconds"]["mtlab"]),
        tokens=data["tokens"]["train"] / data["sizes"]["train"],
        reading_s=large["laps"]["setup"] / large["sentences"],
        step=len(full.epochs[-1].train_loss) * len(json.dumps(means)) / len(means),
    )


@dataclass(frozen=True)
class Row:
    """A scenario's trial on all tokens: FLOPs of a plain loop and of this engine, and bytes of gradients a step at most."""

    scenario: str
    plain: float
    ours: float
    gradients: float


def rows(stages: dict[str, tuple[Stage, ...]], counter: Counter, tokens: float) -> list[Row]:
    """What scenarios cost on :data:`TOKENS`; the pass over frozen blocks, which all of them share, is left out."""
    found, sentences = [], TOKENS / tokens
    for scenario, some in stages.items():
        plain = ours = gradients = 0.0
        for stage in some:
            partition = freezing.resolve(stage, counter.network)
            if not stage.epochs:
                continue
            cost = counter.step(partition, stage.losses)
            prefix = counter.prefix(partition.prefix_depth) if "embeddings" in partition.frozen else None
            of_one = cost.exact([round(tokens)])
            plain += stage.epochs * sentences * of_one
            ours += stage.epochs * sentences * (of_one - (prefix.exact([round(tokens)]) if prefix is not None else 0))
            trained = sum(unit.count for key, unit in freezing.units(counter.network).items() if key in partition.trained_units)
            gradients = max(gradients, 4.0 * trained)
        found.append(Row(scenario, plain, ours, gradients))
    return found


class Paper:
    """The arithmetic of the page.

    Args:
        found: what was measured.
        gpu: what a data sheet says.
    """

    def __init__(self, found: Measured, gpu: Gpu) -> None:
        experiment, self.config = plan.load("experiments/compare.yaml"), BertConfig()
        counter = Counter(self.config, LABELS, experiment.head)
        self.found, self.gpu, self.speed = found, gpu, gpu.flops * found.share
        self.sentences = TOKENS / found.tokens
        self.rows = rows({one: experiment.scenario(one).stages for one in experiment.scenarios}, counter, found.tokens)
        self.trials = SEEDS * len(self.rows)
        self.sentence_s = counter.forward().exact([round(found.tokens)]) / self.speed  # a forward pass
        self.encoded = 8 * (found.tokens + 2 * (found.tokens - 2) + 4)  # and source, label, and where each begins
        self.states = TOKENS * self.config.hidden_size * 4.0  # what comes out of the last normalisation under autocast is fp32

    def constants(self) -> list[list[str]]:
        """What all else follows from, and where that is from."""
        found, gpu = self.found, self.gpu
        return [
            ["share of the speed of matrix products that training reaches", f"{found.share:.2f}", "full fine-tuning in `bench.json`"],
            ["tokens of a sentence", f"{found.tokens:.1f}", "SNIPS, `bench.json`"],
            ["reading, checking and encoding a sentence", f"{found.reading_s * 1e6:,.0f} µs", "a million sentences, `bench.json`"],
            ["an encoded sentence on disk", f"{self.encoded:,.0f} bytes", "eight a number: sub-words, and a place and a tag for each word"],
            ["a training step in a record", f"{found.step:,.0f} bytes", "as many digits as the losses of `compare` have"],
            ["matrix products of a GPU, bf16", f"{gpu.flops / 1e12:,.0f} TFLOP/s", "data sheet of the H200, not measured"],
            ["a GPU's network", f"{gpu.network / 1e9:,.0f} GB/s", "data sheet: 400 Gb/s, not measured"],
            ["a parallel file system", f"{gpu.disk / 1e9:,.0f} GB/s", "assumed"],
        ]

    def costs(self) -> list[list[str]]:
        """A row a scenario."""
        return [
            [
                name(row.scenario),
                *(f"{flops / 1e18:,.2f}" for flops in (row.plain, row.ours)),
                *(_hours(flops / self.speed) for flops in (row.plain, row.ours)),
                f"{row.gradients / 1e6:,.1f}",
            ]
            for row in self.rows
        ]

    def shared(self) -> str:
        """What is done once for all trials, and what all of it takes."""
        one_pass = self.sentences * self.sentence_s
        hours = (SEEDS * sum(row.ours for row in self.rows) / self.speed + one_pass) / 3600
        return (
            f"EFLOP are 10¹⁸ FLOPs. Beside that one pass over the frozen blocks, {_hours(one_pass)} on one GPU, serves all "
            f"scenarios, epochs and seeds. It leaves {self.states / 1e12:.2f} TB of states in fp32 for each depth that is asked for, "
            f"{self.states / GPUS / 1e9:.2f} GB for each of {GPUS:,} GPUs; the encoded sentences are "
            f"{self.sentences * self.encoded / 1e9:,.0f} GB. All {self.trials} trials take {hours:,.0f} GPU-hours."
        )

    def breaks(self) -> list[str]:
        """What stands in the way, the worst first."""
        steps, gpu = 5 * self.sentences / BATCH, self.gpu
        longest, gradients = max(row.ours for row in self.rows), max(row.gradients for row in self.rows)
        exchange_s, training_s = 2 * gradients / gpu.network, 3 * self.sentence_s
        even = exchange_s / training_s
        return [
            f"Reading: every worker reads, checks and encodes all sentences for itself, which takes one process "
            f"**{_hours(self.sentences * self.found.reading_s)}** before its first step. Encoded sentences would have to be exchanged, as "
            "states are.",
            f"The batch: the products of {BATCH} sentences take one GPU {BATCH * training_s * 1e3:.2f} ms, and exchanging "
            f"{gradients / 1e6:,.0f} MB of gradients {exchange_s * 1e3:.0f} ms, as long as the products of {even:,.0f} sentences on each "
            f"GPU. One trial does not get faster by more GPUs at this batch; {GPUS:,} of them want one of {even * GPUS / 1e6:,.1f} million "
            "sentences. (On so few tokens a GPU does not reach that share of its speed either; what it reaches was not measured.)",
            f"Records: {steps / 1e6:,.0f} million steps of a trial at {self.found.step:.0f} bytes each make a record of "
            f"{steps * self.found.step / 1e6:,.0f} MB, and as many rows in MLflow for each loss. They would have to be thinned out.",
            f"Trials: {self.trials} of them leave {GPUS - self.trials} of {GPUS:,} GPUs idle, and the comparison ends with the longest, "
            f"after **{_hours(longest / self.speed)}** at the very least. More sizes, rates or encoders would fill the cluster.",
            f"States: {self.states / 1e12:.2f} TB for one depth fit into the memory of {-(-self.states // gpu.memory):,.0f} GPUs, or on "
            f"disk. Read from there by one trial at {gpu.disk / 1e9:,.0f} GB/s they take {self.states / gpu.disk:,.0f} s an epoch, and "
            "that many times longer for as many trials that read at once.",
        ]


def lines(found: Measured, gpu: Gpu) -> list[str]:
    """The page."""
    paper = Paper(found, gpu)
    config = paper.config
    header = (
        *("scenario", "plain loop (EFLOP)", "this engine (EFLOP)"),
        *("plain loop, one GPU", "this engine, one GPU", "gradients (MB)"),
    )
    return [
        "# On paper: 10⁹ tokens, 1,000 GPUs",
        "",
        f"The six scenarios of `experiments/compare.yaml`, {SEEDS} seeds, bert-base ({config.num_hidden_layers} blocks of "
        f"{config.hidden_size}), {TOKENS:,} training tokens in {paper.sentences / 1e6:,.0f} million sentences. **Nothing of this was "
        "run.** It follows from these constants:",
        "",
        *table(("constant", "value", "from"), paper.constants(), words=3).splitlines(),
        "",
        "## A trial",
        "",
        *table(header, paper.costs()).splitlines(),
        "",
        paper.shared(),
        "",
        "## What breaks first",
        "",
        *(f"{number}. {words}" for number, words in enumerate(paper.breaks(), start=1)),
        "",
        "So the GPUs belong to trials, one each (`--engine ray`), and not to one trial; several GPUs for one trial pay where the encoder "
        "is large, or the batch is.",
    ]


def _hours(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def main() -> None:
    """The way in."""
    write_atomically(HERE / "scale.md", "\n".join(lines(measured(HERE), Gpu())) + "\n")
    print(f"written: {HERE}/scale.md")


if __name__ == "__main__":
    main()
