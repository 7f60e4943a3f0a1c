"""Guidance: what it decides, that decisions follow from the record, and that it leaves alone what
has no trouble."""

from pathlib import Path
from typing import Any

import pytest

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Guidance, Stage, Trial
from mtlab.record.journal import Journal
from mtlab.record.quality import Metrics, TaskMetrics
from mtlab.record.records import Decision, TrialRecord
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.loop import guidance
from mtlab.train.loop.guidance import Guide, with_head
from mtlab.train.prepare import prepare
from mtlab.train.runtime import resolve
from mtlab.train.trial import run_trials


def metrics(accuracy: float, f1: float | None, losses: tuple[float, float] = (1.0, 1.0)) -> Metrics:
    return Metrics(
        by_task={
            "classifier": TaskMetrics(scores={"accuracy": accuracy}, loss=losses[0], sentences=9),
            "ner": TaskMetrics(scores={"f1": f1}, loss=losses[1], sentences=9),
        }
    )


def watch(
    course: list[tuple[float, float | None]], followed: bool = False, **rules: Any
) -> list[tuple[int, str, str]]:
    """What is decided over a course of validations, the first of which is the one before
    training."""
    stage = Stage(epochs=len(course), train={"all": 1.0}, guidance=Guidance(**rules))
    guide = guidance.guide(stage, followed, 0, metrics(*course[0]))
    assert guide is not None
    found = []
    for epoch, scores in enumerate(course[1:], start=1):
        made = guide.decide(0, epoch, metrics(*scores))
        found += [(one.epoch, one.task, one.action) for one in made]
        if any(one.action in ("advance", "stop") for one in made):
            break
    return found


def test_a_task_that_gains_is_left_alone() -> None:
    assert watch([(0.1 * at, 0.05 * at) for at in range(9)], patience=1) == []


def test_a_task_is_slowed_when_its_patience_ends_and_frozen_when_it_ends_again() -> None:
    course = [
        (0.2, 0.0),
        (0.6, 0.1),
        (0.5, 0.2),
        (0.5, 0.3),
        (0.4, 0.4),
        (0.55, 0.5),
        (0.5, 0.6),
        (0.5, 0.7),
    ]
    assert watch(course, patience=2) == [(3, "classifier", "slow"), (5, "classifier", "refreeze")]


def test_when_no_task_is_left_the_stage_stops() -> None:
    flat = [(0.5, 0.5)] * 6
    assert watch(flat, patience=1, actions=("refreeze",)) == [
        (1, "classifier", "refreeze"),
        (1, "ner", "refreeze"),
        (1, "", "stop"),
    ]
    assert watch(flat, patience=2, actions=("slow",)) == [
        (2, "classifier", "slow"),
        (2, "ner", "slow"),
    ], "and is then left alone"


def test_a_small_change_is_no_gain_and_an_undefined_score_none() -> None:
    rising = [(0.5 + 0.004 * at, None) for at in range(5)]
    assert watch(rising, patience=2, min_change=0.02, actions=("slow",)) == [
        (2, "classifier", "slow"),
        (2, "ner", "slow"),
    ]
    assert watch(rising, patience=2, actions=("slow",)) == [(2, "ner", "slow")]


def test_a_loss_that_rises_is_no_gain() -> None:
    stage = Stage(epochs=9, train={"all": 1.0}, guidance=Guidance(monitor="loss", patience=1))
    guide = guidance.guide(stage, False, 0, metrics(0.1, 0.1, (1.0, 1.0)))
    assert guide is not None
    (one,) = guide.decide(0, 1, metrics(0.9, 0.9, (1.2, 0.8)))
    assert (one.task, one.value, one.best, one.best_epoch, one.waited) == (
        "classifier",
        -1.2,
        -1.0,
        0,
        1,
    )


def test_a_stage_that_is_followed_goes_on_when_no_task_gains() -> None:
    course = [(0.5, 0.5), (0.4, 0.6), (0.4, 0.6), (0.4, 0.6), (0.4, 0.6)]
    assert watch(course, followed=True, patience=2, advance=True) == [(3, "", "advance")]
    assert watch(course, followed=False, patience=2, advance=True)[0] == (
        2,
        "classifier",
        "slow",
    ), "the last one has nowhere to go"


