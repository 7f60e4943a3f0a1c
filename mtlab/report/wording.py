"""The words of a report for verdicts, effects and excluded times."""

from collections import Counter
from collections.abc import Sequence

from mtlab.report import markdown
from mtlab.report.comparison import decisions
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group
from mtlab.report.markdown import listing, name
from mtlab.report.statistics.outlook import MOST_SEEDS
from mtlab.report.statistics.scale import Verdict

VERDICTS: tuple[Verdict, ...] = ("better", "equivalent", "worse", "unclear")

TOO_MANY = f"needs more than {MOST_SEEDS} seeds"

REASONS = {
    decisions.FAILED: "runs failed to train",
    decisions.ONE_SEED: "one seed",
    decisions.ALIKE: "too few sentences, or results too alike",
    decisions.UNTRAINED: "the control is not better than without training",
}


def verdict(contrast: Contrast) -> str:
    """The verdict in words: *at least as good* if it is unclear but a loss of the margin is excluded."""
    good = contrast.verdict == "unclear" and contrast.as_good
    return "at least as good" if good else contrast.verdict


def reason(contrast: Contrast) -> str:
    """Why a verdict is unclear, in words; empty if it is clear, or if planned seeds may decide it."""
    if contrast.reason == decisions.SENTENCES:
        return f"needs about {contrast.needed:,} test sentences"
    if contrast.reason == decisions.SEEDS:
        return f"needs about {contrast.needed} seeds" if contrast.needed else TOO_MANY
    return REASONS.get(contrast.reason, "")


def effect(contrast: Contrast) -> str:
    """A difference with the interval that decides the verdict."""
    interval = contrast.interval
    return markdown.measured(interval.mean, interval.low, interval.high, sign=True)


def falling(decay: float | None) -> str:
    """The note on a learning rate that decreases from block to block; empty if it does not."""
    return "" if decay is None else f" (× {decay:g} for each block down)"


def drawn(selectors: Sequence[str]) -> str:
    """The note on blocks that a stage initialized again at random; empty without any."""
    return f", after drawing {listing(list(map(name, selectors)))} anew" if selectors else ""


def averaged(share: float | None) -> str:
    """The note on weights that are averaged with the weights at the start of their stage; empty if
    they are not.
    """
    return (
        f", tested with {share:g} of what trained and the rest of where it began" if share else ""
    )


HOW = {
    "choose": "blocks chosen by score when the stage begins",
    "rotate": "some blocks at a time",
    "freeze_when": "blocks frozen on the way, from the bottom up",
}
"""Key of a stage in which not all blocks train all the time, to its meaning in words."""


def untimed(group: Group) -> str:
    """How many trials have no comparable times, and why; empty without such trials."""
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
