"""The suite: every trial of an experiment, on the same footing."""

import gc
import itertools
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.looks import SAVES
from mtlab.plan.scenario import Trial, content_key, point_label
from mtlab.plan.words import counted
from mtlab.record.changes import changes
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.train.budget import Budget, not_tried
from mtlab.train.distributed.processes import CommonJournal, Processes
from mtlab.train.engines.local import Engine
from mtlab.train.looks import Looks, Wanted, stopped_lines
from mtlab.train.measure import facts
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
        gc.freeze()  # what exists now is kept: the collections after each trial skip it

    def run(
        self,
        started: Callable[[SuiteRecord], SuiteRecord],
        ended: Callable[[SuiteRecord, TrialRecord], None],
        wanted: Wanted,
    ) -> tuple[SuiteRecord, list[TrialRecord]]:
        """Run all trials, look by look where the experiment has looks. The caller holds the
        journal's lock.

        Trials that an earlier run in the same place finished, on this machine and with everything
        that affects them the same, are read back, and one that it had begun continues from its last
        resume state: the same command resumes an interrupted suite. Looks are then decided again,
        from the records read back; a record that no look needs is left alone.

        Several processes run it together: each runs all trials, on its part of every batch, and the
        first process writes the files.

        Args:
            started: called once with the suite's record before the first trial; what it returns is
                the record from then on.
            ended: called after each trial, outside every timed lap.
            wanted: called after each look but the last; of several processes only the first calls
                it.

        Returns:
            The suite, and the records of all trials that were not skipped.

        Raises:
            UserError: a record cannot be written, or trials cannot run where the engine runs them.
            Stopped: the process was asked to stop; resume states of the running trials are written.
            Lost: of several processes this one failed, or another did.
        """
        journal, processes = self.journal, self.runtime.processes
        trials = self.experiment.trials()
        suite = self._describe(trials)
        same = {"trials": content_key(*suite.trials)}
        processes.agree(same, "give all of them the same data and files")
        looks = Looks(self.experiment, processes.once(lambda: self._finished(suite, trials)))
        left_out = not_tried(self.work(lambda record: None))
        looks.decide(looks.wanted - left_out)
        before = processes.once(journal.last_suite)
        back = looks.take(looks.numbers[0])
        resumed = bool(looks.there)
        suite = looks.noted(suite).model_copy(update={"id": _id(before, suite, resumed)})
        journal.write_suite(suite)
        suite = processes.once(lambda: started(suite))
        journal.write_suite(suite)
        _introduce(suite, before, self.progress, self.engine.where)
        if left_out:
            names = ", ".join(sorted({name for _, name in left_out}))
            self.progress.say(f"not tried, for the saving is at most {SAVES:.0%}: {names}")
        for record in back:
            ended(suite, record)
        suite = self._look(suite, looks, ended, wanted)
        if processes.leads:
            # once more: an earlier run may have been interrupted right after its last trial
            kept.prune(journal, looks.records.values())
            # the resume states that are left belong to trials outside this suite
            shutil.rmtree(journal.directory / "unfinished", ignore_errors=True)
        suite = suite.model_copy(update={"elapsed_s": time.perf_counter() - self.clock})
        journal.write_suite(suite)
        return suite, looks.so_far()

    def _finished(self, suite: SuiteRecord, trials: Sequence[Trial]) -> dict[Trial, TrialRecord]:
        """The trials that an earlier run finished, except for those that must run again together
        with trials that it did not finish.
        """
        finished = self.journal.finished(suite.trials, suite.environment)
        unfinished_keys = unfinished.begun(self.journal.directory, finished)
        keys = zip(trials, suite.trials, strict=True)
        return {
            trial: finished[key]
            for trial, key in keys
            if key in finished and key not in unfinished_keys
        }

    def _look(
        self,
        suite: SuiteRecord,
        looks: Looks,
        ended: Callable[[SuiteRecord, TrialRecord], None],
        wanted: Wanted,
    ) -> SuiteRecord:
        """Run the trials, look by look; returns the suite with what was read back and skipped."""

        def told(record: TrialRecord) -> None:
            ended(suite, record)

        work = self.work(told)
        budget = Budget(work, looks.rounds())
        left = looks.may_run(budget.trials)
        self.progress.begin(
            len(looks.records) + len(left) if self.experiment.pilot else len(looks.trials),
            budget.of(left),
            self.engine.pace(work, left, [budget.trials[trial] for trial in left]),
            at_most=len(looks.numbers) > 1,
        )
        self._run(work, looks, budget, looks.due(looks.numbers[0]), told)
        for number, later in itertools.pairwise(looks.numbers):
            if looks.wanted:
                suite, back = self._decide(suite, looks, (number, later), wanted)
                self.progress.resize(len(looks.expected()), budget.of(looks.expected()))
                for record in back:
                    told(record)
                if due := looks.due(later):
                    self._run(work, looks, budget, due, told)
        return suite

    def _decide(
        self, suite: SuiteRecord, looks: Looks, numbers: tuple[int, int], wanted: Wanted
    ) -> tuple[SuiteRecord, list[TrialRecord]]:
        """Decide after a look which trials the next one needs, and read back those of them that an
        earlier run finished.

        Args:
            suite: the record before the decision.
            looks: what ran so far.
            numbers: of seeds: at this look, and at the next.
            wanted: makes the decision.

        Returns:
            The suite's new record, which is written, and the trials' records that were read back.
        """
        number, later = numbers
        pairs = self.runtime.processes.once(lambda: wanted(suite, looks.so_far(), number))
        for line in stopped_lines(looks.decide(pairs), number):
            self.progress.say(line)
        back = looks.take(later)
        if back:
            self.progress.say(
                f"read back for the look at {later} seeds: {counted(len(back), 'trial')}"
            )
        suite = looks.noted(suite)
        self.journal.write_suite(suite)
        return suite, back

    def _run(
        self,
        work: Work,
        looks: Looks,
        budget: Budget,
        left: Sequence[Trial],
        ended: Callable[[TrialRecord], None],
    ) -> None:
        """Have the engine run trials, all those of a look in one go, and add their records as they
        end.
        """
        progress, engine, records = self.progress, self.engine, looks.records

        def begun(group: Group) -> None:
            progress.trial(len(records) + 1, group[0].label)

        for group, group_records in engine.run(work, groups(left, work), begun):
            for trial, record in zip(group, group_records, strict=True):
                records[trial] = record
                # a trial that failed did not do all of its work
                progress.advance(budget.done(records, engine.ready) - progress.done)
                progress.trial(len(records), record.label)
                progress.ended(record)
                ended(record)
            if self.runtime.processes.leads:
                kept.prune(self.journal, records.values())

    def work(self, started: Callable[[TrialRecord], None]) -> Work:
        """What an engine needs to run trials; ``started`` is called with the record of each that
        begins.
        """
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
            starts=tuple(starts(self.work(lambda _: None), trials)),
        )


def check_batches(experiment: Experiment, processes: Processes) -> None:
    """Check that every batch has at least one sentence for each process.

    Raises:
        UserError: a batch is smaller than the number of processes.
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


def _id(before: SuiteRecord | None, suite: SuiteRecord, again: bool) -> str:
    """The id of the suite before, if this suite continues it, otherwise a new one.

    It continues it if both have the same trials, environment and rule for skipping trials, and if
    the one before did not end, or left finished trials to read back (``again``).
    """
    same = (
        before is not None
        and before.trials == suite.trials
        and before.environment == suite.environment
        and _rule(before) == _rule(suite)
    )
    if same and before is not None and before.id and (before.elapsed_s is None or again):
        return before.id
    return uuid.uuid4().hex


def _rule(suite: SuiteRecord) -> list[object]:
    """What decides which trials are skipped; empty where all run."""
    settings = suite.experiment
    keys = ("looks", "pilot", "control", "margins")
    return [settings.get(key) for key in keys] if settings.get("looks") else []


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
