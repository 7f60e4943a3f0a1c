"""The suite's page in MLflow: the question, the answer, the table, and the recommendation."""

from pathlib import Path

from mtlab.report import markdown
from mtlab.report.claims import evidence
from mtlab.report.comparison import winner
from mtlab.report.sections import body, length
from mtlab.report.sections.answer import answer


def story(directory: Path) -> str:
    """Markdown in which data and names are inert.

    Args:
        directory: of the records.

    Raises:
        UserError: there is no suite, or a record cannot be read.
    """
    known = evidence.read(directory)
    suite, group = known.suite, known.base
    at = f" at {markdown.text(group.label)}" if group.label else ""
    parts = [
        f"**Question:** {markdown.text(suite.question or 'which parts should be frozen?')}",
        length.warning(group, suite.experiment),
        f"**Answer{at}.** {answer(group)}",
        body.results(group),
        "**To take home:** " + winner.section(suite, group),
        "The whole report is among the artifacts: `report.md`, `report.html`, `trials.csv` and the plots.",
    ]
    return "\n\n".join(part for part in parts if part)
