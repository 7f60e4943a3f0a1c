"""Verdicts on pairs of scenarios: families, looks, reasons, and the one interval of each pair."""

import math
from collections.abc import Collection

import numpy as np
import pytest

from mtlab.report.comparison import decisions
from mtlab.report.comparison.decisions import FEWEST, Contrast
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.statistics.intervals import Interval, Sample, paired

from . import factory, tables
from .tables import CONTROL, LEVEL, MARGIN, NOTHING, RIVALS

LOOKS = (2, 3, 5, 8)
SPENT = (0.002, 0.006, 0.012, 0.020)


def only(group: Group) -> Contrast:
    """The one contrast of a group with one rival and one task."""
    (found,) = decisions.against_control(group)
    return found


def one(table: np.ndarray, **changes) -> Contrast:
    """The contrast of a rival's results with a control that scores 0.9 everywhere."""
    level = changes.pop("level", LEVEL)
    shown = {RIVALS[0]: table, CONTROL: tables.control(*table.shape, level)}
    return only(tables.group(shown, **changes))


def less_control(table: np.ndarray) -> Sample:
    """A rival's differences."""
    return {seed: row - LEVEL for seed, row in enumerate(table)}


def by_hand(
    table: np.ndarray, alpha: float, pooled: float | None = None, *, generous: bool = False
) -> Interval:
    """The interval of a rival's differences, to be compared with."""
    found = paired(less_control(table), alpha, pooled, generous=generous)
    mean, low, high = (pytest.approx(end) for end in (found.mean, found.low, found.high))
    return Interval(mean, low, high, found.n)


def several(count: int, seeds: int, spread: float = 0.01) -> dict[str, np.ndarray]:
    """So many rivals and the control; the second rival's seeds differ three times as much."""
    rivals = {
        name: tables.noisy(0.0, seeds, spread * (3 if at == 1 else 1), draw=at)
        for at, name in enumerate(RIVALS[:count])
    }
    return {**rivals, CONTROL: tables.control(seeds, 300)}


def seed_variance(table: np.ndarray) -> float:
    """Of one seed's difference: at least what its sentences alone make of it."""
    seeds, sentences = table.shape
    rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    noise = (rest**2).sum() / ((seeds - 1) * (sentences - 1)) / sentences
    return max(float(table.mean(axis=1).var(ddof=1)), float(noise))


def steps(*means: float, sentences: int = 300) -> np.ndarray:
    """Results with seeds that are better than the control by these means, and sentences that agree
    but for a trifle."""
    rest = np.random.default_rng(0).normal(0, 1e-4, (len(means), sentences))
    return LEVEL + np.array(means)[:, None] + rest


EARLY = steps(*[0.10] * 2, *[-0.10] * 6)
MIDDLE = steps(0.10, 0.20, *[0.15] * 3, *[-0.60] * 3)
NEVER = steps(*[0.3, -0.3] * 4)


# the family


@pytest.mark.parametrize("sizes", [(100,), (100, 300, 1000)])
def test_all_scenarios_tasks_and_points_share_one_family(sizes: Collection[int]) -> None:
    """Six scenarios, one of them the control, and two tasks."""
    trials = [trial for size in sizes for trial in factory.all_trials(2, {"data.train_size": size})]
    suite = factory.suite(trials, 2, sweep={"data.train_size": list(sizes)})
    for group in groups(suite, trials):
        family = 5 * 2 * len(sizes)
        assert decisions.planned(group) == family
        contrasts = decisions.against_control(group)
        assert len(contrasts) == 10
        assert [contrast.alpha for contrast in contrasts] == pytest.approx([0.05 / family] * 10)


def test_a_task_without_scores_and_a_scenario_without_trials_stay_in_the_family() -> None:
    trials = [factory.without(trial, "ner") for trial in factory.all_trials(2)[:-2]]
    (group,) = groups(factory.suite(trials, 2), trials)
    alphas = [contrast.alpha for contrast in decisions.against_control(group)]
    assert alphas == pytest.approx([0.05 / 10] * 5)


