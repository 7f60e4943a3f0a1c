"""The section that sorts many scenarios by quality and cost."""

import re

from mtlab.record.records import TrialRecord
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.shifts import shifts
from mtlab.report.results import scenario_rows
from mtlab.report.sections import worth

from . import factory
from .test_shifts import LOSSES, USUAL

TOP = [f"top_{k}" for k in range(1, 7)]


def of(trials: list[TrialRecord]) -> Group:
    (group,) = groups(factory.suite(trials), trials)
    return group


def many(seeds: int = 5) -> list[TrialRecord]:
    more = [factory.trial(name, seed) for seed in range(seeds) for name in TOP]
    return [*factory.all_trials(seeds), *more]


def listed(text: str) -> dict[str, list[str]]:
    """List to the scenarios in it."""
    lines = [line for line in text.splitlines() if line.startswith("- **")]
    return {
        line.partition("**")[2].partition(":**")[0]: re.findall(r"`(\w+)` \(", line)
        for line in lines
    }


def test_every_trained_scenario_is_in_one_list_with_the_lowest_cost_first() -> None:
    group = of(many())
    lists = listed(worth.section(group, ()))
    rows = {row.scenario: row for row in scenario_rows(group)}
    trained = [name for name, row in rows.items() if row.flops and name != group.control]
    assert sorted(name for names in lists.values() for name in names) == sorted(trained)
    for names in lists.values():
        costs = [rows[name].flops or 0.0 for name in names]
        assert costs == sorted(costs)


def test_what_costs_more_and_is_worse_is_dominated() -> None:
    group = of(many())
    good, cheaper, dominated, _ = listed(worth.section(group, ())).values()
    rows = {row.scenario: row for row in scenario_rows(group)}
    assert "backbone_frozen" in cheaper
    assert good and dominated
    for name in good:
        assert all(contrast.as_good for contrast in rows[name].contrasts.values())
    floor = min(rows[name].flops or 0.0 for name in good)
    for name in (*cheaper, *dominated):
        assert "worse" in {contrast.verdict for contrast in rows[name].contrasts.values()}
        assert ((rows[name].flops or 0.0) >= floor) == (name in dominated)


def test_what_a_scenario_loses_out_of_distribution_is_said_where_it_is_shown() -> None:
    trials = [factory.also(trial, {"chat": LOSSES.get(trial.scenario, USUAL)}) for trial in many()]
    (group,) = groups(factory.with_sets(factory.suite(trials), ("chat",)), trials)
    text = worth.section(group, shifts(group))
    assert re.search(r"`gradual_unfreeze` \(\d\.\d\d×; out of distribution: loses more at", text)


def test_few_scenarios_need_no_sorting() -> None:
    assert worth.section(of(factory.all_trials(5)), ()) == ""
