"""What is told of a suite's duration before it begins."""

from pathlib import Path

import pytest
import torch

from mtlab.plan import experiment as plan
from mtlab.train import forecast
from mtlab.train.prepare import prepare
from mtlab.train.progress import PlainProgress
from mtlab.train.runtime import resolve


def test_pace_is_measured_without_a_trace(experiment_file: Path) -> None:
    """The pretrained weights and the caller's random numbers are what they were, and the pace is a positive number."""
    experiment = plan.load(experiment_file)
    runtime = resolve(experiment)
    points = prepare(experiment, runtime)
    trials = experiment.trials()
    todo = [forecast.work(points[trial.point], trial) for trial in trials]
    before, stream = points[()].encoder_digest, torch.get_rng_state()
    pace = forecast.seconds_per_flop(points, runtime, trials, todo)
    assert pace is not None and pace > 0
    assert torch.equal(torch.get_rng_state(), stream)
    assert points[()].encoder_digest == before
    by_scenario = {trial.scenario: flops for trial, flops in zip(trials, todo, strict=True)}
    assert by_scenario["nothing"] < by_scenario["heads"] < by_scenario["full"]


def test_nothing_to_train_has_no_pace(experiment_file: Path) -> None:
    experiment = plan.load(experiment_file, {"scenarios": ["nothing"]})
    runtime = resolve(experiment)
    points = prepare(experiment, runtime)
    trials = experiment.trials()
    assert forecast.seconds_per_flop(points, runtime, trials, [forecast.work(points[trial.point], trial) for trial in trials]) is None


@pytest.mark.parametrize(("pace", "line"), [(1.0, "30 trials, about 17 min on this machine\n"), (None, "")])
def test_duration_is_told_before_the_first_trial(capsys: pytest.CaptureFixture[str], pace: float | None, line: str) -> None:
    PlainProgress().begin(30, 1000, pace)
    assert capsys.readouterr().out == line


def test_time_left_does_not_rest_on_the_first_crumbs_of_work(capsys: pytest.CaptureFixture[str]) -> None:
    """Trials that share what others computed are over before a tenth of the work is done: their pace says nothing."""
    progress = PlainProgress()
    progress.begin(10, 10_000, 0.1)
    progress.advance(1)
    assert progress.left() == "about 17 min left"
    progress.advance(9_998)
    assert progress.left() == "about 0 s left"


def test_time_left_without_a_pace_is_not_made_up() -> None:
    progress = PlainProgress()
    progress.begin(10, 10_000, None)
    assert progress.left() == "time left: not known yet"
