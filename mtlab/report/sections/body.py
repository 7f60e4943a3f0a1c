"""The report's sections about results: scores, cost, parameters. Each writes markdown for one group."""

import re
from collections.abc import Iterable, Mapping, Sequence

from mtlab.record.records import StageRecord, SuiteRecord, Units
from mtlab.report import markdown
from mtlab.report.comparison import decisions
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import ENOUGH, Group, Task
from mtlab.report.markdown import fixed, listing, name, rounded, text, whole
from mtlab.report.sections.answer import effect, reason
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.intervals import Interval


def scenarios(group: Group) -> str:
    """A line on what each scenario trains and freezes, stage by stage, as its records have it."""
    lines = []
    for scenario in group.scenarios:
        trial = next(
            (trial for trial in group.trials if trial.scenario == scenario and trial.stages), None
        )
        stages = trial.stages if trial is not None else ()
        never = _never_trained(stages, bool(trial and trial.start))
        said = [
            _stage(stage.name, stage.epochs, stage.parameters, alone=len(stages) == 1)
            for stage in stages
        ]
        control = " (the control)" if group.control == scenario else ""
        lines.append(
            f"- {name(scenario)}{control}: {'; then '.join(said) or 'left no record of its stages'}.{never}"
        )
    return "\n".join(lines)


def _stage(label: str, epochs: int, units: dict[str, Units], *, alone: bool) -> str:
    trained = _ranges(unit for unit, count in units.items() if count.trainable and not count.frozen)
    partly = _ranges(unit for unit, count in units.items() if count.trainable and count.frozen)
    frozen = _ranges(unit for unit, count in units.items() if count.frozen and not count.trainable)
    words = [
        f"trains {trained or 'nothing'}" if trained or not partly else "",
        f"trains parts of {partly}" if partly else "",
    ]
    words.append(f"freezes {frozen or 'nothing'}")
    length = f"{epochs} epoch{'' if epochs == 1 else 's'}"
    return f"{'' if alone else f'{text(label)}, '}{length}: {', '.join(word for word in words if word)}"


def _ranges(units: Iterable[str]) -> str:
    """Units as a list in which numbered neighbours are one item: ``embeddings, layers[0] to
    layers[3]``.
    """
    runs: list[list[str]] = []
    for unit in units:
        if runs and _follows(runs[-1][-1], unit):
            runs[-1].append(unit)
        else:
            runs.append([unit])
    return ", ".join(
        name(run[0]) if len(run) == 1 else f"{name(run[0])} to {name(run[-1])}" for run in runs
    )


def _follows(before: str, after: str) -> bool:
    parts = [re.fullmatch(r"(.*?)(\d+)(\D*)", unit) for unit in (before, after)]
    first, second = parts
    return (
        bool(first and second)
        and (first[1], int(first[2]) + 1, first[3]) == (second[1], int(second[2]), second[3])
        if first and second
        else False
    )


def _never_trained(stages: Sequence[StageRecord], from_checkpoint: bool) -> str:
    """The note on heads that stay unchanged, new or learnt, while other parts train around them."""
    if not any(stage.params_trainable and stage.epochs for stage in stages):
        return ""
    heads = [unit for unit in stages[0].parameters if unit.startswith("head")]
    kept = [
        head
        for head in heads
        if all(
            head in stage.parameters and not stage.parameters[head].trainable for stage in stages
        )
    ]
    if not kept:
        return ""
    verb = "is" if len(kept) == 1 else "are"
    which = f" {markdown.listing([name(head) for head in kept])} {verb}"
    if from_checkpoint:
        return f"{which} as the checkpoint learnt {'it' if len(kept) == 1 else 'them'}, and not trained."
    return f"{which} *frozen at random*: a fixed random projection that what is trained can learn to serve, not a skill that is kept."


def results(group: Group) -> str:
    """Mean, interval and verdict of each scenario and task, with the number of seeds."""
    tasks = group.tasks
    if not tasks:
        return "No trial ended well: there are no results."
    compared = {task.name: decisions.of_task(group, task) for task in tasks}
    header = [
        "scenario",
        *(cell for task in tasks for cell in (text(task.metric_title), "against the control")),
        "plain time (s)",
        "seeds",
    ]
    rows = []
    for scenario in group.scenarios:
        row = [f"{name(scenario)} (control)" if group.control == scenario else name(scenario)]
        for task in tasks:
            estimate = intervals.estimate(group.samples(task)[scenario], within=task.kind.limits)
            row += [estimated(estimate), _against(group, compared[task.name].get(scenario))]
        plain = intervals.interval(group.values("wall_plain_s")[scenario].values())
        rows.append([*row, rounded(plain.mean), _count(group, scenario)])
    return markdown.table(header, rows)


