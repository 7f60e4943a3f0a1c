"""What is told of a suite's duration before it begins."""

import itertools
from pathlib import Path

import pytest
import torch

from mtlab.model import freezing
from mtlab.plan import experiment as plan
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.train.loop import schedule
from mtlab.train.measure import forecast
from mtlab.train.measure.progress import Pace, PlainProgress
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import resolve

ROOT = Path(__file__).parents[2]


def test_pace_is_measured_without_a_trace(experiment_file: Path) -> None:
    """The pretrained weights and the caller's random numbers are what they were, and the pace is a
    positive number."""
    experiment = plan.load(experiment_file)
    runtime = resolve(experiment)
    points = prepare(experiment, runtime)
    trials = experiment.trials()
    todo = [forecast.work(points[trial.point], trial) for trial in trials]
    before, stream = points[()].encoder_digest, torch.get_rng_state()
    pace = forecast.pace(points, runtime, trials, todo)
    assert pace is not None and 0 < pace.low <= pace.usual <= pace.high
    assert torch.equal(torch.get_rng_state(), stream)
    assert points[()].encoder_digest == before
    by_scenario = {trial.scenario: flops for trial, flops in zip(trials, todo, strict=True)}
    assert by_scenario["nothing"] < by_scenario["heads"] < by_scenario["full"]


def test_nothing_to_train_has_no_pace(experiment_file: Path) -> None:
    experiment = plan.load(experiment_file, {"scenarios": ["nothing"]})
    runtime = resolve(experiment)
    points = prepare(experiment, runtime)
    trials = experiment.trials()
    assert (
        forecast.pace(
            points, runtime, trials, [forecast.work(points[trial.point], trial) for trial in trials]
        )
        is None
    )


def even(seconds: float) -> Pace:
    return Pace(seconds, seconds, seconds)


VARIES = "on this machine, where steps take now longer, now shorter"


@pytest.mark.parametrize(
    ("pace", "line"),
    [
        (even(1.0), "30 trials, about 17 min on this machine\n"),
        (Pace(1.0, 0.9, 1.3), "30 trials, about 17 min on this machine\n"),
        (Pace(1.0, 0.6, 1.5), f"30 trials, about 10 to 25 min {VARIES}\n"),
        (Pace(0.1, 0.06, 0.6), f"30 trials, about 60 s to 10 min {VARIES}\n"),
        (Pace(6.0, 5.0, 9.0), f"30 trials, about 83 min to 2 h 30 min {VARIES}\n"),
        (
            Pace(0.0001, 0.0001, 0.0003),
            "30 trials, less than half a minute of computing on this machine\n",
        ),
        (None, ""),
    ],
)
def test_duration_is_told_before_the_first_trial(
    capsys: pytest.CaptureFixture[str], pace: Pace | None, line: str
) -> None:
    PlainProgress().begin(30, 1000, pace)
    assert capsys.readouterr().out == line


QUIET = [0.36, 0.37, 0.35, 0.36, 0.38, 0.36, 0.37, 0.36]
STOLEN = [0.36, 0.37, 0.35, 0.36, 7.4, 3.2, 0.37, 0.36, 2.2, 0.36, 0.37, 0.35]
"""Seconds of steps while another program takes a core for some of them, as they came on two
cores."""
BUSY = [2.13, 2.40, 2.71, 2.57, 3.42, 4.31, 1.76]
"""And while one takes it all the time."""


def read(seconds: list[float]) -> Pace:
    """The pace by readings of steps of one FLOP, given again and again."""
    return forecast.measured((one, 1) for one in itertools.cycle(seconds))


def test_steps_from_which_a_core_was_taken_do_not_count_for_the_others() -> None:
    assert read(QUIET).usual == pytest.approx(0.36) and read(QUIET).high <= 1.1 * read(QUIET).low
    stolen = forecast.pace_of([(one, 1) for one in STOLEN])
    assert stolen.usual == pytest.approx(0.365, abs=0.01)
    assert stolen.low <= 0.37 and stolen.high >= sum(STOLEN) / len(
        STOLEN
    )  # what may come of it is in the range


def test_a_core_that_is_never_there_counts() -> None:
    busy = forecast.pace_of([(one, 1) for one in BUSY])
    assert busy.low <= sum(BUSY) / len(BUSY) <= busy.high
    assert busy.usual == pytest.approx(sum(BUSY) / len(BUSY), rel=0.1)


def test_a_large_step_counts_as_much_as_small_ones_together() -> None:
    assert forecast.pace_of([(1.0, 10), (0.9, 1), (0.9, 1), (0.9, 1)]).usual == pytest.approx(0.1)


def test_measuring_ends_with_seconds_of_slow_steps_and_with_a_number_of_fast_ones() -> None:
    """A few of a large encoder are enough, and a tiny one is not measured for long."""
    for seconds, warm, steps in (
        (60.0, 1, forecast.FEWEST),
        (0.05, 3, forecast.MOST),
        (0.001, 3, forecast.MOST),
    ):
        readings = iter([(9 * seconds, 1)] * warm + [(seconds, 1)] * (steps + 1))
        assert forecast.measured(readings).high == pytest.approx(seconds)
        assert len(list(readings)) == 1


def test_time_left_does_not_rest_on_the_first_crumbs_of_work(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Trials that share what others computed are over before a tenth of the work is done: their
    pace says nothing."""
    progress = PlainProgress()
    progress.begin(10, 10_000, even(0.1))
    progress.advance(1)
    assert progress.left() == "about 17 min left"
    progress.advance(9_998)
    assert progress.left() == "about 0 s left"


def test_time_left_without_a_pace_is_not_made_up() -> None:
    progress = PlainProgress()
    progress.begin(10, 10_000, None)
    assert progress.left() == "time left: not known yet"


@pytest.mark.parametrize(
    "name",
    [
        "five_epochs",
        "guided",
        *(
            pytest.param(name, marks=pytest.mark.nightly)
            for name in ("frontier", "budget", "imbalance")
        ),
    ],
)
def test_the_time_left_is_within_a_quarter_after_every_trial_of_the_first_half(name: str) -> None:
    """A committed run as it went: what would have been told after each trial, beside how long the
    rest took."""
    experiment = plan.load(ROOT / "experiments" / f"{name}.yaml")
    points = prepare(experiment, resolve(experiment))
    todo = {
        _name(trial.scenario, trial.seed, dict(trial.point)): (trial, points[trial.point])
        for trial in experiment.trials()
    }
    work = {
        key: forecast.work(prepared.of(trial.scenario), trial)
        for key, (trial, prepared) in todo.items()
    }
    ran = sorted(
        Journal(ROOT / "reports" / "published" / name).read()[1],
        key=lambda trial: trial.ended_at or 0.0,
    )
    told, began, ended = PlainProgress(), min(trial.started_at for trial in ran), ran[-1].ended_at
    longest = max(ran, key=lambda trial: work[_name(trial.scenario, trial.seed, trial.point)])
    told.begin(
        len(ran),
        sum(work.values()),
        even(_pace(longest, *todo[_name(longest.scenario, longest.seed, longest.point)])),
    )
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
    steps = schedule.epoch(prepared, stage, 0)
    flops, _ = schedule.flops(
        prepared, freezing.resolve(stage, prepared.counter.network), steps, cached=False
    )
    assert longest.stages[-1].step_s is not None
    return longest.stages[-1].step_s / (flops / len(steps))
