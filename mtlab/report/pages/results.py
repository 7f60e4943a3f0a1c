"""A report in short, for another page: its answer, its figure and its verdicts."""

from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.report import markdown, wording
from mtlab.report.comparison import decisions
from mtlab.report.comparison.decisions import Contrast
from mtlab.report.comparison.groups import Group, Task
from mtlab.report.decision import box
from mtlab.report.figures.costs import costs
from mtlab.report.markdown import fixed, name, signed, text, times
from mtlab.report.pages.reports import Reports
from mtlab.report.sections.telling import main_figure
from mtlab.report.statistics import intervals


def answer(report: str, reports: Reports) -> str:
    """The decision box of a report.

    Raises:
        UserError: there is no such report.
    """
    read = reports.evidence(report)
    return box.box(read.suite, read.groups, read.base).markdown


def figure(report: str, reports: Reports, page: Path) -> str:
    """The main figure of a report.

    Raises:
        UserError: there is no such report, or it has no figure.
    """
    file = main_figure(reports.folder(report) / "plots")
    if file is None:
        problem = f"the report {report!r} has no figure"
        raise UserError(problem, "publish it again", code="no-reports")
    about = f"{text(report)}: what each scenario trains, how its scores change, and what it costs"
    return f"![{about}]({reports.address(report, page, f'plots/{file}')})"


def table(report: str, reports: Reports) -> str:
    """A row for each scenario of a report: its verdicts against the control, and its cost.

    Raises:
        UserError: there is no such report, or its control has no result.
    """
    group = reports.evidence(report).base
    control = group.control
    if control is None or not group.of(control):
        problem = f"the report {report!r} has no result of a control"
        raise UserError(problem, "name another report", code="no-reports")
    cost = costs(group)
    contrasts = {task: decisions.of_task(group, task) for task in group.tasks}
    rows = [
        [
            name(scenario),
            *(_verdict(by_scenario.get(scenario)) for by_scenario in contrasts.values()),
            times(spent.interval.mean, spent.interval.low, spent.interval.high),
        ]
        for scenario, spent in cost.ratios.items()
    ]
    scores = [score(group, task, control) for task in contrasts]
    rows.append([f"{name(control)} (control)", *scores, "1.00×"])
    header = ["scenario", *(text(task.metric_title) for task in contrasts), cost.title]
    return markdown.table(header, rows)


def score(group: Group, task: Task, scenario: str) -> str:
    """The mean score of a scenario at a task."""
    return fixed(intervals.estimate(group.samples(task)[scenario], within=task.kind.limits).mean)


def _verdict(contrast: Contrast | None) -> str:
    if contrast is None or contrast.interval.mean is None:
        return "–"
    return f"{signed(contrast.interval.mean)} {wording.verdict(contrast)}"