@pytest.mark.parametrize(
    ("train", "factor", "wanted"),
    [
        (
            {"encoder": 1e-4, "heads": 1e-3},
            0.5,
            {"head.classifier": 1e-3, "head.ner": 5e-4, "encoder": 1e-4},
        ),
        ({"all": 1e-4}, 0.0, {"head.classifier": 1e-4, "encoder": 1e-4}),
        (
            {"head.ner": 2e-3, "all": 1e-4},
            0.5,
            {"head.ner": 1e-3, "head.classifier": 1e-4, "encoder": 1e-4},
        ),
        ({"layers[-1]": 1e-4, "head.ner": 2e-3}, 0.0, {"layers[-1]": 1e-4}),
        (
            {"encoder": 1e-4, "head.classifier": 1e-3},
            0.5,
            {"head.classifier": 1e-3, "encoder": 1e-4},
        ),
    ],
)
def test_one_heads_rate_changes_and_nothing_else(
    train: dict[str, float], factor: float, wanted: dict[str, float]
) -> None:
    assert with_head(train, ("classifier", "ner"), "ner", factor) == wanted


def run(file: Path, scenario: str, **overrides: list[str]) -> TrialRecord:
    experiment = load(file, {key.replace("__", "."): values for key, values in overrides.items()})
    runtime, journal = resolve(experiment), Journal(experiment.output)
    prefixes = Prefixes(runtime, 10**9, journal.directory / "cache", print)
    (made,) = run_trials(
        prepare(experiment, runtime)[()],
        [Trial(scenario, 0)],
        runtime,
        journal,
        prefixes,
        lambda _: None,
    )
    record = made.record
    assert record.status == "ok"
    return record


def planned(file: Path, scenario: str, **overrides: list[str]) -> tuple[Stage, ...]:
    return (
        load(file, {key.replace("__", "."): values for key, values in overrides.items()})
        .scenario(scenario)
        .stages
    )


NEVER_ENOUGH = "{patience: 1, min_change: 2.0}"


def test_without_trouble_guided_training_is_unguided_training_bit_for_bit(
    experiment_file: Path,
) -> None:
    for scenario in ("full", "gradual", "heads"):
        alone = run(experiment_file, scenario)
        guided = run(
            experiment_file, scenario, **{f"scenarios__{scenario}__0__guidance": ["{patience: 50}"]}
        )
        assert guided.ledger == ()
        assert (guided.final_digest, guided.step_losses, guided.test) == (
            alone.final_digest,
            alone.step_losses,
            alone.test,
        )
        assert guided.key != alone.key


def test_what_guidance_does_is_in_the_record_and_follows_from_it(experiment_file: Path) -> None:
    changes = {"scenarios__full__0__epochs": ["6"], "scenarios__full__0__guidance": [NEVER_ENOUGH]}
    record = run(experiment_file, "full", **changes)
    assert [(one.epoch, one.task, one.action) for one in record.ledger] == [
        (1, "classifier", "slow"),
        (1, "ner", "slow"),
        (2, "classifier", "refreeze"),
        (2, "ner", "refreeze"),
        (2, "", "stop"),
    ]
    assert guidance.replay(planned(experiment_file, "full", **changes), record.epochs) == list(
        record.ledger
    )
    first, second = record.stages
    assert (first.epochs, second.epochs, len(record.epochs)) == (1, 1, 3)
    assert second.train == {"head.classifier": 3e-3, "head.ner": 3e-3, "encoder": 1e-3}
    assert second.weights == {"classifier": 0.3, "ner": 0.3}
    assert run(experiment_file, "full", **changes).ledger == record.ledger


