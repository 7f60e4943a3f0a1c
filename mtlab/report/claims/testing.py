"""The tests of claims: each yields what the records at hand say, and nothing where they do not have
what it needs.

Scenarios are found by what they train (``comparison/kinds.py``), so any experiment that has them
tests the claim. Effects that are judged together in a claim share its level (Bonferroni).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mtlab.record.records import TrialRecord
from mtlab.report import statistics
from mtlab.report.claims.evidence import (
    ClaimVerdict,
    Evidence,
    Finding,
    at,
    cost,
    decide,
    finding,
    ratio,
    scores,
    two,
)
from mtlab.report.comparison import across, kinds
from mtlab.report.comparison.groups import TASKS, Group, Task
from mtlab.report.comparison.kinds import FULL, GRADUAL, HEADS, NOTHING, Kind, head_frozen

POINT = 0.01
"""One point of accuracy or F1: what "as good as" allows."""

SMALL = 10_000
"""Training sentences below which data are called small."""

FEW_BLOCKS = 3
"""How many top blocks are said to be enough."""


def nothing_learned(evidence: Evidence) -> Iterator[Finding]:
    """Weights are the initial ones and accuracy is at chance."""
    group = evidence.base
    name = kinds.find(group, NOTHING)
    chance = evidence.chance(group)
    if name is None or chance is None:
        return
    same = all(trial.initial_digest == trial.final_digest for trial in group.of(name))
    task = TASKS[0]
    found = statistics.estimate(group.samples(task)[name])
    if found.mean is None:
        return
    learned: ClaimVerdict = (
        "contradicted"
        if not same or (found.low is not None and found.low > chance)
        else "undecided"
    )
    at_chance = (
        same
        and found.low is not None
        and found.high is not None
        and found.low <= chance <= found.high
    )
    weights = "bit for bit the initial ones" if same else "changed"
    measured = f"{task.metric_title} on test (chance {chance:.3f}); weights {weights}"
    yield finding("supported" if at_chance else learned, measured, found, "share", group, [name])


def few_parameters(evidence: Evidence) -> Iterator[Finding]:
    """Thousands are trained, and below a hundredth of all."""
    group = evidence.base
    name = kinds.find(group, HEADS)
    if name is not None:
        stage = group.of(name)[0].stages[-1]
        share = stage.params_trainable / stage.params_total
        few = stage.params_trainable < 100_000 and share < 0.01
        measured = f"trained share: {stage.params_trainable:,} of {stage.params_total:,} parameters (a count, exact)"
        yield Finding(
            "supported" if few else "contradicted",
            measured,
            share,
            share,
            share,
            "share",
            len(group.of(name)),
            at(group),
            (name,),
        )


def faster(evidence: Evidence) -> Iterator[Finding]:
    """Plain time and FLOPs of an update, heads alone over full fine-tuning: they may not have
    trained equally long.
    """
    group = evidence.base
    pair = two(group, HEADS, FULL)
    for words, per_update in (
        (("plain seconds", _seconds_per_update), ("training FLOPs", _flops_per_update))
        if pair
        else ()
    ):
        timed = {
            name: [
                one for one in group.of(name) if per_update is _flops_per_update or not one.untimed
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
            f"{words} of an update, {' over '.join(pair or ())}",
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
    """Updates, and plain seconds, to 95% of the best validation score of the longest run."""
    of_heads, of_full = _longest(evidence.found, HEADS), _longest(evidence.found, FULL)
    if of_heads is None or of_full is None:
        return
    (group, heads), (other, full) = of_heads, of_full
    trials = {heads: group.of(heads), full: other.of(full)}
    updates = {
        name: {trial.seed: _updates_to(trial) for trial in some} for name, some in trials.items()
    }
    seconds = {
        name: {
            one.seed: updates[name][one.seed] * (one.stages[-1].step_s or 0.0)
            for one in trials[name]
            if not one.untimed
        }
        for name in trials
    }
    for values, words in ((updates, "updates"), (seconds, "plain seconds of training")):
        measured = f"{words} to 95% of its own best validation score, {heads} over {full}"
        yield from ratio(values, (heads, full), measured, group, contrasts=2)


def _longest(found: Sequence[Group], kind: Kind) -> tuple[Group, str] | None:
    """The run of a kind with the most epochs, where several were run."""
    names = {kinds.find(group, kind) for group in found} - {None}
    if len(names) != 1:
        return None
    name = names.pop() or ""
    runs = across.budgets(found, name)
    return (runs[max(runs)], name) if runs and across.settings_only(found) else None


def _updates_to(trial: TrialRecord, share: float = 0.95) -> float:
    scores = [(epoch.step, across.epoch_score(epoch)) for epoch in trial.epochs]
    goal = share * max(score for _, score in scores)
    return float(next(step for step, score in scores if score >= goal))


def regularises(evidence: Evidence) -> Iterator[Finding]:
    """On the fewest sentences: what is lost from the best epoch to the last, and the test score."""
    group = evidence.sizes[0] if evidence.sizes else evidence.base
    pair = two(group, HEADS, FULL)
    if pair is None or not group.sentences or group.sentences >= SMALL:
        return
    losses = [{trial.seed: _lost(trial) for trial in group.of(name)} for name in pair]
    found = statistics.seeds_interval(
        (losses[0][seed] - losses[1][seed] for seed in losses[0].keys() & losses[1].keys()),
        1 - (1 - statistics.LEVEL) / (1 + len(group.tasks)),
    )
    measured = f"validation score lost from the best epoch to the last, {pair[0]} minus {pair[1]}"
    yield finding(
        decide(found, "contradicted", "supported"), measured, found, "difference", group, pair
    )
    yield from scores(group, HEADS, FULL, "supported", "contradicted", 1 + len(group.tasks))


def _lost(trial: TrialRecord) -> float:
    scores = [across.epoch_score(epoch) for epoch in trial.epochs]
    return max(scores) - scores[-1]


def caps(evidence: Evidence) -> Iterator[Finding]:
    """Both at the best of their budgets, for at equal epochs heads have learned less; undecided
    while heads still gain.
    """
    longest = _longest(evidence.found, HEADS)
    if longest is None or _longest(evidence.found, FULL) is None:
        return
    runs = list(across.budgets(evidence.found, longest[1]).items())
    for task, one in zip(
        evidence.base.tasks,
        scores(evidence.base, HEADS, FULL, "contradicted", "supported", len(evidence.tasks)),
        strict=True,
    ):
        before, last = (
            statistics.interval(group.values(f"validation_{task.metric}")[longest[1]].values()).mean
            for _, group in runs[-2:]
        )
        gained = (last or 0.0) - (before or 0.0)
        told = f"{one.measured} (heads gain {gained:+.3f} on validation from {runs[-2][0]} to {runs[-1][0]} epochs)"
        yield replace(one, measured=told, verdict="undecided" if gained > POINT else one.verdict)


def small_data(evidence: Evidence) -> Iterator[Finding]:
    """Below 10,000 sentences heads alone should lead: at no size may full fine-tuning."""
    small = [
        group
        for group in evidence.sizes or [evidence.base]
        if (group.sentences or SMALL) < SMALL and two(group, HEADS, FULL)
    ]
    contrasts = len(small) * len(evidence.tasks)
    for task in evidence.tasks:
        leads = [
            (group, found)
            for group in small
            if (found := across.lead(group, task, HEADS, FULL, contrasts)) is not None
        ]
        if not leads:
            continue
        behind = [(group, found) for group, found in leads if statistics.verdict(found) == "worse"]
        ahead = [(group, found) for group, found in leads if statistics.verdict(found) == "better"]
        group, found = (behind or ahead or leads)[0 if behind else -1]
        names = two(group, HEADS, FULL) or ("", "")
        sizes = ", ".join(f"{one.sentences:,}" for one, _ in leads)
        measured = (
            f"{task.metric_title} on test, {names[0]} minus {names[1]} (run at {sizes} sentences)"
        )
        verdict: ClaimVerdict = "contradicted" if behind else "supported" if ahead else "undecided"
        yield finding(verdict, measured, found, "difference", group, names)


def few_blocks(evidence: Evidence) -> Iterator[Finding]:
    """95% of full fine-tuning with at most :data:`FEW_BLOCKS` blocks."""
    yield from _blocks(evidence, 0.95, FEW_BLOCKS)


def quarter(evidence: Evidence) -> Iterator[Finding]:
    """90% of full fine-tuning with a quarter of the blocks."""
    blocks = max(
        (int(facts.get("blocks") or 0) for facts in evidence.suite.encoder.values()), default=0
    )
    yield from _blocks(evidence, 0.90, -(-blocks // 4))


def _blocks(evidence: Evidence, share: float, enough: int) -> Iterator[Finding]:
    group = evidence.base
    for task in group.tasks:
        for reached in across.frontier(group, task):
            if reached.share != share:
                continue
            names = [name for depth, name in across.depths(group).items() if depth <= enough]
            verdict: ClaimVerdict = "undecided"
            if reached.high is not None and reached.high <= enough:
                verdict = "supported"
            elif reached.low is None or reached.low > enough:
                verdict = "contradicted"
            measured = f"top blocks to reach {share:.0%} of full fine-tuning's {task.metric_title} (claimed: {enough} at most)"
            low, high = (None if end is None else float(end) for end in (reached.low, reached.high))
            blocks = None if reached.blocks is None else float(reached.blocks)
            yield Finding(
                verdict,
                measured,
                blocks,
                low,
                high,
                "count",
                len(group.seeds),
                at(group),
                tuple(names),
            )


def rates(evidence: Evidence) -> Iterator[Finding]:
    """Full fine-tuning with a smaller rate for the encoder, against one rate for all; the best of
    each by validation.
    """
    if not across.settings_only(evidence.found):
        return
    families: dict[bool, list[Group]] = {True: [], False: []}
    for group in evidence.found:
        name = kinds.find(group, FULL)
        rates = group.of(name)[0].stages[-1].train if name else {}
        heads = {rate for selector, rate in rates.items() if selector.startswith("head")}
        encoder = {rate for selector, rate in rates.items() if not selector.startswith("head")}
        if heads and encoder and (max(encoder) < min(heads) or encoder == heads):
            families[encoder != heads].append(group)
    if not families[True] or not families[False]:
        return
    smaller, uniform = (across.chosen(some)[0] for some in (families[True], families[False]))
    name = kinds.find(smaller, FULL) or ""
    for task in smaller.tasks:
        found = statistics.difference(
            smaller.samples(task)[name], uniform.samples(task)[name], len(smaller.tasks)
        )
        counts = f"best of {len(families[True])} settings minus best of {len(families[False])} by validation"
        measured = f"{task.metric_title} on test, {name} with a smaller rate for the encoder minus one rate for all ({counts})"
        yield finding(
            decide(found, "supported", "contradicted"),
            measured,
            found,
            "difference",
            smaller,
            [name],
        )


def gradual(evidence: Evidence) -> Iterator[Finding]:
    """As good as full fine-tuning (not a point worse), and cheaper."""
    group = evidence.base
    pair = two(group, GRADUAL, FULL)
    for task in group.tasks if pair else ():
        found = across.lead(group, task, GRADUAL, FULL, len(group.tasks) + 1)
        if found is None or pair is None:
            continue
        as_good = found.low is not None and found.low > -POINT
        worse = found.high is not None and found.high < -POINT
        verdict: ClaimVerdict = "supported" if as_good else "contradicted" if worse else "undecided"
        measured = f"{task.metric_title} on test, {pair[0]} minus {pair[1]} (as good: less than a point below)"
        yield finding(verdict, measured, found, "difference", group, pair)
    yield from cost(group, GRADUAL, FULL, "wall_plain_s", "plain time", len(group.tasks) + 1)


def joint(evidence: Evidence) -> Iterator[Finding]:
    """Full fine-tuning on both tasks against each task alone."""
    group = evidence.base
    for task in group.tasks:
        pair = two(group, FULL, kinds.single_task(task.name))
        found = across.lead(group, task, FULL, kinds.single_task(task.name), len(group.tasks))
        if pair and found is not None:
            measured = f"{task.metric_title} on test, {pair[0]} (both tasks) minus {pair[1]} (this task alone)"
            yield finding(
                decide(found, "supported", "contradicted"),
                measured,
                found,
                "difference",
                group,
                pair,
            )


def domain(evidence: Evidence) -> Iterator[Finding]:
    """Fully fine-tuned, encoders are compared with the first one of the sweep."""
    ran = [
        group for group in evidence.found if "encoder" in group.point and kinds.find(group, FULL)
    ]
    first, others = ran[0] if ran else evidence.base, ran[1:]
    for task in evidence.tasks:
        for other in others:
            name = kinds.find(other, FULL) or ""
            found = statistics.difference(
                other.samples(task)[name],
                first.samples(task)[name],
                len(others) * len(evidence.tasks),
            )
            measured = f"{task.metric_title} on test, {name} of {other.point['encoder']} minus that of {first.point['encoder']}"
            decided: ClaimVerdict = (
                "undecided" if statistics.verdict(found) in ("tie", "undecided") else "supported"
            )
            yield finding(decided, measured, found, "difference", other, [name])


def worst_for_entities(evidence: Evidence) -> Iterator[Finding]:
    """Heads alone against every scenario that trains a part of the encoder, or one head less."""
    group, task = evidence.base, TASKS[1]
    heads = kinds.find(group, HEADS)
    names = [
        name
        for name in group.scenarios
        if group.of(name)
        and kinds.kind(group.of(name)[0].stages).name
        in ("full", "gradual", "top blocks", "head frozen")
    ]
    if heads is None or task not in group.tasks:
        return
    samples = group.samples(task)
    leads = {
        name: statistics.difference(samples[heads], samples[name], len(names)) for name in names
    }
    if leads:
        nearest = max(leads, key=lambda name: leads[name].mean or -1.0)
        decided = [statistics.verdict(found) for found in leads.values()]
        verdict: ClaimVerdict = "undecided"
        if all(one == "worse" for one in decided):
            verdict = "supported"
        elif "better" in decided:
            verdict = "contradicted"
        measured = f"{task.metric_title} on test, {heads} minus {nearest}, the nearest of {len(names)} that train encoder blocks"
        yield finding(verdict, measured, leads[nearest], "difference", group, [heads, *names])


def falls_faster(evidence: Evidence) -> Iterator[Finding]:
    """The share of full fine-tuning's score that heads alone keep: entities minus sentences."""
    group = evidence.base
    pair = two(group, HEADS, FULL)
    if pair is None or len(group.tasks) < len(TASKS):
        return
    kept = []
    for task in TASKS:
        values = group.values(task.metric)
        shared = values[pair[0]].keys() & values[pair[1]].keys()
        kept.append(
            {
                seed: values[pair[0]][seed] / values[pair[1]][seed]
                for seed in sorted(shared)
                if values[pair[1]][seed]
            }
        )
    found = statistics.seeds_interval(
        kept[1][seed] - kept[0][seed] for seed in kept[0].keys() & kept[1].keys()
    )
    measured = f"share of {pair[1]}'s score that {pair[0]} keeps, entity F1 minus accuracy (interval over seeds alone)"
    yield finding(
        decide(found, "contradicted", "supported"), measured, found, "difference", group, pair
    )