def test_a_rivals_interval_is_that_of_its_differences() -> None:
    table = tables.noisy(0.05, 5)
    found = one(table)
    assert found.interval == by_hand(table, 0.05)
    assert (found.scenario, found.other, found.look) == (RIVALS[0], CONTROL, 5)
    assert found.alpha == pytest.approx(0.05)
    assert (found.verdict, found.reason, found.as_good, found.ended) == ("better", "", True, True)


def test_margins_of_the_experiment_decide_what_is_equivalent() -> None:
    table = tables.noisy(0.03, 5, 0.001)
    assert one(table).verdict == "better"
    assert one(table, margins={"classifier": 0.1}).verdict == "equivalent"


def mean_variance(shown: dict[str, np.ndarray], seeds: int) -> float:
    """Over the rivals, of one seed's difference."""
    return float(np.mean([seed_variance(shown[name][:seeds]) for name in shown if name in RIVALS]))


@pytest.mark.parametrize("seeds", [2, 3])
def test_few_seeds_borrow_from_the_contrasts_that_train_something(seeds: int) -> None:
    shown = several(FEWEST, seeds)
    shown[NOTHING] = tables.noisy(-0.5, seeds, 5.0, draw=9)
    found = {
        contrast.scenario: contrast.interval
        for contrast in decisions.against_control(tables.group(shown))
    }
    pooled, alpha = mean_variance(shown, seeds), 0.05 / (FEWEST + 1)
    alone = {name: paired(less_control(shown[name]), alpha) for name in found}
    for name in RIVALS[:FEWEST]:
        assert found[name] == by_hand(shown[name], alpha, pooled)
        assert found[name].high - found[name].low != alone[name].high - alone[name].low


def test_a_noisy_contrast_is_not_hidden_by_quiet_ones() -> None:
    """It keeps its own variance, and a quiet one gets part of it."""
    quiet, loud = steps(-0.01, 0.0, 0.01), steps(-0.05, 0.0, 0.05)
    shown = dict.fromkeys(RIVALS[:FEWEST], quiet) | {CONTROL: tables.control(3, 300)}
    shown[RIVALS[1]] = loud
    found = decisions.against_control(tables.group(shown))
    pooled, alpha = mean_variance(shown, 3), 0.05 / FEWEST
    assert pooled == pytest.approx(((FEWEST - 1) * 0.01**2 + 0.05**2) / FEWEST, rel=1e-3)
    assert found[0].interval == by_hand(quiet, alpha, pooled)
    assert found[1].interval == by_hand(loud, alpha, 0.0)


