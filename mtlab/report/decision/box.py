"""The decision box: what to do, what it costs, how sure that is, what would change it, and the
cheapest next step.

It follows from verdicts alone, and has at most sixty words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mtlab.plan.words import counted
from mtlab.record.records import SuiteRecord
from mtlab.report import markdown
from mtlab.report.comparison import across, decisions, plateau
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group
from mtlab.report.comparison.winner import Winner, winner
from mtlab.report.decision import template
from mtlab.report.decision.template import Filled
from mtlab.report.markdown import listing, name, signed, text, times
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.intervals import Interval
from mtlab.report.tasks import together
from mtlab.report.wording import verdict

RECOMMENDATION = "{recommendation}"
"""The answer to the question what to freeze."""

WORDS = 60
"""The most words of a box."""

SAME = 0.995
"""A share of the control's cost from which on nothing is saved."""


@dataclass(frozen=True)
class Box:
    """A decision, each part a clause or a sentence of markdown.

    Attributes:
        answer: the answer to the experiment's question.
        cost: what the recommended scenario costs beside the control.
        sure: how sure that is.
        change: how many seeds or sentences would settle it.
        step: the cheapest next step, mostly a command.
        limits: the questions that it leaves open; they do not count as words of the box.
        advises: whether the answer says what to do.
    """

    answer: str
    cost: str
    sure: str
    change: str
    step: str
    limits: str
    advises: bool = True

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Label and words of the parts that have words."""
        parts = {
            "Do this" if self.advises else "Answer": self.answer,
            "Cost": self.cost,
            "How sure": self.sure,
            "To settle it": self.change,
            "Next step": self.step,
        }
        return [(label, words) for label, words in parts.items() if words]

    @property
    def count(self) -> int:
        """How many words it has, labels included and limits left out."""
        return sum(len(f"{label} {words}".split()) for label, words in self.lines)

    @property
    def markdown(self) -> str:
        """The box as a list, and the line on its limits."""
        lines = [f"- **{label}:** {words}" for label, words in self.lines]
        return "\n".join(lines) + f"\n\n*It cannot tell you: {self.limits}*"


def box(suite: SuiteRecord, groups: Sequence[Group], base: Group) -> Box:
    """The decision of a suite.

    Args:
        suite: the record of the experiment.
        groups: every point.
        base: the group that represents the whole.
    """
    best = winner(base)
    written = "" if base.pilot else suite.experiment.get("answer")
    answer = template.filled(written or RECOMMENDATION, template.Results(groups, base, best))
    rivals = [scenario for scenario in answer.scenarios if scenario != base.control]
    first = [best.scenario] if best and best.scenario in rivals else rivals
    judged = [
        contrast
        for contrast in decisions.against_control(base)
        if not first or contrast.scenario in first
    ]
    spoken = bool(answer.scenarios or answer.kept)
    confirmed = bool(base.pilot and best and best.shown)
    remaining = [] if confirmed else judged
    return Box(
        answer.words,
        _cost(base, first or list(answer.scenarios), best) if spoken else "",
        _kept_for_sure(base, answer) if answer.kept else _sure(base, judged, best),
        _change(suite, base, remaining, answer),
        _step(suite, base, best, remaining, answer),
        _limits(suite, groups),
        answer.advises,
    )


def answer_line(suite: SuiteRecord, groups: Sequence[Group], base: Group) -> str:
    """The answer to the experiment's question, in a line."""
    return box(suite, groups, base).answer


def _cost(base: Group, scenarios: Sequence[str], best: Winner | None) -> str:
    """The costs of the scenarios that the answer speaks of; of the cheapest that trains something,
    where it speaks of the control alone.
    """
    if base.control is None or not base.of(base.control):
        return ""
    rivals = [scenario for scenario in scenarios if scenario != base.control]
    rivals = rivals[:2] or _cheapest(base)
    if not rivals:
        return "nothing is saved."
    if best is not None and rivals == [best.scenario]:
        return f"{ratio(base, best.scenario)}."
    shares = [f"{name(scenario)}: {ratio(base, scenario)}" for scenario in rivals[:1]]
    shares += [
        f"{name(scenario)}: {_share(base, scenario, 'train_flops')}" for scenario in rivals[1:]
    ]
    return f"{', '.join(shares)}."


def _cheapest(base: Group) -> list[str]:
    """The scenario with the fewest training FLOPs, if it trains something and has fewer than the
    control.
    """
    shares = {
        cost.scenario: cost.interval.mean
        for cost in comparisons.costs(base.values("train_flops"), base.control or "")
        if cost.interval.mean and cost.interval.mean < SAME
    }
    return sorted(shares, key=lambda scenario: shares[scenario] or 0.0)[:1]


def ratio(group: Group, scenario: str) -> str:
    """A scenario's cost over the control's, with its interval: of uncached time, where that is narrow;
    of training FLOPs elsewhere.
    """
    timed = comparisons.narrow(_interval(group, scenario, "wall_plain_s"))
    column, called = ("wall_plain_s", "time") if timed else ("train_flops", "FLOPs")
    return f"{_share(group, scenario, column)} {name(group.control)}'s {called}"


def _share(group: Group, scenario: str, column: str) -> str:
    ratio = _interval(group, scenario, column)
    return times(ratio.mean, ratio.low, ratio.high)


def _interval(group: Group, scenario: str, column: str) -> Interval:
    """A scenario's cost over the control's."""
    costs = comparisons.costs(group.values(column), group.control or "")
    return next(cost.interval for cost in costs if cost.scenario == scenario)


