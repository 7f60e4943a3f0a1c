"""The tests of claims about the training data: how many sentences, which encoder, how many right labels."""

from collections.abc import Iterator

import numpy as np

from mtlab.report.claims.evidence import (
    SMALL,
    ClaimVerdict,
    Evidence,
    Finding,
    decide,
    finding,
    judge,
    of_pair,
    two,
)
from mtlab.report.comparison import across, decisions, kinds
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.comparison.kinds import FULL, HEADS, head_frozen
from mtlab.report.statistics import comparisons


def small_data(evidence: Evidence) -> Iterator[Finding]:
    """Below 10,000 sentences heads alone should be better: full fine-tuning may be so at no size."""
    small = [
        group
        for group in evidence.sizes or [evidence.base]
        if (group.sentences or SMALL) < SMALL and two(group, HEADS, FULL)
    ]
    for task in evidence.tasks:
        contrasts = [
            (group, contrast)
            for group in small
            if (contrast := across.lead(group, task, HEADS, FULL)) is not None
        ]
        if not contrasts:
            continue
        worse = [pair for pair in contrasts if pair[1].verdict == "worse"]
        better = [pair for pair in contrasts if pair[1].verdict == "better"]
        group, contrast = (worse or better or contrasts)[0 if worse else -1]
        sizes = ", ".join(f"{group.sentences:,}" for group, _ in contrasts)
        verdict: ClaimVerdict = "contradicted" if worse else "supported" if better else "open"
        yield of_pair(verdict, contrast, group, f" (run at {sizes} sentences)")


def domain(evidence: Evidence) -> Iterator[Finding]:
    """Compares fully fine-tuned encoders with the first one of the sweep."""
    ran = [
        group for group in evidence.groups if "encoder" in group.point and kinds.find(group, FULL)
    ]
    first, others = ran[0] if ran else evidence.base, ran[1:]
    for task in evidence.tasks:
        for other in others:
            name = kinds.find(other, FULL) or ""
            interval = comparisons.difference(
                other.samples(task)[name],
                first.samples(task)[name],
                len(others) * len(evidence.tasks),
            )
            measured = f"{task.metric_title} on test, {name} of {other.point['encoder']} minus that of {first.point['encoder']}"
            verdict = decide(interval, "supported", "supported")
            yield finding(verdict, task.title, measured, interval, other, [name])


def imbalance(evidence: Evidence) -> Iterator[Finding]:
    """Where one task's labels are few or wrong: that task's score with another's head frozen, minus
    full fine-tuning.
    """
    cases = [
        (group, poor, head_frozen(rich.name))
        for group in evidence.groups
        if (poor := _poor_task(evidence, group)) is not None
        for rich in group.every
        if rich is not poor
    ]
    for group, poor, frozen in cases:
        contrast = across.lead(group, poor, frozen, FULL)
        if contrast is not None:
            verdict = judge(contrast, "supported", "contradicted")
            yield of_pair(verdict, contrast, group, f", {_spoilt(evidence, group)}")


def _poor_task(evidence: Evidence, group: Group) -> Task | None:
    """The one task whose labels are few or wrong at a point."""
    poor = [task for task in group.every if _labels(evidence, group, task)]
    return poor[0] if len(poor) == 1 else None


def _spoilt(evidence: Evidence, group: Group) -> str:
    return ", ".join(words for task in group.every if (words := _labels(evidence, group, task)))


def _labels(evidence: Evidence, group: Group, task: Task) -> str:
    """Which training labels of a task are wrong or missing at a point; empty if all are right."""
    data = evidence.suite.experiment.get("data", {})
    kept = group.point.get(
        f"data.labelled.{task.name}", (data.get("labelled") or {}).get(task.name, 1.0)
    )
    wrong = group.point.get(
        f"data.label_noise.{task.name}", (data.get("label_noise") or {}).get(task.name, 0.0)
    )
    flaws = [f"{kept:.0%} of its labels"] if kept < 1 else []
    flaws += [f"{wrong:.0%} of its labels wrong"] if wrong > 0 else []
    return f"{task.title} has {' and '.join(flaws)}" if flaws else ""


def clean(evidence: Evidence) -> Iterator[Finding]:
    """Full fine-tuning minus heads alone, on the most sentences: with right labels, and then that
    difference minus the difference with wrong ones.
    """
    both = [group for group in evidence.groups if two(group, FULL, HEADS) is not None]
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
        clean, noisy = (_differences(group, task) for group in (right, wrong))
        contrast = decisions.pair(right, task, *pair)
        verdict = judge(contrast, "supported", "contradicted")
        yield of_pair(verdict, contrast, right, ", right labels")
        interval = comparisons.difference(clean, noisy, len(evidence.tasks))
        measured = f"this difference of {task.metric_title} with right labels, minus that with wrong ones ({_spoilt(evidence, wrong)})"
        verdict = decide(interval, "supported", "contradicted")
        about = f"{task.title}, right minus wrong labels"
        yield finding(verdict, about, measured, interval, right, pair)


def _differences(group: Group, task: Task) -> dict[int, np.ndarray]:
    """Seed to each test sentence's score with full fine-tuning minus that with heads alone."""
    names, samples = two(group, FULL, HEADS) or ("", ""), group.samples(task)
    sample, other = samples[names[0]], samples[names[1]]
    return {seed: sample[seed] - other[seed] for seed in sorted(sample.keys() & other.keys())}
