"""Runs a comparison: trains its trials, logs them to MLflow, writes the report, prints the verdicts."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mtlab import launch
from mtlab.export import directory
from mtlab.export.model import choose
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import Pair
from mtlab.plan.words import counted
from mtlab.record.journal import Journal
from mtlab.record.mlflow.tracking import Outcome, Tracking
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report import document, terminal
from mtlab.report.comparison import choice, decisions
from mtlab.report.story import story
from mtlab.train.budget import Budget, not_tried
from mtlab.train.engines import local
from mtlab.train.measure.progress import PlainProgress, Silent, duration, progress
from mtlab.train.resume import signals
from mtlab.train.suite import Suite
from mtlab.watched import end_with_parent

Command = Callable[..., str]
"""The command line that repeats the run; with a command's name, that one on the same experiment."""


def run(experiment: Experiment, command: Command) -> int:
    """Run an experiment, and print its verdicts.

    Returns:
        The exit status: 1 where a trial failed, 130 or 143 where the run was stopped.

    Raises:
        UserError: the experiment cannot run here.
    """
    if not launch.leads():
        return _follow(experiment, command())
    display = progress()
    tracking = Tracking(experiment.name, display.say)
    status = "KILLED"
    try:
        end_with_parent()
        with signals.handled(), local.opened(experiment) as engine:
            suite = Suite(experiment, command(), display, engine)
            with suite.journal.held(suite.command):
                record, trials = suite.run(tracking.start, tracking.log, _decider(display.say))
                failed = [trial for trial in trials if not trial.ok]
                record = tracking.settle(record)
                Journal(experiment.output).write_suite(record)  # by this process, for itself
                outcome = finish(experiment)
                display.say(f"report: {outcome.directory / 'report.md'} and report.html")
                status = "FAILED" if failed else "FINISHED"
                tracking.finish(record, outcome, status)
            suite.runtime.processes.close()
    except (signals.Stopped, KeyboardInterrupt) as stop:
        display.close()
        print(
            f"mtlab: interrupted; `{command()}` continues from here, and `{command('report')}` writes up what ended",
            file=sys.stderr,
        )
        return stop.status if isinstance(stop, signals.Stopped) else 130
    finally:
        tracking.close(status)
        display.close()
    _say_place(record, tracking, command, display)
    for line in terminal.lines(Path(experiment.output)):
        print(line)
    return 1 if failed else 0


def affordable(experiment: Experiment, seconds: float) -> int:
    """How many fresh seeds a recommendation has, so that it takes at most so long: the most of the
    looks of the experiment that fits, or else the fewest.

    What the pilot will propose is not known before: a candidate as dear as the control is the most
    that there may be.

    Raises:
        UserError: how long a step takes is not known before trials run, as on a cluster.
    """
    trials = experiment.trials()
    with local.opened(experiment) as engine:
        work = Suite(experiment, "", Silent(), engine).work(lambda record: None)
        budget = Budget(work, [trials])
        pace = engine.pace(work, trials, list(budget.trials.values()))
    if pace is None:
        raise UserError(
            "what the trials take is not known here",
            "leave it out",
            where="--budget",
            code="conflict",
        )
    left_out = not_tried(work)
    pilot = budget.of(
        trial
        for trial in trials
        if trial.seed < experiment.pilot and (trial.point, trial.scenario) not in left_out
    )
    of_control = budget.of(
        trial
        for trial in trials
        if trial.scenario == experiment.control and trial.seed == experiment.pilot
    )
    most = 2 * of_control  # a candidate, and the control again
    looks = [look - experiment.pilot for look in experiment.looks[1:]]
    fit = [look for look in looks if (pilot + look * most) * pace.usual <= seconds]
    chosen = max(fit, default=min(looks))
    longest = (pilot + chosen * most) * pace.usual
    print(
        f"plan: a pilot seed, about {duration(pilot * pace.usual)}; then a candidate and the control with {chosen} fresh seeds, at most "
        f"{duration(chosen * most * pace.usual)} more{'' if longest <= seconds else ': fewer seeds show nothing'}"
    )
    return chosen


def _say_place(
    record: SuiteRecord, tracking: Tracking, command: Command, display: PlainProgress
) -> None:
    """Say where MLflow has the suite, or what it lacks."""
    place = f"MLflow: {record.tracking['uri']}, experiment {record.tracking['experiment']}"
    if "missing" in record.tracking or tracking.missing:
        count = int(record.tracking.get("missing", 0))
        missing = (
            f"{counted(count, 'run')} {'is' if count == 1 else 'are'}"
            if count
            else "parts of the suite's run are"
        )
        display.say(f"{place}: {missing} missing there; `{command('sync')}` brings them")
    else:
        display.say(f"{place} (`mtlab ui` shows it)")


def _follow(experiment: Experiment, command: str) -> int:
    """Run the same suite in one of the other processes; the first process writes, logs and prints
    its outcome.
    """
    with signals.handled(obeys=False), local.opened(experiment) as engine:
        suite = Suite(experiment, command, Silent(), engine)
        with suite.journal.held(command):
            suite.run(
                lambda record: record, lambda record, trial: None, _decider(lambda line: None)
            )
        suite.runtime.processes.close()
    return 0


def _decider(
    say: Callable[[str], object],
) -> Callable[[SuiteRecord, Sequence[TrialRecord], int], set[Pair]]:
    """What decides after a look which points and scenarios run with more seeds, and their controls;
    after a pilot it says why.
    """

    def still_open(suite: SuiteRecord, trials: Sequence[TrialRecord], look: int) -> set[Pair]:
        if not suite.experiment.get("pilot"):
            return decisions.still_open(suite, trials, look)
        for line in choice.lines(suite, trials, look):
            say(line)
        return choice.still_open(suite, trials, look)

    return still_open


def finish(experiment: Experiment) -> Outcome:
    """Write the report; returns it with the recommended model."""
    folder = document.write(experiment.output).parent
    try:
        trial = choose(Journal(experiment.output), None, None).trial
    except UserError:  # none is called best, or its weights were not kept: the report says so
        return Outcome(folder, story(folder), None)
    return Outcome(
        folder, story(folder), (trial, lambda to: directory.write(experiment, to, None, None))
    )
