"""The tests of claims about how many blocks train, and about one task and another."""

from collections.abc import Iterator

from mtlab.report.claims.evidence import (
    ClaimVerdict,
    Evidence,
    Finding,
    at,
    decide,
    finding,
    judge,
    of_pair,
    two,
)
from mtlab.report.comparison import across, decisions, kinds
from mtlab.report.comparison.kinds import FULL, HEADS
from mtlab.report.statistics import intervals
from mtlab.report.tasks import together

FEW_BLOCKS = 3
"""The number of top blocks that the claim calls enough."""


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
            verdict: ClaimVerdict = "open"
            if reached.high is not None and reached.high <= enough:
                verdict = "supported"
            elif reached.low is None or reached.low > enough:
                verdict = "contradicted"
            measured = f"top blocks to reach {share:.0%} of full fine-tuning's {task.metric_title} (claimed: at most {enough})"
            low, high = (None if end is None else float(end) for end in (reached.low, reached.high))
            blocks = None if reached.blocks is None else float(reached.blocks)
            yield Finding(
                verdict,
                f"{task.title}, top blocks",
                measured,
                blocks,
                low,
                high,
                "count",
                len(group.seeds),
                at(group),
                tuple(names),
                limits=(enough + 0.5,),
            )


def joint(evidence: Evidence) -> Iterator[Finding]:
    """Full fine-tuning on all tasks against each task alone."""
    group = evidence.base
    for task in group.tasks:
        contrast = across.lead(group, task, FULL, kinds.single_task(task.name))
        if contrast is not None:
            note = f" ({together(group.every)} against this task alone)"
            verdict = judge(contrast, "supported", "contradicted")
            yield of_pair(verdict, contrast, group, note)


def worst_for_entities(evidence: Evidence) -> Iterator[Finding]:
    """Heads alone against every scenario that trains a part of the encoder, or one head less."""
    group, task = evidence.base, evidence.entities
    heads = kinds.find(group, HEADS)
    names = [
        name
        for name in group.scenarios
        if group.of(name)
        and kinds.kind(group.of(name)[0].stages).name
        in ("full", "gradual", "top blocks", "head frozen")
    ]
    if heads is None or task is None or task not in group.tasks:
        return
    contrasts = [decisions.pair(group, task, heads, name) for name in names]
    if contrasts:
        nearest = max(contrasts, key=lambda contrast: contrast.interval.mean or -1.0)
        decided = {judge(contrast, "contradicted", "supported") for contrast in contrasts}
        verdict: ClaimVerdict = "open"
        if len(decided) == 1:
            verdict = decided.pop()
        elif "contradicted" in decided:
            verdict = "contradicted"
        note = f", the nearest of {len(names)} that train encoder blocks"
        yield of_pair(verdict, nearest, group, note, [heads, *names])


def falls_faster(evidence: Evidence) -> Iterator[Finding]:
    """The share of full fine-tuning's score that heads alone keep: entities minus sentences."""
    group = evidence.base
    pair, labels, entities = two(group, HEADS, FULL), evidence.labels, evidence.entities
    if pair is None or labels is None or entities is None:
        return
    if not {labels, entities} <= set(group.tasks):
        return
    kept = []
    for task in (labels, entities):
        values = group.values(task.metric)
        shared = values[pair[0]].keys() & values[pair[1]].keys()
        kept.append(
            {
                seed: values[pair[0]][seed] / values[pair[1]][seed]
                for seed in sorted(shared)
                if values[pair[1]][seed]
            }
        )
    interval = intervals.seeds_interval(
        kept[1][seed] - kept[0][seed] for seed in kept[0].keys() & kept[1].keys()
    )
    metrics = f"{entities.metric_title} minus {labels.metric_title}"
    measured = (
        f"share of {pair[1]}'s score that {pair[0]} keeps, {metrics} (interval over seeds alone)"
    )
    verdict = decide(interval, "contradicted", "supported")
    yield finding(verdict, "share kept", measured, interval, group, pair)


def watched(evidence: Evidence) -> Iterator[Finding]:
    """The same stages with guidance and without, both at their last epoch: what guidance is worth
    on each task.
    """
    group, scenarios = evidence.base, evidence.suite.experiment.get("scenarios", {})
    pairs = []
    for name, stages in scenarios.items():
        alone = [{**stage, "guidance": None} for stage in stages]
        other = next(
            (
                candidate
                for candidate, other_stages in scenarios.items()
                if other_stages == alone and other_stages != stages
            ),
            None,
        )
        if other is not None and group.of(name) and group.of(other):
            pairs.append((name, other))
    for name, other in pairs:
        acted = sum(bool(trial.ledger) for trial in group.of(name))
        for task in group.tasks:
            contrast = decisions.pair(group, task, name, other)
            note = f" (guidance acted in {acted} of {len(group.of(name))} trials)"
            yield of_pair(judge(contrast, "supported", "contradicted"), contrast, group, note)
