"""The pages of a checkout that results are part of: advice, the README, and the guide to
experiments.
"""

from collections.abc import Sequence
from pathlib import Path

from mtlab.plan import yaml_file
from mtlab.plan.errors import UserError
from mtlab.record.files import write_atomically
from mtlab.report import markdown
from mtlab.report.faults import explain_errors
from mtlab.report.markdown import text
from mtlab.report.pages import advice, cards, keys, markers, results
from mtlab.report.pages.advice import Weighed
from mtlab.report.pages.markers import Writers
from mtlab.report.pages.reports import Reports

GUIDES = ("README.md", "experiments/README.md", "experiments/KEYS.md")
"""Pages next to the folder of reports, whose generated parts are written."""

EXPERIMENTS = "experiments"
"""The folder next to it that has experiment files, with their lab cards."""


def write_pages(directory: Path) -> list[Path]:
    """Write the advice of a folder of reports, the generated parts of the pages next to it, and the lab
    cards.

    A page without generated parts stays as it is, and so does a folder without advice.

    Args:
        directory: the folder, such as ``reports``.

    Raises:
        UserError: a part cannot be written, because its report or setting is missing or wrong, or
            because the reports do not support the advice.
    """
    reports = Reports(directory)
    written = []
    with explain_errors(directory):
        pieces = None
        if (directory / advice.FILE).exists():
            pieces = advice.read(directory / advice.FILE, reports)
            path = directory / advice.PAGE
            write_atomically(path, advice.page(pieces, reports, path))
            written.append(path)
        for path in (directory.parent / name for name in GUIDES):
            page = path.read_bytes().decode(errors="surrogateescape") if path.exists() else ""
            if markers.parts(page, str(path)):
                writers = _writers(reports, pieces, path)
                filled = markers.filled(page, writers, str(path))
                write_atomically(path, filled.encode(errors="surrogateescape"))
                written.append(path)
        written += cards.write(directory.parent / EXPERIMENTS, reports)
    return written


def _writers(reports: Reports, pieces: Sequence[Weighed] | None, page: Path) -> Writers:
    """What writes the parts of a page.

    Args:
        reports: that they are about.
        pieces: of advice; None without a file of advice.
        page: the page.
    """

    def advised(_: str) -> str:
        if pieces is None:
            raise UserError("there is no advice", f"write {advice.FILE}", code="no-reports")
        return advice.table(pieces, reports, page)

    return {
        "answer": lambda report: results.answer(report, reports),
        "figure": lambda report: results.figure(report, reports, page),
        "table": lambda report: results.table(report, reports),
        "advice": advised,
        "experiments": lambda _: experiments(page.parent, reports, page),
        "keys": lambda _: keys.page(),
    }


def experiments(directory: Path, reports: Reports, page: Path) -> str:
    """A row for each experiment file of a folder: its question, and its report.

    Raises:
        UserError: a file cannot be read.
    """
    rows = []
    for file in sorted(directory.glob("*.yaml")):
        question = yaml_file.read(file).value.get("question")
        if question:
            published = file.stem in reports.folders
            report = reports.link(file.stem, page) if published else "not published"
            rows.append([f"[{text(file.stem)}]({file.name})", text(question), report])
    return markdown.table(["file", "question", "report"], rows, words=3)
