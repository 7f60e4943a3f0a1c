"""Trials that train in step: where they stand, which of them failed, and what resumes them."""

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
"""Of resume states: those of another format are not read."""


@dataclass
class Position:
    """Where trials stand that train in step.

    Attributes:
        stage: of the scenario, by its index.
        piece: what is left of it to be trained at one go: all of it, unless guidance changed
            something; None when it is done.
        epoch: of the piece, so many are done.
        step: of the epoch that runs, so many are done.
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
        """Those that have not failed."""
        self.at = Position(0, None)
        self.trainer: Trainer | None = None

    def begin_stage(self, index: int, stage: Stage) -> None:
        """Stand before the first epoch of a stage."""
        self.at = Position(index, stage)
        for state in self.alive:
            first = len(state.record.stages)
            state.choice = Choice(standing=state.choice.standing, first=first)
            state.history.scores, state.history.norms = {}, {}

    @property
    def training(self) -> list[TrialState]:
        """Those that are alive and have not ended the stage, which patience may end for each at
        another epoch.
        """
        return [state for state in self.alive if state.waiting is None or not state.waiting.done]

    def each(
        self, action: Callable[[TrialState], object], states: Sequence[TrialState] | None = None
    ) -> None:
        """Do something with each trial that is alive, or with those of ``states`` that are; one that
        fails ends with its reason.
        """
        for state in tuple(self.alive if states is None else states):
            if state in self.alive:
                self.attempt(action, state)

    def attempt(self, action: Callable[[TrialState], object], state: TrialState) -> bool:
        """Do something with one trial; returns whether it did not fail.

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
        """An error inside that is not one trial's own fails all that are alive: they do this
        together.
        """
        try:
            yield
        except Exception as error:
            for state in tuple(self.alive):
                self.fail(state, error)

    def fail(self, state: TrialState, error: Exception) -> None:
        """End a trial with the reason why it failed.

        Raises:
            Lost: as :meth:`attempt` has it.
        """
        self.alive.remove(state)
        if isinstance(error, Diverged):
            outcome.finish(state, "diverged", str(error))
        elif isinstance(error, CertificateError):
            outcome.finish(state, "certificate broken", str(error))
        elif isinstance(error, UserError):
            outcome.finish(state, "refused", str(error))
        else:  # the reasons above are the same in all processes, for losses and digests are
            outcome.finish(state, *self._crash(state, error))

    def _crash(self, state: TrialState, error: Exception) -> tuple[Status, str]:
        """Status and reason of a trial that met an error which is nobody's mistake but ours, or the
        machine's.
        """
        setup, label = self.setup, state.trial.label
        known = isinstance(error, torch.OutOfMemoryError)
        directory = setup.journal.directory
        file = directory / "failures" / f"{label}-{state.record.key[:12]}.txt"
        first_line = str(error).partition("\n")[0][:200]
        problem = printable(f"{type(error).__name__}: {first_line}")
        status: Status = "out of memory" if known else "crashed"
        reason = "" if known else f"{problem} (failures/{file.name})"
        why = ending(status, reason)
        first = not setup.runtime.processes.several or setup.keeper.left(why)
        if first and not known:
            write_atomically(file, "".join(traceback.format_exception(error)))
        if setup.runtime.processes.several:
            raise Lost(f"{label}: {why if first else problem}") from error
        return status, reason

    def state_dict(self) -> tuple[dict[str, Any], Tensors] | None:
        """What another process needs to continue from here: all that is not a tensor, and the tensors.

        None where a trial has failed: all continue from where it had not.
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
        """Take up what :meth:`state_dict` gave, where an interrupted run left it; returns what its
        trainer is to take up, or None where the trials begin.
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
        """In what the piece that trains differs from its stage: values of JSON, for guidance and the
        choice of blocks change no others.
        """
        stage = self._stage(self.at.stage)
        values = ((key, getattr(piece, key)) for key in Stage.model_fields)
        return {key: value for key, value in values if value != getattr(stage, key)}