def imbalance(evidence: Evidence) -> Iterator[Finding]:
    """Where one task's labels are few or wrong: that task's score with the other's head frozen,
    minus full fine-tuning.
    """
    points = [
        (group, poor)
        for group in evidence.found
        if (poor := _poor_task(evidence, group)) is not None
    ]
    for group, poor in points:
        rich = next(task for task in TASKS if task is not poor)
        pair = two(group, head_frozen(rich.name), FULL)
        found = across.lead(group, poor, head_frozen(rich.name), FULL, len(points))
        if pair is not None and found is not None:
            measured = f"{poor.metric_title} on test, {pair[0]} minus {pair[1]}, {_spoilt(evidence, group)}"
            yield replace(
                finding(
                    decide(found, "supported", "contradicted"),
                    measured,
                    found,
                    "difference",
                    group,
                    pair,
                ),
                at=at(group),
            )


def _poor_task(evidence: Evidence, group: Group) -> Task | None:
    """The one task whose labels are few or wrong at a point."""
    poor = [task for task in TASKS if _labels(evidence, group, task)]
    return poor[0] if len(poor) == 1 else None


def _spoilt(evidence: Evidence, group: Group) -> str:
    return ", ".join(words for task in TASKS if (words := _labels(evidence, group, task)))


def _labels(evidence: Evidence, group: Group, task: Task) -> str:
    """What is wrong with a task's training labels at a point, in words; empty where nothing is."""
    data = evidence.suite.experiment.get("data", {})
    kept = group.point.get(
        f"data.labelled.{task.name}", (data.get("labelled") or {}).get(task.name, 1.0)
    )
    wrong = group.point.get(
        f"data.label_noise.{task.name}", (data.get("label_noise") or {}).get(task.name, 0.0)
    )
    said = [f"{kept:.0%} of its labels"] if kept < 1 else []
    said += [f"{wrong:.0%} of its labels wrong"] if wrong > 0 else []
    return f"{task.title} has {' and '.join(said)}" if said else ""


