"""Stage plans: what is known of a stage before training, and that those who read it agree."""

from pathlib import Path

import pytest

from mtlab.plan.experiment import load
from mtlab.plan.scenario import Stage, Trial
from mtlab.train.measure import forecast
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import resolve
from mtlab.train.stage_plan import plan_stages
from tests.train.test_staged import write

MITIGATIONS = {"rehearsal": 0.5, "l2_sp": 1.0, "distillation": 1.0}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, encoder: Path, data: Path) -> Path:
    return write(tmp_path_factory.mktemp("plans"), encoder, data)


def prepared_with(file: Path, *changes: tuple[str, str]) -> Prepared:
    scenarios = {"scenarios": ["head_alone"], "control": ["head_alone"]}
    experiment = load(file, {**scenarios, **{key: [value] for key, value in changes}})
    return prepare(experiment, resolve(experiment))[()]


@pytest.mark.parametrize("mitigation", [None, *MITIGATIONS])
def test_a_mitigated_stage_reads_no_cached_states_and_its_seeds_do_not_stack(
    file: Path, mitigation: str | None
) -> None:
    network = prepared_with(file).counter.network
    held = {} if mitigation is None else {mitigation: MITIGATIONS[mitigation]}
    stage = Stage(epochs=1, train={"head.ner": 1e-2}, losses=("ner",), **held)
    (plan,) = plan_stages([stage], network, cached=True)
    assert plan.partition.prefix_depth > 0
    assert plan.cached_depth == (plan.partition.prefix_depth if mitigation is None else 0)
    assert plan.stacks is (mitigation is None)
    (uncached,) = plan_stages([stage], network, cached=False)
    assert uncached.cached_depth == 0 and not uncached.stacks


def test_states_are_untouched_until_something_below_them_trains(file: Path) -> None:
    network = prepared_with(file).counter.network
    rates = [{"heads": 1e-2}, {"layers[-1]": 1e-3}, {"heads": 1e-2}, {"encoder": 1e-3}]
    stages = [Stage(epochs=number, train=train) for number, train in enumerate(rates, start=1)]
    plans = plan_stages(stages, network, cached=True)
    assert [plan.untouched for plan in plans] == [True, True, False, True]
    assert [plan.first_epoch for plan in plans] == [0, 1, 3, 6]
    blocks = len(network.backbone.blocks)
    assert [plan.cached_depth for plan in plans] == [blocks, blocks - 1, blocks, 0]


def test_a_mitigated_stage_is_forecast_as_it_is_computed(file: Path) -> None:
    """All of it, as without a cache."""
    held, trial = ("scenarios.head_alone.0.distillation", "1.0"), Trial("head_alone", 0)
    cached, plain = (prepared_with(file, held, ("cache.mode", mode)) for mode in ("auto", "off"))
    assert forecast.work(cached, trial) == forecast.work(plain, trial)
    assert forecast.common(lambda _: cached, [[trial]]) == {trial: 0}
    assert forecast.work(prepared_with(file), trial) < forecast.work(plain, trial)
