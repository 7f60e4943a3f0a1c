"""A worker: it runs groups of an experiment's trials in this process, one after another."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import Point, Trial
from mtlab.record.journal import Journal
from mtlab.record.records import Status, TrialRecord
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.measure import warm
from mtlab.train.prepare import Prepared
from mtlab.train.resume import signals
from mtlab.train.runtime import Runtime
from mtlab.train.shared import CACHE
from mtlab.train.source_trials import Starts
from mtlab.train.stage_plan import in_step
from mtlab.train.state import Advance
from mtlab.train.trial import run_trials

Group = Sequence[Trial]
"""Trials that run together: one, or the seeds of a scenario."""

Begun = Callable[[Group], None]
"""Called with trials that begin now."""


@dataclass(frozen=True)
class Work:
    """What an engine needs: an experiment, ready to run, and functions that report what happens.

    Attributes:
        experiment: whose trials run.
        prepared: point of the sweep to what its trials run on.
        runtime: device, precision and threads.
        journal: where records go; the caller holds its lock.
        advance: is called with the FLOPs of what was just done.
        say: tells the user.
        started: is called with the record of a trial that trained a checkpoint which others start
            from.
    """

    experiment: Experiment
    prepared: Mapping[Point, Prepared]
    runtime: Runtime
    journal: Journal
    advance: Advance
    say: Callable[[str], None]
    started: Callable[[TrialRecord], None]

    def of(self, trial: Trial) -> Prepared:
        """What a trial runs on."""
        return self.prepared[trial.point].of(trial.scenario)

    def failed(self, trial: Trial, status: Status, reason: str) -> TrialRecord:
        """The record, written, of a trial that could not run."""
        key, now = self.prepared[trial.point].key(trial, self.runtime), time.time()
        fields = {
            "key": key,
            "scenario": trial.scenario,
            "seed": trial.seed,
            "point": dict(trial.point),
            "status": status,
            "reason": reason,
        }
        record = TrialRecord.model_validate({**fields, "started_at": now, "ended_at": now})
        self.journal.write_trial(record)
        return record


class Worker:
    """Runs groups, with everything that they share.

    Args:
        work: the experiment.
        exchange: whether other processes work on it too, so that states of frozen prefixes are
            shared with them.
        apart: why times measured here cannot be compared with those of the suite; empty where they
            can.
    """

    def __init__(self, work: Work, exchange: bool = False, apart: str = "") -> None:
        self.work, self.apart = work, apart
        warm.up(next(iter(work.prepared.values())), work.runtime)
        self.prefixes = prefixes_for(work, exchange)
        self.starts = Starts(
            work.runtime, work.journal, self.prefixes, work.advance, work.say, work.started
        )

    def run(self, group: Group) -> list[TrialRecord]:
        """Run the trials of a group; returns their records, which are written.

        Raises:
            Stopped: the process was asked to stop; a checkpoint is written.
            UserError: a record cannot be written.
        """
        work, prepared = self.work, self.work.of(group[0])
        with signals.deferred():
            reason = self.starts.make_ready(prepared, group[0].seed)
            if reason is not None:
                return [work.failed(trial, "not run", reason) for trial in group]
            runs = run_trials(
                prepared,
                group,
                work.runtime,
                work.journal,
                self.prefixes,
                work.advance,
                work.say,
                self.apart,
            )
        return [run.record for run in runs]

    def start(self, trial: Trial) -> str | None:
        """Make the checkpoint ready that a trial starts from; returns why it could not be trained,
        or None.
        """
        with signals.deferred():
            return self.starts.make_ready(self.work.of(trial), trial.seed)


def prefixes_for(work: Work, exchange: bool = False) -> Prefixes | None:
    """An empty cache that knows which states trials will need; None where the experiment turns the
    cache off.

    For trials that start from a checkpoint this is known only when the checkpoint is trained:
    :class:`mtlab.train.source_trials.Starts` adds it then.
    """
    settings = work.experiment.cache
    if settings.mode == "off":
        return None
    prefixes = Prefixes(
        work.runtime,
        int(settings.memory_limit_mb * 1e6),
        work.journal.directory / CACHE,
        work.say,
        exchange,
    )
    for prepared in work.prepared.values():
        if prepared.source is None:
            prefixes.expect(prepared, prepared.pristine_digests)
    return prefixes


def groups(trials: Iterable[Trial], work: Work) -> list[list[Trial]]:
    """Groups of trials, in the order they run. The seeds of a scenario whose stages all stack form
    one group, in the place of the first of them.
    """
    by_group: dict[tuple, list[Trial]] = {}
    for trial in trials:
        prepared = work.of(trial)
        plans = [plan for plan in prepared.stage_plans(trial.scenario) if plan.stage.epochs]
        alike = prepared.source is None and not any(plan.stage.guidance for plan in plans)
        joint = alike and plans and in_step(plans)
        key = (trial.scenario, trial.point) if joint else (trial,)
        by_group.setdefault(key, []).append(trial)
    return list(by_group.values())


def starts(work: Work, trials: Sequence[Trial]) -> Mapping[str, Trial]:
    """Keys of the trials that train the checkpoints which some trials start from, and for each a
    trial that starts from it.
    """
    by_key: dict[str, Trial] = {}
    for trial in trials:
        key = work.prepared[trial.point].start_key(trial.seed, work.runtime)
        if key is not None:
            by_key.setdefault(key, trial)
    return by_key
