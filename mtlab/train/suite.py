"""The suite: every trial of an experiment, one after another, on the same footing."""

import gc
import shutil
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mtlab.model.freezing import resolve as resolve_stage
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import START, Experiment
from mtlab.plan.scenario import Trial, content_key, point_label
from mtlab.plan.words import counted
from mtlab.record.changes import changes
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.train import forecast, kept, stopping, unfinished
from mtlab.train.group import run_trials
from mtlab.train.heads import only_heads
from mtlab.train.prefix import Prefixes
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.processes import CommonJournal, Processes
from mtlab.train.progress import PlainProgress
from mtlab.train.runtime import Runtime, resolve
from mtlab.train.start import Starts


class Suite:
    """An experiment with its data and its encoder at hand.

    Args:
        experiment: what to run.
        command: the command that repeats this run, for the record.
        progress: shows how far the suite is.

    Raises:
        UserError: something is wrong with the experiment, its data or its encoder.
    """

    def __init__(self, experiment: Experiment, command: str, progress: PlainProgress) -> None:
        self.began, self.clock = time.time(), time.perf_counter()
        self.experiment, self.command, self.progress = experiment, command, progress
        self.runtime = resolve(experiment)
        processes = self.runtime.processes
        self.journal = CommonJournal(experiment.output, processes) if processes.several else Journal(experiment.output)
        with processes.agreeing():
            check_batches(experiment, processes)
            self.prepared = prepare(experiment, self.runtime)
        gc.collect()
        gc.freeze()  # what stands now stays: collections after each trial need not go through it

    def run(
        self, started: Callable[[SuiteRecord], SuiteRecord], ended: Callable[[SuiteRecord, TrialRecord], None]
    ) -> tuple[SuiteRecord, list[TrialRecord]]:
        """Run all trials; the caller holds the journal.

        Trials that an earlier run in the same place finished, on this machine and with everything that affects them the same, are read
        back, and one that it had begun goes on from its last checkpoint: running the command of an interrupted suite again goes on with it.

        Several processes run it together: each runs all of it, on its part of every batch, and the first writes.

        Args:
            started: called once with the suite's record before the first trial; what it returns is the record from then on.
            ended: called after each trial, outside every timed lap.

        Raises:
            UserError: a record cannot be written.
            Stopped: the process was asked to stop; trials that run are written down.
            Lost: of several processes this one failed, or another did.
        """
        prepared, runtime, journal, progress = self.prepared, self.runtime, self.journal, self.progress
        processes = runtime.processes
        trials = self.experiment.trials()
        suite = self._describe(trials)
        processes.agree({"trials": content_key(*suite.trials)}, "give all of them the same data and files")
        finished = processes.once(lambda: self._finished(suite))
        records = {trial: finished[key] for trial, key in zip(trials, suite.trials, strict=True) if key in finished}
        before = processes.once(journal.last_suite)
        suite = suite.model_copy(update={"read_back": tuple(finished), "id": _id(before, suite, finished)})
        journal.write_suite(suite)
        suite = processes.once(lambda: started(suite))
        journal.write_suite(suite)
        _introduce(suite, before, progress)
        for record in records.values():
            ended(suite, record)
        left = [trial for trial in trials if trial not in records]
        todo = {trial: forecast.work(prepared[trial.point].of(trial.scenario), trial) for trial in left}
        first = {key: forecast.work(one, trial) for key, one, trial in self._starts(left)}
        pace = forecast.seconds_per_flop(prepared, runtime, left, list(todo.values()))
        progress.begin(len(trials), sum(todo.values()) + sum(first.values()), pace)
        prefixes = prefixes_for(self.experiment, prepared, runtime, journal, progress)
        starts = Starts(runtime, journal, prefixes, progress.advance, progress.say, lambda record: ended(suite, record))
        for group in groups(left, prepared, prefixes):
            progress.trial(len(records) + 1, group[0].label)
            for trial, record in zip(group, self._run_group(group, prefixes, starts), strict=True):
                records[trial] = record
                done = sum(todo[other] for other in records if other in todo)
                done += sum(work for key, work in first.items() if key in starts.made)
                progress.advance(done - progress.done)  # a trial that failed did not do all of its work
                progress.trial(len(records), record.label)
                progress.ended(record)
                ended(suite, record)
            if processes.leads:
                kept.prune(journal, records.values())
        if processes.leads:
            kept.prune(journal, records.values())  # once more, for where the last trial's end was the last thing that was done
            shutil.rmtree(journal.directory / "unfinished", ignore_errors=True)  # of what is no part of this suite
        suite = suite.model_copy(update={"elapsed_s": time.perf_counter() - self.clock})
        journal.write_suite(suite)
        return suite, [records[trial] for trial in trials]

    def _finished(self, suite: SuiteRecord) -> dict[str, TrialRecord]:
        """Trials that an earlier run finished; not those that run together with others which it did not."""
        finished = self.journal.finished(suite.trials, suite.environment)
        again = unfinished.begun(self.journal.directory, finished)
        return {key: record for key, record in finished.items() if key not in again}

    def _run_group(self, group: list[Trial], prefixes: Prefixes | None, starts: Starts) -> list[TrialRecord]:
        one = self.prepared[group[0].point].of(group[0].scenario)
        with stopping.deferred():
            reason = starts.make_ready(one, group[0].seed)
            if reason is not None:
                return [self._without_start(one, trial, reason) for trial in group]
            runs = run_trials(one, group, self.runtime, self.journal, prefixes, self.progress.advance, self.progress.say)
        return [run.record for run in runs]

    def _describe(self, trials: list[Trial]) -> SuiteRecord:
        return SuiteRecord(
            experiment=self.experiment.model_dump(mode="json"),
            question=self.experiment.question,
            command=self.command,
            started_at=self.began,
            environment={**self.runtime.describe()},
            encoder={point_label(point): one.describe_encoder() for point, one in self.prepared.items()},
            data={point_label(point): one.describe_data() for point, one in self.prepared.items()},
            trials=tuple(self.prepared[trial.point].key(trial, self.runtime) for trial in trials),
            starts=tuple(key for key, _, _ in self._starts(trials)),
        )

    def _without_start(self, prepared: Prepared, trial: Trial, reason: str) -> TrialRecord:
        """The record of a trial that has no checkpoint to start from."""
        fields = {"key": prepared.key(trial, self.runtime), "scenario": trial.scenario, "seed": trial.seed, "point": dict(trial.point)}
        record = TrialRecord.model_validate({**fields, "status": reason, "started_at": time.time(), "ended_at": time.time()})
        self.journal.write_trial(record)
        return record

    def _starts(self, trials: Sequence[Trial]) -> list[tuple[str, Prepared, Trial]]:
        """The trials that train the checkpoints which others start from: key, what they run on, and the trial; each once."""
        found: dict[str, tuple[str, Prepared, Trial]] = {}
        for trial in trials:
            source = self.prepared[trial.point].source
            if source is not None:
                start = Trial(START, trial.seed)
                key = source.key(start, self.runtime)
                found.setdefault(key, (key, source, start))
        return list(found.values())


