"""What goes wrong in schedules of one's own: here it is right, or it is an error."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainerCallback

from mtlab.model.freezing import CertificateError
from mtlab.plan.errors import UserError
from mtlab.tuning import modes
from mtlab.tuning.parts import parts
from mtlab.tuning.schedule import FreezeSchedule
from tests import tiny
from tests.tuning import own


class Tampering(TrainerCallback):
    """Does something at the first step of an epoch."""

    def __init__(self, epoch: int, fault: Any) -> None:
        self.epoch, self.fault, self.done = epoch, fault, False

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self.done and (state.epoch or 0) >= self.epoch:
            self.fault(kwargs["model"], kwargs["optimizer"])
            self.done = True


def embeddings(model: nn.Module) -> nn.Parameter:
    return model.bert.embeddings.word_embeddings.weight


@torch.no_grad()
def move(model: nn.Module, _optimizer: Any) -> None:
    embeddings(model)[50, 3] += 1e-6


def thaw(model: nn.Module, _optimizer: Any) -> None:
    embeddings(model).requires_grad_(True)


def give_gradients(model: nn.Module, _optimizer: Any) -> None:
    embeddings(model).grad = torch.zeros_like(embeddings(model))


def wake(model: nn.Module, _optimizer: Any) -> None:
    for module in model.modules():
        vars(module).pop("train", None)
    model.train()


def hold(model: nn.Module, optimizer: Any) -> None:
    optimizer.add_param_group({"params": [embeddings(model)], "lr": 1e-3})


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (move, "stage 2 (top): frozen, but changed: embeddings"),
        (thaw, "stage 2 (top): frozen unit embeddings has gradients"),
        (give_gradients, "stage 2 (top): frozen unit embeddings has gradients"),
        (wake, "stage 2 (top): a frozen module is in train mode"),
        (hold, "stage 2 (top): the optimizer has other parameters than the stage trains"),
    ],
)
def test_a_model_that_somebody_thaws_is_an_error(tmp_path: Path, fault: Any, line: str) -> None:
    trainer = own.trainer(
        tmp_path, FreezeSchedule(own.STAGES), others=[Tampering(epoch=1, fault=fault)]
    )
    with pytest.raises(CertificateError) as error:
        trainer.train()
    assert str(error.value) == line


class Stale(torch.optim.AdamW):
    """Keeps what it once trained, and decays it, whatever is frozen since."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=1e-3, weight_decay=0.1)
        self.kept = [own for group in self.param_groups for own in group["params"]]

    def step(self, closure: Any = None) -> None:
        super().step(closure)
        with torch.no_grad():
            for parameter in self.kept:
                parameter.mul_(1 - 1e-4)


def test_an_optimizer_that_decays_what_is_frozen_is_an_error(tmp_path: Path) -> None:
    model = own.classifier()
    optimizer = Stale(model.parameters())
    trainer = own.trainer(tmp_path, FreezeSchedule(own.STAGES), model, optimizers=(optimizer, None))
    with pytest.raises(
        CertificateError, match=r"stage 1 \(head\): frozen, but changed: embeddings, layers\[0\]"
    ):
        trainer.train()


