"""The alternative that a user has: the same network, data and recipe in ``transformers.Trainer``."""

import copy
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainingArguments

from mtlab.data import batches
from mtlab.data.encoding import Example
from mtlab.model import freezing
from mtlab.model.backbone import Backbone
from mtlab.model.freezing import Partition
from mtlab.model.losses import LOSSES, losses_of
from mtlab.model.network import Network
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage
from mtlab.record.metrics import Prediction, score
from mtlab.record.quality import primaries
from mtlab.tasks.kind import IGNORE, Task
from mtlab.train.loop import step
from mtlab.train.prepare import Prepared

BEYOND = (
    "reinit",
    "choose",
    "rotate",
    "freeze_when",
    "average",
    "patience",
    "guidance",
    "mitigated",
)
"""Keys of a stage that only mtlab's own loop supports."""


@dataclass(frozen=True)
class Tuning:
    """The settings of a Trainer: its defaults, or those that make it fast."""

    name: str
    options: Mapping[str, Any]
    frozen_in_eval: bool
    """Whether frozen modules stay in eval mode, without dropout."""


DEFAULTS = Tuning("Trainer, defaults", {}, frozen_in_eval=False)


def tuned(precision: str) -> Tuning:
    """The settings that make a Trainer fast; ``precision`` is the suite's."""
    options = {
        "bf16": precision == "bf16",
        "train_sampling_strategy": "group_by_length",
        "per_device_eval_batch_size": 64,
    }
    return Tuning("Trainer, tuned", options, frozen_in_eval=True)


class Joint(nn.Module):
    """The network with the summed loss that a Trainer requires of a model."""

    def __init__(
        self,
        network: Network,
        partition: Partition,
        frozen_in_eval: bool,
        tasks: Mapping[str, Task],
    ) -> None:
        super().__init__()
        self.network, self.partition, self.frozen_in_eval = network, partition, frozen_in_eval
        self.losses = losses_of(tasks)

    def train(self, mode: bool = True) -> "Joint":
        """Like torch's method, but with ``frozen_in_eval`` frozen units stay in eval mode."""
        super().train(mode)
        if mode and self.frozen_in_eval:
            freezing.set_modes(self.network, self.partition)
        return self

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, **targets: Tensor
    ) -> dict[str, Tensor]:
        """The loss and each task's logits."""
        logits = self.network(input_ids, attention_mask, tuple(targets))
        losses = [
            step.mean_loss(self.losses[task], logits[task], gold, gold, 1)
            for task, gold in targets.items()
        ]
        return {"loss": torch.stack(losses).sum(), **logits}


