"""A schedule in a plain Trainer trains what mtlab's own loop trains: same losses, same certificates."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from mtlab.data import batches
from mtlab.model.losses import losses_of
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.train.loop import schedule as steps_of
from mtlab.train.loop import step
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import Runtime, resolve
from mtlab.train.trial import run_trials
from mtlab.tuning.schedule import FreezeSchedule
from tests import tiny

EXPERIMENT = """\
encoder: {encoder}
data: {{source: {data}, max_duplicates: 1.0}}
output: {home}/out
batch_size: 8
precision: fp32
device: cpu
cache: off
head: {{dropout: 0}}
optimizer: {{weight_decay: 0.1, warmup_steps: 2}}
scenarios:
  gradual:
    - {{name: heads, epochs: 1, train: {{heads: 1.0e-2}}, select: last}}
    - {{name: top, epochs: 1, train: {{"layers[-1/3:]": 1.0e-3, heads: 1.0e-2}}, schedule: linear}}
    - {{name: full, epochs: 2, train: {{"layers[-1/3:]": 1.0e-3, encoder: 5.0e-4, heads: 3.0e-3}}, select: last}}
"""
DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout")
QUICK = ("bert", "modernbert")


class Combined(nn.Module):
    """mtlab's network with the sum of its losses, as somebody would write it for a Trainer."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__()
        self.network = prepared.fresh_network(0, torch.device("cpu"))
        self.losses = losses_of(prepared.corpus.tasks)
        self.steps: list[dict[str, float]] = []

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **gold: Tensor) -> dict[str, Any]:
        logits = self.network(input_ids, attention_mask, tuple(gold))
        losses = {
            task: step.mean_loss(self.losses[task], logits[task], targets, targets, 1)
            for task, targets in gold.items()
        }
        total = torch.stack(list(losses.values())).sum()
        noted = {**losses, "total": total.detach()}
        self.steps.append({name: float(loss.detach()) for name, loss in noted.items()})
        return {"loss": total}


class SameBatches(TrainerCallback):
    """A dataset of mtlab's batches, those of the epoch that begins."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared, self.stage = prepared, prepared.experiment.scenario("gradual").stages[0]
        self.planned = steps_of.epoch(prepared, self.stage, 0)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.planned = steps_of.epoch(self.prepared, self.stage, round(state.epoch or 0))

    def __len__(self) -> int:
        return len(self.planned)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        examples = self.prepared.encoded["train"].examples
        batch = batches.collate(examples, self.planned[index].ids, self.prepared.pad_id)
        masked = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        return {**masked, **batch.targets}


def made(home: Path, family: str) -> tuple[Path, Prepared, Runtime]:
    """An experiment on a tiny encoder without dropout."""
    off = {key: 0.0 for key in DROPOUT if hasattr(tiny.CONFIGS[family](), key)}
    encoder = tiny.write_encoder(home / family, family, **off)
    data = tiny.write_data(home / "data", train=32, validation=8, test=8)
    file = home / "own.yaml"
    file.write_text(EXPERIMENT.format(encoder=encoder, data=data, home=home))
    experiment = load(file)
    runtime = resolve(experiment)
    return file, prepare(experiment, runtime)[()], runtime


def own_loop(prepared: Prepared, runtime: Runtime, home: Path) -> TrialRecord:
    journal = Journal(home / "records")
    runs = run_trials(prepared, [Trial("gradual", 0)], runtime, journal, None, lambda _: None)
    (record,) = [run.record for run in runs]
    assert record.status == "ok", record.reason
    return record


def in_a_trainer(
    prepared: Prepared, schedule: FreezeSchedule, home: Path
) -> list[dict[str, float]]:
    model, same = Combined(prepared), SameBatches(prepared)
    decay = schedule.arguments["weight_decay"]
    arguments = TrainingArguments(
        str(home / "trainer"),
        num_train_epochs=schedule.epochs,
        per_device_train_batch_size=1,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=decay)
    Trainer(
        model,
        arguments,
        train_dataset=same,
        data_collator=lambda items: items[0],
        callbacks=[same, schedule],
        optimizers=(optimizer, None),
    ).train()
    return model.steps


@pytest.mark.parametrize(
    "family",
    [
        family if family in QUICK else pytest.param(family, marks=pytest.mark.nightly)
        for family in tiny.CONFIGS
    ],
)
def test_every_step_has_the_loss_of_mtlabs_own_loop(tmp_path: Path, family: str) -> None:
    file, prepared, runtime = made(tmp_path, family)
    record = own_loop(prepared, runtime, tmp_path)
    schedule = FreezeSchedule(file, "gradual")
    losses = in_a_trainer(prepared, schedule, tmp_path)
    assert len(losses) == sum(stage.steps for stage in record.stages) == 16
    assert set(record.step_losses) == set(losses[0])
    for task, own in record.step_losses.items():
        print(task, max(abs(row[task] - loss) for row, loss in zip(losses, own, strict=True)))
        assert [row[task] for row in losses] == pytest.approx(own, abs=1e-4)
    assert losses[-1]["total"] < 0.8 * losses[0]["total"], "it learns"
    for ours, theirs in zip(record.stages, schedule.certificates, strict=True):
        frozen = [name for name, unit in ours.parameters.items() if unit.frozen]
        assert (theirs.name, theirs.epochs, theirs.steps) == (ours.name, ours.epochs, ours.steps)
        assert list(theirs.frozen) == frozen
        assert set(theirs.trained) == set(ours.parameters) - set(frozen)
        changed = {name for name in theirs.before if theirs.before[name] != theirs.after[name]}
        assert changed == set(theirs.trained)
    first, ours = schedule.certificates[0], record.stages[0]
    assert first.before == ours.digests_before
    assert all(first.after[unit] == ours.digests_after[unit] for unit in first.frozen)