def test_moments_start_anew_and_frozen_parameters_have_none(tmp_path: Path) -> None:
    stages = [own.STAGES[2], {"name": "head", "epochs": 1, "train": {"classifier": 1e-2}}]
    steps: dict[int, set[float]] = {}

    class Moments(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            kept = kwargs["optimizer"].state.values()
            steps[state.global_step] = {float(moments["step"]) for moments in kept}

    schedule = FreezeSchedule(stages)
    trainer = own.trainer(tmp_path, schedule, others=[Moments()], weight_decay=0.5)
    trainer.train()
    assert [steps[number] for number in (1, 6, 7, 9)] == [{1.0}, {6.0}, {1.0}, {3.0}]
    assert len(trainer.optimizer.state) == 2, "weight and bias of the head"
    assert schedule.certificates[1].moved == []


def test_no_dropout_is_drawn_in_what_is_frozen_after_an_evaluation_either(tmp_path: Path) -> None:
    schedule = FreezeSchedule(own.STAGES)
    model = own.classifier()
    drawn: list[set[str]] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(
                lambda module, _i, _o, name=name: drawn[-1].add(name) if module.training else None
            )

    class Steps(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            drawn.append(set())

    own.trainer(tmp_path, schedule, model, others=[Steps()], eval_strategy="epoch").train()
    assert len(drawn) == 15
    assert set.union(*drawn[:3]) == {"dropout"}
    top = {
        "dropout",
        *(
            f"bert.encoder.layer.2.{part}.dropout"
            for part in ("attention.self", "attention.output", "output")
        ),
    }
    assert all(step <= top for step in drawn[3:9])
    assert any("embeddings" in name for name in drawn[-1])
    assert not any(isinstance(vars(module).get("train"), modes.Stay) for module in model.modules())


MODERN = {"embedding_dropout": 0.1, "mlp_dropout": 0.1, "attention_dropout": 0.1}
QUICK = ("distilbert", "modernbert")


@pytest.mark.parametrize(
    "family",
    [
        family if family in QUICK else pytest.param(family, marks=pytest.mark.nightly)
        for family in tiny.CONFIGS
    ],
)
def test_states_below_what_trains_are_the_same_in_every_epoch(tmp_path: Path, family: str) -> None:
    """Of every family, in modules and in functions: where dropout is on, the states differ."""
    model = own.classifier(family, **(MODERN if family == "modernbert" else {}))
    top = parts(model).backbone.blocks[-1]
    states: list[torch.Tensor] = []
    model.base_model.get_submodule(top).register_forward_pre_hook(
        lambda module, inputs: states.append(inputs[0].detach()) if module.training else None
    )
    options = {"train_sampling_strategy": "sequential", "eval_strategy": "epoch"}
    own.trainer(tmp_path, FreezeSchedule(own.STAGES[1:]), model, **options).train()
    assert len(states) == 12
    assert all(map(torch.equal, states[:3], states[3:6]))
    still = own.classifier(family, **(MODERN if family == "modernbert" else {})).train()
    inputs = {"input_ids": own.rows()[0]["input_ids"][None]}
    assert not torch.equal(still(**inputs).logits, still(**inputs).logits), "it has dropout"


class Half(Trainer):
    """Stops, as when the power fails, before a step."""

    at = 0

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self.state.global_step == self.at:
            raise KeyboardInterrupt
        return super().training_step(*args, **kwargs)


RESUMED: dict[str, Any] = {
    "save_strategy": "steps",
    "save_steps": 1,
    "save_total_limit": 1,
    "warmup_steps": 2,
    "weight_decay": 0.1,
}


class Early(TrainerCallback):
    """Keeps each checkpoint as it was first written."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        name = f"checkpoint-{state.global_step}"
        if not (kept := Path(args.output_dir).with_name("early") / name).exists():
            shutil.copytree(Path(args.output_dir) / name, kept)


def check_resumed(folder: Path, stages: Any, stop: int, steps: int, **options: Any) -> None:
    """A training that stopped before a step, and was resumed, ends in the bits of another one."""
    whole = FreezeSchedule(stages)
    uninterrupted = own.trainer(folder / "whole", whole, **RESUMED, **options)
    uninterrupted.train()
    broken = own.trainer(folder / "broken", FreezeSchedule(stages), kind=Half, **RESUMED, **options)
    Half.at = stop
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    schedule, watching = FreezeSchedule(stages), own.Watching()
    torch.manual_seed(99)
    resumed = own.trainer(folder / "broken", schedule, others=[watching], **RESUMED, **options)
    resumed.train(resume_from_checkpoint=True)
    assert len(watching.held) == steps - stop
    expected = own.weights(uninterrupted.model)
    for name, tensor in own.weights(resumed.model).items():
        assert torch.equal(tensor, expected[name]), name
    if not options.get("restore_callback_states_from_checkpoint"):
        # else the Trainer has put another schedule in its place
        assert schedule.certificates == whole.certificates


@pytest.mark.parametrize(
    ("stop", "restore"),
    [(5, False), (5, True), (9, False), pytest.param(10, True, marks=pytest.mark.nightly)],
)
def test_a_resumed_training_ends_in_the_same_bits(tmp_path: Path, stop: int, restore: bool) -> None:
    """Stopped in the middle of the second stage, at its end, and right after it: 3 steps an epoch."""
    options = {"restore_callback_states_from_checkpoint": restore, "lr_scheduler_type": "linear"}
    check_resumed(tmp_path, own.STAGES, stop, 15, **options)


@pytest.mark.parametrize("stop", [pytest.param(4, marks=pytest.mark.nightly), 6, 7])
def test_a_training_resumes_within_patience_and_its_cooldown(tmp_path: Path, stop: int) -> None:
    """A loss that falls is no gain here, so that patience ends after two of six epochs."""
    waits = {"schedule": "constant", "patience": 1, "cooldown": 1}
    stages = [{**own.STAGES[1], "epochs": 6, **waits}, {**own.STAGES[0], "epochs": 1}]
    watched = {"metric_for_best_model": "loss", "greater_is_better": True}
    check_resumed(tmp_path, stages, stop, 12, **watched)


def test_a_checkpoint_without_the_evaluation_that_patience_needs_is_refused(
    tmp_path: Path,
) -> None:
    waits = {"schedule": "constant", "patience": 1}
    stages = [{**own.STAGES[0], "epochs": 2, **waits}]
    options = {**RESUMED, "metric_for_best_model": "loss"}
    own.trainer(tmp_path / "own", FreezeSchedule(stages), others=[Early()], **options).train()
    again = own.trainer(tmp_path / "own", FreezeSchedule(stages), **options)
    line = "the checkpoint was written before the evaluation of its epoch"
    with pytest.raises(UserError, match=line):
        again.train(resume_from_checkpoint=str(tmp_path / "early" / "checkpoint-3"))


def test_the_same_trainer_resumes_too(tmp_path: Path) -> None:
    options: dict[str, Any] = {"save_strategy": "epoch"}
    whole = own.trainer(tmp_path / "whole", FreezeSchedule(own.STAGES), **options)
    whole.train()
    expected = own.weights(whole.model)
    whole.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-6"))
    for name, tensor in own.weights(whole.model).items():
        assert torch.equal(tensor, expected[name]), name
