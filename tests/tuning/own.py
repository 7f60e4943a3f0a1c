"""Somebody's own training: a small model, a `transformers.Trainer`, and what happened in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from mtlab.tuning.schedule import FreezeSchedule
from tests import tiny

STAGES: list[dict[str, Any]] = [
    {"name": "head", "epochs": 1, "train": {"classifier": 1e-2}},
    {"name": "top", "epochs": 2, "train": {"layers[-1/3:]": 1e-3, "classifier": 1e-2}},
    {"name": "all", "epochs": 2, "train": {"encoder": 1e-3, "heads": 1e-2}},
]
FILE = """\
data: {source: here}
batch_size: 16
optimizer: {weight_decay: 0.05, warmup_steps: 1}
scenarios:
  plain: [{epochs: 1, train: {all: 1.0e-4}}]
  gradual:
    - {name: nothing, epochs: 0}
    - {name: head, epochs: 2, train: {heads: 1.0e-2}}
    - {name: all, epochs: 3, patience: 1, train: {"layers[-1/3:]": 1.0e-3, encoder: 5.0e-4, head.classifier: 1.0e-2}}
  other: [{epochs: 1, train: {head.ner: 1.0e-2}}]
  rehearsed: [{epochs: 2, train: {all: 1.0e-4}, l2_sp: 0.1}]
  chosen:
    - {epochs: 2, train: {all: 1.0e-4}, select: best}
    - {epochs: 2, train: {all: 1.0e-4}}
"""

WITHOUT_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
ROWS = 24
BATCH = 8


def classifier(family: str = "bert", **settings: Any) -> nn.Module:
    """A model as `AutoModelForSequenceClassification` makes it."""
    torch.manual_seed(0)
    config = tiny.CONFIGS[family]()
    for key, value in {"num_labels": 3, **settings}.items():
        setattr(config, key, value)
    return transformers.AutoModelForSequenceClassification.from_config(config)


class Joint(nn.Module):
    """A model of one's own: an encoder, two heads and a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.body = transformers.AutoModel.from_config(tiny.CONFIGS["distilbert"]())
        self.topics = nn.Linear(32, 3)
        self.words = nn.ModuleDict({"tags": nn.Linear(32, 5)})
        self.noise = nn.Dropout(0.1)
        self.balance = nn.Parameter(torch.zeros(2))


def rows(count: int = ROWS) -> list[dict[str, Any]]:
    """Sentences of one length, whose label is in their first word."""
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(4, 100, (count, 7), generator=draw)
    ones = torch.ones(7, dtype=torch.long)
    return [{"input_ids": row, "attention_mask": ones, "labels": int(row[0]) % 3} for row in ids]


class Watching(TrainerCallback):
    """Notes what frozen and trained modules, losses and the optimizer are at each step."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.rates: list[list[float]] = []
        self.held: list[int] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        groups = kwargs["optimizer"].param_groups
        self.held.append(sum(len(group["params"]) for group in groups))

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.rates.append([group["lr"] for group in kwargs["optimizer"].param_groups])

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "loss" in logs:
            self.losses.append(logs["loss"])


def trainer(
    folder: Path,
    schedule: FreezeSchedule,
    model: nn.Module | None = None,
    others: Sequence[TrainerCallback] = (),
    kind: type[Trainer] = Trainer,
    optimizers: Any = (None, None),
    **options: Any,
) -> Trainer:
    """A Trainer that says little."""
    usual = {
        "per_device_train_batch_size": BATCH,
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "seed": 3,
    }
    arguments = TrainingArguments(str(folder), **{**usual, **schedule.arguments, **options})
    made = kind(
        model or classifier(),
        arguments,
        train_dataset=rows(),
        eval_dataset=rows(8),
        callbacks=[schedule, *others],
        optimizers=optimizers,
    )
    made.remove_callback(PrinterCallback)
    return made


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
