"""The stages of a schedule in one training of a Trainer."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import TrainerState, TrainingArguments

from mtlab.model import freezing
from mtlab.model.freezing import CertificateError, Partition, units
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage
from mtlab.plan.settings import Optimizer
from mtlab.plan.words import counted
from mtlab.tuning import fitting, modes, rates
from mtlab.tuning.certificate import listed, refuse
from mtlab.tuning.optimizer import follow, groups_of
from mtlab.tuning.overview import overview
from mtlab.tuning.parts import POOLER, Parts, parts
from mtlab.tuning.progress import Progress, StageCertificate
from mtlab.tuning.stages import Reading
from mtlab.tuning.train_only import parameter_groups, resolved

Resolved = list[tuple[Stage, Partition]]
"""Stages, and what each trains of a model."""


def resolved_stages(reading: Reading, model_parts: Parts) -> Resolved:
    """The stages for a model, with their cooldown filled in.

    Raises:
        UserError: a stage does not fit the model; the error says where the stage was written.
    """
    stages: Resolved = []
    for index, written in enumerate(reading.stages):
        with reading.pointing(index) as place:
            stage, partition = resolved(written, model_parts, place)
        cooldown = Optimizer().course(stage)["cooldown"]
        stages.append((stage.model_copy(update={"cooldown": cooldown}), partition))
    return stages


def planned(reading: Reading, model_parts: Parts) -> str:
    """The stages for a model as text."""
    lines = []
    for index, (stage, partition) in enumerate(resolved_stages(reading, model_parts)):
        lasts = counted(stage.epochs, "epoch")
        if stage.patience is not None:
            lasts = f"at most {lasts}, patience {stage.patience}, cooldown {stage.cooldown}"
        lines.append(f"{reading.name(index)}: {lasts}")
        lines += [f"  {line}" for line in str(overview(model_parts, partition)).splitlines()]
    return "\n".join(lines)


class Run:
    """A training in stages.

    Args:
        reading: the stages.
        args: the Trainer's arguments.
        state: the Trainer's state at the beginning.
        model: the model that is trained.
        optimizer: the Trainer's optimizer, whose groups each stage replaces.
        lr_scheduler: the Trainer's scheduler, which each stage sets again.
        train_dataloader: the training data, of which only the length is used.
    """

    def __init__(
        self,
        reading: Reading,
        args: TrainingArguments,
        state: TrainerState,
        model: nn.Module,
        optimizer: Any,
        lr_scheduler: Any,
        train_dataloader: Any,
        **_others: Any,
    ) -> None:
        self.reading, self.args, self.model, self.parts = reading, args, model, parts(model)
        self.stages = resolved_stages(reading, self.parts)
        self.optimizer, self.scheduler = optimizer, lr_scheduler
        self.epoch_steps = fitting.steps_of(train_dataloader, args)
        self.own = rates.chosen(lr_scheduler, args, state.max_steps)
        for index, (stage, _) in enumerate(self.stages):
            with reading.pointing(index):
                rates.check(stage, args, self.own)
        self.progress = Progress()
        self.due = False
        """Whether patience waits for the evaluation of an epoch that has ended."""

    @property
    def stage(self) -> Stage:
        """The current stage."""
        return self.stages[self.progress.stage][0]

    @property
    def partition(self) -> Partition:
        """What the current stage trains, and what is frozen in it."""
        return self.stages[self.progress.stage][1]

    @property
    def over(self) -> bool:
        """Whether the last epoch of the current stage has ended."""
        waiting = self.progress.waiting(self.stage)
        return self.progress.epochs >= self.stage.epochs if waiting is None else waiting.done

    @property
    def ended(self) -> bool:
        """Whether the last stage has ended."""
        return self.over and self.progress.stage + 1 == len(self.stages)

    def begin(self, step: int) -> None:
        """Begin the next stage, with a fresh optimizer state.

        Raises:
            UserError: all stages have ended.
        """
        if self.progress.stage + 1 == len(self.stages):
            raise UserError(
                "the stages of this checkpoint have ended",
                "load its model; there is nothing to continue",
                where="resume_from_checkpoint",
                code="conflict",
            )
        certificates = self.progress.certificates
        # digests of the end of the previous stage, so that a change in between is found, too
        before = dict(certificates[-1].after) if certificates else freezing.digests(self.parts)
        _, partition = self.stages[self.progress.stage + 1]
        before |= freezing.sub_digests(self.parts, partition.divided)
        self.progress.begin(step, before)
        self._enter(0, fresh=True)

    def resume(self, progress: Progress, step: int) -> None:
        """Continue the stage that a checkpoint is in.

        A checkpoint that is written every so many steps may be from the last step of an epoch,
        before the epoch counts as ended.

        Args:
            progress: the progress in the checkpoint.
            step: the step of the checkpoint.

        Raises:
            UserError: patience lacks the evaluation of the epoch.
        """
        self.progress = progress
        self._enter(self.scheduler.last_epoch, fresh=False)
        if step - progress.first_step == (progress.epochs + 1) * self.epoch_steps:
            self.end_epoch(step)
        if self.due:
            raise UserError(
                "the checkpoint was written before the evaluation of its epoch, which patience needs",
                "continue from an earlier one",
                where="resume_from_checkpoint",
                code="conflict",
            )

    def look(self, step: int) -> None:
        """Check, before an optimizer step, that it trains exactly what the stage says.

        Raises:
            CertificateError: something frozen has gradients or is in train mode, or the optimizer
                has other parameters than the stage trains.
            UserError: the loss does not depend on something that the stage trains.
        """
        name = self.reading.name(self.progress.stage)
        for unit, tensors in self.frozen.items():
            if any(tensor.requires_grad or tensor.grad is not None for tensor in tensors):
                raise CertificateError(f"{name}: frozen unit {unit} has gradients")
        if any(module.training for module in self.frozen_modules):
            raise CertificateError(f"{name}: a frozen module is in train mode")
        optimized = {id(own) for group in self.optimizer.param_groups for own in group["params"]}
        if optimized != self.held:
            line = "the optimizer has other parameters than the stage trains"
            raise CertificateError(f"{name}: {line}")
        if step == self.progress.first_step:
            self._note_what_is_reached(name)

    def end_epoch(self, step: int) -> None:
        """Certify the stage so far, after an epoch.

        Raises:
            CertificateError: something frozen changed, or something that trains did not.
        """
        progress, name = self.progress, self.reading.name(self.progress.stage)
        progress.epochs += 1
        divided = self.partition.divided
        after = freezing.digests(self.parts) | freezing.sub_digests(self.parts, divided)
        trained = tuple(unit for unit in after if unit in self.partition.trained_units)
        certificate = StageCertificate(
            name=self.stage.name,
            epochs=progress.epochs,
            steps=step - progress.first_step,
            trained=trained,
            frozen=self.partition.frozen,
            before=progress.before,
            after=after,
        )
        progress.certify(certificate)
        # a warm-up begins at rate 0, so its first step changes nothing
        updated = certificate.steps > (self.course.factor(0) == 0.0)
        reached = progress.reached if updated else ()
        refuse(certificate.moved, certificate.idle(reached), name)
        self.due = self.stage.patience is not None

    def validated(self, metrics: Mapping[str, float], step: int) -> None:
        """Process the metrics of an evaluation.

        Raises:
            UserError: patience waits for the evaluation, and the watched metric is missing.
        """
        value = metrics.get(fitting.watched(self.args))
        if value is None:
            if "eval_runtime" in metrics:  # else one of several evaluations with other prefixes
                self.look_for_evaluation()
            return
        score = fitting.score(self.args, value)
        if not step:
            self.progress.baseline = score
        if self.due:
            self.due = False
            self.progress.scores.append(score)
            self._cool()

    def look_for_evaluation(self) -> None:
        """Check that patience got an evaluation of the last epoch.

        Raises:
            UserError: it got none.
        """
        if self.due:
            raise UserError(
                f"the last epoch had no evaluation with {fitting.watched(self.args)}, which patience watches",
                "name a metric of your evaluation with metric_for_best_model",
                where="metric_for_best_model",
                code="missing",
            )

    def close(self) -> None:
        """Let ``train()`` reach every module of the model again."""
        modes.release(self.parts)

    def _enter(self, step: int, *, fresh: bool) -> None:
        """Freeze what the stage freezes, and make the optimizer train the rest.

        Args:
            step: the number of steps of the stage so far.
            fresh: whether the optimizer's state is reset.
        """
        modes.freeze(self.model, self.parts, self.partition)
        by_name = units(self.parts, self.partition.divided)
        self.frozen = {
            unit: tuple(by_name[unit].parameters.values()) for unit in self.partition.frozen
        }
        self.frozen_modules = modes.frozen_modules(self.parts, self.partition)
        groups = parameter_groups(self.parts, self.partition)
        self.held = {id(own) for group in groups for own in group["params"]}
        groups_of(self.optimizer).regroup(
            [(group["lr"], group["params"]) for group in groups], fresh=fresh
        )
        steps, first = self.stage.epochs * self.epoch_steps, self.progress.first_step
        self.course = rates.course(self.stage, steps, first, self.args, self.own)
        self._cool()
        follow(self.scheduler, self.optimizer, self.course, step)

    def _cool(self) -> None:
        """Start the cooldown of the rates, if patience has ended."""
        waiting = self.progress.waiting(self.stage)
        if waiting is not None and waiting.constant is not None:
            first = waiting.constant * self.epoch_steps
            self.course.cool(first, waiting.cooldown * self.epoch_steps)

    def _note_what_is_reached(self, name: str) -> None:
        by_name = units(self.parts, self.partition.divided)
        self.progress.reached = tuple(
            unit
            for unit in by_name
            if unit in self.partition.trained_units
            and any(own.grad is not None for own in by_name[unit].parameters.values())
        )
        missed = self.partition.trained_units - {*self.progress.reached, f"head.{POOLER}"}
        if missed:
            raise UserError(
                f"{name} trains {listed(sorted(missed))}, on which the loss does not depend",
                "leave it out, or add it to the loss",
                where="train",
                code="conflict",
            )
