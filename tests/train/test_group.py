"""Trials that train in step: what one fails by alone, and what they fail by together."""

from pathlib import Path

import pytest

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.train import stage as stages
from mtlab.train.prepare import prepare
from mtlab.train.runtime import resolve
from mtlab.train.trial import run_trials


def test_a_stage_that_cannot_begin_is_a_row_with_its_reason(
    experiment_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guidance makes pieces of stages while a trial runs: a mistake in one ends the trial, not the
    suite."""
    experiment = load(experiment_file)
    runtime, journal = resolve(experiment), Journal(tmp_path / "out")
    prepared = prepare(experiment, runtime)[()]

    def refuse(*_: object) -> None:
        raise UserError("the source data have no labels", "take rehearsal out", code="no-labels")

    monkeypatch.setattr(stages.freezing, "resolve", refuse)
    monkeypatch.setattr(type(prepared), "stage_plans", lambda self, name: ())
    (run,) = run_trials(prepared, [Trial("full", 0)], runtime, journal, None, lambda _: None)
    assert run.record.reason == "the source data have no labels; take rehearsal out"
    assert journal.find(run.record.key) == run.record
