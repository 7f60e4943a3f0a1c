"""The suite: every trial of an experiment, on the same footing."""

import gc
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import START, Experiment
from mtlab.plan.scenario import Trial, content_key, point_label
from mtlab.plan.words import counted
from mtlab.record.changes import changes
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.train.distributed.processes import CommonJournal, Processes
from mtlab.train.engines.local import Engine
from mtlab.train.measure import facts, forecast
from mtlab.train.measure.progress import PlainProgress
from mtlab.train.prepare import prepare
from mtlab.train.resume import unfinished
from mtlab.train.weights import kept
from mtlab.train.worker import Group, Work, groups, starts


class Suite:
    """An experiment with its data and its encoder loaded.

    Args:
        experiment: what to run.
        command: the command that repeats this run, for the record.
        progress: shows how far the suite is.
        engine: runs the trials.

    Raises:
        UserError: something is wrong with the experiment, its data or its encoder.
    """

    def __init__(
        self, experiment: Experiment, command: str, progress: PlainProgress, engine: Engine
    ) -> None:
        self.began, self.clock = time.time(), time.perf_counter()
        self.experiment, self.command, self.progress, self.engine = (
            experiment,
            command,
            progress,
            engine,
        )
        self.runtime = engine.runtime()
        processes = self.runtime.processes
        self.journal = (
            CommonJournal(experiment.output, processes)
            if processes.several
            else Journal(experiment.output)
        )
        with processes.agreeing():
            check_batches(experiment, processes)
            self.prepared = prepare(experiment, self.runtime)
        gc.collect()
        gc.freeze()  # what stands now stays: collections after each trial need not go through it

    def run(
        self,
        started: Callable[[SuiteRecord], SuiteRecord],
        ended: Callable[[SuiteRecord, TrialRecord], None],
    ) -> tuple[SuiteRecord, list[TrialRecord]]:
        """Run all trials; the caller holds the journal.

        Trials that an earlier run in the same place finished, on this machine and with everything
        that affects them the same, are read back, and one that it had begun continues from its last
        resume state: the same command resumes an interrupted suite.

        Several processes run it together: each runs all of it, on its part of every batch, and the
        first writes.

        Args:
            started: called once with the suite's record before the first trial; what it returns is
                the record from then on.
            ended: called after each trial, outside every timed lap.

        Raises:
            UserError: a record cannot be written, or trials cannot run where the engine runs them.
            Stopped: the process was asked to stop; trials that run are written down.
            Lost: of several processes this one failed, or another did.
        """
        journal, progress, processes = self.journal, self.progress, self.runtime.processes
        trials = self.experiment.trials()
        suite = self._describe(trials)
        processes.agree(
            {"trials": content_key(*suite.trials)}, "give all of them the same data and files"
        )
        finished = processes.once(lambda: self._finished(suite))
        records = {
            trial: finished[key]
            for trial, key in zip(trials, suite.trials, strict=True)
            if key in finished
        }
        before = processes.once(journal.last_suite)
        suite = suite.model_copy(
            update={"read_back": tuple(finished), "id": _id(before, suite, finished)}
        )
        journal.write_suite(suite)
        suite = processes.once(lambda: started(suite))
        journal.write_suite(suite)
        _introduce(suite, before, progress, self.engine.where)
        for record in records.values():
            ended(suite, record)
        left = [trial for trial in trials if trial not in records]
        self._run(left, records, lambda record: ended(suite, record))
        if processes.leads:
            # once more, for where the last trial's end was the last thing that was done
            kept.prune(journal, records.values())
            # what is left there is of trials outside this suite
            shutil.rmtree(journal.directory / "unfinished", ignore_errors=True)
        suite = suite.model_copy(update={"elapsed_s": time.perf_counter() - self.clock})
        journal.write_suite(suite)
        return suite, [records[trial] for trial in trials]

    def _finished(self, suite: SuiteRecord) -> dict[str, TrialRecord]:
        """Trials that an earlier run finished; not those that run together with others which it did
        not.
        """
        finished = self.journal.finished(suite.trials, suite.environment)
        again = unfinished.begun(self.journal.directory, finished)
        return {key: record for key, record in finished.items() if key not in again}

    def _run(
        self,
        left: list[Trial],
        records: dict[Trial, TrialRecord],
        ended: Callable[[TrialRecord], None],
    ) -> None:
        """Have the engine run the trials that are left, and add their records as they end."""
        progress, engine, work = self.progress, self.engine, self._work(ended)
        together = groups(left, work)
        todo = {trial: forecast.work(work.of(trial), trial) for trial in left}
        todo |= {
            trial: todo[trial] + flops
            for trial, flops in forecast.common(work.of, together).items()
        }
        first = {key: self._work_of_start(trial) for key, trial in starts(work, left).items()}
        progress.begin(
            len(todo) + len(records),
            sum(todo.values()) + sum(first.values()),
            engine.pace(work, left, list(todo.values())),
        )

        def begun(group: Group) -> None:
            progress.trial(len(records) + 1, group[0].label)

        for group, group_records in engine.run(work, together, begun):
            for trial, record in zip(group, group_records, strict=True):
                records[trial] = record
                done = sum(todo[other] for other in records if other in todo)
                done += sum(flops for key, flops in first.items() if key in engine.ready)
                progress.advance(
                    done - progress.done
                )  # a trial that failed did not do all of its work
                progress.trial(len(records), record.label)
                progress.ended(record)
                ended(record)
            if self.runtime.processes.leads:
                kept.prune(self.journal, records.values())

    def _work(self, started: Callable[[TrialRecord], None]) -> Work:
        progress = self.progress
        return Work(
            self.experiment,
            self.prepared,
            self.runtime,
            self.journal,
            progress.advance,
            progress.say,
            started,
        )

    def _work_of_start(self, trial: Trial) -> int:
        """FLOPs of training the checkpoint that a trial starts from."""
        source = self.prepared[trial.point].source
        return 0 if source is None else forecast.work(source, Trial(START, trial.seed))

    def _describe(self, trials: list[Trial]) -> SuiteRecord:
        return SuiteRecord(
            experiment=self.experiment.model_dump(mode="json"),
            question=self.experiment.question,
            command=self.command,
            started_at=self.began,
            environment={**self.runtime.describe()},
            encoder={
                point_label(point): facts.describe_encoder(prepared)
                for point, prepared in self.prepared.items()
            },
            data={
                point_label(point): facts.describe_data(prepared)
                for point, prepared in self.prepared.items()
            },
            trials=tuple(self.prepared[trial.point].key(trial, self.runtime) for trial in trials),
            starts=tuple(starts(self._work(lambda _: None), trials)),
        )