def notes(group: Group) -> str:
    """How to read the table of results."""
    lines = [
        "Test split; mean over seeds [95% interval, by a two-way analysis of variance over seeds and sentences]."
    ]
    contrasts = decisions.planned(group)
    if group.control is not None and contrasts > 0:
        margins = [f"{task.margin:g} of {text(task.metric_title)}" for task in group.every]
        lines.append(
            "Against the control: mean difference paired by seed and by test sentence, [the interval that decides], and the verdict. The "
            f"intervals of all {contrasts} contrasts together are wrong in at most 5% of suites (Bonferroni). *Equivalent*: the interval "
            f"lies within the margin, {listing(margins)}. *Better*, *worse*: it excludes 0. *Unclear*: neither; *at least as good*: it "
            "excludes a loss of the margin."
        )
        if group.looks:
            lines.append(
                f"Verdicts were sought at {listing([str(look) for look in group.looks])} seeds; a scenario ran no more once all of its own "
                "were found, or hardly would be. A verdict has the interval of the first look that gave it; an effect that was found "
                "early is probably exaggerated. Means over different numbers of seeds do not compare: differences do."
            )
        if not group.complete:
            lines.append(
                "Where a seed is missing, the difference is over the seeds that both have, and so not that of the two means."
            )
    return " ".join([*lines, f"**{intervals.SCOPE}**"])


def estimated(interval: Interval) -> str:
    """A mean with its interval."""
    return fixed(interval.mean) + markdown.bounds(interval.low, interval.high)


def _against(group: Group, contrast: Contrast | None) -> str:
    if contrast is None or contrast.interval.mean is None:
        return "–"
    good = ", at least as good" if contrast.verdict == "unclear" and contrast.as_good else ""
    why = f" ({reason(contrast)})" if reason(contrast) else ""
    early = contrast.interval.n < len(group.of(contrast.scenario)) and contrast.look in group.looks
    when = f" after {contrast.interval.n} seeds" if early else ""
    return f"{effect(contrast)} {contrast.verdict}{when}{good}{why}"


def _count(group: Group, scenario: str) -> str:
    there, asked = len(group.of(scenario)), len(group.seeds_of(scenario))
    return str(there) if there == asked else f"{there} of {asked} seeds"


def metrics(group: Group, task: Task) -> str:
    """Every metric of a task, and by part, folded; empty where that says no more than the results."""
    titles, parts = task.kind.metrics, group.parts(task)
    if len(titles) < 2 and not parts:
        return ""
    values = [group.values(f"{task.name}_{metric}") for metric in titles]
    if not any(by_seed for column in values for by_seed in column.values()):
        return "No test score."
    rows = [
        [name(scenario), *(fixed(_mean(column[scenario].values())) for column in values)]
        for scenario in group.scenarios
    ]
    said = f"Means over seeds, test split. {task.kind.note}".strip()
    folded = [_by_part(group, task, parts)] if parts else []
    return "\n\n".join([markdown.table(["scenario", *titles.values()], rows), said, *folded])


def _by_part(group: Group, task: Task, parts: Mapping[str, int]) -> str:
    rows = []
    for part, count in parts.items():
        cells = [fixed(group.part_score(scenario, task, part)) for scenario in group.scenarios]
        rows.append([text(part), whole(count) + ("" if count >= ENOUGH else " (few)"), *cells])
    few = (
        f"*Few*: below {ENOUGH} that are gold, where one more or less moves the score by points."
        if min(parts.values()) < ENOUGH
        else ""
    )
    header = [task.kind.value_title, "gold", *(name(scenario) for scenario in group.scenarios)]
    metric = next(iter(task.kind.metrics.values()))
    summary = f"{metric[:1].upper()}{metric[1:]} by {task.kind.value_title}"
    return markdown.details(summary, f"{markdown.table(header, rows)}\n\n{few}".strip())


