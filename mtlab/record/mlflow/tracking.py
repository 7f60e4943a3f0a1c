"""Logs records to MLflow: one parent run per suite, and one child run per trial. Training does not
wait for a store that is slow or cannot be reached.

A separate thread writes records into the store; the suite waits for it at most the seconds below.
:func:`sync` adds missing records from the journal.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mtlab.plan.errors import Busy, UserError
from mtlab.record.journal import Journal
from mtlab.record.mlflow.address import database_file, reason, tracking_uri, without_credentials
from mtlab.record.mlflow.runs import judged
from mtlab.record.mlflow.store import Store
from mtlab.record.records import SuiteRecord, TrialRecord

OPENING_S = 5.0
"""Seconds that a suite waits, before it begins, for the store to be opened."""

MAKING_S = 60.0
"""Seconds that a suite waits for the tables of a new database, or for another process that creates
them."""

TRIAL_S = 1.0
"""Seconds that a suite waits after a trial for its run to be written. A local database needs less,
so that nothing is written while the next trial trains."""

ENDING_S = 20.0
"""Seconds that a suite waits at its end for outstanding writes."""

MODEL_S = 300.0
"""Seconds that a suite waits at most for its model to be copied to a store on this machine."""

AGAIN_S = 10.0
"""Seconds after which a store that failed is tried again."""


@dataclass(frozen=True)
class Outcome:
    """The results of a suite.

    Attributes:
        directory: the folder with the report, its plots and the table.
        story: the description of the suite's run, markdown.
        model: the recommended trial, and a function that exports its model to a folder; None
            without a recommendation.
    """

    directory: Path
    story: str
    model: tuple[TrialRecord, Callable[[Path], object]] | None

    def attach(self, store: Store, suite: SuiteRecord, parent: str) -> None:
        """Give the report and the story to the suite's run; a second call changes nothing."""
        store.attach(suite, parent, self.directory)
        store.tell(parent, self.story, judged(suite))

    def give_model(self, store: Store, parent: str, say: Callable[[str], None]) -> None:
        """Log the model, if there is one and it is missing. If the store refuses it, everything
        else stays logged.
        """
        if self.model is None:
            return
        try:
            store.model(parent, *self.model)
        except Exception as error:  # any error of the store, the encoder's files or the disk
            say(
                f"MLflow does not have the recommended model ({reason(error, store.uri)}); `mtlab sync` tries again"
            )


