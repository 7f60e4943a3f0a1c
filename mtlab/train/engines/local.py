"""Engines, which run the trials of a suite: in this process, or in workers of a cluster. Records
and reports are the same for both.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from mtlab import launch
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import Trial
from mtlab.record.records import TrialRecord
from mtlab.train import runtime
from mtlab.train.measure import forecast, warm
from mtlab.train.measure.progress import Pace
from mtlab.train.runtime import Runtime
from mtlab.train.worker import Begun, Group, Work, Worker


class Engine(Protocol):
    """Runs groups of trials."""

    where: str
    """Where trials run, for the user; empty if they run in this process."""
    ready: set[str]
    """Keys of the trials whose checkpoints others can start from."""

    def runtime(self) -> Runtime:
        """Device, precision and threads of the trials.

        Raises:
            UserError: what the experiment asks for is not there.
        """
        ...

    def pace(self, work: Work, trials: Sequence[Trial], flops: Sequence[int]) -> Pace | None:
        """Seconds that a FLOP of these trials takes; None where that is not known before they
        run.
        """
        ...

    def run(
        self, work: Work, groups: Sequence[Group], begun: Begun
    ) -> Iterator[tuple[Group, list[TrialRecord]]]:
        """Run all groups; each with its records, as it ends. It is called again where later trials
        depend on the records of earlier ones.

        Raises:
            Stopped: the process was asked to stop; checkpoints of what ran are written.
            UserError: a record cannot be written, or trials cannot run where the engine runs them.
        """
        ...


class Local:
    """Runs them in this process, one group after another."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.where, self.ready = experiment, "", set[str]()
        self.worker: Worker | None = None

    def runtime(self) -> Runtime:
        """What this machine has."""
        return runtime.resolve(self.experiment)

    def pace(self, work: Work, trials: Sequence[Trial], flops: Sequence[int]) -> Pace | None:
        """Measured, on steps that are thrown away."""
        if trials:
            warm.up(work.of(trials[0]), work.runtime)
        return forecast.pace(work.prepared, work.runtime, trials, flops)

    def run(
        self, work: Work, groups: Sequence[Group], begun: Begun
    ) -> Iterator[tuple[Group, list[TrialRecord]]]:
        """Run groups in the order given. One worker serves all calls with the same work, so that
        what its trials share is computed once.
        """
        worker = self.worker
        if worker is None or worker.work is not work:
            worker = self.worker = Worker(work, exchange=work.runtime.processes.several)
        self.ready = worker.starts.ready
        for group in groups:
            begun(group)
            yield group, worker.run(group)


def opened(experiment: Experiment) -> AbstractContextManager[Engine]:
    """The engine that an experiment asks for, as a context; the engine is closed at its end.

    Raises:
        UserError: the engine is not installed or cannot be reached, or it is a cluster and several
            processes were started to run each trial.
    """
    if experiment.engine.name == "local":
        return nullcontext(Local(experiment))
    if launch.number() > 1:
        problem = f"{launch.number()} processes were started to run each trial together, and {experiment.engine.name} runs them apart"
        with experiment.pointing():
            raise UserError(
                problem,
                "start `mtlab` itself, or pass --engine local",
                where="engine",
                code="no-spawn",
            )
    from mtlab.train.engines import cluster

    return cluster.joined(experiment)