def _mean(values: Iterable[float]) -> float | None:
    return intervals.interval(values).mean


COST = (
    ("wall_plain_s", "plain time (s)"),
    ("wall_s", "wall time (s)"),
    ("train_flops", "training TFLOP"),
    ("train_flops_padding", "of it padding"),
    ("tokens_per_s", "tokens/s"),
    ("peak_memory_mb", "peak memory (MB)"),
)


def cost(group: Group) -> str:
    """What each scenario costs, in means over seeds."""
    values = {column: group.values(column) for column, _ in COST}
    plain = _ratios(group, "wall_plain_s")
    rows = []
    for scenario in group.scenarios:
        means = {column: _mean(values[column][scenario].values()) for column in values}
        flops, padding = means["train_flops"], means["train_flops_padding"]
        share = f"{padding / flops:.1%}" if flops and padding is not None else "–"
        row = [
            name(scenario),
            rounded(means["wall_plain_s"]),
            plain.get(scenario, "–"),
            rounded(means["wall_s"]),
        ]
        row += [
            rounded(None if flops is None else flops / 1e12),
            share,
            rounded(means["tokens_per_s"], 4),
            rounded(means["peak_memory_mb"], 4),
        ]
        rows.append(row)
    titles = dict(COST)
    header = ["scenario", titles.pop("wall_plain_s"), "against the control", *titles.values()]
    return markdown.table(header, rows)


def _ratios(group: Group, column: str) -> dict[str, str]:
    """Each scenario's cost over the control's, with its interval."""
    if group.control is None:
        return {}
    ratios = comparisons.costs(group.values(column), group.control)
    return {
        cost.scenario: f"{cost.interval.mean:.2f}×{markdown.bounds(cost.interval.low, cost.interval.high, 2)}"
        for cost in ratios
        if cost.interval.mean is not None
    }


def cost_words(suite: SuiteRecord) -> str:
    """A sentence on each number of cost, and the suite's own time."""
    lines = [
        "- **Plain time** is what a plain training loop would take, without a cache: each stage's measured step times its steps, plus "
        "set-up and evaluation. Whether freezing is faster is judged on it and on FLOPs. Its ratio to the control is paired by "
        "seed [adjusted interval].",
        "- **Wall time** is what the scenario would have cost alone on this engine: its own laps plus, in full, the shared work that it "
        "used: reading data and encoder, and the passes that computed cached states of frozen blocks. Seeds that trained together each "
        "count all of that time.",
        "- **Training FLOPs** are the matrix multiplications of training in a plain loop, 1 TFLOP = 10¹²; *padding* is the "
        "share that went into padding.",
        "- **Tokens/s** are sub-word tokens, without padding, over the seconds of the training lap; **peak memory** is the trial's "
        "high-water mark in MB (10⁶ bytes): on a CPU the resident memory of the whole process, libraries and evaluation included.",
    ]
    if suite.elapsed_s is not None:
        lines.append(
            f"- **The whole suite** took {rounded(suite.elapsed_s, 4)} s of real time from start to end, on work shared where it could be"
            + (
                f"; {len(suite.read_back)} trials that an earlier run had finished are not in it."
                if suite.read_back
                else "."
            )
        )
    return "\n".join(lines)


def parameters(group: Group) -> str:
    """Exact counts of each stage, with what it trains at which rate."""
    header = [
        "scenario",
        "stage",
        "epochs",
        "trained",
        "frozen",
        "total",
        "frozen blocks below",
        "rates",
    ]
    rows = []
    for scenario in group.scenarios:
        stages = next(
            (trial.stages for trial in group.trials if trial.scenario == scenario and trial.stages),
            (),
        )
        for stage in stages:
            rates = (
                ", ".join(f"{name(selector)} {rate:g}" for selector, rate in stage.train.items())
                or "–"
            )
            counts = [
                whole(stage.params_trainable),
                whole(stage.params_frozen),
                whole(stage.params_total),
            ]
            rows.append(
                [
                    name(scenario),
                    text(stage.name),
                    whole(stage.epochs),
                    *counts,
                    whole(stage.prefix_depth),
                    rates,
                ]
            )
    return (
        markdown.table(header, rows, words=2) if rows else "No trial left a record of its stages."
    )