def check_batches(experiment: Experiment, processes: Processes) -> None:
    """See that every batch has a sentence for each process.

    Raises:
        UserError: it has not.
    """
    if not processes.several:
        return
    with experiment.pointing():
        for point in experiment.points:
            size = experiment.at(point).batch_size
            if size < processes.number:
                raise UserError(
                    f"{size} sentences are fewer than {processes.number} processes",
                    "start fewer",
                    where="batch_size",
                    code="out-of-range",
                )


def _id(before: SuiteRecord | None, suite: SuiteRecord, finished: Mapping[str, TrialRecord]) -> str:
    """The suite's own, or that of the one before, if this continues it: the same trials, and it
    did not end or left some of them.
    """
    same = (
        before is not None
        and before.trials == suite.trials
        and before.environment == suite.environment
    )
    if same and before is not None and before.id and (before.elapsed_s is None or finished):
        return before.id
    return uuid.uuid4().hex


def _introduce(
    suite: SuiteRecord, before: SuiteRecord | None, progress: PlainProgress, where: str
) -> None:
    facts = suite.environment
    if (
        Journal(Path(suite.experiment["output"])).ran_here
        and before is not None
        and before.trials != suite.trials
    ):
        for line in changes(before, suite):
            progress.say(f"changed since the last run here: {line}")
    if suite.read_back:
        output = suite.experiment["output"]
        back = f"{len(suite.read_back)} of {len(suite.trials)} trials had ended before and are read back"
        progress.say(f"{back}; remove {output}/predictions to run them again")
    if where:
        progress.say(where)
    several = f"{facts['processes']} processes, each with " if "processes" in facts else ""
    threads = counted(int(facts["threads"] or 0), "thread")
    progress.say(
        f"{facts['device']} ({facts['device_name']}), {facts['precision']}, {several}{threads}"
    )
    for point, data in suite.data.items():
        encoder = suite.encoder[point]
        sizes = ", ".join(f"{split} {size:,}" for split, size in data["sizes"].items())
        classes = ", ".join(f"{task} {known['summary']}" for task, known in data["tasks"].items())
        if point:
            progress.say(point)
        progress.say(
            f"encoder {encoder['name']}: {encoder['family']}, {encoder['blocks']} blocks, {encoder['attention']} attention"
        )
        progress.say(f"{sizes} sentences; {classes}")
        for note in data["notes"]:
            progress.say(f"note: {note}")
