"""The report's sections about results: scores, cost, parameters. Each writes markdown for one group."""

import re
from collections.abc import Iterable, Mapping, Sequence

from mtlab.record import pieces
from mtlab.record.records import StageRecord, SuiteRecord
from mtlab.report import markdown
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import ENOUGH, Group, Task
from mtlab.report.markdown import fixed, name, rounded, text, whole
from mtlab.report.results import scenario_rows
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.intervals import Interval
from mtlab.report.wording import averaged, drawn, effect, falling


def scenarios(group: Group) -> str:
    """A line on what each scenario trains and freezes, stage by stage, as its records have it."""
    lines = []
    for scenario in group.scenarios:
        trial = next(
            (trial for trial in group.trials if trial.scenario == scenario and trial.stages), None
        )
        stages = pieces.joined(trial.stages) if trial is not None else []
        never = _never_trained(stages, bool(trial and trial.start))
        phrases = [
            _stage(stage, alone=len(stages) == 1) + drawn(stage.reinit) + averaged(stage.average)
            for stage in stages
        ]
        control = " (the control)" if group.control == scenario else ""
        lines.append(
            f"- {name(scenario)}{control}: {'; then '.join(phrases) or 'left no record of its stages'}.{never}"
        )
    return "\n".join(lines)


def _stage(stage: StageRecord, *, alone: bool) -> str:
    units, epochs = stage.parameters, stage.epochs
    trained = _ranges(unit for unit, count in units.items() if count.trainable and not count.frozen)
    partly = _ranges(unit for unit, count in units.items() if count.trainable and count.frozen)
    frozen = _ranges(unit for unit, count in units.items() if count.frozen and not count.trainable)
    words = [
        f"trains {trained or 'nothing'}" if trained or not partly else "",
        _partly(partly, at_times=bool(stage.chooses)) if partly else "",
    ]
    words.append(f"freezes {frozen or 'nothing'}")
    length = f"{epochs} epoch{'' if epochs == 1 else 's'}"
    return f"{'' if alone else f'{text(stage.name)}, '}{length}: {', '.join(word for word in words if word)}"


def _partly(units: str, *, at_times: bool) -> str:
    return f"trains {units} for some of the epochs" if at_times else f"trains parts of {units}"


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
    """A row a scenario: mean and change against the control at each task, cost, seeds."""
    tasks = group.tasks
    if not tasks:
        return "" if group.pilot else "No trial ended well: there are no results."
    header = ["scenario"]
    header += [cell for task in tasks for cell in (text(task.metric_title), "change")]
    lines = []
    for row in scenario_rows(group):
        control = " (control)" if group.control == row.scenario else ""
        cells = [name(row.scenario) + control]
        for task in tasks:
            change = _against(group, row.contrasts.get(task.name))
            cells += [estimated(row.scores[task.name]), change]
        cost = "–" if row.flops is None else f"{row.flops:.2f}×"
        lines.append([*cells, cost, _count(group, row.scenario)])
    return markdown.table([*header, "training FLOPs", "seeds"], lines)


def estimated(interval: Interval) -> str:
    """A mean with its interval."""
    return markdown.measured(interval.mean, interval.low, interval.high)


def _against(group: Group, contrast: Contrast | None) -> str:
    if contrast is None or contrast.interval.mean is None:
        return "–"
    good = ", at least as good" if contrast.verdict == "unclear" and contrast.as_good else ""
    early = contrast.interval.n < len(group.of(contrast.scenario)) and contrast.look in group.looks
    when = f" after {contrast.interval.n} seeds" if early else ""
    return f"{effect(contrast)} {contrast.verdict}{when}{good}"


def _count(group: Group, scenario: str) -> str:
    finished, asked = len(group.of(scenario)), len(group.seeds_of(scenario))
    return str(finished) if finished == asked else f"{finished} of {asked} seeds"


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
    caption = f"Means over seeds, test split. {task.kind.note}".strip()
    folded = [_by_part(group, task, parts)] if parts else []
    return "\n\n".join([markdown.table(["scenario", *titles.values()], rows), caption, *folded])


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


def cost(group: Group) -> str:
    """What each scenario costs: ratios to the control, and times in means over seeds."""
    columns = ("train_flops", "wall_plain_s", "wall_s", "peak_memory_mb")
    values = {column: group.values(column) for column in columns}
    ratios = [_ratios(group, column) for column in columns[:2]]
    rows = []
    for scenario in group.scenarios:
        means = [_mean(values[column][scenario].values()) for column in columns[1:]]
        plain, wall, memory = means
        rows.append(
            [
                name(scenario),
                *(ratio.get(scenario, "–") for ratio in ratios),
                rounded(plain),
                rounded(wall),
                rounded(memory, 4),
            ]
        )
    header = ["scenario", "training FLOPs", "uncached time", "uncached (s)", "here (s)"]
    return markdown.table([*header, "peak memory (MB)"], rows)


def _ratios(group: Group, column: str) -> dict[str, str]:
    """Each scenario's cost over the control's, with its interval."""
    if group.control is None:
        return {}
    return {
        cost.scenario: markdown.times(cost.interval.mean, cost.interval.low, cost.interval.high)
        for cost in comparisons.costs(group.values(column), group.control)
        if cost.interval.mean is not None
    }


def cost_words(suite: SuiteRecord) -> str:
    """How to read the table of costs, and the suite's own time."""
    caption = (
        "Ratios are to the control, paired by seed [interval]. *Training FLOPs* count matrix multiplications. *Uncached*: a plain training "
        "loop, with set-up and evaluation. *Here*: with mtlab's cache of frozen blocks, shared work counted in full."
    )
    if suite.elapsed_s is None or suite.read_back:
        return caption
    return f"{caption} The whole suite took {rounded(suite.elapsed_s / 60)} minutes."


def work(group: Group) -> str:
    """The work of training: FLOPs, padding, tokens a second."""
    columns = ("train_flops", "train_flops_padding", "tokens_per_s")
    values = {column: group.values(column) for column in columns}
    rows = []
    for scenario in group.scenarios:
        flops, padding, speed = (_mean(values[column][scenario].values()) for column in columns)
        share = f"{padding / flops:.1%}" if flops and padding is not None else "–"
        teraflops = rounded(None if flops is None else flops / 1e12)
        rows.append([name(scenario), teraflops, share, rounded(speed, 4)])
    caption = (
        "1 TFLOP is 10¹² operations. Tokens are sub-word tokens without padding, over the seconds of training. Memory is the trial's "
        "high-water mark; on a CPU, that of the whole process."
    )
    header = ["scenario", "training TFLOP", "of it padding", "tokens/s"]
    return f"{markdown.table(header, rows)}\n\n{caption}"


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
        for stage in pieces.joined(stages):
            rates = (
                ", ".join(
                    f"{name(selector)} {rate:g}{falling(stage.decay.get(selector))}"
                    for selector, rate in stage.train.items()
                )
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
