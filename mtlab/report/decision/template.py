"""An experiment's ``answer:`` filled from its results (:mod:`mtlab.plan.answers` has the words)."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtlab.plan.answers import Placeholder, pieces
from mtlab.report.comparison import across, decisions, forgetting
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.comparison.winner import Winner
from mtlab.report.decision import recommendation
from mtlab.report.markdown import listing, name, signed, text
from mtlab.report.statistics import intervals
from mtlab.report.statistics.intervals import Interval
from mtlab.report.statistics.scale import Verdict
from mtlab.report.wording import VERDICTS, verdict

NOT_RUN = "not run"
"""Fills a placeholder whose scenario or task has no result."""


@dataclass(frozen=True)
class Results:
    """What a template is filled from.

    Attributes:
        groups: every point.
        base: the group that represents the whole.
        winner: of ``base``.
    """

    groups: Sequence[Group]
    base: Group
    winner: Winner | None

    def task(self, called: str) -> Task | None:
        """A task of the experiment that has scores."""
        return next((task for task in self.base.tasks if task.name == called), None)


@dataclass(frozen=True)
class Filled:
    """An answer with all fields filled.

    Attributes:
        words: the answer, as markdown.
        scenarios: the scenarios that it names, with the recommended one if it gives one.
        kept: the changes of trained heads that it names.
        advises: whether it says what to do.
    """

    words: str
    scenarios: tuple[str, ...]
    kept: tuple[Interval, ...]
    advises: bool


def filled(answer: str, results: Results) -> Filled:
    """The answer with every placeholder filled."""
    parts = list(pieces(answer))
    places = [piece for piece in parts if isinstance(piece, Placeholder)]
    words = "".join(
        _inert(piece) if isinstance(piece, str) else FILL[piece.word](results, *piece.about)
        for piece in parts
    )
    scenarios = [name for place in places for name in _scenarios(place, results)]
    kept = [_change(results, *place.about) for place in places if place.word == "kept"]
    return Filled(
        words.strip(),
        tuple(dict.fromkeys(scenarios)),
        tuple(change for change in kept if change is not None),
        any(place.word == "recommendation" for place in places),
    )


def _scenarios(place: Placeholder, results: Results) -> list[str]:
    """The scenarios with a result that a placeholder is about."""
    if place.word == "recommendation":
        return [results.winner.scenario] if results.winner else []
    if place.word == "fewest":
        reached = _reached(results, *place.about)
        return [across.depths(results.base)[reached.blocks]] if reached and reached.blocks else []
    return [name for name in place.about if results.base.of(name)]


def _inert(piece: str) -> str:
    """Text between placeholders, without markup of its own and with the blanks at its ends."""
    before, after = (" " if end.isspace() else "" for end in (piece[:1], piece[-1:]))
    return f"{before}{text(piece)}{after}" if piece.strip() else before


def _recommendation(results: Results) -> str:
    return recommendation.sentence(results.base, results.winner)


def _verdict(results: Results, scenario: str, called: str) -> str:
    task = results.task(called)
    contrast = decisions.of_task(results.base, task).get(scenario) if task else None
    return NOT_RUN if contrast is None else _judged(contrast)


def _judged(contrast: Contrast) -> str:
    """A verdict with its difference: *worse in entity F1 (−0.358)*."""
    if contrast.interval.mean is None:
        return NOT_RUN
    return _said(verdict(contrast), contrast.interval, contrast.task)


def _said(word: str, interval: Interval, task: Task) -> str:
    return f"{word} in {text(task.metric_title)} ({signed(interval.mean)})"


def _sizes(results: Results, scenario: str, called: str) -> str:
    points = across.sizes(results.groups)
    sizes: dict[Verdict, list[str]] = {word: [] for word in VERDICTS}
    for group, contrast in _contrasts(points, scenario, results.task(called)):
        sizes[contrast.verdict].append(f"{group.sentences:,}")
    by_verdict = {word: at for word, at in sizes.items() if at}
    if len(by_verdict) == 1:
        return f"{next(iter(by_verdict))} at every size"
    parts = [f"{word} at {listing(at)}" for word, at in by_verdict.items()]
    return f"{', '.join(parts)} sentences" if parts else NOT_RUN


def _conditions(results: Results, scenario: str, called: str) -> str:
    pairs = _contrasts(results.groups, scenario, results.task(called))
    times = Counter(contrast.verdict for _, contrast in pairs)
    if len(times) == 1:
        return f"{next(iter(times))} in all {len(pairs)} conditions"
    parts = [f"{word} in {times[word]}" for word in VERDICTS if times[word]]
    return f"{', '.join(parts)} of {len(pairs)} conditions" if parts else NOT_RUN


def _contrasts(
    groups: Sequence[Group], scenario: str, task: Task | None
) -> list[tuple[Group, Contrast]]:
    """A scenario against the control at every point that has both."""
    pairs = [
        (group, decisions.of_task(group, task).get(scenario) if task in group.tasks else None)
        for group in groups
        if task is not None
    ]
    return [(group, contrast) for group, contrast in pairs if contrast is not None]


def _fewest(results: Results, percent: str, called: str) -> str:
    reached = _reached(results, percent, called)
    if reached is None:
        return NOT_RUN
    if reached.blocks is None:
        return "more blocks than were tried"
    blocks = f"{reached.blocks} block" + ("" if reached.blocks == 1 else "s")
    return f"{blocks} [{reached.allowed}]"


def _reached(results: Results, percent: str, called: str) -> across.Reached | None:
    task = results.task(called)
    shares = across.frontier(results.base, task) if task else []
    wanted = int(percent)
    return next((reached for reached in shares if round(100 * reached.share) == wanted), None)


def _kept(results: Results, scenario: str, called: str) -> str:
    change, task = _change(results, scenario, called), _named(results, called)
    if change is None or task is None:
        return NOT_RUN
    words = {"above": "better", "below": "worse", "unclear": "unclear"}
    identical = change.low == change.high == 0
    return "identical" if identical else _said(words[intervals.side(change)], change, task)


def _change(results: Results, scenario: str, called: str) -> Interval | None:
    """How the score of a task changed that a scenario keeps; None if it keeps no such task."""
    task, base = _named(results, called), results.base
    if task is None or scenario not in forgetting.keepers(base, task):
        return None
    return forgetting.change(base, scenario, task)


def _named(results: Results, called: str) -> Task | None:
    """A task of the experiment, whether or not it is trained."""
    return next((task for task in results.base.every if task.name == called), None)


def _regained(results: Results, called: str) -> str:
    task = _named(results, called)
    effects = [
        effect
        for effect in (forgetting.effects(results.base, task) if task else [])
        if task is not None and forgetting.lost(results.base, effect.without, task)
    ]
    if not effects:
        return "no loss is shown"
    half = [
        name(effect.scenario)
        for effect in effects
        if effect.beyond_half.low is not None and effect.beyond_half.low > 0
    ]
    return listing(half) if half else "nothing that was tried"


FILL: dict[str, Callable[..., str]] = {
    "recommendation": _recommendation,
    "verdict": _verdict,
    "sizes": _sizes,
    "conditions": _conditions,
    "fewest": _fewest,
    "kept": _kept,
    "regained": _regained,
}
"""Word to the function that fills it; it takes the results and what the word is about."""
