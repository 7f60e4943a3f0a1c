"""The tests of claims about training: how much is trained, how fast, and how well.

Each test yields findings, or nothing if the records do not have the scenarios that it needs. Scenarios are
selected by what they train (``comparison/kinds.py``), so any experiment that has them tests the claim.
Effects that one claim judges together share its level (Bonferroni).
"""

from collections.abc import Iterator, Sequence

from mtlab.record.records import TrialRecord
from mtlab.report.claims.evidence import (
    SMALL,
    ClaimVerdict,
    Evidence,
    Finding,
    at,
    cost,
    decide,
    finding,
    of_good,
    ratio,
    scores,
    two,
)
from mtlab.report.comparison import across, kinds
from mtlab.report.comparison.groups import Group
from mtlab.report.comparison.kinds import FULL, GRADUAL, HEADS, NOTHING
from mtlab.report.comparison.plateau import plateaus
from mtlab.report.statistics import comparisons, intervals


def nothing_learned(evidence: Evidence) -> Iterator[Finding]:
    """Weights are the initial ones and accuracy is at chance."""
    group = evidence.base
    name, task = kinds.find(group, NOTHING), evidence.labels
    chance = evidence.chance(group, task) if task is not None else None
    if name is None or task is None or chance is None:
        return
    same = all(trial.initial_digest == trial.final_digest for trial in group.of(name))
    interval = intervals.estimate(group.samples(task)[name])
    if interval.mean is None:
        return
    learned: ClaimVerdict = (
        "contradicted"
        if not same or (interval.low is not None and interval.low > chance)
        else "open"
    )
    at_chance = (
        same
        and interval.low is not None
        and interval.high is not None
        and interval.low <= chance <= interval.high
    )
    weights = "bit for bit the initial ones" if same else "changed"
    measured = f"{task.metric_title} on test (chance {chance:.3f}); weights {weights}"
    yield finding(
        "supported" if at_chance else learned,
        task.title,
        measured,
        interval,
        group,
        [name],
        form="share",
        limits=(chance,),
    )


FEW = 0.01
"""The share of all parameters below which those that train are few."""


def few_parameters(evidence: Evidence) -> Iterator[Finding]:
    """Thousands are trained, and less than :data:`FEW` of all."""
    group = evidence.base
    name = kinds.find(group, HEADS)
    if name is not None:
        stage = group.of(name)[0].stages[-1]
        share = stage.params_trainable / stage.params_total
        few = stage.params_trainable < 100_000 and share < FEW
        measured = f"trained share: {stage.params_trainable:,} of {stage.params_total:,} parameters (a count, exact)"
        yield Finding(
            "supported" if few else "contradicted",
            "trained share",
            measured,
            share,
            share,
            share,
            "share",
            len(group.of(name)),
            at(group),
            (name,),
            limits=(FEW,),
        )


def faster(evidence: Evidence) -> Iterator[Finding]:
    """Uncached time and FLOPs of an update, heads alone over full fine-tuning, because the two may
    not have trained equally long.
    """
    group = evidence.base
    pair = two(group, HEADS, FULL)
    for words, per_update in (
        (("uncached seconds", _seconds_per_update), ("training FLOPs", _flops_per_update))
        if pair
        else ()
    ):
        timed = {
            name: [
                trial
                for trial in group.of(name)
                if per_update is _flops_per_update or not trial.untimed
            ]
            for name in pair or ()
        }
        values = {
            name: {trial.seed: per_update(trial) for trial in trials}
            for name, trials in timed.items()
        }
        yield from ratio(
            values,
            pair or ("", ""),
            f"{words} of an update",
            group,
            contrasts=2,
        )


def _seconds_per_update(trial: TrialRecord) -> float:
    return sum((stage.step_s or 0.0) * stage.steps for stage in trial.stages) / max(
        1, sum(stage.steps for stage in trial.stages)
    )


def _flops_per_update(trial: TrialRecord) -> float:
    return (trial.train_flops or 0) / max(1, sum(stage.steps for stage in trial.stages))


def converges(evidence: Evidence) -> Iterator[Finding]:
    """Updates, and uncached seconds, to 95% of the best validation score, where both reached their
    plateau.
    """
    group, pair = evidence.base, two(evidence.base, HEADS, FULL)
    if pair is None or not _at_plateau(evidence, pair):
        return
    trials = {name: group.of(name) for name in pair}
    updates = {
        name: {trial.seed: _updates_to(trial) for trial in scenario_trials}
        for name, scenario_trials in trials.items()
    }
    seconds = {
        name: {
            trial.seed: updates[name][trial.seed] * (trial.stages[-1].step_s or 0.0)
            for trial in scenario_trials
            if not trial.untimed
        }
        for name, scenario_trials in trials.items()
    }
    for values, words in ((updates, "updates"), (seconds, "uncached seconds")):
        yield from ratio(
            values,
            pair,
            f"{words} to 95% of its own best validation score",
            group,
            contrasts=2,
        )


