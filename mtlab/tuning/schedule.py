"""Gradual unfreezing in anybody's ``transformers.Trainer``: its stages, as a callback."""

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

    A stage begins with a new optimizer state, which has nothing of frozen parameters, and with the
    course of the learning rates from its start: the stage's ``schedule`` and ``warmup``, or the
    ``lr_scheduler_type`` of the Trainer. Frozen modules are in eval mode. After every epoch the
    weights are compared with those of the stage's beginning: it is an error if anything frozen
    changed, or if what trains did not.

    Patience watches ``metric_for_best_model``, and with ``eval_on_start`` waits until that is better
    than before training. One process trains on one device. ``resume_from_checkpoint`` works as always.

    Args:
        stages: mappings with ``epochs``, ``train`` (selector to learning rate, as for
            :func:`mtlab.train_only`) and, as wanted, ``name``, ``schedule``, ``warmup``,
            ``warmup_steps``, ``patience`` and ``cooldown``; or the path of an experiment file.
        scenario: of the file; not needed where it has one alone.

    Raises:
        UserError: the stages are not what a Trainer can do.

    Example:
        ``schedule = mtlab.FreezeSchedule(stages)``,
        ``Trainer(model, TrainingArguments("out", **schedule.arguments), callbacks=[schedule], ...)``
    """

    def __init__(
        self, stages: Sequence[Mapping[str, Any]] | str | Path, scenario: str | None = None
    ) -> None:
        self.reading = read(stages, scenario)
        self.run: Run | None = None
        """The training at hand, or the last one."""

    @property
    def epochs(self) -> int:
        """Of all stages; with patience at most so many."""
        return self.reading.epochs

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments for ``TrainingArguments`` that the stages need, and what an experiment file says
        beside them: batch size, weight decay (which a Trainer leaves off biases and norms), clipping.
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
        """What a checkpoint holds of the schedule."""
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
        """Check what can be checked before training, and have the Trainer make its optimizer over
        all parameters.
        """
        fitting.check(args, self.reading)
        if model is not None:  # else the Trainer makes one later
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
        """Begin the next stage, where one has ended."""
        self._running().look_for_evaluation()
        if self._running().over:
            self._running().begin(state.global_step)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look that nothing frozen is about to be trained."""
        self._running().look(state.global_step)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Certify the epoch, and end training after the last one."""
        run = self._running()
        run.end_epoch(state.global_step)
        control.should_training_stop |= run.ended
        if run.due and fitting.saved_by_steps(args, state):
            control.should_save = True  # once more, with the evaluation that patience needs

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Let patience look at the evaluation of an epoch."""
        if self.run is not None and metrics is not None:
            self.run.validated(metrics, state.global_step)
            control.should_training_stop |= self.run.ended

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Hand the model back: ``train()`` reaches every module again."""
        self._running().close()

    def _running(self) -> Run:
        assert self.run is not None, "a Trainer says when training begins"
        return self.run

    def _saved(self, state: TrainerState) -> Progress:
        """The progress in a checkpoint that a Trainer loaded.

        Raises:
            UserError: the checkpoint has none, or one of other stages.
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
