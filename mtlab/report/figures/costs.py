"""The cost by which a figure compares scenarios: the time without a cache if it is measured well
enough, otherwise training FLOPs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mtlab.report.comparison import training_failures
from mtlab.report.comparison.groups import Group
from mtlab.report.statistics import comparisons, intervals
from mtlab.report.statistics.comparisons import Cost

WORTH = 0.05
"""A smaller difference of costs, as a share of the control's cost, is ignored."""

TIME, FLOPS = "wall_plain_s", "train_flops"


@dataclass(frozen=True)
class Costs:
    """What scenarios cost.

    Attributes:
        column: the column of the table of trials.
        title: the name of the cost in words.
        means: scenario to its mean cost.
        ratios: scenario to the ratio of its cost to the control's; empty without a cost of the
            control.
    """

    column: str
    title: str
    means: Mapping[str, float]
    ratios: Mapping[str, Cost]

    def side(self, name: str) -> str:
        """``cheaper`` or ``costlier`` if the interval shows it and the ratio is not close to 1;
        otherwise empty.
        """
        cost = self.ratios[name]
        if cost.cheaper is None or abs((cost.interval.mean or 0.0) - 1.0) < WORTH:
            return ""
        return "cheaper" if cost.cheaper else "costlier"

    def words(self, name: str) -> str:
        """A scenario's mean cost, with its unit."""
        cost = self.means[name]
        return f"{cost:,.3g} s" if self.column == TIME else f"{_large(cost)} FLOPs"


def costs(group: Group) -> Costs:
    """What the scenarios of a group cost: in FLOPs if fewer ratios have wide intervals in FLOPs than
    in time, or if no times can be compared; otherwise in time.
    """
    time, flops = (
        _costs(group, column, title)
        for column, title in ((TIME, "Time without a cache"), (FLOPS, "Training FLOPs"))
    )
    timed = any(cost.interval.mean is not None for cost in time.ratios.values())
    return time if timed and _wide(group, time) <= _wide(group, flops) else flops


def _wide(group: Group, spent: Costs) -> int:
    """The number of scenarios with a wide interval of their ratio, among those that have a result and
    train something.
    """
    return sum(
        not comparisons.narrow(cost.interval)
        for cost in spent.ratios.values()
        if group.of(cost.scenario) and training_failures.trains(group, cost.scenario)
    )


def _costs(group: Group, column: str, title: str) -> Costs:
    values = group.values(column)
    means = {name: intervals.interval(by_seed.values()).mean for name, by_seed in values.items()}
    measured = {name: mean for name, mean in means.items() if mean is not None}
    ratios = comparisons.costs(values, group.control) if group.control in measured else []
    return Costs(column, title, measured, {cost.scenario: cost for cost in ratios})


def _large(count: float) -> str:
    """A large number in words: 12.3 trillion."""
    for power, word in ((15, "quadrillion"), (12, "trillion"), (9, "billion"), (6, "million")):
        if count >= 10**power:
            return f"{count / 10**power:,.3g} {word}"
    return f"{count:,.0f}"