def test_a_task_that_is_frozen_again_keeps_its_head_and_loses_its_loss(
    experiment_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Guide.decide

    def only_one(self: Guide, stage: int, epoch: int, found: Metrics) -> list[Decision]:
        return honest(self, stage, epoch, metrics(0.0, 0.9 + epoch / 100))

    monkeypatch.setattr(Guide, "decide", only_one)
    rules = "{patience: 1, actions: [refreeze]}"
    record = run(
        experiment_file,
        "full",
        scenarios__full__0__epochs=["4"],
        scenarios__full__0__guidance=[rules],
    )
    assert [(one.task, one.action) for one in record.ledger] == [("classifier", "refreeze")]
    before, after = record.stages
    assert (before.losses, after.losses) == (("classifier", "ner"), ("ner",))
    assert after.digests_before["head.classifier"] == after.digests_after["head.classifier"]
    assert after.digests_before["layers[0]"] != after.digests_after["layers[0]"]
    losses = record.step_losses["classifier"]
    assert losses[0] is not None
    assert losses[-1] is None
    held = run(
        experiment_file,
        "full",
        scenarios__full__0__epochs=["4"],
        scenarios__full__0__guidance=[rules[:-1] + ", hold: 3.0}"],
    )
    assert held.stages[0].digests_after == before.digests_after
    assert (held.stages[0].distillation, held.stages[1].distillation) == (0.0, 3.0)
    assert held.final_digest != record.final_digest
    assert held.train_flops > record.train_flops, (
        "what the network said when the task was frozen took a pass"
    )


def falling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the first epoch of every trial that follows be the best."""
    from mtlab.train import selection

    scores = iter(range(10**6, 0, -1))
    monkeypatch.setattr(selection, "selection_score", lambda metrics, tasks: float(next(scores)))


def test_the_best_epoch_may_lie_before_a_decision(
    experiment_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {
        "scenarios__full__0__epochs": ["5"],
        "scenarios__full__0__guidance": ["{patience: 2, min_change: 2.0}"],
    }
    last = run(experiment_file, "full", **changes, select=["last"])
    cut = run(experiment_file, "full", scenarios__full__0__epochs=["1"], select=["last"])
    falling(monkeypatch)
    best = run(experiment_file, "full", **changes)
    assert len(best.stages) == 2
    assert best.stages[0].epochs == 2, (
        "the best epoch lies within a piece, before the decision that ended it"
    )
    assert (best.selection.epoch, best.final_digest, best.test) == (1, cut.final_digest, cut.test)
    assert last.final_digest != best.final_digest


def test_a_stage_ends_early_on_a_plateau_where_another_follows(experiment_file: Path) -> None:
    changes = {
        "scenarios__gradual__0__epochs": ["5"],
        "scenarios__gradual__0__guidance": ["{patience: 1, min_change: 2.0, advance: true}"],
    }
    record = run(experiment_file, "gradual", **changes)
    assert [(one.epoch, one.action) for one in record.ledger] == [(1, "advance")]
    assert [(stage.name, stage.epochs) for stage in record.stages] == [("heads", 1), ("top", 1)]
    assert record.final_digest == run(experiment_file, "gradual").final_digest
    assert guidance.replay(planned(experiment_file, "gradual", **changes), record.epochs) == list(
        record.ledger
    )


def test_a_stage_can_hand_on_its_best_epoch(
    experiment_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = {"scenarios__gradual__0__epochs": ["4"], "scenarios__gradual__0__train__heads": ["0.5"]}
    last = run(experiment_file, "gradual", **long)
    cut = run(experiment_file, "gradual", **{**long, "scenarios__gradual__0__epochs": ["1"]})
    falling(monkeypatch)
    best = run(experiment_file, "gradual", **long, scenarios__gradual__0__select=["best"])
    assert last.stages[0].digests_after == best.stages[0].digests_after
    assert (
        best.stages[1].digests_before
        == cut.stages[1].digests_before
        != last.stages[1].digests_before
    )


def test_where_nothing_follows_the_best_epoch_it_is_told_of_it(
    experiment_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = {"scenarios__gradual__0__epochs": ["3"], "scenarios__gradual__1__epochs": ["0"]}
    falling(monkeypatch)
    record = run(experiment_file, "gradual", **still, scenarios__gradual__0__select=["best"])
    assert record.selection.epoch == 1
    assert record.validation == record.epochs[1].validation


def test_each_task_can_have_its_own_epoch(experiment_file: Path) -> None:
    long = {"scenarios__full__0__epochs": ["5"], "scenarios__full__0__train__heads": ["0.3"]}
    record = run(experiment_file, "full", **long, select=["each"])
    values = {
        "classifier": [epoch.validation.primary("classifier") for epoch in record.epochs[1:]],
        "ner": [epoch.validation.primary("ner") or 0.0 for epoch in record.epochs[1:]],
    }
    wanted = {task: one.index(max(one)) + 1 for task, one in values.items()}
    assert record.selection.by_task == wanted
    for task, epoch in wanted.items():
        alone = run(
            experiment_file,
            "full",
            **{**long, "scenarios__full__0__epochs": [str(epoch)]},
            select=["last"],
        )
        assert record.test.by_task[task] == alone.test.by_task[task]
        assert record.validation.by_task[task] == alone.validation.by_task[task]


def test_each_task_of_one_loss_still_tells_both(experiment_file: Path) -> None:
    record = run(experiment_file, "full", scenarios__full__0__losses=["ner"], select=["each"])
    assert record.selection.by_task.keys() == {"ner"}
    assert record.test.by_task.get("classifier") is not None
    assert len(record.contributions.by_task["classifier"]["right"]) == 24


def test_guidance_wants_heads_named_beside_parts_of_the_encoder(experiment_file: Path) -> None:
    mixed = {
        "scenarios.full.0.train": ["{encoder: 1.0e-5, all: 1.0e-3}"],
        "scenarios.full.0.guidance": ["{}"],
    }
    with pytest.raises(UserError, match="write `encoder` and `heads`"):
        load(experiment_file, mixed)


def test_guidance_wants_constant_rates(experiment_file: Path) -> None:
    for changes in ({"scenarios.full.0.schedule": ["linear"]}, {"optimizer.schedule": ["cosine"]}):
        with pytest.raises(UserError, match="guidance needs constant rates"):
            load(experiment_file, {**changes, "scenarios.full.0.guidance": ["{}"]})
