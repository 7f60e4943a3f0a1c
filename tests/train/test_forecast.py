"""What is told of a suite's duration before it begins."""

from pathlib import Path

import pytest
import torch

from mtlab.model import freezing
from mtlab.plan import experiment as plan
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.train import course, forecast
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.progress import PlainProgress
from mtlab.train.runtime import resolve

ROOT = Path(__file__).parents[2]


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


@pytest.mark.parametrize("name", ["compare", "frontier", "budget", "guided", "imbalance"])
def test_the_time_left_is_within_a_quarter_after_every_trial_of_the_first_half(name: str) -> None:
    """A committed run as it went: what would have been told after each trial, beside how long the rest took."""
    experiment = plan.load(ROOT / "experiments" / f"{name}.yaml")
    points = prepare(experiment, resolve(experiment))
    todo = {_name(trial.scenario, trial.seed, dict(trial.point)): (trial, points[trial.point]) for trial in experiment.trials()}
    work = {key: forecast.work(prepared.of(trial.scenario), trial) for key, (trial, prepared) in todo.items()}
    ran = sorted(Journal(ROOT / "reports" / "published" / name).read()[1], key=lambda trial: trial.ended_at or 0.0)
    told, began, ended = PlainProgress(), min(trial.started_at for trial in ran), ran[-1].ended_at
    longest = max(ran, key=lambda trial: work[_name(trial.scenario, trial.seed, trial.point)])
    told.begin(len(ran), sum(work.values()), _pace(longest, *todo[_name(longest.scenario, longest.seed, longest.point)]))
    assert ended is not None
    off = []
    for trial in ran[: len(ran) // 2]:
        told.advance(work[_name(trial.scenario, trial.seed, trial.point)])
        assert trial.ended_at is not None
        seconds = told.seconds_left(trial.ended_at - began)
        assert seconds is not None
        off.append(seconds / (ended - trial.ended_at) - 1)
    assert max(map(abs, off)) <= 0.25


def _name(scenario: str, seed: int, point: dict) -> tuple:
    return scenario, seed, repr(sorted(point.items()))


def _pace(longest: TrialRecord, trial: Trial, prepared: Prepared) -> float:
    """Seconds a FLOP, as throw-away steps of the longest trial's last stage take them."""
    prepared = prepared.of(trial.scenario)
    stage = prepared.experiment.scenario(trial.scenario).stages[-1]
    steps = course.epoch(prepared, stage, 0)
    flops, _ = course.flops(prepared, freezing.resolve(stage, prepared.counter.network), steps, cached=False)
    assert longest.stages[-1].step_s is not None
    return longest.stages[-1].step_s / (flops / len(steps))
