"""Whether scenarios were trained long enough, and what the report says of it."""

from collections.abc import Sequence

import numpy as np
import pytest

from mtlab.record.quality import Metrics, TaskMetrics
from mtlab.record.records import EpochRecord, SuiteRecord, TrialRecord
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.plateau import plateaus
from mtlab.report.sections import length
from mtlab.report.story import story

from . import factory, tables
from .tables import CONTROL, RIVALS


def epochs(scores: Sequence[float]) -> tuple[EpochRecord, ...]:
    """Epochs with these validation scores; the first is of the untrained network."""
    return tuple(
        EpochRecord(
            stage=0,
            epoch=number,
            step=number,
            elapsed_s=float(number),
            ended_at=float(number),
            train_loss={},
            validation=Metrics(
                by_task={
                    "classifier": TaskMetrics(
                        scores={"accuracy": score, "macro_f1": score}, loss=0.1, sentences=300
                    )
                }
            ),
        )
        for number, score in enumerate([0.1, *scores])
    )


def learnt(trial: TrialRecord, scores: Sequence[float], **changes) -> TrialRecord:
    """A trial of one stage with these validation scores, one an epoch."""
    stage = trial.stages[-1].model_copy(
        update={"epochs": len(scores), "losses": ("classifier",), **changes}
    )
    return trial.model_copy(update={"stages": (stage,), "epochs": epochs(scores)})


def ran(
    curves: Sequence[Sequence[float]], name: str = RIVALS[0], **stage
) -> tuple[SuiteRecord, list[TrialRecord]]:
    """A control, and a scenario with these curves, one a seed."""
    shown = {name: tables.noisy(0.0, len(curves)), CONTROL: tables.control(len(curves), 300)}
    suite, trials = tables.ran(shown)
    return suite, [
        learnt(trial, curves[trial.seed], **stage) if trial.scenario == name else trial
        for trial in trials
    ]


def found(curves: Sequence[Sequence[float]], **stage):
    """The plateau of a scenario with these curves."""
    suite, trials = ran(curves, **stage)
    (group,) = groups(suite, trials)
    return next(
        plateau for plateau in plateaus(group, suite.experiment) if plateau.scenario == RIVALS[0]
    )


def rising(by: float, count: int = 9) -> list[list[float]]:
    """Three seeds that gain so much from one third to the next, with a little noise."""
    noise = np.random.default_rng(0).normal(0, 0.001, (3, count))
    thirds = np.repeat(np.arange(3), count // 3)
    return [list(0.5 + by * thirds + row) for row in noise]


def test_the_gain_is_the_last_third_minus_the_middle_one() -> None:
    curves = [[0.1, 0.2, 0.3, 0.4, 0.5, 0.7], [0.1, 0.2, 0.4, 0.4, 0.6, 0.8]]
    gain = found(curves).gains["classifier"]
    assert gain.mean == pytest.approx(np.mean([0.6 - 0.35, 0.7 - 0.4])) and gain.n == 2


@pytest.mark.parametrize(
    ("by", "state"), [(0.0, "at plateau"), (0.01, "at plateau"), (0.1, "still gaining")]
)
def test_the_margin_tells_a_plateau_from_a_gain(by: float, state: str) -> None:
    assert found(rising(by)).state == state


def test_a_single_high_epoch_is_no_gain() -> None:
    curves = [[0.5] * 8 + [0.53] for _ in range(3)]
    assert found(curves).state == "at plateau"


def test_few_epochs_one_seed_and_rates_that_decay_say_nothing() -> None:
    assert found([[0.5] * 5] * 3).state == "not known"
    assert found([[0.5, 0.52, 0.5, 0.6, 0.5, 0.6]]).state == "not known"
    suite, trials = ran(rising(0.1))
    decaying = {**suite.experiment, "optimizer": {"schedule": "linear"}}
    (group,) = groups(suite, trials)
    assert all(plateau.state == "not known" for plateau in plateaus(group, decaying))


def test_the_cooldown_is_left_out() -> None:
    curves = [[0.5] * 6 + [0.9] for _ in range(3)]
    cooled = found(curves, constant_epochs=6, ended="patience")
    assert cooled.state == "at plateau" and cooled.early == 3
    assert cooled.epochs == (7, 7, 7)


def test_the_report_says_first_that_the_control_still_gained(tmp_path) -> None:
    suite, trials = ran(rising(0.1), name=CONTROL)
    group: Group
    (group,) = groups(suite, trials)
    said = length.warning(group, suite.experiment)
    assert said.startswith(f"**The control `{CONTROL}` was still gaining**")
    page = story(factory.journal(tmp_path, suite, trials))
    assert page.index(said) < page.index("**Do this:**")
    assert f"| `{CONTROL}` | 9 | 0 of 3 | +0.1" in length.section(group, suite.experiment)
    flat = ran(rising(0.0), name=CONTROL)
    assert length.warning(groups(*flat)[0], flat[0].experiment) == ""
