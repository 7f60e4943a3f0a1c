"""The published answer of a run, to be committed: the report with its main figures, the table of
trials, and all records in one file.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.plan.words import counted
from mtlab.record import archive, lock
from mtlab.record.files import write_atomically
from mtlab.record.journal import Journal
from mtlab.record.records import UNFINISHED, SuiteRecord, TrialRecord
from mtlab.report import document
from mtlab.report.claims.verdicts import PUBLISHED
from mtlab.report.figures import canvas


@dataclass(frozen=True)
class Published:
    """An answer that was published.

    Attributes:
        report: the path of its ``report.md``.
        origin: where the records came from.
        trials: the number of trials.
        failed: how many of them have no result.
    """

    report: Path
    origin: Path
    trials: int
    failed: int


def place(output: Path) -> Path:
    """Where the answer of a run in ``output`` is published: ``reports/published/x`` for
    ``reports/x``.
    """
    return output if output.parent.name == PUBLISHED else output.parent / PUBLISHED / output.name


def origin(output: Path) -> Path:
    """The directory with an experiment's records: its output or, if that has no records, its
    published answer.
    """
    ran, published = ((folder / "suite.json").exists() for folder in (output, place(output)))
    return place(output) if published and not ran else output


def publish(output: Path) -> Published:
    """Write the answer of the run in ``output``. If ``output`` has no records, write the published
    answer again from its own records.

    The same records give the same bytes.

    Raises:
        Busy: another process uses the directory of the records.
        UserError: there are no records, the run is not finished, or the answer cannot be written.
    """
    source, target = origin(output), place(output)
    lock.check_free(source)
    journal = Journal(source)
    suite, trials = journal.read()
    _check_finished(source, suite, trials)
    first = dict.fromkeys(trial.start for trial in trials if trial.start)
    starts = journal.records(first) if first else []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        document.write(source, scratch, "main")
        texts = {name: (scratch / name).read_bytes() for name in ("trials.csv", "report.md")}
        figures = {
            f"plots/{file.name}": canvas.light(file.read_bytes())
            for file in sorted((scratch / "plots").glob("*.png"))
        }
    document.clear(target / "plots")
    archive.write(target, [*trials, *starts])
    Journal(target).write_suite(suite)
    for name, content in {**figures, **texts}.items():
        write_atomically(target / name, content)
    return Published(
        target / "report.md", source, len(trials), sum(not trial.ok for trial in trials)
    )


def _check_finished(source: Path, suite: SuiteRecord, trials: list[TrialRecord]) -> None:
    """Check that all trials of a suite ended, except those that it skipped.

    Raises:
        UserError: some trials did not end.
    """
    ended = [trial for trial in trials if trial.status not in UNFINISHED]
    due = len(suite.trials) - len(suite.skipped)
    if suite.elapsed_s is None or len(ended) < due:
        problem = f"the run is not finished, {len(ended)} of {counted(due, 'trial')} ended"
        raise UserError(
            problem,
            "let `mtlab compare` finish it first",
            where=str(source),
            code="record-incomplete",
        )
