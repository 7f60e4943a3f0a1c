"""The report's sections that look over several points, settings or numbers of blocks."""

from collections.abc import Mapping, Sequence

from mtlab.record.records import SuiteRecord
from mtlab.report import markdown
from mtlab.report.comparison import across, kinds
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.comparison.kinds import Kind
from mtlab.report.markdown import fixed, name, text
from mtlab.report.sections.body import estimated
from mtlab.report.statistics import intervals
from mtlab.report.tasks import mean_score
from mtlab.report.wording import effect


def settings(suite: SuiteRecord, groups: Sequence[Group], picked: Mapping[str, Group]) -> str:
    """The validation score of every setting, the chosen one of each scenario, and the values of the
    settings.
    """
    names = groups[0].scenarios
    rows = [
        [text(group.label), *(_score(group, scenario, picked) for scenario in names)]
        for group in groups
    ]
    varied = suite.experiment.get("settings", {})
    keys = [[text(key), *(text(value) for value in values)] for key, values in varied.items()]
    numbers = [str(at) for at in range(1, len(groups) + 1)]
    lead = (
        f"Mean validation score over seeds ({text(mean_score(groups[0].every))}) at each of {len(groups)} settings. Bold: the setting that "
        "each scenario uses, its best one on validation."
    )
    return "\n\n".join(
        [
            lead,
            markdown.table(["setting", *map(name, names)], rows),
            "What each setting sets:",
            markdown.table(["key", *numbers], keys),
        ]
    )


def _score(group: Group, scenario: str, picked: Mapping[str, Group]) -> str:
    trials = group.of(scenario)
    if not trials:
        return "–"
    score = fixed(across.validation_score(trials))
    return f"**{score}**" if picked[scenario] is group else score


def sizes(groups: Sequence[Group]) -> str:
    """Each task's scores by size of the training data, and the size from which on full fine-tuning
    scores higher.
    """
    parts = []
    for way, points in across.by_size(groups).items():
        if len(points) > 1:
            parts += [_sizes(points, task, way) for task in points[-1].tasks]
    return "\n\n".join(parts)


def _contrasts(points: Sequence[Group], task: Task, kind: Kind) -> list[tuple[int, Contrast]]:
    """Number of sentences and a kind of scenario against full fine-tuning, where both ran."""
    return [
        (group.sentences or 0, contrast)
        for group in points
        if (contrast := across.lead(group, task, kind, kinds.FULL)) is not None
    ]


def _sizes(points: Sequence[Group], task: Task, way: str) -> str:
    header = ["scenario", *(f"{group.sentences:,} sentences" for group in points)]
    rows = []
    for scenario in points[-1].scenarios:
        cells = [
            estimated(
                intervals.estimate(group.samples(task).get(scenario, {}), within=task.kind.limits)
            )
            for group in points
        ]
        rows.append([name(scenario), *cells])
    lines = [
        f"**{text(task.heading)}** ({text(task.metric_title)}, test), {way}:",
        markdown.table(header, rows),
    ]
    full = kinds.find(points[-1], kinds.FULL)
    for kind in (kinds.HEADS, kinds.GRADUAL):
        contrasts = _contrasts(points, task, kind)
        if full and len(contrasts) > 1:
            lines.append(_crossover(contrasts[-1][1].scenario, full, contrasts))
    return "\n\n".join(lines)


def _crossover(frozen: str, full: str, contrasts: Sequence[tuple[int, Contrast]]) -> str:
    """The difference to full fine-tuning at each size, and the size at which its mean crosses 0."""
    sizes = ", ".join(
        f"{effect(contrast)} at {size:,.0f} ({contrast.verdict})" for size, contrast in contrasts
    )
    differences = f"{name(frozen)} minus {name(full)}: {sizes}."
    if all(contrast.verdict in ("equivalent", "unclear") for _, contrast in contrasts):
        return differences
    crossing = across.crossing([(size, contrast.interval) for size, contrast in contrasts])
    if crossing.at is None:
        return f"{differences} {_one_sided(frozen, full, contrasts)}"
    low, high = (
        f"{end:,.0f}" if end is not None else None for end in (crossing.low, crossing.high)
    )
    between = f"between {low or f'fewer than {contrasts[0][0]:,.0f}'} and {high or f'more than {contrasts[-1][0]:,.0f}'}"
    return f"{differences} From about {crossing.at:,.0f} sentences on ({between}), {name(full)} scores higher."


def _one_sided(frozen: str, full: str, contrasts: Sequence[tuple[int, Contrast]]) -> str:
    """Which of two scenarios has the higher mean at the largest size, or at every size."""
    above = [(contrast.interval.mean or 0.0) > 0 for _, contrast in contrasts]
    higher = name(frozen if above[-1] else full)
    where = "every size" if len(set(above)) == 1 else "the largest size"
    return f"On average, {higher} scores higher at {where}."


def frontier(base: Group) -> str:
    """Scores by number of top blocks that train, and the fewest that reach a share of full
    fine-tuning.
    """
    by_depth, full = across.depths(base), kinds.find(base, kinds.FULL)
    if len(by_depth) < 3 or full is None:
        return ""
    header, rows = ["top blocks that train", "trained parameters"], []
    header += [
        cell for task in base.tasks for cell in (text(task.metric_title), f"of {text(full)}'s")
    ]
    for label, scenario in [
        *((str(depth), scenario) for depth, scenario in by_depth.items()),
        ("all, and embeddings", full),
    ]:
        row = [label, markdown.whole(base.of(scenario)[0].stages[-1].params_trainable)]
        for task in base.tasks:
            samples = base.samples(task)
            score, whole = (
                intervals.estimate(samples[scenario], within=task.kind.limits),
                intervals.estimate(samples[full]).mean,
            )
            row += [
                estimated(score),
                f"{score.mean / whole:.1%}".replace("-", "−")
                if score.mean is not None and whole and whole > 0
                else "–",
            ]
        rows.append(row)
    return markdown.table(header, rows)


def fewest(base: Group) -> str:
    """The fewest top blocks that reach each share of full fine-tuning; empty where too few depths
    were run.
    """
    by_task = {
        text(task.heading): reached
        for task in base.tasks
        if (reached := across.frontier(base, task))
    }
    if not by_task:
        return ""
    lines = [
        f"- **{heading}:** {'; '.join(map(_reached, shares))}."
        for heading, shares in by_task.items()
    ]
    lead = (
        "**The fewest top blocks** that reach a share of full fine-tuning on validation. Brackets: the numbers of blocks that the test "
        "results allow. From the upper end on, they show that the share is reached. *Or more*: they show it for no number of blocks "
        f"({len(base.seeds)} seeds)."
    )
    return f"{lead}\n\n" + "\n".join(lines)


def _reached(reached: across.Reached) -> str:
    if reached.blocks is None:
        return f"{reached.share:.0%} is not reached on validation [{reached.allowed}]"
    ratio = "" if reached.ratio is None else f", {reached.ratio:.1%} on test"
    return f"{reached.share:.0%} with {reached.blocks} block{'' if reached.blocks == 1 else 's'} [{reached.allowed}]{ratio}"
