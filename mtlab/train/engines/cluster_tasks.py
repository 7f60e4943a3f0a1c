"""The tasks that run in the processes of a cluster. A task reads its order; what it shares with
earlier tasks of the same process is prepared once.
"""

import os
import platform
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import Point, Trial
from mtlab.record.journal import Journal
from mtlab.record.lock import HOLDER
from mtlab.record.records import TrialRecord, Value
from mtlab.train import runtime as runtimes
from mtlab.train.prepare import prepare
from mtlab.train.resume import signals, watchdog
from mtlab.train.runtime import Runtime
from mtlab.train.worker import Work, Worker
from mtlab.watched import NOTE


class Order(Value):
    """What a process must know to run trials of a suite."""

    experiment: dict[str, Any]
    """The experiment, resolved."""
    folder: str
    """The working directory: paths of the experiment may be relative to it."""
    threads: int
    """CPU threads of a trial."""
    environment: dict[str, str | int] = Field(default_factory=dict)
    """What the suite's trials run on: device, precision, versions; empty before that is known."""
    keys: tuple[str, ...] = ()
    """The keys of all trials of the experiment, in their order."""
    holder: str = ""
    """The text of the file in the output folder that names the process which holds the folder. A
    node that reads the same text sees the same folder."""


class Found(Value):
    """A :class:`mtlab.train.runtime.Runtime` as plain values."""

    device: str
    precision: str
    attention: str | None
    threads: int
    device_name: str
    environment: dict[str, str | int]
    """The facts that records have about it, with versions."""


class Answer(Value):
    """What a task returns."""

    records: tuple[TrialRecord, ...] = ()
    """The records of its trials, in their order."""
    started: TrialRecord | None = None
    """The record of the trial that trained a checkpoint to start from, if the task is to make one
    ready and it was not trained before."""
    failed: str | None = None
    """Why the checkpoint does not exist."""
    said: tuple[str, ...] = ()
    """Lines for the user."""
    refused: tuple[str, str, str, str] | None = None
    """Problem, remedy, place and code of the error, if the process cannot run trials of the
    suite."""
    machine: Found | None = None
    """What the process runs on, if the task is :func:`look`."""


class Desk:
    """Collects what the running task reports to the parent process."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything, because another task begins."""
        self.said: list[str] = []
        self.started: TrialRecord | None = None

    def say(self, line: str) -> None:
        """Keep a line for the user."""
        self.said.append(line)

    def note(self, started: TrialRecord) -> None:
        """Keep the record of a trial that trained a checkpoint."""
        self.started = started


_desk = Desk()
_workers: dict[Point, tuple[Order, Worker]] = {}
"""The order and the worker of the task before, under the point of its trials: the next task mostly
has the same order and point."""


def look(order: str) -> str:
    """The answer with what this process runs trials on."""

    def answer(read: Order) -> Answer:
        runtime = _in_place(read)[1]
        facts = {
            name: getattr(runtime, name)
            for name in ("precision", "attention", "threads", "device_name")
        }
        return Answer(
            machine=Found(device=str(runtime.device), environment=runtime.describe(), **facts)
        )

    return _answered(order, answer)


def run_trials(order: str, numbers: list[int]) -> str:
    """Run trials that go together, by their numbers in the experiment."""

    def answer(read: Order) -> Answer:
        worker, trials = _worker(read, numbers)
        return Answer(records=tuple(worker.run(trials)))

    return _answered(order, answer)


def make_start(order: str, number: int) -> str:
    """Make ready the checkpoint that a trial starts from."""

    def answer(read: Order) -> Answer:
        worker, (trial,) = _worker(read, [number])
        failed = worker.start(trial)
        return Answer(failed=failed, started=_desk.started)

    return _answered(order, answer)


def differences(there: Mapping[str, object], here: Mapping[str, object]) -> str:
    """How two machines differ: ``torch 2.13.0, 2.12.1``; empty where they do not."""
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    return "; ".join(f"{name} {there.get(name)}, and {here.get(name)}" for name in names)


def _answered(order: str, work: Callable[[Order], Answer]) -> str:
    _desk.clear()
    try:
        with signals.handled(), watchdog.on_cluster():
            answer = work(Order.model_validate_json(order))
    except UserError as error:
        where = ": ".join(filter(None, (f"node {platform.node()}", error.where)))
        answer = Answer(refused=(error.problem, error.remedy, where, error.code))
    except signals.Stopped:  # the parent, which asked for it, has left or is about to
        answer = Answer()
    return answer.model_copy(update={"said": tuple(_desk.said)}).model_dump_json()


def _in_place(order: Order) -> tuple[Experiment, Runtime]:
    """Put this process into the parent's working directory, with the order's number of threads;
    returns the experiment, and what it runs on here.

    Raises:
        UserError: this node does not see what the parent sees, or has another environment.
    """
    os.environ.pop(
        NOTE, None
    )  # inherited if the parent started this cluster; it is for the process that watches the parent
    os.environ["OMP_NUM_THREADS"] = str(order.threads)
    try:
        os.chdir(order.folder)
    except OSError as error:
        problem = f"{order.folder}, where the command runs, is not there ({error.strerror})"
        raise UserError(
            problem, "run it from a folder that all nodes share", code="not-shared"
        ) from None
    experiment = Experiment.model_validate(order.experiment)
    holder = experiment.output / HOLDER
    if order.holder and (not holder.exists() or holder.read_text(encoding="utf-8") != order.holder):
        problem = f"{experiment.output.absolute()} is not the folder that the command writes to"
        raise UserError(
            problem, "choose an --output that all nodes share", where="output", code="not-shared"
        )
    return experiment, runtimes.resolve(experiment)


def _worker(order: Order, numbers: list[int]) -> tuple[Worker, list[Trial]]:
    """The worker for trials, all of one point, and the trials.

    Raises:
        UserError: what they would run on here is not what the suite runs on.
    """
    all_trials = Experiment.model_validate(order.experiment).trials()
    trials = [all_trials[number] for number in numbers]
    if _workers.get(trials[0].point, (None, None))[0] != order:
        _workers.clear()
        _workers[trials[0].point] = (order, _prepared(order, trials[0]))
    worker = _workers[trials[0].point][1]
    for number, trial in zip(numbers, trials, strict=True):
        if worker.work.prepared[trial.point].key(trial, worker.work.runtime) != order.keys[number]:
            problem = f"{trial.label} is not the trial that was planned: data, encoder or code are others there"
            raise UserError(problem, "see that all nodes have the same files", code="nodes-differ")
    return worker, trials


def _prepared(order: Order, trial: Trial) -> Worker:
    experiment, runtime = _in_place(order)
    apart = ""
    if runtime.device_name != order.environment["device_name"]:
        apart = f"it ran on {runtime.device_name}, and the suite's times are of {order.environment['device_name']}"
    if differing := differences(
        {**runtime.describe(), "device_name": order.environment["device_name"]}, order.environment
    ):
        raise UserError(
            f"another environment than the suite's: {differing} there",
            "install the same on all nodes",
            code="nodes-differ",
        )
    prepared = prepare(experiment, runtime, [trial.point])
    work = Work(
        experiment,
        prepared,
        runtime,
        Journal(experiment.output),
        lambda _: None,
        _desk.say,
        _desk.note,
    )
    return Worker(work, exchange=True, apart=apart)
