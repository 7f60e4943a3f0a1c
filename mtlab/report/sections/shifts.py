"""The report's section on test sets out of distribution: what each scenario loses there."""

from collections.abc import Sequence

from mtlab.plan.words import counted
from mtlab.report import markdown
from mtlab.report.comparison import decisions, shifts
from mtlab.report.comparison.groups import Group, OtherSet
from mtlab.report.comparison.shifts import FEWEST_SETS, Against, Shift, Word
from mtlab.report.markdown import fixed, listing, name, signed, text
from mtlab.report.tasks import Task
from mtlab.report.wording import REASONS, verdict

REASON = {**REASONS, decisions.UNTRAINED: "nothing learnt"}
"""Why a difference of drops is unclear."""

SHOWN: tuple[Word, ...] = ("protects", "loses more")
"""What may be shown of a scenario out of distribution."""

NOTHING: Word = "unclear"
"""What it is called where nothing is shown."""


def answer(group: Group, group_shifts: Sequence[Shift]) -> str:
    """What the sets show of each scenario, on how many sets, and what stays open.

    Args:
        group: of one point.
        group_shifts: its shifts; the answer is empty where there are none.
    """
    if not group_shifts:
        return ""
    sentences = [_of_word(group, group_shifts, word) for word in SHOWN]
    rest = [
        rival
        for rival in decisions.rivals(group)
        if not any(
            shift.scenario == rival and shift.against and shift.against.word in SHOWN
            for shift in group_shifts
        )
    ]
    if group.control is None:
        sentences = ["Without a control, no scenario is compared; see the table."]
    elif not any(sentences):
        sentences = [
            f"No scenario is shown to lose less, or more, out of distribution than {name(group.control)}."
        ]
    elif rest:
        sentences.append(f"Nothing is shown for {listing([name(rival) for rival in rest])}.")
    return " ".join(["**Answer.**", *filter(None, sentences), _general(group)])


def _of_word(group: Group, group_shifts: Sequence[Shift], word: Word) -> str:
    """A sentence for each scenario that protects, or loses more, with where it does."""
    sentences = []
    for scenario in group.scenarios:
        own_shifts = [
            shift
            for shift in group_shifts
            if shift.scenario == scenario and shift.against and shift.against.word == word
        ]
        if not own_shifts:
            continue
        places = listing([_at(group, task, own_shifts) for task in _tasks(own_shifts)])
        loss = "protects: it loses less" if word == "protects" else "loses more"
        lower = [
            shift
            for shift in own_shifts
            if shift.against and shift.against.there.verdict == "worse"
        ]
        but = ""
        if word == "protects" and lower:
            where = "there" if len(lower) == len(own_shifts) else f"at {_list(group, lower)}"
            but = f" Its score is still worse than that of {name(group.control)} {where}."
        sentences.append(f"{name(scenario)} {loss} than {name(group.control)} at {places}.{but}")
    return " ".join(sentences)


def _list(group: Group, subset: Sequence[Shift]) -> str:
    return listing([_at(group, task, subset) for task in _tasks(subset)])


def _tasks(subset: Sequence[Shift]) -> list[Task]:
    return list({shift.task.name: shift.task for shift in subset}.values())


def _at(group: Group, task: Task, subset: Sequence[Shift]) -> str:
    """A task with the sets of some shifts."""
    sets = [shift.on for shift in subset if shift.task == task]
    where = "all sets" if len(sets) == len(group.also) > 1 else listing(_titles(sets))
    return f"{text(task.title)} ({where})"


def _titles(sets: Sequence[OtherSet]) -> list[str]:
    return [text(on.title) for on in sets]


def _general(group: Group) -> str:
    """How many sets there are, and whether that is enough to say something general."""
    changed = [on for on in group.also if on.changed]
    paragraph = (
        f"It rests on {counted(len(group.also), 'test set')}: {listing(_titles(group.also))}."
    )
    number = counted(shifts.count(group.also), "set")
    if len(changed) > 1:
        clause = f"{listing(_titles(changed))} are changes of the same sentences and count as one"
        paragraph += f" {clause[:1].upper()}{clause[1:]}, which makes {number} in all."
    if shifts.count(group.also) < FEWEST_SETS:
        return f"{paragraph} Nothing can be said in general: that takes {FEWEST_SETS} sets."
    return f"{paragraph} What they show holds for data like these alone."


def brief(group_shifts: Sequence[Shift], scenario: str) -> str:
    """Where a scenario loses less than the control, or more; :data:`NOTHING` where neither is shown;
    empty where it was not compared.
    """
    own = [shift for shift in group_shifts if shift.scenario == scenario and shift.against]
    clauses = [
        f"{word} at {listing(places)}"
        for word in SHOWN
        if (
            places := [
                f"{text(shift.task.title)} on {text(shift.on.title)}"
                for shift in own
                if shift.against and shift.against.word == word
            ]
        )
    ]
    return "; ".join(clauses) or (NOTHING if own else "")


def table(group: Group, group_shifts: Sequence[Shift]) -> str:
    """A row a scenario and set for each task: score, drop, and both against the control; empty
    without sets.
    """
    if not group_shifts:
        return ""
    parts = []
    for task in _tasks(group_shifts):
        rows = [_row(group, shift) for shift in group_shifts if shift.task == task]
        header = [
            "test set",
            "scenario",
            "score there",
            "drop from test",
            "drop against the control's",
        ]
        header.append("score against the control's")
        parts += [
            f"**{text(task.heading)}** ({text(task.metric_title)})",
            markdown.table(header, rows, words=2),
        ]
    return "\n\n".join([*parts, _how(group)])


def _row(group: Group, shift: Shift) -> list[str]:
    control = " (control)" if shift.scenario == group.control else ""
    cells = [text(shift.on.title), name(shift.scenario) + control]
    cells += [fixed(shift.score.mean), signed(shift.drop)]
    if shift.against is None:
        return [*cells, "–", "–"]
    contrast = shift.against.there
    return [
        *cells,
        _judged(shift.against),
        f"{signed(contrast.interval.mean)} {verdict(contrast)}",
    ]


def _judged(against: Against) -> str:
    interval, reason = against.interval, REASON.get(against.reason, "")
    effect = markdown.measured(interval.mean, interval.low, interval.high, sign=True)
    if against.reason == decisions.UNTRAINED:
        effect = "–"
    return f"{effect} {against.word}" + (f" ({reason})" if reason else "")


def _how(group: Group) -> str:
    """How to read the tables."""
    sets = "; ".join(
        f"{text(on.title)}: {on.sentences:,} sentences, "
        + ("those of test, changed" if on.changed else "another source")
        for on in group.also
    )
    return (
        f"{sets}. *Drop*: the score there minus the score on test, with the same weights. *Protects*: the interval of the difference "
        "between the scenario's drop and the control's lies above 0; *loses more*: it lies below 0. A scenario with a low score on test "
        "has less to lose, so read both last columns. *Nothing learnt*: the scenario, or the control, is not better on test than without "
        "training. All intervals of these tables together miss in at most 5% of experiments. No verdict elsewhere in this report depends "
        "on them."
    )
