"""The results of a comparison as an object: tables, the decision, its figure, and the report."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from matplotlib.figure import Figure

from mtlab.plan.errors import UserError, did_you_mean
from mtlab.plan.words import counted
from mtlab.record.journal import Journal
from mtlab.record.records import UNFINISHED, SuiteRecord, TrialRecord
from mtlab.report import document, publish, results, terminal, wording
from mtlab.report.claims.evidence import Evidence
from mtlab.report.comparison import decisions
from mtlab.report.comparison.groups import Task, groups
from mtlab.report.comparison.winner import winner
from mtlab.report.decision.box import box
from mtlab.report.figures import canvas, scores
from mtlab.report.figures.decision import decision
from mtlab.report.html.page import fragment
from mtlab.report.sections import provenance
from mtlab.report.table import trials_table
from mtlab.report.view import Chosen, View, joined, part


@dataclass(frozen=True)
class Decision:
    """The decision that a comparison leads to; each part is a clause or a sentence.

    Attributes:
        scenario: the recommended scenario; None if a trial has no result.
        answer: the answer to the experiment's question.
        cost: what the recommended scenario costs compared with the control.
        sure: how certain the answer is.
        change: what would change the answer.
        step: the cheapest next step, usually a command.
        limits: what the comparison cannot show.
    """

    scenario: str | None
    answer: str
    cost: str
    sure: str
    change: str
    step: str
    limits: str
    text: str = field(repr=False)
    """The parts as the command line prints them."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, repr=False)
class Comparison:
    """The results of an experiment. The value does not change when the experiment runs again.

    Attributes:
        suite: the record of the experiment.
        records: the records of its trials.
        origin: the folder that the records were read from.
        output: the folder of the report.
    """

    suite: SuiteRecord
    records: tuple[TrialRecord, ...]
    origin: Path
    output: Path

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per scenario: for each task the mean on test with its interval, the change
        against the control with its interval, and the verdict; then costs relative to the
        control's, and the number of seeds.

        With a sweep, the index has the point before the scenario. If the experiment varies
        ``settings``, each scenario has its best one.
        """
        return results.table(self._view.shown)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial, as in ``trials.csv``."""
        return trials_table(self.suite, self.records)

    @cached_property
    def decision(self) -> Decision:
        """What to do, what it costs, how sure that is, what would change it, and the next step."""
        view = self._view
        decided, best = box(self.suite, view.groups, view.base), winner(view.base)
        return Decision(
            best.scenario if best else None,
            *(
                terminal.plain(words)
                for words in (
                    decided.answer,
                    decided.cost,
                    decided.sure,
                    decided.change,
                    decided.step,
                    decided.limits,
                    "\n".join(f"{label}: {words}" for label, words in decided.lines),
                )
            ),
        )

    @property
    def failures(self) -> dict[str, str]:
        """Each failed trial to the reason why it has no result; empty if all trials ended well."""
        return {
            trial.label: trial.ending
            for trial in self.records
            if not trial.ok and trial.status not in UNFINISHED
        }

    @property
    def report(self) -> Path:
        """The path of ``report.md``, which is written if it does not exist; ``report.html`` is next
        to it.
        """
        path = self.output / "report.md"
        return path if path.exists() else self.write_report()

    @property
    def lines(self) -> list[str]:
        """The table of verdicts and the decision, as the command line prints them."""
        return terminal.of(self._evidence)

    def write_report(self, figures: Chosen = "all") -> Path:
        """Write the report of the records again, and return its path.

        Args:
            figures: ``all`` figures, or only the one or two most important ones (``main``).

        Raises:
            UserError: the records have another format, or the report cannot be written.
        """
        return document.write(self.origin, self.output, figures)

    def verdict(self, scenario: str, task: str) -> str:
        """What the seeds show about a scenario compared with the control at a task: better,
        equivalent, worse, at least as good, or unclear.

        Raises:
            UserError: there is no such scenario or task, or the scenario is not compared.
        """
        base = self._view.base
        tasks = {known_task.name: known_task for known_task in base.tasks}
        for word, names, noun in ((scenario, base.scenarios, "scenario"), (task, tasks, "task")):
            if word not in names:
                raise UserError(
                    f"there is no {noun} {word!r} with a result",
                    did_you_mean(word, names),
                    code=f"unknown-{noun}",
                )
        return self._verdict(scenario, tasks[task])

    def _verdict(self, scenario: str, task: Task) -> str:
        contrast = decisions.of_task(self._view.base, task).get(scenario)
        if contrast is None:
            why = (
                "it is the control" if scenario == self._view.base.control else "without a control"
            )
            raise UserError(
                f"{scenario} is compared with nothing: {why}",
                "name another scenario, or a `control` in the experiment",
                code="no-control",
            )
        return wording.verdict(contrast)

    def figure(self) -> Figure:
        """The figure of the decision: what each scenario trains, how its scores change, and what it
        costs.

        Raises:
            UserError: no trial has a result to draw.
        """
        with canvas.style():
            drawn = decision(self._view.base)
        if drawn is None:
            raise UserError(
                "no trial has a result to draw", "`failures` says why", code="no-result"
            )
        return drawn

    @cached_property
    def _evidence(self) -> Evidence:
        return Evidence(self.suite, groups(self.suite, self.records))

    @cached_property
    def _view(self) -> View:
        return View(self.suite, list(self._evidence.groups))

    def __repr__(self) -> str:
        return "\n".join(self.lines) or "\n".join(
            [f"{counted(len(self.records), 'trial')} without a result", *self._failed]
        )

    @property
    def _failed(self) -> list[str]:
        return [f"{trial}: {why}" for trial, why in self.failures.items()]

    def _repr_html_(self) -> str:
        """The first screen of the report for a notebook: decision, figure, table, and failures."""
        view, drawings = self._view, scores.drawings(self._view.base)
        wanted = {kind: drawings[kind] for kind in ("decision",) if kind in drawings}
        with TemporaryDirectory() as folder:
            plots = canvas.write_all(wanted, Path(folder) / "plots")
            failed = part("**Failures**", provenance.failures(view.groups))
            return fragment(joined(*document.first_screen(view, plots), failed), Path(folder))


def read(output: Path) -> Comparison:
    """Read the results of an experiment from the records in its output or, if nothing was run
    there, from the published records.

    Raises:
        UserError: there is no suite, or a record cannot be read.
    """
    origin = publish.origin(output)
    suite, trials = Journal(origin).read()
    return Comparison(suite, tuple(trials), origin, output)
