"""Warming up: what a GPU is made to do before anything is timed, which a CPU can do as well."""

import torch

from mtlab.plan.experiment import load
from mtlab.train.measure import warm
from mtlab.train.prepare import prepare
from mtlab.train.runtime import resolve


def test_everything_that_trials_do_is_done_and_leaves_nothing_behind(
    experiment_file, monkeypatch
) -> None:
    experiment = load(str(experiment_file))
    runtime = resolve(experiment)
    prepared = prepare(experiment, runtime)[()]
    before = {name: weight.clone() for name, weight in prepared.pristine.model.state_dict().items()}
    modes = []
    honest = warm.Heads.train
    monkeypatch.setattr(
        warm.Heads,
        "train",
        lambda heads, *words: modes.append(len(words[0])) or honest(heads, *words),
    )
    warm.exercise(prepared, runtime)
    assert modes and modes[0] > 0, "heads were trained"
    assert all(
        torch.equal(weight, before[name])
        for name, weight in prepared.pristine.model.state_dict().items()
    )


def test_a_cpu_needs_none(experiment_file, monkeypatch) -> None:
    experiment = load(str(experiment_file))
    runtime = resolve(experiment)

    def never(*_: object) -> None:
        raise AssertionError("there is nothing to load on a CPU")

    monkeypatch.setattr(warm, "exercise", never)
    warm.up(prepare(experiment, runtime)[()], runtime)
