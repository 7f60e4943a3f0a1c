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
from mtlab.report.statistics import intervals
from mtlab.report.statistics.intervals import Interval

HALF = {"above": "yes", "below": "no", "unclear": "unclear"}

WORDS = {"below": "forgets", "above": "gains", "unclear": "unclear"}


def section(group: Group) -> str:
    """Forgetting; empty where no trial started from a source checkpoint."""
    if not forgetting.staged(group):
        return ""
    parts = [
        part
        for task in forgetting.kept_tasks(group)
        for part in (_answer(group, task), _transfers(group, task), _held(group, task))
    ]
    said = (
        "Every scenario starts from the checkpoint of its seed, trained on the source data, and trains on the target data with the losses "
        "that it names. *Backward transfer* is the score on the source test split after that minus the score of the checkpoint (Lopez-Paz "
        "and Ranzato 2017), paired by seed and sentence, with an interval adjusted for the scenarios that keep the task; the test splits "
        "had no say in which epoch was selected."
    )
    return "\n\n".join(
        part
        for part in (*parts, said, _moved(group), markdown.details("All scores", _matrix(group)))
        if part
    )


def lost(group: Group) -> str:
    """The losses of the kept tasks, a paragraph each; empty without a source checkpoint."""
    return (
        "\n\n".join(_answer(group, task) for task in forgetting.kept_tasks(group))
        if forgetting.staged(group)
        else ""
    )


def _answer(group: Group, task: Task) -> str:
    """The loss of a kept task, in a paragraph."""
    names = forgetting.keepers(group, task)
    changes = {scenario: forgetting.change(group, scenario, task) for scenario in names}
    stages = {scenario: group.of(scenario)[0].stages for scenario in names}
    sentences = []
    for scenario in names:
        if forgetting.adapts_around(stages[scenario]):
            sentences.append(
                f"With its head frozen and the encoder moving ({name(scenario)}), it changes by {_signed(changes[scenario])}."
            )
    for scenario in names:
        if forgetting.leaves_encoder(stages[scenario]):
            same = forgetting.identical(group, scenario, task)
            effect = (
                "every logit stays the same, bit for bit, with every seed"
                if same
                else f"it changes by {_signed(changes[scenario])}"
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
        f"**{text(task.heading)}, which these scenarios do not train,** has {text(task.metric_title)} {estimated(before)} "
        "on the source domain."
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
        return f"What {name(without)} loses may be 0, so there was nothing to mitigate."
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
    rest = (
        f"; shown to win back something: {listing(some)}"
        if some
        else "; none is shown to win back anything"
    )
    return f"Shown to win back at least half of what {name(without)} loses: {listing(half)}{rest}."


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
        verdict = WORDS[intervals.side(moved)]
        if moved.low == moved.high == 0:
            verdict = "unchanged"
        rows.append(
            [
                name(scenario),
                fixed(before.mean),
                estimated(after),
                f"{_signed(moved)} {verdict}",
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
    tables, most = [], 0
    for without, effects in _by_baseline(group, task).items():
        lost = forgetting.lost(group, without, task)
        learnt, rows = forgetting.learnt_tasks(group, without), []
        most = max(most, len(learnt))
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
            "share of the loss won back",
            "at least half",
        ]
        tables.append(markdown.table([f"against {name(without)}", *columns], rows))
    lead = f"What holds the kept task, and what that costs the new one{'' if most == 1 else 's'}:"
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
    said = (
        "How far the encoder moved: linear CKA (Kornblith et al. 2019) between the checkpoint's hidden states and the trial's, on the "
        "source test split, means over seeds; 1 means unchanged."
    )
    return f"{said}\n\n{markdown.table(['after', *map(name, units)], rows)}"


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


def _signed(interval: Interval) -> str:
    return f"{markdown.signed(interval.mean)}{markdown.bounds(interval.low, interval.high)}"
