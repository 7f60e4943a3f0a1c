"""Runs a comparison: trains its trials, logs them to MLflow, and writes the report."""

import gc
import signal
import sys
from collections.abc import Callable, Sequence

from mtlab import comparison, launch
from mtlab.comparison import Comparison
from mtlab.export import directory
from mtlab.export.model import choose
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.plan.given import FILE, Given
from mtlab.plan.scenario import Pair
from mtlab.plan.words import counted
from mtlab.record.files import write_atomically
from mtlab.record.journal import Journal
from mtlab.record.mlflow.tracking import Outcome, Tracking
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report import document
from mtlab.report.comparison import choice, decisions
from mtlab.report.story import story
from mtlab.train.budget import Budget, not_tried
from mtlab.train.engines import local
from mtlab.train.measure.progress import PlainProgress, Silent, duration, progress
from mtlab.train.resume import signals
from mtlab.train.suite import Suite
from mtlab.watched import end_with_parent


class Interrupted(KeyboardInterrupt):
    """The run was stopped; trials that ended are kept, and the same call continues the run.

    Args:
        status: the exit status of a program that was stopped in this way.
        words: the message for the user.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def run(request: Given, program: bool = False) -> Comparison:
    """Run an experiment.

    Args:
        request: the experiment, and the arguments that name it on a command line.
        program: whether this process does nothing else; a second signal then ends it at once.

    Raises:
        UserError: the experiment cannot run here.
        Interrupted: the run was stopped.
    """
    experiment, command = request.experiment, request.command("compare", launch.command())
    if not launch.leads():
        return _follow(experiment, command)
    display = progress()
    tracking = Tracking(experiment.name, display.say)
    status = "KILLED"
    try:
        end_with_parent()
        with signals.handled(program=program), local.opened(experiment) as engine:
            suite = Suite(experiment, command, display, engine)
            with suite.journal.held(suite.command):
                if request.text:
                    write_atomically(experiment.output / FILE, request.text)
                record, trials = suite.run(tracking.start, tracking.log, _decider(display.say))
                record = tracking.settle(record)
                # not the suite's journal: all processes would have to call its method
                Journal(experiment.output).write_suite(record)
                outcome = finish(experiment)
                display.say(f"report: {outcome.directory / 'report.md'} and report.html")
                status = "FINISHED" if all(trial.ok for trial in trials) else "FAILED"
                tracking.finish(record, outcome, status)
            suite.runtime.processes.close()
    except (signals.Stopped, KeyboardInterrupt) as stop:
        display.close()
        raise _interrupted(request, stop, program) from None
    finally:
        tracking.close(status)
        display.close()
        gc.unfreeze()  # undo the suite's gc.freeze(), so that its objects can be collected
    _say_place(record, tracking, request.command("sync"), display)
    return comparison.read(experiment.output)


def _interrupted(request: Given, stop: BaseException, program: bool) -> Interrupted:
    """The exception that ends a stopped run; for a program, also print how to continue."""
    status = stop.status if isinstance(stop, signals.Stopped) else 128 + signal.SIGINT
    if not program:
        folder = str(request.experiment.output)
        words = f"the same call continues from here, and mtlab.load({folder!r}) has what ended"
        return Interrupted(status, words)
    compare_command, report_command = (
        request.command("compare", launch.command()),
        request.command("report"),
    )
    words = f"interrupted; `{compare_command}` continues from here, and `{report_command}` writes up what ended"
    print(f"mtlab: {words}", file=sys.stderr)
    return Interrupted(status, words)


def affordable(experiment: Experiment, seconds: float) -> int:
    """The number of fresh seeds for a recommendation that takes at most ``seconds``: the largest of
    the experiment's looks that fits, or the smallest if none fits.

    The candidate is not known before the pilot. It is assumed to cost as much as the control, which
    is the upper bound.

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
    most = 2 * of_control  # for each fresh seed, a candidate and the control
    looks = [look - experiment.pilot for look in experiment.looks[1:]]
    fit = [look for look in looks if (pilot + look * most) * pace.usual <= seconds]
    chosen = max(fit, default=min(looks))
    longest = (pilot + chosen * most) * pace.usual
    print(
        f"plan: a pilot seed, about {duration(pilot * pace.usual)}; then a candidate and the control with {chosen} fresh seeds, at most "
        f"{duration(chosen * most * pace.usual)} more{'' if longest <= seconds else ': fewer seeds show nothing'}"
    )
    return chosen


def _say_place(record: SuiteRecord, tracking: Tracking, sync: str, display: PlainProgress) -> None:
    """Print where the suite is in MLflow, or how much of it is missing there."""
    place = f"MLflow: {record.tracking['uri']}, experiment {record.tracking['experiment']}"
    if "missing" in record.tracking or tracking.missing:
        count = int(record.tracking.get("missing", 0))
        missing = (
            f"{counted(count, 'run')} {'is' if count == 1 else 'are'}"
            if count
            else "parts of the suite's run are"
        )
        display.say(f"{place}: {missing} missing there; `{sync}` brings them")
    else:
        display.say(f"{place} (`mtlab ui` shows it)")


def _follow(experiment: Experiment, command: str) -> Comparison:
    """Run the suite in a process that is not the first one; only the first process writes, logs and
    prints the outcome.
    """
    with signals.handled(obeys=False), local.opened(experiment) as engine:
        suite = Suite(experiment, command, Silent(), engine)
        with suite.journal.held(command):
            record, trials = suite.run(
                lambda record: record, lambda record, trial: None, _decider(lambda line: None)
            )
        suite.runtime.processes.close()
    return Comparison(record, tuple(trials), experiment.output, experiment.output)


def _decider(
    say: Callable[[str], object],
) -> Callable[[SuiteRecord, Sequence[TrialRecord], int], set[Pair]]:
    """A function that decides after a look which pairs of point and scenario, including controls,
    run with more seeds. If the experiment has a pilot, it also explains the decision with ``say``.
    """

    def still_open(suite: SuiteRecord, trials: Sequence[TrialRecord], look: int) -> set[Pair]:
        if not suite.experiment.get("pilot"):
            return decisions.still_open(suite, trials, look)
        for line in choice.lines(suite, trials, look):
            say(line)
        return choice.still_open(suite, trials, look)

    return still_open


def finish(experiment: Experiment) -> Outcome:
    """Write the report, and return it with the recommended model."""
    folder = document.write(experiment.output).parent
    try:
        trial = choose(Journal(experiment.output), None, None).trial
    except UserError:  # none is recommended, or its weights were not kept: the report says so
        return Outcome(folder, story(folder), None)
    return Outcome(
        folder, story(folder), (trial, lambda to: directory.write(experiment, to, None, None))
    )