def watched(evidence: Evidence) -> Iterator[Finding]:
    """The same stages with guidance and without, both at their last epoch: what guidance is worth
    on each task.
    """
    group, scenarios = evidence.base, evidence.suite.experiment.get("scenarios", {})
    pairs = []
    for name, stages in scenarios.items():
        alone = [{**stage, "guidance": None} for stage in stages]
        other = next(
            (one for one, theirs in scenarios.items() if theirs == alone and theirs != stages), None
        )
        if other is not None and group.of(name) and group.of(other):
            pairs.append((name, other))
    for name, other in pairs:
        acted = sum(bool(trial.ledger) for trial in group.of(name))
        for task in group.tasks:
            samples = group.samples(task)
            found = statistics.difference(
                samples[name], samples[other], len(pairs) * len(group.tasks)
            )
            measured = f"{task.metric_title} on test, {name} minus {other} (guidance acted in {acted} of {len(group.of(name))} trials)"
            yield finding(
                decide(found, "supported", "contradicted"),
                measured,
                found,
                "difference",
                group,
                [name, other],
            )


def clean(evidence: Evidence) -> Iterator[Finding]:
    """The lead of full fine-tuning over heads alone, on the most sentences: with right labels, and
    beside that with wrong ones.
    """
    both = [group for group in evidence.found if two(group, FULL, HEADS) is not None]
    largest = max((group.sentences or 0 for group in both), default=0)
    right = next(
        (group for group in both if group.sentences == largest and not _spoilt(evidence, group)),
        None,
    )
    wrong = next(
        (
            group
            for group in both
            if group.sentences == largest and "wrong" in _spoilt(evidence, group)
        ),
        None,
    )
    if right is None or wrong is None:
        return
    pair = two(right, FULL, HEADS) or ("", "")
    for task in evidence.tasks:
        lead, other = (_leads(group, task) for group in (right, wrong))
        found = statistics.paired(lead, 2 * len(evidence.tasks))
        measured = f"{task.metric_title} on test, {pair[0]} minus {pair[1]}, right labels"
        yield finding(
            decide(found, "supported", "contradicted"), measured, found, "difference", right, pair
        )
        found = statistics.difference(lead, other, 2 * len(evidence.tasks))
        measured = f"that lead on {task.metric_title} with right labels minus with wrong ones ({_spoilt(evidence, wrong)})"
        yield finding(
            decide(found, "supported", "contradicted"), measured, found, "difference", right, pair
        )


def _leads(group: Group, task: Task) -> dict[int, np.ndarray]:
    """Seed to what each test sentence adds to the lead of full fine-tuning over heads alone."""
    names, samples = two(group, FULL, HEADS) or ("", ""), group.samples(task)
    one, other = samples[names[0]], samples[names[1]]
    return {seed: one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())}
