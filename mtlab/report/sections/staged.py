"""The report's sections on staged experiments: forgetting, mitigations, and how far the network
moved.
"""

from collections.abc import Sequence

from mtlab.report import markdown
from mtlab.report.comparison import forgetting
from mtlab.report.comparison.forgetting import SOURCE, TARGET, Effect
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.markdown import fixed, listing, name, text
from mtlab.report.sections.body import estimated
from mtlab.report.statistics import intervals, scale
from mtlab.report.statistics.intervals import Interval

HOW = (
    "Every scenario starts from the source checkpoint of its seed and trains on the target data. *Backward transfer* (Lopez-Paz and "
    "Ranzato 2017): the score on the source test split after training minus that of the checkpoint, paired by seed and sentence. Its "
    "intervals are adjusted for the number of scenarios that keep the task. The test splits select no epoch."
)

HALF = {"above": "yes", "below": "no", "unclear": "unclear"}


def section(group: Group) -> str:
    """Forgetting in numbers; empty where no trial started from a source checkpoint."""
    if not forgetting.staged(group):
        return ""
    tables = [
        table
        for task in forgetting.kept_tasks(group)
        for table in (_transfers(group, task), _held(group, task))
    ]
    parts = (HOW, *tables, _moved(group), "Every score, mean over seeds:", _matrix(group))
    return "\n\n".join(part for part in parts if part)


def lost(group: Group) -> str:
    """How the kept tasks changed, a paragraph each; empty without a source checkpoint."""
    return (
        "\n\n".join(_answer(group, task) for task in forgetting.kept_tasks(group))
        if forgetting.staged(group)
        else ""
    )


def _answer(group: Group, task: Task) -> str:
    """How a kept task changes, in a paragraph."""
    names = forgetting.keepers(group, task)
    changes = {scenario: forgetting.change(group, scenario, task) for scenario in names}
    stages = {scenario: group.of(scenario)[0].stages for scenario in names}
    sentences = []
    for scenario in names:
        if forgetting.adapts_around(stages[scenario]):
            sentences.append(
                f"With its head frozen and the encoder training ({name(scenario)}), it changes by {_judged(changes[scenario], task)}."
            )
    for scenario in names:
        if forgetting.leaves_encoder(stages[scenario]):
            same = forgetting.identical(group, scenario, task)
            effect = (
                "every logit stays the same, bit for bit, with every seed"
                if same
                else f"it changes by {_judged(changes[scenario], task)}"
            )
            sentences.append(f"With the encoder frozen too ({name(scenario)}), {effect}.")
    sentences += [
        _mitigated(group, task, without, effects)
        for without, effects in _by_baseline(group, task).items()
    ]
    before = intervals.estimate(
        forgetting.sample(group, names[0], task, SOURCE, 0), within=task.kind.limits
    )
    lead = (
        f"**{text(task.heading)}, which these scenarios do not train:** {text(task.metric_title)} {estimated(before)} on the source "
        "domain before."
    )
    return " ".join([lead, *sentences])


def _by_baseline(group: Group, task: Task) -> dict[str, list[Effect]]:
    """Mitigations by the scenario without them."""
    by_baseline: dict[str, list[Effect]] = {}
    for effect in forgetting.effects(group, task):
        by_baseline.setdefault(effect.without, []).append(effect)
    return by_baseline


def _mitigated(group: Group, task: Task, without: str, effects: Sequence[Effect]) -> str:
    if not forgetting.lost(group, without, task):
        return f"{name(without)} shows no clear loss, so the mitigations had nothing to prevent."
    half = [
        name(effect.scenario)
        for effect in effects
        if effect.beyond_half.low is not None and effect.beyond_half.low > 0
    ]
    some = [
        name(effect.scenario)
        for effect in effects
        if effect.retained.low is not None and effect.retained.low > 0
    ]
    return f"Shown to recover at least half of the loss of {name(without)}: {listing(half)}. Shown to recover some of it: {listing(some)}."


