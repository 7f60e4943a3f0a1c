"""A Ray cluster runs the trials: a group is a task (``cluster_tasks.py``), which continues
elsewhere when its node is lost.

Processes exchange only orders and answers, both as JSON: which trials to run, and their records.
All else lies in the output folder, which every node must see: checkpoints, states of frozen
prefixes, predictions. Only this process reports trials to MLflow.
"""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import Trial
from mtlab.plan.words import counted
from mtlab.record.lock import HOLDER
from mtlab.record.records import TrialRecord
from mtlab.train import runtime as runtimes
from mtlab.train.engines import cluster_tasks
from mtlab.train.engines.cluster_tasks import Answer, Order
from mtlab.train.resume import signals
from mtlab.train.runtime import Runtime
from mtlab.train.worker import Begun, Group, Work, starts

POLL_S = 1.0
"""Seconds between two looks at whether the user asked to stop."""

PATIENCE_S = 20.0
"""Seconds after which a line says that the cluster has no room yet."""

KNOCKING_S = 10.0
"""Seconds within which an address must answer."""

LEAVING_S = 120.0
"""Seconds that tasks have, when the user asked to stop, to finish their step and write a
checkpoint."""

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Ray neither reports its use to its makers nor hides GPUs from tasks that were given none."""


@contextmanager
def joined(experiment: Experiment) -> Iterator["Cluster"]:
    """The cluster that an experiment names, or one of this machine alone, for as long as it is
    needed.

    Raises:
        UserError: Ray is not installed, or the cluster does not exist.
    """
    os.environ.update({key: value for key, value in QUIET.items() if key not in os.environ})
    with experiment.pointing():
        try:
            import ray
        except ImportError:
            raise UserError(
                "Ray is not installed",
                "pip install 'mtlab[ray]', or --engine local",
                where="engine",
                code="not-installed",
            ) from None
        address = experiment.engine.address or os.environ.get("RAY_ADDRESS")
        options: dict[str, Any] = (
            {} if address else {"num_cpus": runtimes.cores(), "include_dashboard": False}
        )
        try:
            _knock(address or "")
            with signals.deferred():  # an exception of a signal's handler would be lost inside Ray
                ray.init(
                    address or "local", log_to_driver=False, logging_level=logging.ERROR, **options
                )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            problem = f"no Ray cluster at {address or 'this machine'} ({str(error).strip().splitlines()[0][:200]})"
            raise UserError(
                problem,
                "start one with `ray start --head`, or correct the address",
                where="engine.address",
                code="no-cluster",
            ) from None
    try:
        yield Cluster(experiment, ray)
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Check that something answers at ``host:port``; Ray itself would try for minutes.

    Raises:
        OSError: nothing answers.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "//" not in host:
        socket.create_connection((host, int(port)), timeout=KNOCKING_S).close()


class Cluster:
    """Runs groups as tasks, as many at once as there is room for.

    Args:
        experiment: whose trials run.
        ray: the library, which is connected.
    """

    def __init__(self, experiment: Experiment, ray: Any) -> None:
        self.experiment, self.ray, self.ready = experiment, ray, set[str]()
        settings = experiment.engine
        gpus = settings.num_gpus
        if gpus is None:
            gpus = (
                0 if experiment.device == "cpu" else min(1, ray.cluster_resources().get("GPU", 0))
            )
        self.room = {"num_cpus": settings.num_cpus, "num_gpus": gpus}
        nodes = sum(node["Alive"] for node in ray.nodes())
        self.where = f"Ray cluster of {counted(nodes, 'node')}; a trial takes {self._wanted()}"
        self.order = Order(
            experiment=experiment.model_dump(mode="json"),
            folder=str(Path.cwd()),
            threads=settings.num_cpus,
        )

    def runtime(self) -> Runtime:
        """The runtime of a process of the cluster, which may differ from that of this machine.

        Raises:
            UserError: the cluster has other versions, or cannot run trials.
        """
        answer = self._first(
            self._task(cluster_tasks.look).remote(self.order.model_dump_json())
        ).machine
        assert answer is not None
        runtime = Runtime(
            torch.device(answer.device),
            answer.precision,
            answer.attention,
            answer.threads,
            answer.device_name,
        )
        if differing := cluster_tasks.differences(answer.environment, runtime.describe()):
            with self.experiment.pointing():
                raise UserError(
                    f"the cluster has {differing} here",
                    "install the same there and here",
                    where="engine",
                    code="nodes-differ",
                )
        self.order = self.order.model_copy(update={"environment": answer.environment})
        return runtime

    def pace(self, work: Work, trials: Sequence[Trial], flops: Sequence[int]) -> None:
        """Not known: it depends on how many run at once."""

    def run(
        self, work: Work, groups: Sequence[Group], begun: Begun
    ) -> Iterator[tuple[Group, list[TrialRecord]]]:
        """Run all groups as tasks; each is returned when it ends, in any order. Trials that start
        from a checkpoint wait for the task that trains it.
        """
        holder = (work.journal.directory / HOLDER).read_text(encoding="utf-8")
        all_trials = work.experiment.trials()
        keys = tuple(work.prepared[trial.point].key(trial, work.runtime) for trial in all_trials)
        order = self.order.model_copy(update={"holder": holder, "keys": keys}).model_dump_json()
        numbers = {trial: number for number, trial in enumerate(all_trials)}
        start_trials = starts(work, [trial for group in groups for trial in group])
        waiting: dict[str, list[Group]] = {key: [] for key in start_trials}
        train, make_start = (
            self._task(cluster_tasks.run_trials, work.runtime),
            self._task(cluster_tasks.make_start, work.runtime),
        )
        running: dict[Any, str | Group] = {
            make_start.remote(order, numbers[trial]): key for key, trial in start_trials.items()
        }

        def submit(group: Group) -> None:
            running[train.remote(order, [numbers[trial] for trial in group])] = group

        for group in groups:
            key = work.prepared[group[0].point].start_key(group[0].seed, work.runtime)
            waiting[key].append(group) if key is not None else submit(group)
        try:
            while running:
                for ref in self._ended(list(running)):
                    job = running.pop(ref)
                    answer, lost = self._answer(ref)
                    for line in answer.said:
                        work.say(line)
                    if not isinstance(job, str):
                        yield (
                            job,
                            list(answer.records)
                            if lost is None
                            else [work.failed(trial, "crashed", lost) for trial in job],
                        )
                        continue
                    if answer.started is not None:
                        work.started(answer.started)
                    reason = answer.failed or lost
                    for group in waiting.pop(job):
                        if reason is None:
                            submit(group)
                        else:
                            yield group, [work.failed(trial, "not run", reason) for trial in group]
                    self.ready |= {job} if reason is None else set()
        finally:
            self._call_back(list(running))

    def _task(self, work: Any, runtime: Runtime | None = None) -> Any:
        """A function as a Ray task. A process that used a GPU ends with its task, which is Ray's
        default; other processes are used for further tasks.
        """
        limits = {"max_calls": 0} if runtime is not None and runtime.device.type != "cuda" else {}
        return self.ray.remote(max_retries=self.experiment.engine.retries, **self.room, **limits)(
            work
        )

    def _first(self, ref: Any) -> Answer:
        """The answer of the first task, for which the cluster may have no room yet."""
        waited = 0.0
        while not self._ended([ref]):
            waited += POLL_S
            if waited == PATIENCE_S:
                print(f"waiting for a node of the cluster that has {self._wanted()}", flush=True)
        answer, lost = self._answer(ref)
        if lost is not None:
            raise UserError(
                f"the cluster cannot run trials: {lost}",
                "see Ray's own logs on its nodes",
                where="engine",
                code="cluster-failed",
            )
        return answer

    def _ended(self, refs: list[Any]) -> list[Any]:
        """A list with one of these tasks that has ended; empty if none ends within :data:`POLL_S`.

        Raises:
            Stopped: the process was asked to stop.
        """
        with signals.deferred():
            return list(self.ray.wait(refs, timeout=POLL_S)[0])

    def _answer(self, ref: Any) -> tuple[Answer, str | None]:
        """The answer of a task; or an empty one, and why the task was lost.

        Raises:
            UserError: the process that ran the task cannot run trials of the suite.
        """
        try:
            answer = Answer.model_validate_json(self.ray.get(ref))
        except self.ray.exceptions.RayTaskError:  # an error in mtlab itself
            raise
        except self.ray.exceptions.RayError as error:
            tries = counted(1 + self.experiment.engine.retries, "time")
            return (
                Answer(),
                f"what ran it was lost {tries} ({type(error).__name__}: {str(error).strip().splitlines()[0][:200]})",
            )
        if answer.refused is not None:
            problem, remedy, where, code = answer.refused
            raise UserError(problem, remedy, where=where, code=code)
        return answer, None

    def _wanted(self) -> str:
        """The room that a trial takes, in words."""
        gpus = self.room["num_gpus"]
        return counted(self.experiment.engine.num_cpus, "core") + (
            f" and {gpus:g} GPU" if gpus else ""
        )

    def _call_back(self, refs: list[Any]) -> None:
        """Have tasks finish their step, write a checkpoint and end."""
        for ref in refs:
            self.ray.cancel(ref, force=False)
        if refs:
            self.ray.wait(refs, num_returns=len(refs), timeout=LEAVING_S)