def _at_plateau(evidence: Evidence, names: Sequence[str]) -> bool:
    """Whether patience ended every trial of these scenarios, or they are shown to gain no more."""
    courses = plateaus(evidence.base, evidence.suite.experiment)
    return all(
        course.early == len(course.epochs) or course.state == "at plateau"
        for course in courses
        if course.scenario in names
    )


def _updates_to(trial: TrialRecord, share: float = 0.95) -> float:
    scores = [(epoch.step, across.epoch_score(epoch)) for epoch in trial.epochs]
    best = max(score for _, score in scores)
    goal = min(best, share * best)  # a correlation may be below 0
    return float(next(step for step, score in scores if score >= goal))


def regularises(evidence: Evidence) -> Iterator[Finding]:
    """On the fewest sentences: the score lost from the best epoch to the last, and the test score."""
    group = evidence.sizes[0] if evidence.sizes else evidence.base
    pair = two(group, HEADS, FULL)
    if pair is None or not group.sentences or group.sentences >= SMALL:
        return
    losses = [{trial.seed: _lost(trial) for trial in group.of(name)} for name in pair]
    interval = intervals.seeds_interval(
        (losses[0][seed] - losses[1][seed] for seed in losses[0].keys() & losses[1].keys()),
    )
    measured = f"validation score lost from the best epoch to the last, {pair[0]} minus {pair[1]}"
    verdict = decide(interval, "contradicted", "supported")
    yield finding(verdict, "validation score lost", measured, interval, group, pair)
    yield from scores(group, HEADS, FULL, "supported", "contradicted")


def _lost(trial: TrialRecord) -> float:
    scores = [across.epoch_score(epoch) for epoch in trial.epochs]
    return max(scores) - scores[-1]


def caps(evidence: Evidence) -> Iterator[Finding]:
    """Both at their plateau, because heads have learned less at equal epochs."""
    pair = two(evidence.base, HEADS, FULL)
    if pair is not None and _at_plateau(evidence, pair):
        yield from scores(evidence.base, HEADS, FULL, "contradicted", "supported")


def rates(evidence: Evidence) -> Iterator[Finding]:
    """Full fine-tuning with a smaller rate for the encoder, against one rate for all; the best of
    each by validation.
    """
    if not across.settings_only(evidence.groups):
        return
    families: dict[bool, list[Group]] = {True: [], False: []}
    for group in evidence.groups:
        name = kinds.find(group, FULL)
        rates = group.of(name)[0].stages[-1].train if name else {}
        heads = {rate for selector, rate in rates.items() if selector.startswith("head")}
        encoder = {rate for selector, rate in rates.items() if not selector.startswith("head")}
        if heads and encoder and (max(encoder) < min(heads) or encoder == heads):
            families[encoder != heads].append(group)
    if not families[True] or not families[False]:
        return
    smaller, uniform = (across.chosen(family)[0] for family in (families[True], families[False]))
    name = kinds.find(smaller, FULL) or ""
    for task in smaller.tasks:
        interval = comparisons.difference(
            smaller.samples(task)[name], uniform.samples(task)[name], len(smaller.tasks)
        )
        counts = f"best of {len(families[True])} settings minus best of {len(families[False])} by validation"
        measured = f"{task.metric_title} on test, {name} with a smaller rate for the encoder minus one rate for all ({counts})"
        verdict = decide(interval, "supported", "contradicted")
        yield finding(verdict, task.title, measured, interval, smaller, [name])


def gradual_quality(evidence: Evidence) -> Iterator[Finding]:
    """Gradual unfreezing should lose less than the margin against full fine-tuning."""
    group = evidence.base
    for task in group.tasks:
        contrast = across.lead(group, task, GRADUAL, FULL)
        if contrast is not None:
            yield of_good(contrast, group, f" (margin {task.margin:g})")


def gradual_cost(evidence: Evidence) -> Iterator[Finding]:
    """Uncached time of gradual unfreezing over that of full fine-tuning."""
    yield from cost(evidence.base, GRADUAL, FULL, "wall_plain_s", "uncached time")
