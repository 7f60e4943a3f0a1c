"""Advice that the reports support: what to do in a situation, the verdicts that speak for it, and
those that speak against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from mtlab.plan import yaml_file
from mtlab.plan.errors import UserError, code_of, did_you_mean, plainly
from mtlab.plan.values import Strict
from mtlab.plan.yaml_file import Located
from mtlab.report import markdown
from mtlab.report.markdown import name, text, times
from mtlab.report.pages.grounds import Ground, Verdict, verdicts
from mtlab.report.pages.reports import Reports
from mtlab.report.pages.reports import cost as ratio_of

FILE, PAGE = "advice.yaml", "advice.md"
"""What is advised, and the page with all verdicts on it."""

TITLE = "# Advice, and the verdicts that it rests on"


class Cost(Strict):
    """What the choice costs: a scenario over another one, in a report."""

    report: str
    scenario: str
    other: str


class Advice(Strict):
    """What to do in a situation."""

    situation: str
    choice: str
    cost: Cost
    grounds: tuple[Ground, ...] = Field(min_length=1)
    in_table: bool = True
    """Whether tables have it; the page of advice has all."""


@dataclass(frozen=True)
class Weighed:
    """Advice with the verdicts of the reports.

    Attributes:
        advice: the situation and the choice.
        cost: the cost of the choice, in words.
        supporting: the verdicts that support it.
        opposing: the verdicts that contradict it.
        unclear: the unclear verdicts.
    """

    advice: Advice
    cost: str
    supporting: Sequence[Verdict]
    opposing: Sequence[Verdict]
    unclear: Sequence[Verdict]


def read(path: Path, reports: Reports) -> list[Weighed]:
    """The advice of a file, each piece with the verdicts on it.

    Args:
        path: a mapping of names to :class:`Advice`.
        reports: whose verdicts it rests on.

    Raises:
        UserError: the file cannot be read, a report is missing, or for some ground of a piece of
            advice no verdict speaks, or as many speak against it.
    """
    located = yaml_file.read(path)
    return [_weighed(key, value, located, reports) for key, value in located.value.items()]


def _weighed(key: str, value: object, located: Located, reports: Reports) -> Weighed:
    try:
        advice = Advice.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = located.where((key, *first["loc"]))
        raise UserError(plainly(first), where=where, code=code_of(first)) from None
    supporting, opposing, unclear = [], [], []
    for at, ground in enumerate(advice.grounds):
        speaking = verdicts(ground, reports)
        pro = [verdict for verdict in speaking if verdict.word in ground.supports]
        rest = [verdict for verdict in speaking if verdict.word not in ground.supports]
        against = [verdict for verdict in rest if verdict.word != "unclear"]
        _check(ground, pro, against, located.where((key, "grounds", at)))
        supporting += pro
        opposing += against
        unclear += [verdict for verdict in rest if verdict.word == "unclear"]
    cost = _cost(advice.cost, reports, located.where((key, "cost")))
    return Weighed(advice, cost, supporting, opposing, unclear)


def _check(
    ground: Ground, supporting: Sequence[Verdict], opposing: Sequence[Verdict], where: str
) -> None:
    if len(supporting) > len(opposing):
        return
    claim = f"that {ground.scenario} is {' or '.join(ground.supports)}"
    if ground.tasks:
        claim += f" at {' or '.join(ground.tasks)}"
    problem = f"no verdict of a report says {claim}"
    if supporting:
        clear = len(supporting) + len(opposing)
        problem = f"only {len(supporting)} of {clear} clear verdicts say {claim}"
    elif opposing:
        words = dict.fromkeys(f"{verdict.word} in {verdict.report}" for verdict in opposing)
        problem += f" (it is {markdown.listing(list(words))})"
    raise UserError(problem, "change the advice", where=where, code="unsupported")


def _cost(cost: Cost, reports: Reports, where: str) -> str:
    if cost.report not in reports.folders:
        raise UserError(
            f"no report is called {cost.report!r}",
            did_you_mean(cost.report, reports.folders),
            where=where,
            code="no-reports",
        )
    group = reports.evidence(cost.report).base
    for scenario in (cost.scenario, cost.other):
        if scenario not in group.scenarios:
            raise UserError(
                f"{cost.report} has no scenario called {scenario!r}",
                did_you_mean(scenario, group.scenarios),
                where=where,
                code="unknown-scenario",
            )
    ratio, title = ratio_of(group, cost.scenario, cost.other)
    return f"{times(ratio.mean, ratio.low, ratio.high)} {name(cost.other)}'s {title}"


def table(pieces: Sequence[Weighed], reports: Reports, page: Path) -> str:
    """A row for each piece of advice that tables have: its cost, and how many verdicts speak for it and against it."""
    rows = [
        [
            text(piece.advice.situation),
            f"**{text(piece.advice.choice)}**",
            f"{piece.cost}, {reports.link(piece.advice.cost.report, page)}",
            _side(piece.supporting, reports, page),
            _side(piece.opposing, reports, page),
            str(len(piece.unclear)),
        ]
        for piece in pieces
        if piece.advice.in_table
    ]
    return markdown.table(HEADER, rows, words=len(HEADER))


HEADER = ["when", "do this", "it costs", "for", "against", "unclear"]


def _side(side: Sequence[Verdict], reports: Reports, page: Path) -> str:
    """How often each scenario has each verdict, and the clearest of these."""
    alike: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in side:
        alike.setdefault((verdict.pair[0], verdict.word), []).append(verdict)
    words = []
    for (scenario, word), cases in alike.items():
        clearest = max(cases, key=lambda verdict: verdict.strength)
        example = f"{clearest.mean} {reports.link(clearest.report, page)}"
        words.append(f"{len(cases)}× {name(scenario)} {word} ({example})")
    return "; ".join(words) or "none"


def page(pieces: Sequence[Weighed], reports: Reports, path: Path) -> str:
    """Every piece of advice with all verdicts on it."""
    lead = (
        "Written by `make pages` from [advice.yaml](advice.yaml) and the published reports. "
        "A verdict on trials that several reports share counts once. A verdict on one seed does not count."
    )
    parts = [TITLE, lead]
    for piece in pieces:
        parts += [
            f"## {text(piece.advice.situation)}",
            f"**{text(piece.advice.choice)}.** Cost: {piece.cost}.",
            _verdicts(piece, reports, path),
        ]
    return "\n\n".join(parts) + "\n"


def _verdicts(piece: Weighed, reports: Reports, path: Path) -> str:
    sides = {"for": piece.supporting, "against": piece.opposing, "unclear": piece.unclear}
    rows = [
        [
            side,
            reports.link(verdict.report, path),
            text(verdict.point) or "–",
            " against ".join(map(name, verdict.pair)),
            text(verdict.measured),
            verdict.effect,
            verdict.word,
        ]
        for side, side_verdicts in sides.items()
        for verdict in side_verdicts
    ]
    header = ["it counts", "report", "at", "compared", "measured", "effect", "verdict"]
    return markdown.table(header, rows, words=5)
