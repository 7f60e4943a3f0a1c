import math

import pytest

from mtlab.report import statistics
from mtlab.report.statistics import best, compare, compare_cost, interval, pareto


def test_interval_by_hand():
    found = interval([1.0, 2.0, 3.0])  # mean 2, sd 1, t(0.975, 2) = 4.302653
    assert found.mean == pytest.approx(2.0)
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert found.low == pytest.approx(2.0 - 4.302653 / math.sqrt(3), rel=1e-6)
    assert found.n == 3


def test_no_variance_and_few_values_are_no_warnings():
    assert interval([]) == statistics.Interval(None, None, None, 0)
    assert interval([0.1]) == statistics.Interval(0.1, None, None, 1)
    assert interval([0.1, 0.1, 0.1]) == statistics.Interval(0.1, 0.1, 0.1, 3)


def test_comparison_by_hand():
    values = {"control": {0: 0.90, 1: 0.92, 2: 0.94}, "a": {0: 0.80, 1: 0.83, 2: 0.82}, "b": {0: 0.91, 1: 0.92, 2: 0.94}}
    one, two = compare(values, "control", "accuracy")
    # differences -0.10 -0.09 -0.12: mean -0.10333, sd 0.0152753; t(1 - 0.05/4, 2) = 6.205347 with Bonferroni over 2
    assert (one.scenario, one.control, one.metric, one.n, one.verdict) == ("a", "control", "accuracy", 3, "worse")
    assert one.effect == pytest.approx(-0.31 / 3)
    assert one.high - one.effect == pytest.approx(6.205347 * 0.01527525 / math.sqrt(3), rel=1e-5)
    assert "Bonferroni over 2 contrasts" in one.method
    assert two.verdict == "tie" and two.low < 0 < two.high


def test_only_shared_seeds_are_paired_and_one_is_undecided():
    values = {"control": {0: 0.9, 1: 0.8}, "half": {1: 0.5, 2: 0.1}, "none": {}}
    half, none = compare(values, "control", "f1")
    assert half.n == 1 and half.effect == pytest.approx(-0.3) and half.low is None and half.verdict == "undecided"
    assert none.n == 0 and none.effect is None and none.verdict == "undecided"


def test_equal_values_tie_and_equal_differences_decide():
    values = {"control": {0: 0.3, 1: 0.4}, "same": {0: 0.3, 1: 0.4}, "above": {0: 0.4, 1: 0.5}}
    same, above = compare(values, "control", "f1")
    assert (same.effect, same.low, same.high, same.verdict) == (0.0, 0.0, 0.0, "tie")
    assert above.low == above.high == pytest.approx(0.1) and above.verdict == "better"


def test_cost_ratios():
    values = {"control": {0: 100.0, 1: 200.0}, "half": {0: 50.0, 1: 100.0}, "free": {0: 0, 1: 0}, "like": {0: 50.0, 1: 400.0}}
    half, free, like = compare_cost(values, "control", "wall_plain_s")
    assert half.effect == pytest.approx(0.5) and half.verdict == "better"
    assert free.effect == 0.0 and free.verdict == "better"
    assert like.effect == pytest.approx(1.0) and like.low * like.high == pytest.approx(1.0) and like.verdict == "tie"


def test_cost_over_a_free_control_is_undefined():
    (found,) = compare_cost({"control": {0: 0.0, 1: 0.0}, "a": {0: 1.0, 1: 1.0}}, "control", "train_flops")
    assert found.effect is None and found.verdict == "undecided"


def test_best_needs_every_seed_and_a_clear_lead():
    seeds = (0, 1, 2)
    values = {"a": {0: 0.9, 1: 0.91, 2: 0.92}, "b": {0: 0.5, 1: 0.51, 2: 0.52}, "c": {0: 0.1, 1: 0.11, 2: 0.12}}
    assert best(values, seeds) == "a"
    assert best(values | {"b": {0: 0.9, 1: 0.92, 2: 0.91}}, seeds) is None
    assert best(values | {"c": {0: 0.1, 1: 0.11}}, seeds) is None
    assert best({"a": values["a"]}, seeds) is None


def test_pareto_front():
    points = {"cheap": (1.0, 0.5), "dear": (9.0, 0.9), "beaten": (5.0, 0.4), "middle": (5.0, 0.7), "late": (9.5, 0.9)}
    assert pareto(points) == ["cheap", "middle", "dear"]
    assert pareto({}) == []
