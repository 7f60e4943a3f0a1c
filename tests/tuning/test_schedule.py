"""A schedule in a plain Trainer: its stages, their rates and lengths, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback, get_linear_schedule_with_warmup

from mtlab.plan.errors import UserError
from mtlab.tuning.schedule import FreezeSchedule
from tests.tuning import own

ONE: list[dict[str, Any]] = [{"epochs": 2, "train": {"classifier": 1e-2}}]


def rates(folder: Path, stages: Any, optimizers: Any = (None, None), **options: Any) -> Any:
    """The rates of the first group at each step."""
    watching = own.Watching()
    schedule = FreezeSchedule(stages)
    own.trainer(folder, schedule, others=[watching], optimizers=optimizers, **options).train()
    return [groups[0] for groups in watching.rates]


def test_the_plan_is_printed_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schedule = FreezeSchedule(own.STAGES[:2])
    trainer = own.trainer(tmp_path, schedule)
    assert capsys.readouterr().out == ""
    trainer.train()
    plan = capsys.readouterr().out[:-1].partition("\n{")[0]
    assert plan == schedule.plan(own.classifier())
    assert plan.splitlines() == [
        "stage 1 (head): 1 epoch",
        "  trains 99 of 32,803 parameters (0.3%)",
        "       0.01  head.classifier             99  head.classifier",
        "     frozen                          32,704  embeddings, layers[0:3], head.pooler",
        "stage 2 (top): 2 epochs",
        "  trains 8,643 of 32,803 parameters (26.3%)",
        "      0.001  layers[-1/3:]            8,544  layers[2]",
        "       0.01  head.classifier             99  head.classifier",
        "     frozen                          24,160  embeddings, layers[0:2], head.pooler",
    ]


def test_each_group_has_its_rate_and_the_options_of_the_trainers_groups(tmp_path: Path) -> None:
    watching = own.Watching()
    stages = [own.STAGES[0], {**own.STAGES[2], "epochs": 1}]
    arguments = {"weight_decay": 0.3, "lr_scheduler_type": "constant"}
    trainer = own.trainer(tmp_path, FreezeSchedule(stages), others=[watching], **arguments)
    trainer.train()
    assert watching.rates == [[1e-2, 1e-2]] * 3 + [[1e-3, 1e-3, 1e-2, 1e-2]] * 3
    groups = trainer.optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0, 0.3, 0.0]
    assert {len(own.shape) for own in groups[1]["params"]} == {1}, "biases and norms"


def test_the_scheduler_of_the_arguments_begins_anew_in_each_stage(tmp_path: Path) -> None:
    course = rates(tmp_path, [*ONE, *ONE], lr_scheduler_type="linear", warmup_steps=2)
    once = [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]
    assert course == pytest.approx([1e-2 * factor for factor in once * 2])


def test_a_stage_may_have_a_schedule_and_a_warm_up_of_its_own(tmp_path: Path) -> None:
    stage = {**ONE[0], "schedule": "linear", "warmup": 0.34}
    course = rates(tmp_path, [stage, *ONE], lr_scheduler_type="constant")
    once = [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]
    assert course == pytest.approx([1e-2 * factor for factor in [*once, *[1.0] * 6]])


def test_a_scheduler_of_ones_own_runs_through_all_stages(tmp_path: Path) -> None:
    model = own.classifier()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
    scheduler = get_linear_schedule_with_warmup(optimizer, 4, 24)
    watching = own.Watching()
    schedule = FreezeSchedule([*ONE, *ONE])
    trainer = own.trainer(
        tmp_path, schedule, model, others=[watching], optimizers=(optimizer, scheduler)
    )
    trainer.train()
    trainer.train()
    course = [1e-2 * (step / 4 if step < 4 else (24 - step) / 20) for step in range(12)]
    assert [groups[0] for groups in watching.rates] == pytest.approx([*course, *course])


class Scores(TrainerCallback):
    """An evaluation whose metric is given: a value an epoch."""

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)

    def __call__(self, _predicted: Any) -> dict[str, float]:
        return {"accuracy": self.scores.pop(0)}


PATIENT = {"metric_for_best_model": "accuracy", "lr_scheduler_type": "constant"}


def waited(
    folder: Path, stages: list[dict[str, Any]], *scores: float, **options: Any
) -> tuple[FreezeSchedule, own.Watching]:
    schedule, watching = FreezeSchedule(stages), own.Watching()
    trainer = own.trainer(folder, schedule, others=[watching], **{**PATIENT, **options})
    trainer.compute_metrics = Scores(*scores)
    trainer.train()
    return schedule, watching


def test_patience_ends_a_stage_after_its_cooldown_and_the_next_one_begins(tmp_path: Path) -> None:
    stages = [{**ONE[0], "epochs": 9, "patience": 2}, *ONE]
    scores = (0.5, 0.6, 0.6, 0.6, 0.9, 0.9, 0.9)
    schedule, watching = waited(tmp_path, stages, *scores)
    assert [(one.epochs, one.steps) for one in schedule.certificates] == [(5, 15), (2, 6)]
    factors = [1.0] * 12 + [1.0, 2 / 3, 1 / 3] + [1.0] * 6
    assert [groups[0] for groups in watching.rates] == pytest.approx([1e-2 * x for x in factors])


def test_patience_of_the_last_stage_ends_training(tmp_path: Path) -> None:
    stages = [*ONE, {**ONE[0], "epochs": 9, "patience": 1, "cooldown": 0}]
    schedule, watching = waited(tmp_path, stages, 0.1, 0.1, 0.5, 0.5, 0.5)
    assert [one.epochs for one in schedule.certificates] == [2, 3], "not before a third"
    assert len(watching.rates) == 15


def test_patience_waits_for_a_score_above_that_of_the_untrained_model(tmp_path: Path) -> None:
    stages = [{**ONE[0], "epochs": 6, "patience": 1, "cooldown": 0}]
    scores = (0.5, 0.4, 0.4, 0.4, 0.6, 0.6)
    schedule, _ = waited(tmp_path, stages, *scores, 0.6, eval_on_start=True)
    assert [one.epochs for one in schedule.certificates] == [5]
    assert schedule.run is not None
    assert schedule.run.progress.baseline == 0.5


def test_patience_watches_a_loss_too(tmp_path: Path) -> None:
    stages = [{**ONE[0], "epochs": 6, "patience": 1, "cooldown": 0}]
    schedule = FreezeSchedule(stages)
    own.trainer(tmp_path, schedule, **{**PATIENT, "metric_for_best_model": "loss"}).train()
    assert schedule.run is not None
    scores = schedule.run.progress.scores
    assert len(scores) == 6
    assert scores == sorted(scores), "the loss falls"
    assert max(scores) < 0


def test_the_best_weights_of_an_earlier_stage_may_be_loaded_at_the_end(tmp_path: Path) -> None:
    stages = [*ONE, {**own.STAGES[1], "patience": None}]
    saved = {"save_strategy": "epoch", "eval_strategy": "epoch", "load_best_model_at_end": True}
    schedule, _ = waited(tmp_path, stages, 0.9, 0.5, 0.5, 0.5, **saved)
    assert [one.moved for one in schedule.certificates] == [[], []]


@pytest.mark.parametrize("options", [{"gradient_accumulation_steps": 4}, {"bf16": True}])
def test_accumulated_gradients_and_bf16(tmp_path: Path, options: dict[str, Any]) -> None:
    schedule, watching = FreezeSchedule(own.STAGES), own.Watching()
    small = {"per_device_train_batch_size": 4}
    own.trainer(tmp_path, schedule, others=[watching], **small, **options).train()
    steps = 2 if "gradient_accumulation_steps" in options else 6
    assert [one.steps for one in schedule.certificates] == [steps, 2 * steps, 2 * steps]
    assert [one.moved for one in schedule.certificates] == [[], [], []]
    assert [len(set(watching.held[at::steps])) for at in range(steps)] == [3] * steps
    assert len(watching.rates) == 5 * steps


def test_accumulated_gradients_train_what_whole_batches_train(tmp_path: Path) -> None:
    losses = []
    for batch, accumulated in ((8, 1), (4, 2)):
        model, watching = own.classifier(**own.WITHOUT_DROPOUT), own.Watching()
        model.accepts_loss_kwargs = False  # else transformers adds the means of the parts up
        options = {"per_device_train_batch_size": batch, "train_sampling_strategy": "sequential"}
        accumulating = {"gradient_accumulation_steps": accumulated}
        schedule = FreezeSchedule(own.STAGES)
        own.trainer(tmp_path, schedule, model, others=[watching], **options, **accumulating).train()
        losses.append(watching.losses)
    assert len(losses[0]) == 15
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)


def test_a_model_that_the_trainer_makes_has_its_stages_too(tmp_path: Path) -> None:
    schedule = FreezeSchedule(own.STAGES)
    trainer = own.trainer(tmp_path, schedule)

    def made() -> torch.nn.Module:
        return own.classifier()

    trainer.model_init = made
    trainer.train()
    assert len(schedule.certificates) == 3


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "own.yaml").write_text(own.FILE)
    return tmp_path / "own.yaml"


def test_stages_of_an_experiment_file(tmp_path: Path, file: Path) -> None:
    schedule = FreezeSchedule(file, "gradual")
    assert schedule.arguments == {
        "num_train_epochs": 5,
        "eval_strategy": "epoch",
        "per_device_train_batch_size": 16,
        "weight_decay": 0.05,
        "max_grad_norm": 1.0,
    }
    watching = own.Watching()
    options = {"metric_for_best_model": "loss", "per_device_train_batch_size": 8}
    own.trainer(tmp_path, schedule, others=[watching], **options).train()
    assert [one.name for one in schedule.certificates] == ["head", "all"]
    first = [groups[0] for groups in watching.rates[:6]]
    assert first == pytest.approx([0.0] + [1e-2] * 5), "the file's schedule, not the Trainer's"
    text = schedule.plan(own.classifier())
    assert "stage 2 (head): 2 epochs" in text
    assert "stage 3 (all): at most 3 epochs, patience 1, cooldown 1" in text


def test_a_file_for_other_heads_says_where_it_was_written(tmp_path: Path, file: Path) -> None:
    with pytest.raises(UserError) as error:
        own.trainer(tmp_path, FreezeSchedule(file, "other"))
    place, problem = f"{file}:10 scenarios.other.0.train.head.ner", "unknown selector 'head.ner'"
    assert str(error.value).startswith(f"{place}: {problem}; ")


def test_what_no_loss_reaches_is_said_at_the_first_step(tmp_path: Path) -> None:
    model = own.classifier()
    model.spare = torch.nn.Linear(2, 2)
    stages = [{"epochs": 2, "train": {"heads": 1e-2}}]
    with pytest.raises(UserError, match=r"trains head\.spare, on which the loss does not depend"):
        own.trainer(tmp_path, FreezeSchedule(stages), model).train()


def test_a_schedule_that_is_added_later_needs_an_optimizer_over_all(tmp_path: Path) -> None:
    model, schedule = own.classifier(), FreezeSchedule(ONE)
    trainer = own.trainer(tmp_path, schedule, model)
    model.classifier.requires_grad_(False)
    with pytest.raises(UserError, match="the optimizer was made without 2 tensors"):
        trainer.train()


def test_a_checkpoint_of_other_stages_is_refused(tmp_path: Path) -> None:
    own.trainer(tmp_path, FreezeSchedule(ONE), save_strategy="epoch").train()
    other = [{**ONE[0], "train": {"all": 1e-3}}]
    line = "resume_from_checkpoint: the checkpoint was written with other stages"
    trainer = own.trainer(tmp_path, FreezeSchedule(other), save_strategy="epoch")
    with pytest.raises(UserError, match=line):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
