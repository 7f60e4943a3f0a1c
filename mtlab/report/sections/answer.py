"""The answer in words, from comparisons with the control: ties are called ties and are not
ranked.
"""

from collections import Counter
from collections.abc import Sequence

from mtlab.plan.words import counted
from mtlab.report import markdown
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.markdown import listing, name
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.comparisons import Comparison
from mtlab.report.statistics.intervals import Verdict

FEW = 5
"""Seeds below which the answer says that its intervals are wide."""


def answer(group: Group) -> str:
    """A paragraph that a manager can read: what is better, worse or tied with the control, and what
    each costs.
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
            _best(group),
            _rests_on(group),
        ]
        if sentence
    )


def _one_seed(group: Group) -> str:
    if len(group.seeds) > 1:
        return ""
    return "**With one seed nothing can be concluded:** a difference may be luck. What follows describes these runs and no more."


def in_short(group: Group) -> str:
    """Whether anything is cheaper than the control (:attr:`Group.cost`) and not worse, where
    intervals can tell.
    """
    if (
        group.control is None
        or not group.complete
        or len(group.seeds) < 2
        or len(group.scenarios) < 2
    ):
        return ""
    control = group.control
    cheaper = _those(
        comparisons.compare_cost(group.values(group.cost), control, group.cost), "better"
    )
    than = f"cheaper than the control {name(control)}" + (
        "" if group.cost == "wall_plain_s" else " (in training FLOPs)"
    )
    compared = [
        comparison
        for task in group.tasks
        for comparison in comparisons.compare(group.samples(task), control, task.metric)
    ]
    worse, unclear = (
        {comparison.scenario for comparison in _those(compared, verdict)}
        for verdict in ("worse", "undecided")
    )
    held = [
        name(comparison.scenario)
        for comparison in cheaper
        if comparison.scenario not in worse | unclear
    ]
    if held:
        return f"**In short:** shown to be {than}, and not shown to be worse at any task: {listing(held)}."
    lost = listing([name(comparison.scenario) for comparison in cheaper])
    if not cheaper:
        return f"**In short:** no scenario is shown to be {than}."
    if all(comparison.scenario in worse for comparison in cheaper):
        return f"**In short:** what is shown to be {than} ({lost}) is worse than it at one task or more."
    verb, whose = ("is", "its") if len(cheaper) == 1 else ("are", "their")
    lost = f"{lost} {verb} shown to be {than}"
    if not any(comparison.scenario in worse for comparison in cheaper):
        return f"**In short:** {lost}; how {whose} scores compare is undecided."
    return f"**In short:** {lost}; some are worse at one task or more, and for the others that is undecided."


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
        f" ({len(group.seeds)} seeds make wide ones and many ties; {FEW} or more are better)"
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
    samples = group.samples(task)
    compared = comparisons.compare(samples, control, task.metric)
    mean = intervals.estimate(samples[control], within=task.kind.limits)
    score = f"{markdown.fixed(mean.mean)}{markdown.bounds(mean.low, mean.high)}"
    lead = f"On **{markdown.text(task.title)}** ({markdown.text(task.metric_title)} {score} for the control {name(control)})"
    better, worse, tied, undecided = (
        _those(compared, verdict) for verdict in ("better", "worse", "tie", "undecided")
    )
    parts = [f"better: {_with_effect(better)}" if better else "no scenario is shown to be better"]
    parts += [f"worse: {_with_effect(worse)}"] if worse else []
    parts += (
        [
            "tied with it (these seeds and sentences cannot tell them apart, so they are not ranked): "
            f"{listing([name(comparison.scenario) for comparison in tied])}"
        ]
        if tied
        else []
    )
    for seeds, why in ((False, "fewer than two seeds to compare"), (True, intervals.TOO_FEW)):
        open_ones = [comparison for comparison in undecided if (comparison.n > 1) is seeds]
        parts += [f"undecided, with {why}: {_with_effect(open_ones)}"] if open_ones else []
    return f"{lead}, {'; '.join(parts)}."


def _those(compared: Sequence[Comparison], verdict: Verdict) -> list[Comparison]:
    return [comparison for comparison in compared if comparison.verdict == verdict]


def _with_effect(compared: Sequence[Comparison]) -> str:
    return listing(
        [
            f"{name(comparison.scenario)} ({markdown.signed(comparison.effect)}{markdown.bounds(comparison.low, comparison.high)})"
            for comparison in compared
        ]
    )


def _costs(group: Group, control: str) -> str:
    times, flops = (
        comparisons.compare_cost(group.values(column), control, column)
        for column in ("wall_plain_s", "train_flops")
    )
    parts = [
        f"{name(time.scenario)} {_share(time)}{markdown.bounds(time.low, time.high, 2)} ({_share(work)})"
        for time, work in zip(times, flops, strict=True)
    ]
    return (
        f"**Cost** as a share of the control's time in a plain loop (and of its training FLOPs): {', '.join(parts)}."
        if parts
        else ""
    )


def _share(ratio: Comparison) -> str:
    return "–" if ratio.effect is None else f"{ratio.effect:.2f}"


def _best(group: Group) -> str:
    if not group.complete:
        lost = group.asked - len(group.good)
        return f"**Nothing is called best**: {lost} of {group.asked} trials {'has' if lost == 1 else 'have'} no result (see *Failures*)."
    if len(group.seeds) < 2 or len(group.scenarios) < 2:
        return ""
    leaders = {
        markdown.text(task.title): comparisons.best(group.samples(task), group.seeds)
        for task in group.tasks
    }
    said = [
        f"For {title}, {name(scenario)} is the best: its difference from each other scenario excludes 0."
        for title, scenario in leaders.items()
        if scenario
    ]
    even = [title for title, scenario in leaders.items() if scenario is None]
    return " ".join(
        [
            *said,
            *(
                [
                    f"For {listing(even)}, no single scenario is best: these seeds and sentences cannot tell the leading ones apart."
                ]
                if even
                else []
            ),
        ]
    )
