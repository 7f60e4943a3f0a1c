"""The suite's page in MLflow: the question, the decision, the table, and the recommended model."""

from pathlib import Path

from mtlab.report import markdown
from mtlab.report.claims import evidence
from mtlab.report.comparison import winner
from mtlab.report.decision.box import box
from mtlab.report.sections import body, length
from mtlab.report.view import joined


def story(directory: Path) -> str:
    """Markdown in which data and names are inert.

    Args:
        directory: where the records are.

    Raises:
        UserError: there is no suite, or a record cannot be read.
    """
    suite_results = evidence.read(directory)
    suite, group = suite_results.suite, suite_results.base
    at = f"At {markdown.text(group.label)}:" if group.label else ""
    question = markdown.text(suite.question or "which parts should be frozen?")
    decided = (
        box(suite, suite_results.groups, group).markdown if group.good else "No trial ended well."
    )
    return joined(
        f"**Question:** {question}",
        length.warning(group, suite.experiment),
        decided,
        at,
        body.results(group),
        f"**The recommended model:** {winner.section(suite, group)}",
        "The whole report is among the artifacts: `report.md`, `report.html`, `trials.csv` and the plots.",
    )
