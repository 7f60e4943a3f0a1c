"""Gradual unfreezing in a user's own ``transformers.Trainer``: the stages, as a callback."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from mtlab.plan.errors import UserError
from mtlab.tuning import fitting
from mtlab.tuning.parts import parts
from mtlab.tuning.progress import Progress, StageCertificate
from mtlab.tuning.run import Run, planned, resolved_stages
from mtlab.tuning.stages import read


class FreezeSchedule(TrainerCallback, ExportableState):
    """Trains a model in stages; what a stage does not name is frozen in it.

    A stage begins with a new optimizer state, without frozen parameters, and at the start of its
    course of learning rates: the stage's ``schedule`` and ``warmup``, or the ``lr_scheduler_type``
    of the Trainer. Frozen modules are in eval mode. After every epoch the weights are compared with
    those at the start of the stage: it is an error if anything frozen changed, or if anything that
    trains did not.

    Patience watches ``metric_for_best_model``, and with ``eval_on_start`` waits until that is better
    than before training. One process trains on one device. ``resume_from_checkpoint`` works as
    usual.

    Args:
        stages: mappings with ``epochs``, ``train`` (selector to learning rate, as for
            :func:`mtlab.train_only`) and, as wanted, ``name``, ``schedule``, ``warmup``,
            ``warmup_steps``, ``patience`` and ``cooldown``; or the path of an experiment file.
        scenario: the scenario of the file; not needed if the file has only one.

    Raises:
        UserError: a Trainer cannot run the stages.

    Example:
        ``schedule = mtlab.FreezeSchedule(stages)``,
        ``Trainer(model, TrainingArguments("out", **schedule.arguments), callbacks=[schedule], ...)``
    """

    def __init__(
        self, stages: Sequence[Mapping[str, Any]] | str | Path, scenario: str | None = None
    ) -> None:
        self.reading = read(stages, scenario)
        self.run: Run | None = None
        """The current training, or the last one."""

    @property
    def epochs(self) -> int:
        """The number of epochs of all stages; with patience, the most."""
        return self.reading.epochs

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments for ``TrainingArguments`` that the stages need, and other settings of an
        experiment file: batch size, weight decay (which a Trainer does not apply to biases and
        norms), and gradient clipping.
        """
        evaluated = {"eval_strategy": "epoch"} if self.reading.patient else {}
        return {"num_train_epochs": self.epochs, **evaluated, **self.reading.arguments}

    @property
    def certificates(self) -> tuple[StageCertificate, ...]:
        """What each stage so far trained, with the digests of all units before and after."""
        return () if self.run is None else tuple(self.run.progress.certificates)

    def plan(self, model: nn.Module) -> str:
        """The stages for a model as text: epochs, what trains at which rate, and what is frozen."""
        return planned(self.reading, parts(model))

    def state(self) -> dict[str, Any]:
        """The state of the schedule that a checkpoint saves."""
        progress = Progress() if self.run is None else self.run.progress
        stages = [dict(stage) for stage in self.reading.stages]
        return {"args": {"stages": stages}, "attributes": {"saved": progress.state_dict()}}

    def on_init_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        """Check what can be checked before training, and make the Trainer create its optimizer with
        all parameters.
        """
        fitting.check(args, self.reading)
        if model is not None:  # else the Trainer creates one later
            resolved_stages(self.reading, parts(model))
            model.requires_grad_(True)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin the first stage, or continue the one that a checkpoint is in."""
        fitting.check(args, self.reading)
        self.run = Run(self.reading, args, state, **kwargs)
        if state.is_world_process_zero:
            print(planned(self.reading, self.run.parts))
        if state.global_step:
            self.run.resume(self._saved(state), state.global_step)
        else:
            self.run.begin(step=0)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin the next stage, if the current one has ended."""
        self._running().look_for_evaluation()
        if self._running().over:
            self._running().begin(state.global_step)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check that the next step will not train anything frozen."""
        self._running().look(state.global_step)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Certify the epoch, and end training after the last one."""
        run = self._running()
        run.end_epoch(state.global_step)
        control.should_training_stop |= run.ended
        if run.due and fitting.saved_by_steps(args, state):
            control.should_save = True  # again, with the evaluation that patience needs

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Give the metrics of an evaluation to patience."""
        if self.run is not None and metrics is not None:
            self.run.validated(metrics, state.global_step)
            control.should_training_stop |= self.run.ended

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Restore the model: ``train()`` reaches every module again."""
        self._running().close()

    def _running(self) -> Run:
        assert self.run is not None, "a Trainer says when training begins"
        return self.run

    def _saved(self, state: TrainerState) -> Progress:
        """The progress in a checkpoint that a Trainer loaded.

        Raises:
            UserError: the checkpoint has none, or that of other stages.
        """
        saved = (state.stateful_callbacks or {}).get(type(self).__name__)
        problem = ""
        if not isinstance(saved, dict):
            problem = "the checkpoint was not written with one schedule of stages"
        elif saved["args"] != self.state()["args"]:
            problem = "the checkpoint was written with other stages"
        if problem:
            raise UserError(
                problem,
                "continue with the stages that it was trained with, or train from the start",
                where="resume_from_checkpoint",
                code="conflict",
            )
        assert saved is not None
        return Progress.of(saved["attributes"]["saved"])
