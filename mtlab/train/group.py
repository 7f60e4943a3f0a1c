"""Trials that train in step: how far they are, which of them failed, and their resume state."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from mtlab.launch import Lost
from mtlab.model.freezing import CertificateError
from mtlab.plan.errors import UserError, printable
from mtlab.plan.scenario import Stage, Trial
from mtlab.record import code
from mtlab.record.journal import write_atomically
from mtlab.record.records import Status, ending
from mtlab.train import outcome
from mtlab.train.loop.tally import Diverged
from mtlab.train.loop.trainer import Trainer
from mtlab.train.resume.keeper import Tensors, above, below
from mtlab.train.selection import Choice
from mtlab.train.state import Setup, TrialState

FORMAT = 3
"""The format of resume states; states of another format are not read."""


@dataclass
class Position:
    """How far trials that train in step are.

    Attributes:
        stage: index of the stage in the scenario.
        piece: the piece of the stage that trains: all of it, unless guidance or a choice of blocks
            divides it; None when the stage is done.
        epoch: number of the piece's epochs that are done.
        step: number of steps that are done in the epoch that runs.
        timed: seconds and number of the piece's steps whose time counts.
    """

    stage: int
    piece: Stage | None
    epoch: int = 0
    step: int = 0
    timed: tuple[float, int] = (0.0, 0)


class Group:
    """Trials of one scenario that differ in their seed alone; mostly one.

    Args:
        trials: to run.
        setup: what they share.
    """

    def __init__(self, trials: Sequence[Trial], setup: Setup) -> None:
        self.setup = setup
        self.states = [TrialState(trial, setup) for trial in trials]
        self.alive = list(self.states)
        """The trials that have not failed."""
        self.at = Position(0, None)
        self.trainer: Trainer | None = None

    def begin_stage(self, index: int, stage: Stage) -> None:
        """Set the position to the start of a stage."""
        self.at = Position(index, stage)
        for state in self.alive:
            first = len(state.record.stages)
            state.choice = Choice(standing=state.choice.standing, first=first)
            state.history.scores, state.history.norms = {}, {}

    @property
    def training(self) -> list[TrialState]:
        """The trials that are alive and have not ended the stage; patience may end it at a
        different epoch for each.
        """
        return [state for state in self.alive if state.waiting is None or not state.waiting.done]

    def each(
        self, action: Callable[[TrialState], object], states: Sequence[TrialState] | None = None
    ) -> None:
        """Apply ``action`` to each trial that is alive, or to each of ``states`` that is; a trial
        that fails ends with its reason.
        """
        for state in tuple(self.alive if states is None else states):
            if state in self.alive:
                self.attempt(action, state)

    def attempt(self, action: Callable[[TrialState], object], state: TrialState) -> bool:
        """Apply ``action`` to one trial; returns whether that succeeded.

        Raises:
            Lost: of several processes only this one may have failed, so that it cannot continue
                with the others.
        """
        try:
            action(state)
        except Exception as error:
            self.fail(state, error)
            return False
        return True

    @contextmanager
    def together(self) -> Iterator[None]:
        """Within, an error fails all trials that are alive, because they do together what runs
        inside; errors of single trials are caught by :meth:`attempt` before.
        """
        try:
            yield
        except Exception as error:
            for state in tuple(self.alive):
                self.fail(state, error)

    def fail(self, state: TrialState, error: Exception) -> None:
        """End a trial with the reason why it failed.

        Raises:
            Lost: see :meth:`attempt`.
        """
        self.alive.remove(state)
        if isinstance(error, Diverged):
            outcome.finish(state, "diverged", str(error))
        elif isinstance(error, CertificateError):
            outcome.finish(state, "certificate broken", str(error))
        elif isinstance(error, UserError):
            outcome.finish(state, "refused", str(error))
        else:  # the reasons above are the same in all processes, as losses and digests are
            outcome.finish(state, *self._crash(state, error))

    def _crash(self, state: TrialState, error: Exception) -> tuple[Status, str]:
        """Status and reason of a trial that failed by an error of mtlab itself or of the machine.
        The traceback is written to a file, unless memory ran out.

        Raises:
            Lost: there are several processes.
        """
        setup, label = self.setup, state.trial.label
        out_of_memory = isinstance(error, torch.OutOfMemoryError)
        directory = setup.journal.directory
        file = directory / "failures" / f"{label}-{state.record.key[:12]}.txt"
        first_line = str(error).partition("\n")[0][:200]
        problem = printable(f"{type(error).__name__}: {first_line}")
        status: Status = "out of memory" if out_of_memory else "crashed"
        reason = "" if out_of_memory else f"{problem} (failures/{file.name})"
        why = ending(status, reason)
        first = not setup.runtime.processes.several or setup.keeper.left(why)
        if first and not out_of_memory:
            write_atomically(file, "".join(traceback.format_exception(error)))
        if setup.runtime.processes.several:
            raise Lost(f"{label}: {why if first else problem}") from error
        return status, reason

    def state_dict(self) -> tuple[dict[str, Any], Tensors] | None:
        """What another process needs to continue from here: the facts that are not tensors, and the
        tensors.

        None where a trial has failed: all trials then continue from an earlier state, before the
        failure.
        """
        if len(self.alive) < len(self.states) or self.trainer is None:
            return None
        assert self.at.piece is not None
        trainer, tensors = self.trainer.state_dict()
        tensors = above("trainer", tensors)
        trials = {}
        for state in self.states:
            trials[state.record.key], tensors_of = state.state_dict()
            tensors |= above(state.record.key, tensors_of)
        position = {**asdict(self.at), "piece": self._changes(self.at.piece)}
        origin = {"format": FORMAT, "code": code.digest()}
        return {**origin, "at": position, "trials": trials, "trainer": trainer}, tensors

    def resume(self) -> tuple[dict[str, Any], Tensors] | None:
        """Restore what :meth:`state_dict` returned, if an interrupted run left a resume state;
        returns the state of the trainer, or None if the trials start from the beginning.
        """
        saved = self.setup.keeper.saved
        if saved is None or len(self.alive) < len(self.states):
            return None
        origin = (saved.facts.get("format"), saved.facts.get("code"))
        if origin != (FORMAT, code.digest()):
            self.setup.keeper.say("the last checkpoint is of another mtlab; trials begin again")
            return None
        facts, at = saved.facts, saved.facts["at"]
        timed = (at["timed"][0], at["timed"][1])
        changes = at["piece"].items()
        update = {key: tuple(to) if isinstance(to, list) else to for key, to in changes}
        piece = self._stage(at["stage"]).model_copy(update=update)
        self.at = Position(at["stage"], piece, at["epoch"], at["step"], timed)
        for state in self.states:
            key = state.record.key
            state.load_state_dict(facts["trials"][key], below(saved.tensors, key), self.at.stage)
        return facts["trainer"], below(saved.tensors, "trainer")

    def _stage(self, index: int) -> Stage:
        return self.states[0].scenario.stages[index]

    def _changes(self, piece: Stage) -> dict[str, Any]:
        """The fields in which the piece that trains differs from its stage. All their values fit
        into JSON: guidance and the choice of blocks change no others.
        """
        stage = self._stage(self.at.stage)
        values = ((key, getattr(piece, key)) for key in Stage.model_fields)
        return {key: value for key, value in values if value != getattr(stage, key)}
