"""The report's sections that look over several points, settings or numbers of blocks."""

from collections.abc import Mapping, Sequence

from mtlab.record.records import SuiteRecord
from mtlab.report import markdown
from mtlab.report.comparison import across, kinds
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.markdown import fixed, listing, name, text
from mtlab.report.sections.answer import VERDICTS, effect
from mtlab.report.sections.body import estimated
from mtlab.report.statistics import intervals
from mtlab.report.tasks import mean_score


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
    said = (
        f"Mean validation score over seeds ({text(mean_score(groups[0].every))}) of each of {len(groups)} settings, as many for every "
        "scenario. The highest of each column is the scenario's choice (bold); the test split had no say in it."
    )
    return "\n\n".join(
        [
            said,
            markdown.table(["setting", *map(name, names)], rows),
            markdown.details("What the settings set", markdown.table(["key", *numbers], keys)),
        ]
    )


def _score(group: Group, scenario: str, picked: Mapping[str, Group]) -> str:
    trials = group.of(scenario)
    if not trials:
        return "–"
    score = fixed(across.validation_score(trials))
    return f"**{score}**" if picked[scenario] is group else score


def sizes(groups: Sequence[Group]) -> str:
    """Each task's scores by size of the training data, and the size at which freezing stops to pay."""
    parts = []
    for way, points in (
        ("equal epochs", across.at_equal_epochs(groups)),
        ("equal updates", across.at_equal_updates(groups)),
    ):
        if len(points) > 1:
            parts += [_sizes(points, task, way) for task in points[-1].tasks]
    return "\n\n".join(parts)


def answer(groups: Sequence[Group]) -> str:
    """The answer over sizes: where freezing is as good as full fine-tuning and where it is behind."""
    points = across.at_equal_epochs(groups)
    full = kinds.find(points[-1], kinds.FULL) if len(points) > 1 else None
    if full is None:
        return ""
    parts = []
    for task in points[-1].tasks:
        for kind in (kinds.HEADS, kinds.GRADUAL):
            leads = [(group, across.lead(group, task, kind, kinds.FULL)) for group in points]
            given = [(group, contrast) for group, contrast in leads if contrast is not None]
            if given:
                parts.append(
                    f"On {text(task.title)}, {name(kinds.find(given[-1][0], kind))} is {_by_verdict(given)}."
                )
    return (
        f"**Answer.** Against {name(full)} at equal epochs ({len(points[-1].seeds)} seeds). {' '.join(parts)}"
        if parts
        else ""
    )


def _by_verdict(leads: Sequence[tuple[Group, Contrast]]) -> str:
    said = []
    for verdict in VERDICTS:
        sizes = [
            f"{group.sentences:,} ({effect(contrast)})"
            for group, contrast in leads
            if contrast.verdict == verdict
        ]
        if sizes:
            said.append(f"{verdict} at {listing(sizes)} sentences")
    return listing(said)


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
        f"**{text(task.heading)}** ({text(task.metric_title)}, test), at {way}:",
        markdown.table(header, rows),
    ]
    full = kinds.find(points[-1], kinds.FULL)
    for kind in (kinds.HEADS, kinds.GRADUAL):
        frozen = kinds.find(points[-1], kind)
        leads = [(group, across.lead(group, task, kind, kinds.FULL)) for group in points]
        given = [
            (group.sentences or 0, contrast) for group, contrast in leads if contrast is not None
        ]
        if frozen and full and len(given) > 1:
            lines.append(_crossover(frozen, full, given))
    return "\n\n".join(lines)


def _crossover(frozen: str, full: str, leads: Sequence[tuple[float, Contrast]]) -> str:
    """The size at which one scenario's lead over full fine-tuning passes through 0."""
    shown = ", ".join(f"{effect(contrast)} at {size:,.0f}" for size, contrast in leads)
    lead = f"{name(frozen)} minus {name(full)}: {shown}."
    if all(contrast.verdict in ("equivalent", "unclear") for _, contrast in leads):
        return f"{lead} Equivalent or unclear at every size: which of them leads, and whether that changes, is not shown."
    crossing = across.crossing([(size, contrast.interval) for size, contrast in leads])
    if crossing.at is None:
        below = all((contrast.interval.mean or 0.0) < 0 for _, contrast in leads)
        ahead = full if below else frozen
        return f"{lead} No crossover in range: {name(ahead)} leads at {'every size' if _one_sided(leads) else 'the largest size'}."
    low, high = (
        f"{end:,.0f}" if end is not None else None for end in (crossing.low, crossing.high)
    )
    between = f"between {low or f'fewer than {leads[0][0]:,.0f}'} and {high or f'more than {leads[-1][0]:,.0f}'}"
    return f"{lead} Crossover n* at about {crossing.at:,.0f} sentences (interval: {between}): beyond it {name(full)} leads."


def _one_sided(leads: Sequence[tuple[float, Contrast]]) -> bool:
    signs = {(contrast.interval.mean or 0.0) > 0 for _, contrast in leads}
    return len(signs) == 1


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
            mine, whole = (
                intervals.estimate(samples[scenario], within=task.kind.limits),
                intervals.estimate(samples[full]).mean,
            )
            row += [
                estimated(mine),
                f"{mine.mean / whole:.1%}".replace("-", "−")
                if mine.mean is not None and whole and whole > 0
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
    said = (
        "**The fewest top blocks** that reach a share of full fine-tuning, chosen on validation. The brackets hold every number of blocks "
        "that the test split leaves possible: from the fewest that it does not show to fall short, to the fewest from which on it shows "
        f"that all reach the share ({len(base.seeds)} seeds; intervals adjusted for the number of depths)."
    )
    return f"{said}\n\n" + "\n".join(lines)


def _reached(reached: across.Reached) -> str:
    high = "not shown" if reached.high is None else str(reached.high)
    low = "not possible" if reached.low is None else str(reached.low)
    if reached.blocks is None:
        return f"{reached.share:.0%} is not reached on validation [{low} to {high}]"
    ratio = "" if reached.ratio is None else f", {reached.ratio:.1%} on test"
    return f"{reached.share:.0%} with {reached.blocks} block{'' if reached.blocks == 1 else 's'} [{low} to {high}]{ratio}"