def test_points_of_a_sweep_borrow_from_one_another() -> None:
    count = -(-FEWEST // 2)
    shown, sizes = several(count, 3), [{"batch_size": 8}, {"batch_size": 16}]
    suite, trials = tables.ran(shown, points=sizes, sweep={"batch_size": [8, 16]})
    pooled = mean_variance(shown, 3)
    for group in groups(suite, trials):
        for contrast in decisions.against_control(group):
            alpha = 0.05 / (2 * count)
            assert contrast.interval == by_hand(shown[contrast.scenario], alpha, pooled)


@pytest.mark.parametrize(("rivals", "seeds"), [(FEWEST - 1, 3), (FEWEST, 5)])
def test_nothing_is_borrowed_from_too_few_contrasts_or_with_enough_seeds(
    rivals: int, seeds: int
) -> None:
    shown = several(rivals, seeds)
    for contrast in decisions.against_control(tables.group(shown)):
        assert contrast.interval == by_hand(shown[contrast.scenario], 0.05 / rivals)


def test_looks_borrow_from_scenarios_that_stopped() -> None:
    """The first rival is decided with two seeds; a look at them takes its variance too."""
    shown = dict.fromkeys(RIVALS[:FEWEST], NEVER) | {CONTROL: tables.control(8, 300)}
    shown[RIVALS[0]] = EARLY
    stopped = [(RIVALS[0], seed) for seed in range(2, 8)]
    group = tables.group(shown, looks=list(LOOKS), skipped=stopped)
    for contrast in decisions.against_control(group, 2):
        table = shown[contrast.scenario][:2]
        assert contrast.interval == by_hand(table, 0.002 / FEWEST, mean_variance(shown, 2))
    _, *others = decisions.against_control(group, 3)
    pooled = seed_variance(EARLY[:2]) + (FEWEST - 1) * seed_variance(NEVER[:3])
    middle = by_hand(NEVER[:3], 0.006 / FEWEST, pooled / FEWEST, generous=True)
    assert {contrast.look for contrast in others} == {3}
    assert all(contrast.interval == middle for contrast in others)


# pairs


def test_a_pair_turned_round_has_mirrored_bounds_and_swapped_words() -> None:
    (task,) = (group := tables.group(several(3, 5))).tasks
    for first, second in ((RIVALS[0], CONTROL), (RIVALS[0], RIVALS[2])):
        there, back = (
            decisions.pair(group, task, *names) for names in ((first, second), (second, first))
        )
        assert (back.scenario, back.other) == (second, first)
        assert back.interval == Interval(
            -there.interval.mean, -there.interval.high, -there.interval.low, 5
        )
        assert back.turned() == there
    for mean, words in ((0.1, ("better", "worse")), (-0.1, ("worse", "better"))):
        found = one(tables.noisy(mean, 5))
        assert (found.verdict, found.turned().verdict) == words
    same = one(tables.noisy(0.0, 5, 0.001))
    assert same.verdict == same.turned().verdict == "equivalent"


def test_at_least_as_good_is_asked_of_the_other_end_when_a_pair_is_turned_round() -> None:
    found = one(steps(0.0, 0.01, 0.02))
    assert found.verdict == "unclear" and found.interval.high > MARGIN
    assert found.as_good and not found.turned().as_good


def test_a_pair_with_the_control_is_the_same_wherever_it_is_asked_for() -> None:
    group = tables.group(several(3, 3))
    (task,) = group.tasks
    contrasts = decisions.of_task(group, task)
    assert list(contrasts) == list(RIVALS[:3])
    for name, contrast in contrasts.items():
        assert decisions.pair(group, task, name, CONTROL) == contrast
    assert decisions.against_control(group) == list(contrasts.values())


@pytest.mark.parametrize(("count", "points"), [(3, 1), (4, 1), (3, 2)])
def test_pairs_without_the_control_are_a_second_family(count: int, points: int) -> None:
    sizes = [{"batch_size": 8 * number} for number in range(1, points + 1)]
    suite, trials = tables.ran(
        several(count, 5),
        points=sizes,
        sweep={"batch_size": [size["batch_size"] for size in sizes]},
    )
    group = groups(suite, trials)[0]
    (task,) = group.tasks
    found = decisions.pair(group, task, RIVALS[1], RIVALS[0])
    assert found.alpha == pytest.approx(0.05 / (math.comb(count, 2) * points))
    assert found == decisions.pair(group, task, RIVALS[0], RIVALS[1]).turned()


def test_without_a_control_all_pairs_are_one_family() -> None:
    group = tables.group(several(3, 5), control=None)
    (task,) = group.tasks
    assert decisions.against_control(group) == []
    found = decisions.pair(group, task, RIVALS[0], RIVALS[1])
    assert found.alpha == pytest.approx(0.05 / math.comb(4, 2))


# looks


@pytest.mark.parametrize(
    ("table", "look", "verdict"),
    [(EARLY, 2, "better"), (MIDDLE, 5, "better"), (NEVER, 8, "unclear")],
)
def test_a_contrast_is_judged_at_the_first_look_that_decides_it(
    table: np.ndarray, look: int, verdict: str
) -> None:
    """Whatever more seeds would say."""
    found = one(table, looks=list(LOOKS))
    assert (found.look, found.verdict) == (look, verdict)
    assert found.alpha == pytest.approx(SPENT[LOOKS.index(look)])
    assert found.interval == by_hand(table[:look], SPENT[LOOKS.index(look)])


def test_a_look_alone_may_spend_all() -> None:
    assert one(EARLY[:2], looks=[2]).alpha == pytest.approx(0.05)


def test_what_a_look_spends_is_shared_out_in_the_family() -> None:
    shown = dict.fromkeys(RIVALS[:2], EARLY) | {CONTROL: tables.control(8, 300)}
    found = decisions.against_control(tables.group(shown, looks=list(LOOKS)))
    assert [(contrast.look, contrast.alpha) for contrast in found] == [(2, 0.002 / 2)] * 2


def test_a_run_that_goes_on_spends_no_more_than_its_looks_so_far() -> None:
    """Two of eight seeds ran, and nothing was decided."""
    found = one(NEVER[:2], looks=list(LOOKS), planned=8)
    assert (found.look, found.interval.n) == (2, 2)
    assert found.alpha == pytest.approx(0.002)


@pytest.mark.parametrize("looks", [(2, 3, 5, 8, 12), (5, 6, 8), (2, 20)])
def test_contrasts_are_judged_at_any_looks(looks: tuple[int, ...]) -> None:
    table = steps(*[0.3, -0.3] * (looks[-1] // 2))
    group = tables.group(
        {RIVALS[0]: table, CONTROL: tables.control(*table.shape)}, looks=list(looks)
    )
    for look in looks:
        (found,) = decisions.against_control(group, look)
        assert (found.look, found.verdict) == (look, "unclear")


def test_a_scenario_that_stopped_is_judged_at_its_last_look() -> None:
    """The control goes on for the other rival; the pair of both has the seeds that both have."""
    shown = {RIVALS[0]: EARLY, RIVALS[1]: NEVER, CONTROL: tables.control(8, 300)}
    stopped = [(RIVALS[0], seed) for seed in range(2, 8)]
    group = tables.group(shown, looks=list(LOOKS), skipped=stopped)
    early, never = decisions.against_control(group)
    assert group.complete
    assert (early.look, early.interval.n, early.verdict) == (2, 2, "better")
    assert (never.look, never.interval.n, never.verdict) == (8, 8, "unclear")
    assert decisions.pair(group, group.tasks[0], *RIVALS[:2]).look == 2


def test_what_is_still_open_goes_on_with_the_control() -> None:
    shown = {RIVALS[0]: EARLY, RIVALS[1]: MIDDLE, CONTROL: tables.control(8, 300)}
    suite, trials = tables.ran(shown, looks=list(LOOKS))

    def open_at(look: int) -> set[str]:
        found = decisions.still_open(suite, [one for one in trials if one.seed < look], look)
        assert {point for point, _ in found} <= {()}
        return {name for _, name in found}

    assert [open_at(look) for look in LOOKS[:3]] == [{RIVALS[1], CONTROL}] * 2 + [set()]


def test_points_of_a_sweep_are_open_by_themselves() -> None:
    shown = {RIVALS[0]: NEVER, CONTROL: tables.control(8, 300)}
    places = [{"batch_size": 8}, {"batch_size": 16}]
    suite, trials = tables.ran(
        shown, points=places, looks=list(LOOKS), sweep={"batch_size": [8, 16]}
    )
    _, decided = tables.ran(
        {**shown, RIVALS[0]: EARLY}, points=places[:1], looks=list(LOOKS), sweep={}
    )
    mixed = [*decided, *(trial for trial in trials if trial.point == places[1])]
    assert decisions.still_open(suite, mixed, 2) == {
        ((("batch_size", 16),), name) for name in (RIVALS[0], CONTROL)
    }
