"""What a user gets wrong is told in one line: place, problem, remedy."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from torch import nn

import mtlab
from mtlab.plan.errors import UserError
from mtlab.tuning.schedule import FreezeSchedule
from tests import tiny
from tests.tuning import own

SENTENCES = Path(__file__).with_name("sentences.txt")
"""What a user reads of each mistake below, a line each; ``python -m tests.tuning.test_mistakes``
writes it anew."""

Stages = Any


def two() -> nn.Module:
    model = own.Joint()
    model.other = transformers.AutoModel.from_config(tiny.CONFIGS["bert"]())
    return model


def tied() -> nn.Module:
    return transformers.AutoModelForMaskedLM.from_config(tiny.CONFIGS["bert"]())


def shared_blocks() -> nn.Module:
    config = transformers.AlbertConfig(**{**tiny.SIZE, "embedding_size": 16})
    return transformers.AutoModelForSequenceClassification.from_config(config)


CHOICES: list[tuple[Callable[[], nn.Module], dict[str, Any], str]] = [
    (own.classifier, {"clasifier": 1e-3}, "bad-selector"),
    (own.classifier, {"encodr": 1e-3}, "bad-selector"),
    (own.classifier, {"dropout": 1e-3}, "bad-selector"),
    (own.classifier, {"layers[7]": 1e-3}, "bad-selector"),
    (own.classifier, {"all": 1e-3, "classifier": 1e-3}, "bad-selector"),
    (own.classifier, {"classifier": 0}, "out-of-range"),
    (own.classifier, {"heads": "1e-3"}, "wrong-type"),
    (own.classifier, {"classifier": 1e-3, "head.classifier": 1e-3}, "twice"),
    (own.classifier, {"lora": 1e-3}, "bad-selector"),
    (own.classifier, {}, "empty"),
    (lambda: nn.Linear(2, 2), {"all": 1e-3}, "encoder-unfit"),
    (two, {"all": 1e-3}, "encoder-unfit"),
    (tied, {"heads": 1e-3}, "encoder-unfit"),
    (shared_blocks, {"heads": 1e-3}, "encoder-unfit"),
]

ONE: list[dict[str, Any]] = [{"epochs": 2, "train": {"classifier": 1e-2}}]
READ: list[tuple[Stages, str | None, str]] = [
    ([], None, "empty"),
    ([{"epochs": 0}], None, "empty"),
    ({"epochs": 1}, None, "wrong-type"),
    (["heads"], None, "wrong-type"),
    ([{"epoch": 1}], None, "unknown-key"),
    ([{"epochs": "3", "train": {"all": 1.0}}], None, "wrong-type"),
    ([{"train": {"all": 1.0}}], None, "missing"),
    ([*ONE, {"epochs": 1}], None, "empty"),
    ([{**ONE[0], "schedule": "linar"}], None, "unknown-value"),
    ([{**ONE[0], "losses": ["a"]}], None, "conflict"),
    ([{**ONE[0], "tasks": ["a"]}], None, "unknown-key"),
    ([{**ONE[0], "cooldown": 1}], None, "conflict"),
    (ONE, "gradual", "conflict"),
    ("own.yaml", None, "unknown-scenario"),
    ("own.yaml", "gradul", "unknown-scenario"),
    ("own.yaml", "rehearsed", "conflict"),
    ("own.yaml", "chosen", "conflict"),
    ("none.yaml", None, "file-missing"),
]

WAITS = [{**ONE[0], "patience": 1}]
CONSTANT = {"metric_for_best_model": "accuracy", "lr_scheduler_type": "constant"}
FITS: list[tuple[Stages, dict[str, Any], str]] = [
    ([{"epochs": 2, "train": {"clasifier": 1e-2}}], {}, "bad-selector"),
    ([*ONE, {"epochs": 1, "train": {"layers[5]": 1.0}}], {}, "bad-selector"),
    ([*ONE, {"epochs": 1, "train": {"all": -1.0}}], {}, "out-of-range"),
    ([{"epochs": 1, "train": [1]}], {}, "wrong-type"),
    (ONE, {"num_train_epochs": 3}, "conflict"),
    (ONE, {"max_steps": 3}, "conflict"),
    (WAITS, {"eval_strategy": "no"}, "conflict"),
    (WAITS, {"eval_strategy": "steps"}, "conflict"),
    (WAITS, {}, "conflict"),
    (WAITS, {"metric_for_best_model": "loss"}, "conflict"),
    (WAITS, CONSTANT, "missing"),
    (
        WAITS,
        {**CONSTANT, "lr_scheduler_type": "constant_with_warmup", "warmup_steps": 0.1},
        "conflict",
    ),
    (
        ONE,
        {"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "epoch"},
        "conflict",
    ),
    ([{**ONE[0], "warmup_steps": 2}], {"lr_scheduler_type": "constant"}, "conflict"),
]


def of_choice(make: Callable[[], nn.Module], train: dict[str, Any]) -> UserError:
    with pytest.raises(UserError) as error:
        mtlab.train_only(make(), train)
    return error.value


def of_reading(folder: Path, stages: Stages, scenario: str | None) -> UserError:
    (folder / "own.yaml").write_text(own.FILE)
    with pytest.raises(UserError) as error:
        FreezeSchedule(folder / stages if isinstance(stages, str) else stages, scenario)
    return error.value


def of_fitting(folder: Path, stages: Stages, options: dict[str, Any]) -> UserError:
    with pytest.raises(UserError) as error:
        own.trainer(folder, FreezeSchedule(stages), **options).train()
    return error.value


@pytest.mark.parametrize(("make", "train", "code"), CHOICES)
def test_a_mistake_in_a_choice(make: Any, train: dict[str, Any], code: str) -> None:
    assert of_choice(make, train).code == code


@pytest.mark.parametrize(("stages", "scenario", "code"), READ)
def test_a_mistake_in_the_stages(
    tmp_path: Path, stages: Stages, scenario: str | None, code: str
) -> None:
    assert of_reading(tmp_path, stages, scenario).code == code


@pytest.mark.parametrize(("stages", "options", "code"), FITS)
def test_what_does_not_fit_the_model_or_the_trainer(
    tmp_path: Path, stages: Stages, options: dict[str, Any], code: str
) -> None:
    assert of_fitting(tmp_path, stages, options).code == code


def sentences(folder: Path) -> str:
    """What a user reads of every mistake above, a line each."""
    errors = [of_choice(make, train) for make, train, _ in CHOICES]
    errors += [of_reading(folder, stages, scenario) for stages, scenario, _ in READ]
    errors += [of_fitting(folder, stages, options) for stages, options, _ in FITS]
    return "".join(f"{error}\n" for error in errors).replace(f"{folder}/", "")


def test_the_sentences_are_those_of_the_snapshot(tmp_path: Path) -> None:
    assert sentences(tmp_path) == SENTENCES.read_text(encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        SENTENCES.write_text(sentences(Path(folder)), encoding="utf-8")


@pytest.mark.parametrize(
    "more",
    ["rotate: {blocks: 1}", "choose: {blocks: 1}", "freeze_when: {}", "reinit: 'layers[-1:]'"],
)
def test_a_scenario_of_a_file_that_a_trainer_does_not_do_is_refused(
    tmp_path: Path, more: str
) -> None:
    file = tmp_path / "mine.yaml"
    stage = f"{{epochs: 3, train: {{encoder: 1.0e-3, heads: 1.0e-2}}, {more}}}"
    file.write_text(f"data: {{source: builtin}}\nscenarios:\n  mine: [{stage}]\n")
    key = more.partition(":")[0]
    with pytest.raises(UserError, match=f"mtlab's own loop has {key}, and a Trainer has not"):
        FreezeSchedule(file, "mine")
