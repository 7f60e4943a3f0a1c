"""The answer in words, from the verdicts on the scenarios against the control."""

from collections import Counter
from collections.abc import Sequence

from mtlab.plan.words import counted
from mtlab.report import markdown
from mtlab.report.comparison import decisions
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.markdown import listing, name
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.comparisons import Cost
from mtlab.report.statistics.outlook import MOST_SEEDS
from mtlab.report.statistics.scale import Verdict

FEW = 5
"""Seeds below which the answer says that its intervals are wide."""


def answer(group: Group) -> str:
    """A paragraph that a manager can read: what is better, equivalent or worse than the control, and
    what each costs.
    """
    if not group.good:
        return "No trial ended well, so there is no answer; the reasons stand under *Failures*."
    return " ".join(
        sentence
        for sentence in [
            _one_seed(group),
            in_short(group),
            *_against(group),
            untimed(group),
            _complete(group),
            _rests_on(group),
        ]
        if sentence
    )


def _one_seed(group: Group) -> str:
    if len(group.seeds) > 1:
        return ""
    return "**With one seed nothing can be concluded:** a difference may be luck. What follows describes these runs and no more."


def in_short(group: Group) -> str:
    """Whether anything is cheaper than the control (:attr:`Group.cost`) and at least as good."""
    if (
        group.control is None
        or not group.complete
        or len(group.seeds) < 2
        or len(group.scenarios) < 2
    ):
        return ""
    cheaper = [
        cost.scenario
        for cost in comparisons.costs(group.values(group.cost), group.control)
        if cost.cheaper
    ]
    than = f"cheaper than the control {name(group.control)}" + (
        "" if group.cost == "wall_plain_s" else " (in training FLOPs)"
    )
    contrasts = decisions.against_control(group)
    worse = {contrast.scenario for contrast in contrasts if contrast.verdict == "worse"}
    good = [
        scenario
        for scenario in cheaper
        if all(contrast.as_good for contrast in contrasts if contrast.scenario == scenario)
    ]
    if not cheaper:
        return f"**In short:** no scenario is shown to be {than}."
    if good:
        return (
            f"**In short:** shown to be {than}, and at least as good at every task: {names(good)}."
        )
    lost = [scenario for scenario in cheaper if scenario in worse]
    parts = [f"worse than it at one task or more: {names(lost)}"] if lost else []
    rest = [scenario for scenario in cheaper if scenario not in worse]
    parts += [f"unclear: {names(rest)}"] if rest else []
    return f"**In short:** none of the scenarios that are shown to be {than} is shown to be at least as good. They are {'; '.join(parts)}."


def names(scenarios: Sequence[str]) -> str:
    """A list of scenarios."""
    return listing([name(scenario) for scenario in scenarios])


def untimed(group: Group) -> str:
    """The scenarios and trials without comparable times, and why; empty where there are none."""
    apart = group.untimed
    if not apart:
        return ""
    why = listing(
        [
            f"{reason} ({count})"
            for reason, count in Counter(trial.untimed for trial in apart).items()
        ]
    )
    count = f"{len(apart)} of {len(group.good)}"
    return f"**Times** of {count} trials are in no comparison; their scores and FLOPs are. Why: {markdown.text(why)}."


def _rests_on(group: Group) -> str:
    """How many seeds and sentences the numbers rest on, and what is in the brackets."""
    if len(group.seeds) < 2 or not group.tasks:
        return ""
    sentences = max(
        len(sample)
        for by_seed in group.samples(group.tasks[0]).values()
        for sample in by_seed.values()
    )
    basis = f"All this rests on {len(group.seeds)} seeds and {counted(sentences, 'test sentence')}; brackets are the intervals that decide"
    few = (
        f" ({len(group.seeds)} seeds make wide ones, and much is unclear; {FEW} or more are better)"
        if len(group.seeds) < FEW
        else ""
    )
    return f"{basis}{few}."


def _against(group: Group) -> list[str]:
    if group.control is None:
        return [
            "No control scenario was run, so no scenario is compared with another; the table gives the means."
        ]
    if not group.of(group.control):
        return [
            f"The control {name(group.control)} has no result, so no scenario can be compared with it."
        ]
    if len(group.scenarios) < 2:
        return ["There is no other scenario to compare the control with."]
    return [
        *(_verdicts(group, task, group.control) for task in group.tasks),
        _costs(group, group.control),
    ]


def _verdicts(group: Group, task: Task, control: str) -> str:
    contrasts = list(decisions.of_task(group, task).values())
    mean = intervals.estimate(group.samples(task)[control], within=task.kind.limits)
    score = f"{markdown.fixed(mean.mean)}{markdown.bounds(mean.low, mean.high)}"
    lead = f"On **{markdown.text(task.title)}** ({markdown.text(task.metric_title)} {score} for the control {name(control)})"
    by_verdict = {
        verdict: [contrast for contrast in contrasts if contrast.verdict == verdict]
        for verdict in VERDICTS
    }
    better = by_verdict["better"]
    parts = [f"better: {_with_effect(better)}" if better else "no scenario is shown to be better"]
    parts += [
        f"{verdict}: {_with_effect(some)}"
        for verdict, some in by_verdict.items()
        if some and verdict != "better"
    ]
    return f"{lead}, {'; '.join(parts)}."


VERDICTS: tuple[Verdict, ...] = ("better", "equivalent", "worse", "unclear")

TOO_MANY = f"needs more than {MOST_SEEDS} seeds"

REASONS = {
    decisions.FAILED: "runs failed to train",
    decisions.ONE_SEED: "one seed",
    decisions.ALIKE: "too few sentences, or results too alike",
    decisions.UNTRAINED: "the control is not better than without training",
}


def reason(contrast: Contrast) -> str:
    """Why a verdict is unclear, in words; empty where the seeds to come may tell."""
    if contrast.reason == decisions.SENTENCES:
        return f"needs about {contrast.needed:,} test sentences"
    if contrast.reason == decisions.SEEDS:
        return f"needs about {contrast.needed} seeds" if contrast.needed else TOO_MANY
    return REASONS.get(contrast.reason, "")


def _with_effect(contrasts: Sequence[Contrast]) -> str:
    return listing(
        [
            f"{name(contrast.scenario)} ({'; '.join(filter(None, [effect(contrast), reason(contrast)]))})"
            for contrast in contrasts
        ]
    )


def effect(contrast: Contrast) -> str:
    """A difference with the interval that decides."""
    interval = contrast.interval
    return f"{markdown.signed(interval.mean)}{markdown.bounds(interval.low, interval.high)}"


def _costs(group: Group, control: str) -> str:
    times, flops = (
        comparisons.costs(group.values(column), control)
        for column in ("wall_plain_s", "train_flops")
    )
    parts = [
        f"{name(time.scenario)} {_share(time)}{markdown.bounds(time.interval.low, time.interval.high, 2)} ({_share(work)})"
        for time, work in zip(times, flops, strict=True)
    ]
    return (
        f"**Cost** as a share of the control's time in a plain loop (and of its training FLOPs): {', '.join(parts)}."
        if parts
        else ""
    )


def _share(cost: Cost) -> str:
    return "–" if cost.interval.mean is None else f"{cost.interval.mean:.2f}"


def _complete(group: Group) -> str:
    if group.complete:
        return ""
    lost = group.asked - len(group.good)
    return f"**Nothing is recommended**: {lost} of {group.asked} trials {'has' if lost == 1 else 'have'} no result (see *Failures*)."