def _transfers(group: Group, task: Task) -> str:
    names = forgetting.keepers(group, task)
    nothing = [
        scenario
        for scenario in group.scenarios
        if (trials := group.of(scenario)) and not any(stage.steps for stage in trials[0].stages)
    ]
    rows = []
    for scenario in [*nothing, *names]:
        before, after = (
            intervals.estimate(
                forgetting.sample(group, scenario, task, SOURCE, stage), within=task.kind.limits
            )
            for stage in (0, -1)
        )
        moved, abroad = (
            forgetting.change(group, scenario, task, domain) for domain in (SOURCE, TARGET)
        )
        rows.append(
            [
                name(scenario),
                fixed(before.mean),
                estimated(after),
                f"{_signed(moved)} {_verdict(moved, task)}",
                _signed(abroad),
                _logits(group, scenario, task),
            ]
        )
    header = [
        "scenario",
        "checkpoint",
        f"{text(task.metric_title)}, source",
        "backward transfer",
        "change on the target domain",
        "logits",
    ]
    return markdown.table(header, rows)


def _logits(group: Group, scenario: str, task: Task) -> str:
    if forgetting.identical(group, scenario, task):
        return "identical"
    drifts = list(forgetting.logit_drift(group, scenario, task))
    if not drifts:
        return "–"
    kl, changed = (sum(values) / len(values) for values in zip(*drifts, strict=True))
    return f"{task.kind.distance} {fixed(kl)}, {changed:.1%} of predictions changed"


def _held(group: Group, task: Task) -> str:
    """The effect of each mitigation on the kept task and on the new ones."""
    tables = []
    for without, effects in _by_baseline(group, task).items():
        lost = forgetting.lost(group, without, task)
        learnt, rows = forgetting.learnt_tasks(group, without), []
        for effect in effects:
            share = (
                "–" if effect.share is None or not lost else f"{effect.share:.0%}".replace("-", "−")
            )
            half = HALF[intervals.side(effect.beyond_half)] if lost else "–"
            rows.append(
                [
                    name(effect.scenario),
                    _signed(effect.retained),
                    *(_signed(effect.learned[new.name]) for new in learnt),
                    share,
                    half,
                ]
            )
        columns = [
            f"{text(task.metric_title)}, source",
            *(f"{text(new.metric_title)}, target" for new in learnt),
            "share of the loss recovered",
            "at least half",
        ]
        tables.append(markdown.table([f"against {name(without)}", *columns], rows))
    lead = "What each mitigation changes, at the kept task and at the new tasks:"
    return "\n\n".join([lead, *tables]) if tables else ""


def _moved(group: Group) -> str:
    """Linear CKA by block."""
    by_scenario = {scenario: forgetting.cka(group, scenario) for scenario in group.scenarios}
    by_scenario = {scenario: by_unit for scenario, by_unit in by_scenario.items() if by_unit}
    if not by_scenario:
        return ""
    units = list(next(iter(by_scenario.values())))
    rows = [
        [name(scenario), *(fixed(by_unit[unit].mean) for unit in units)]
        for scenario, by_unit in by_scenario.items()
    ]
    lead = (
        "How far the encoder moved: linear CKA (Kornblith et al. 2019) of hidden states before and after, on the source test split, mean "
        "over seeds; 1 means that nothing changed."
    )
    return f"{lead}\n\n{markdown.table(['after', *map(name, units)], rows)}"


def _matrix(group: Group) -> str:
    """Every task, stage and domain: means over seeds."""
    cells = [(task, domain) for task in group.every for domain in (SOURCE, TARGET)]
    rows = []
    for scenario in group.scenarios:
        trials = group.of(scenario)
        lengths = {len(trial.stages) for trial in trials}
        for stage in range(max(lengths) + 1) if len(lengths) == 1 else (0, -1) if lengths else ():
            means = [
                intervals.estimate(forgetting.sample(group, scenario, task, domain, stage)).mean
                for task, domain in cells
            ]
            if any(mean is not None for mean in means):
                when = (
                    "in the end"
                    if stage == -1
                    else f"after {text(trials[0].stages[stage - 1].name)}"
                )
                rows.append([name(scenario), when if stage else "checkpoint", *map(fixed, means)])
    return markdown.table(
        ["scenario", "when", *(f"{text(task.metric_title)}, {domain}" for task, domain in cells)],
        rows,
        words=2,
    )


def _judged(change: Interval, task: Task) -> str:
    """A change with its interval and its verdict, within a sentence."""
    return f"{_signed(change)} ({scale.verdict(change, task.margin)})"


def _verdict(change: Interval, task: Task) -> str:
    same = " (identical)" if change.low == change.high == 0 else ""
    return f"{scale.verdict(change, task.margin)}{same}"


def _signed(interval: Interval) -> str:
    return markdown.measured(interval.mean, interval.low, interval.high, sign=True)