class Rows(Dataset):
    """The encoded examples as rows."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"example": self.examples[index], "input_ids": self.examples[index].input_ids}


def run(
    prepared: Prepared, network: Network, stages: tuple[Stage, ...], tuning: Tuning
) -> tuple[float, dict[str, float]]:
    """Train and test with a Trainer, and return the seconds and the test metrics.

    Args:
        prepared: data and settings.
        network: the network to train; it is changed.
        stages: the stages of the scenario. Each stage has its own Trainer, because it has its own
            optimizer.
        tuning: the settings of the Trainer.

    Raises:
        UserError: a stage has a setting that a Trainer does not support.
    """
    _check(stages)
    began = time.perf_counter()
    trainer = None
    for stage in stages:
        partition = freezing.resolve(stage, network)
        freezing.apply(network, partition)
        joint = Joint(network, partition, tuning.frozen_in_eval, prepared.corpus.tasks)
        trainer = _trainer(prepared, joint, partition, stage, tuning)
        if stage.epochs:
            trainer.train()
        else:
            trainer.evaluate()
    assert trainer is not None
    tested = trainer.predict(Rows(prepared.encoded["test"].examples))
    metrics = {
        key.removeprefix("test_"): float(value)
        for key, value in (tested.metrics or {}).items()
        if key.removeprefix("test_").partition(" ")[0] in prepared.corpus.tasks
    }
    return time.perf_counter() - began, metrics


def _check(stages: Sequence[Stage]) -> None:
    """Check that a Trainer would do the same work."""
    for index, stage in enumerate(stages):
        unsupported = [key for key in BEYOND if getattr(stage, key)]
        unsupported += ["losses"] if stage.silent else []
        if unsupported:
            raise UserError(
                f"a Trainer has no {unsupported[0]}, so that it would do other work",
                "take it out, or benchmark another scenario",
                where=f"stages.{index}.{unsupported[0]}",
                code="conflict",
            )


def _trainer(
    prepared: Prepared, model: Joint, partition: Partition, stage: Stage, tuning: Tuning
) -> Trainer:
    experiment = prepared.experiment
    optimizers = _optimizers(prepared, model.network, partition, stage)
    on_gpu = next(model.parameters()).device.type == "cuda"
    with tempfile.TemporaryDirectory() as directory:
        options = {
            "per_device_train_batch_size": experiment.batch_size,
            "num_train_epochs": stage.epochs,
            "eval_strategy": "epoch",
        }
        fixed = {
            "save_strategy": "no",
            "logging_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "remove_unused_columns": False,
            "dataloader_pin_memory": on_gpu,
            "use_cpu": not on_gpu,
        }
        arguments = TrainingArguments(directory, **options, **fixed, max_grad_norm=experiment.optimizer.clip_norm,
                                      label_names=list(prepared.corpus.tasks), **tuning.options)  # fmt: skip
    trainer = Trainer(
        model,
        arguments,
        data_collator=lambda rows: _collate(rows, prepared.pad_id),
        train_dataset=Rows(prepared.encoded["train"].examples),
        eval_dataset=Rows(prepared.encoded["validation"].examples),
        compute_metrics=lambda predicted: _metrics(predicted, prepared),
        optimizers=optimizers,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _optimizers(
    prepared: Prepared, network: Network, partition: Partition, stage: Stage
) -> tuple[torch.optim.Optimizer, LRScheduler | None]:
    """The optimizer of a stage and the scheduler of its rates; if nothing trains, an optimizer that
    a Trainer accepts.
    """
    if not partition.trainable:
        return torch.optim.SGD([nn.Parameter(torch.zeros(1))]), None
    experiment, sentences = prepared.experiment, len(prepared.encoded["train"].examples)
    steps = -(-sentences // experiment.batch_size) * max(1, stage.epochs)
    learner = step.learner(
        network,
        partition,
        stage,
        steps,
        experiment.optimizer,
        experiment.loss_factors,
        prepared.corpus.tasks,
    )
    return learner.optimizer, learner.scheduler


def _collate(rows: list[dict[str, Any]], pad_id: int) -> dict[str, Tensor]:
    batch = batches.collate([row["example"] for row in rows], range(len(rows)), pad_id)
    return {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        **batch.targets,
    }


def _metrics(predicted: EvalPrediction, prepared: Prepared) -> dict[str, float]:
    tasks = prepared.corpus.tasks
    gold, predicted_rows = (list[dict[str, Any]](), list[dict[str, Any]]())
    labels, outputs = predicted.label_ids, predicted.predictions
    if len(tasks) == 1:  # a Trainer takes a tuple of one apart
        labels, outputs = (labels,), (outputs,)
    for task, targets, logits in zip(tasks.values(), labels, outputs, strict=True):
        decided = LOSSES[task.kind.loss].decide(torch.from_numpy(np.asarray(logits))).numpy()
        rows = len(targets)
        gold, predicted_rows = (
            gold or [{} for _ in range(rows)],
            predicted_rows or [{} for _ in range(rows)],
        )
        for row, target in enumerate(targets):
            words = np.flatnonzero(target != IGNORE) if task.of_words else np.zeros(0, int)
            gold[row][task.name] = task.predicted(target, words)
            predicted_rows[row][task.name] = task.predicted(decided[row], words)
    scored = score(tasks, [Prediction(*pair) for pair in zip(gold, predicted_rows, strict=True)])
    return {name: value or 0.0 for name, value in primaries(scored).items()}


def network(prepared: Prepared, pretrained: Backbone, seed: int, device: torch.device) -> Network:
    """The initial network of a scenario, on a copy of an encoder whose attention kernel
    transformers chose.
    """
    copied = Network(
        Backbone(copy.deepcopy(pretrained.model), pretrained.blocks, pretrained.after),
        prepared.shapes,
        prepared.experiment.head,
    )
    copied.draw_heads(seed)
    return copied.to(device)