class Tracking:
    """Logs one suite. If the store fails, the user sees one message, and the store is tried again
    while training continues.

    Args:
        experiment: the experiment's name in MLflow.
        say: shows a line to the user.
    """

    def __init__(self, experiment: str, say: Callable[[str], None] = print) -> None:
        self.uri, self.experiment, self.say = tracking_uri(), experiment, say
        self.store = Store(self.uri, experiment)
        self.parent = ""
        self._jobs: list[Callable[[], object]] = []
        self._refused: UserError | None = None
        self._failed = self._opened = self._ended = False
        self._changed = threading.Condition()

    def start(self, suite: SuiteRecord) -> SuiteRecord:
        """Open the store and the suite's run, and return the suite with its place in MLflow.

        Raises:
            UserError: the store's address is wrong.
        """
        self._jobs = [lambda: self._open(suite)]
        threading.Thread(target=self._work, name="mlflow", daemon=True).start()
        self._wait(OPENING_S)
        if self.store.new and not self._over:
            self.say(
                f"MLflow creates its tables in {without_credentials(self.uri)}; this happens once"
            )
        making = (
            self.store.new or database_file(self.uri) is not None
        )  # a local database is never an unreachable server
        if making and not self._over:
            self._wait(MAKING_S)
        if self._refused is not None:
            raise self._refused
        if not self._over and not making:
            self._fail(TimeoutError("it has not answered yet"))
        return self.where(suite)

    @property
    def _over(self) -> bool:
        """Whether the store was opened, or cannot be for now."""
        return self._opened or self._failed or self._refused is not None

    def log(self, suite: SuiteRecord, trial: TrialRecord) -> None:
        """Log a finished trial as a child run, now or once the store accepts it."""
        self._add(lambda: self.store.trial(suite, self.parent, trial))
        if not self._failed:
            self._wait(TRIAL_S)

    def settle(self, suite: SuiteRecord) -> SuiteRecord:
        """Wait a short time for outstanding writes, and return the suite with the number of missing
        runs.
        """
        self._wait(ENDING_S)
        return self.where(suite)

    def finish(self, suite: SuiteRecord, outcome: "Outcome", status: str) -> None:
        """Attach the suite's results, close its run as ``FINISHED`` or ``FAILED``, log the model,
        and wait a short time for these writes.
        """
        self._add(lambda: outcome.attach(self.store, suite, self.parent))
        self._add(lambda: self.store.close(self.parent, status))
        self._opened, closed = False, self._opened
        self._wait(ENDING_S if closed else 0.0)
        if closed and not self._failed:
            self._add(lambda: outcome.give_model(self.store, self.parent, self.say))
            self._wait(ENDING_S if self.uri.startswith(("http://", "https://")) else MODEL_S)

    @property
    def missing(self) -> int:
        """The number of outstanding writes."""
        with self._changed:
            return len(self._jobs)

    def close(self, status: str) -> None:
        """Close the parent run, if one was opened, as ``FINISHED``, ``FAILED`` or ``KILLED``, and
        stop.
        """
        if self._opened:
            self._add(lambda: self.store.close(self.parent, status))
            self._wait(OPENING_S)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def where(self, suite: SuiteRecord) -> SuiteRecord:
        """The suite with its place in MLflow and the number of runs that are missing there."""
        place = {
            "uri": without_credentials(self.uri),
            "experiment": self.experiment,
            "run": self.parent,
        }
        if not self.parent:
            del place["run"]
        missing = self.missing
        return suite.model_copy(
            update={"tracking": {**place, "missing": str(missing)} if missing else place}
        )

    def _open(self, suite: SuiteRecord) -> None:
        self.store.open()
        self.parent = self.store.suite(suite)
        self._opened = True

    def _add(self, job: Callable[[], object]) -> None:
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._changed:
            while (
                self._jobs
                and not self._refused
                and not self._failed
                and (seconds_left := until - time.monotonic()) > 0
            ):
                self._changed.wait(seconds_left)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._ended:
                    self._changed.wait()
                if self._ended:
                    return
                job = self._jobs[0]
            try:
                job()
            except (
                Exception
            ) as error:  # any error of a store or a network: the records have the results
                if (
                    isinstance(error, UserError)
                    and not isinstance(error, Busy)
                    and not self._opened
                    and not self._failed
                ):
                    self._refused = error
                    with self._changed:
                        self._changed.notify_all()
                    return
                self._fail(error)
                with self._changed:
                    self._changed.wait_for(lambda: self._ended, AGAIN_S)
                continue
            with self._changed:
                self._jobs.pop(0)
                if self._failed and not self._jobs:
                    self._failed = False
                    self.say("MLflow is back, and has every run until now")
                self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            if not self._failed:
                self._failed = True
                message = f"MLflow at {without_credentials(self.uri)} cannot be reached ({reason(error, self.uri)})"
                message = (
                    error.problem if isinstance(error, Busy) else message
                )  # the error already says this
                self.say(f"{message}: training continues, and `mtlab sync` adds the missing runs")
            self._changed.notify_all()


def sync(experiment: str, journal: Journal, finish: Callable[[], Outcome]) -> tuple[int, int]:
    """Add to MLflow everything that is in the records and missing there, with the original times.

    Args:
        experiment: the experiment's name in MLflow.
        journal: the records.
        finish: rebuilds the report, and returns the results to attach; it is called when the
            records name the suite's run.

    Returns:
        The number of runs added, and of all runs now.

    Raises:
        Busy: the store cannot be reached now.
        UserError: its address is wrong, or there are no records.
    """
    suite, trials = journal.read()
    starts = [record for key in suite.starts if (record := journal.find(key)) is not None]
    uri = tracking_uri()
    store = Store(uri, experiment)
    store.open()
    try:
        parent = store.suite(suite)
        added = sum([store.trial(suite, parent, trial) for trial in [*starts, *trials]])
        logged = {"uri": without_credentials(uri), "experiment": experiment, "run": parent}
        suite = suite.model_copy(update={"tracking": logged})
        journal.write_suite(suite)
        outcome = finish()
        outcome.attach(store, suite, parent)
        status = "FINISHED" if all(trial.ok for trial in trials) else "FAILED"
        last = max(
            (trial.ended_at or trial.started_at for trial in trials), default=suite.started_at
        )
        store.close(parent, status if suite.elapsed_s is not None else "KILLED", last)
        outcome.give_model(store, parent, print)
    except UserError:
        raise
    except Exception as error:  # any error of a store or a network
        problem = f"MLflow at {without_credentials(uri)} was lost ({reason(error, uri)})"
        raise Busy(
            problem,
            "run the command again when it answers: it adds each run once",
            code="unreachable",
        ) from None
    return added, len(starts) + len(trials)