def _sure(base: Group, judged: Sequence[Contrast], best: Winner | None) -> str:
    """The verdicts on what the answer speaks of, and on how many seeds they rest; after a pilot, the
    error that the recommendation may make.
    """
    if base.pilot and not base.good:
        return "no cheaper scenario is within the margin on validation, with the pilot seed."
    if base.pilot and best is not None and best.shown:
        counting = [task for task in base.tasks if task.counts]
        losses = [f"{task.margin:g} of {text(task.metric_title)}" for task in counting]
        return f"at most 5% that it loses {' or '.join(losses)}, with {counted(len(base.seeds), 'seed')}."
    if len(base.seeds) < 2:
        return "one seed shows nothing."
    seeds = counted(len(base.seeds), "seed")
    if len({contrast.scenario for contrast in judged}) == 1:
        return f"{_verdicts(judged)}, with {seeds}."
    unclear = sum(contrast.verdict == "unclear" for contrast in judged)
    return f"{seeds}; {unclear} of {counted(len(judged), 'comparison')} unclear."


def _verdicts(judged: Sequence[Contrast]) -> str:
    """The verdicts on one scenario: *better in accuracy, unclear in entity F1*."""
    tasks: dict[str, list[Contrast]] = {}
    for contrast in judged:
        tasks.setdefault(verdict(contrast), []).append(contrast)
    if len(judged) > 1 and len(tasks) == 1:
        return f"{next(iter(tasks))} at {together([contrast.task for contrast in judged])}"
    if len(judged) > 3:
        return (
            f"{', '.join(f'{word} at {len(contrasts)}' for word, contrasts in tasks.items())} tasks"
        )
    return ", ".join(
        f"{word} in {listing([*map(_about, contrasts)])}" for word, contrasts in tasks.items()
    )


def _about(contrast: Contrast) -> str:
    """A task's metric; where a verdict is unclear, with the differences that are possible."""
    metric, interval = text(contrast.task.metric_title), contrast.interval
    if verdict(contrast) != "unclear" or interval.low is None or interval.high is None:
        return metric
    return f"{metric} [{signed(interval.low)}, {signed(interval.high)}]"


def _kept_for_sure(base: Group, answer: Filled) -> str:
    """The intervals of what trained heads lost."""
    changes = [
        markdown.measured(change.mean, change.low, change.high, sign=True) for change in answer.kept
    ]
    return f"{counted(len(base.seeds), 'seed')}: {listing(changes)}."


def _change(suite: SuiteRecord, base: Group, judged: Sequence[Contrast], answer: Filled) -> str:
    """What may turn the answer: seeds, test sentences, longer training."""
    if base.pilot and not base.good:
        return "more seeds: the pilot has one."
    about = {name for contrast in judged for name in (contrast.scenario, contrast.other)}
    gaining = any(
        course.state == "still gaining" and course.scenario in about
        for course in plateau.plateaus(base, suite.experiment)
    )
    seeds, sentences = (0, 0) if answer.kept else _needed(judged)
    parts = [
        "more seeds" if _open(answer) or len(base.seeds) < 2 else "",
        f"about {seeds} seeds" if seeds else "",
        f"about {sentences:,} test sentences" if sentences else "",
        "longer training" if gaining else "",
    ]
    needs = ", and ".join(part for part in parts if part)
    if not needs and any(contrast.verdict == "unclear" for contrast in judged):
        return "more test sentences."
    return f"{needs}." if needs else "it is settled for these data."


def _open(answer: Filled) -> bool:
    """Whether it is unclear how a trained head changed."""
    return any(
        intervals.side(change) == "unclear" and change.low != change.high for change in answer.kept
    )


def _needed(judged: Sequence[Contrast]) -> tuple[int, int]:
    """The numbers of seeds and of test sentences that make the unclear contrasts clear; 0 if none
    are needed, or if no number is enough.
    """
    seeds, sentences = (
        [contrast.needed or 0 for contrast in judged if contrast.reason == reason]
        for reason in (decisions.SEEDS, decisions.SENTENCES)
    )
    return max(seeds, default=0), max(sentences, default=0)


def _step(
    suite: SuiteRecord,
    base: Group,
    best: Winner | None,
    judged: Sequence[Contrast],
    answer: Filled,
) -> str:
    """The rest of the trials, more seeds or sentences where they tell, or the model itself."""
    seeds, sentences = (2 * len(base.seeds) * _open(answer), 0) if answer.kept else _needed(judged)
    command = re.sub(r" --seeds(\.looks|\.stop)?(( \d+)+| \w+| '[^']*')", "", suite.command)
    if best is None:
        return markdown.code(command)
    if len(base.seeds) < 2:
        return markdown.code(f"{command} --seeds 0 1 2 3 4")
    if seeds:
        more = _more(command, base, seeds)
        # what is kept decides no look, so every scenario needs the seeds
        return markdown.code(f"{more} --seeds.stop never" if answer.kept else more)
    if sentences:
        return "label more test sentences."
    if best.trial.selection is not None and best.trial.selection.by_task:
        return "none: it is decided."
    return markdown.code(command.replace("mtlab compare", "mtlab export", 1))


def _more(command: str, base: Group, seeds: int) -> str:
    """The command that runs it with so many seeds."""
    looks = " ".join(map(str, [*(base.looks or (len(base.seeds),)), seeds]))
    if base.pilot:
        return f"{command.replace('mtlab compare', 'mtlab recommend', 1)} --looks {looks}"
    return f"{command} --seeds.looks {looks}"


def _limits(suite: SuiteRecord, groups: Sequence[Group]) -> str:
    """The scope of the verdicts, in a line."""
    encoders = dict.fromkeys(
        name(facts.get("name") or "unknown") for facts in suite.encoder.values()
    )
    rates = "" if across.settings_only(list(groups)) else ", other learning rates"
    return f"anything about other data, encoders other than {listing(list(encoders))}{rates}, or other lengths of training."