def check_batches(experiment: Experiment, processes: Processes) -> None:
    """See that every batch has a sentence for each process.

    Raises:
        UserError: it has not.
    """
    with experiment.pointing():
        for point in experiment.points:
            size = experiment.at(point).batch_size
            if size < processes.number:
                raise UserError(f"{size} sentences are fewer than {processes.number} processes", "start fewer", where="batch_size")


def prefixes_for(
    experiment: Experiment, prepared: dict[tuple, Prepared], runtime: Runtime, journal: Journal, progress: PlainProgress
) -> Prefixes | None:
    """An empty cache that knows what will be asked of it; None where the experiment does without.

    What trials ask of it that start from a checkpoint is known when that is trained (:class:`mtlab.train.start.Starts`).
    """
    if experiment.cache.mode == "off":
        return None
    limit = int(experiment.cache.memory_limit_mb * 1e6)
    prefixes = Prefixes(runtime, limit, journal.directory / "cache", progress.say, exchange=runtime.processes.several)
    for one in prepared.values():
        if one.source is None:
            prefixes.expect(one, one.pristine_digests)
    return prefixes


def groups(trials: list[Trial], prepared: dict[tuple, Prepared], prefixes: Prefixes | None) -> list[list[Trial]]:
    """Trials in the order they run: the seeds of a scenario that trains heads alone go together, the first one's turn counting."""
    found: dict[tuple, list[Trial]] = {}
    for trial in trials:
        one = prepared[trial.point].of(trial.scenario)
        stages = [stage for stage in one.experiment.scenario(trial.scenario).stages if stage.epochs]
        alike = prefixes is not None and one.source is None and not any(stage.guidance for stage in stages)  # and so on the same states
        joint = alike and stages and all(only_heads(resolve_stage(stage, one.counter.network)) for stage in stages)
        found.setdefault((trial.scenario, trial.point) if joint else (trial,), []).append(trial)
    return list(found.values())


def _id(before: SuiteRecord | None, suite: SuiteRecord, finished: Mapping[str, TrialRecord]) -> str:
    """The suite's own, or that of the one before, if this goes on with it: the same trials, and it did not end or left some of them."""
    same = before is not None and before.trials == suite.trials and before.environment == suite.environment
    if same and before is not None and before.id and (before.elapsed_s is None or finished):
        return before.id
    return uuid.uuid4().hex


def _introduce(suite: SuiteRecord, before: SuiteRecord | None, progress: PlainProgress) -> None:
    facts = suite.environment
    if Journal(Path(suite.experiment["output"])).ran_here and before is not None and before.trials != suite.trials:
        for line in changes(before, suite):
            progress.say(f"changed since the last run here: {line}")
    if suite.read_back:
        output = suite.experiment["output"]
        back = f"{len(suite.read_back)} of {len(suite.trials)} trials had ended before and are read back"
        progress.say(f"{back}; remove {output}/predictions to run them again")
    several = f"{facts['processes']} processes, each with " if "processes" in facts else ""
    threads = counted(int(facts["threads"] or 0), "thread")
    progress.say(f"{facts['device']} ({facts['device_name']}), {facts['precision']}, {several}{threads}")
    for point, data in suite.data.items():
        encoder = suite.encoder[point]
        sizes = ", ".join(f"{split} {size:,}" for split, size in data["sizes"].items())
        if point:
            progress.say(point)
        progress.say(f"encoder {encoder['name']}: {encoder['family']}, {encoder['blocks']} blocks, {encoder['attention']} attention")
        progress.say(f"{sizes} sentences; {len(data['labels'])} labels, {len(data['tags'])} tags")
        for note in data["notes"]:
            progress.say(f"note: {note}")
