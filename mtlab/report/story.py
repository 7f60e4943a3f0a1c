"""What the suite's page in MLflow says: the question, the answer, the table, and what to take home."""

from pathlib import Path

from mtlab.record.journal import Journal
from mtlab.report import markdown, sections, winner
from mtlab.report.answer import answer
from mtlab.report.evidence import Evidence
from mtlab.report.groups import groups


def story(directory: Path) -> str:
    """Markdown, in which what comes from data and names is inert.

    Args:
        directory: of the records.

    Raises:
        UserError: there is no suite, or a record cannot be read.
    """
    suite, trials = Journal(directory).read()
    group = Evidence(suite, groups(suite, trials)).base
    at = f" at {markdown.text(group.label)}" if group.label else ""
    parts = [
        f"**Question:** {markdown.text(suite.question or 'which parts should be frozen?')}",
        f"**Answer{at}.** {answer(group)}",
        sections.results(group),
        "**To take home:** " + winner.section(suite, group),
        "The whole report is among the artifacts: `report.md`, `report.html`, `trials.csv` and the plots.",
    ]
    return "\n\n".join(parts)
