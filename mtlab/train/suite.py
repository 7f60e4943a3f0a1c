"""The suite: every trial of an experiment, one after another, on the same footing."""

import gc
import time
from collections.abc import Callable

from mtlab.model.freezing import resolve as resolve_stage
from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import Trial, point_label
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.train import forecast
from mtlab.train.group import run_trials
from mtlab.train.heads import only_heads
from mtlab.train.prefix import Prefixes, depths_of
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.progress import PlainProgress
from mtlab.train.runtime import Runtime, resolve


def run(
    experiment: Experiment,
    command: str,
    progress: PlainProgress,
    started: Callable[[SuiteRecord], SuiteRecord],
    ended: Callable[[SuiteRecord, TrialRecord], None],
) -> tuple[SuiteRecord, list[TrialRecord]]:
    """Run all trials of an experiment.

    Trials that an earlier run in the same place finished, on this machine and with everything that affects them the same, are read
    back: running the command of an interrupted suite again goes on with it.

    Args:
        experiment: what to run.
        command: the command that repeats this run, for the record.
        progress: shows how far the suite is.
        started: called once with the suite's record before the first trial; what it returns is the record from then on.
        ended: called after each trial, outside every timed lap.

    Raises:
        UserError: something is wrong with the experiment, its data or its encoder; nothing was trained.
    """
    began, clock = time.time(), time.perf_counter()
    runtime = resolve(experiment)
    prepared = prepare(experiment, runtime)
    gc.collect()
    gc.freeze()  # what stands now stays: collections after each trial need not go through it
    trials = experiment.trials()
    journal = Journal(experiment.output)
    suite = _describe(experiment, command, began, runtime, prepared, trials)
    finished = journal.finished(suite.trials, suite.environment)
    records = {trial: finished[key] for trial, key in zip(trials, suite.trials, strict=True) if key in finished}
    suite = suite.model_copy(update={"read_back": tuple(finished)})
    journal.write_suite(suite)
    suite = started(suite)
    journal.write_suite(suite)
    _introduce(suite, progress)
    for record in records.values():
        ended(suite, record)
    left = [trial for trial in trials if trial not in records]
    todo = {trial: forecast.work(prepared[trial.point], trial) for trial in left}
    progress.begin(len(trials), sum(todo.values()), forecast.seconds_per_flop(prepared, runtime, left, list(todo.values())))
    prefixes = prefixes_for(experiment, prepared, runtime, journal, progress)
    for group in groups(left, prepared, prefixes):
        progress.trial(len(records) + 1, group[0].label)
        ran = run_trials(prepared[group[0].point], group, runtime, journal, prefixes, progress.advance)
        for trial, record in zip(group, ran, strict=True):
            records[trial] = record
            progress.advance(
                sum(todo[one] for one in records if one in todo) - progress.done
            )  # a trial that failed did not do all of its work
            progress.trial(len(records), record.label)
            progress.ended(record)
            ended(suite, record)
    suite = suite.model_copy(update={"elapsed_s": time.perf_counter() - clock})
    journal.write_suite(suite)
    return suite, [records[trial] for trial in trials]


def prefixes_for(
    experiment: Experiment, prepared: dict[tuple, Prepared], runtime: Runtime, journal: Journal, progress: PlainProgress
) -> Prefixes | None:
    """An empty cache that knows what will be asked of it; None where the experiment does without."""
    if experiment.cache.mode == "off":
        return None
    limit = int(experiment.cache.memory_limit_mb * 1e6)
    prefixes = Prefixes(runtime, limit, journal.directory / "cache", progress.say)
    for one in prepared.values():
        depths = [depths_of(one.experiment.scenario(name).stages, one.counter.network) for name in one.experiment.scenarios]
        prefixes.want(one, one.pristine_digests, set().union(*depths))
    return prefixes


def groups(trials: list[Trial], prepared: dict[tuple, Prepared], prefixes: Prefixes | None) -> list[list[Trial]]:
    """Trials in the order they run: the seeds of a scenario that trains heads alone go together, the first one's turn counting."""
    found: dict[tuple, list[Trial]] = {}
    for trial in trials:
        one = prepared[trial.point]
        stages = [stage for stage in one.experiment.scenario(trial.scenario).stages if stage.epochs]
        joint = prefixes is not None and stages and all(only_heads(resolve_stage(stage, one.counter.network)) for stage in stages)
        found.setdefault((trial.scenario, trial.point) if joint else (trial,), []).append(trial)
    return list(found.values())


def _describe(
    experiment: Experiment, command: str, began: float, runtime: Runtime, prepared: dict[tuple, Prepared], trials: list[Trial]
) -> SuiteRecord:
    return SuiteRecord(
        experiment=experiment.model_dump(mode="json"),
        question=experiment.question,
        command=command,
        started_at=began,
        environment={**runtime.describe()},
        encoder={point_label(point): one.describe_encoder() for point, one in prepared.items()},
        data={point_label(point): one.describe_data() for point, one in prepared.items()},
        trials=tuple(prepared[trial.point].key(trial, runtime) for trial in trials),
    )


def _introduce(suite: SuiteRecord, progress: PlainProgress) -> None:
    facts = suite.environment
    if suite.read_back:
        output = suite.experiment["output"]
        back = f"{len(suite.read_back)} of {len(suite.trials)} trials had ended before and are read back"
        progress.say(f"{back}; remove {output}/predictions to run them again")
    progress.say(f"{facts['device']} ({facts['device_name']}), {facts['precision']}, {facts['threads']} threads")
    for point, data in suite.data.items():
        encoder = suite.encoder[point]
        sizes = ", ".join(f"{split} {size:,}" for split, size in data["sizes"].items())
        if point:
            progress.say(point)
        progress.say(f"encoder {encoder['name']}: {encoder['family']}, {encoder['blocks']} blocks, {encoder['attention']} attention")
        progress.say(f"{sizes} sentences; {len(data['labels'])} labels, {len(data['tags'])} tags")
        for note in data["notes"]:
            progress.say(f"note: {note}")
