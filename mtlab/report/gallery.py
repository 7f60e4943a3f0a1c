"""The page before several reports: each experiment's question, its short answer and a figure."""

from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.plan.scenario import point_label
from mtlab.record.files import write_atomically
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord
from mtlab.report.claims.evidence import Evidence
from mtlab.report.claims.verdicts import folders, link
from mtlab.report.comparison import across
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.winner import winner
from mtlab.report.faults import explain_errors
from mtlab.report.markdown import name, text
from mtlab.report.sections import joint, staged
from mtlab.report.sections.answer import in_short
from mtlab.report.sections.telling import main_figure


def write_page(directory: Path) -> Path:
    """Write ``README.md`` into ``directory``: a part for each report of its experiments.

    Raises:
        UserError: the directory has no report, a record cannot be read, or the page cannot be
            written.
    """
    reports, page_file = folders(directory), directory / "README.md"
    if page_file.exists() and not page_file.read_text(
        encoding="utf-8", errors="replace"
    ).startswith(TITLE):
        raise UserError(
            "was not written by this command, and stays unchanged",
            "move it away",
            where=str(page_file),
            code="exists",
        )
    with explain_errors(directory):
        parts = [
            _part(folder, folder.relative_to(directory), *Journal(folder).read())
            for folder in reports
        ]
        page = "\n\n".join([TITLE, LEAD, *parts]) + "\n"
        write_atomically(page_file, page)
    return page_file


TITLE = "# Experiments, their questions and their answers"

LEAD = (
    "In short; each report has the intervals, costs and conditions. What they say together of the claims about freezing: "
    "[claims.md](claims.md). *To take home* is the cheapest scenario that is shown to be at least as good as the control at every task, "
    "or else the best on validation."
)


def _part(folder: Path, address: Path, suite: SuiteRecord, trials: list) -> str:
    points = groups(suite, trials)
    base = Evidence(suite, points).base
    figure = main_figure(folder / "plots")
    picture = (
        f"![The main figure of {text(folder.name)}]({link(address, f'plots/{figure}')})"
        if figure
        else ""
    )
    taken = winner(base)
    point = point_label(taken.trial.point.items()) if taken else ""
    kept = (
        f"To take home: {name(taken.scenario)}{f' at {text(point)}' if point else ''}: {taken.why}."
        if taken
        else ""
    )
    seconds = (
        ""
        if suite.elapsed_s is None or suite.read_back
        else f", {suite.elapsed_s / 60:.0f} minutes"
    )
    amount = f"{len(base.scenarios)} scenarios, {len(base.seeds)} seeds{seconds}"
    lines = [
        f"## [{text(folder.name)}]({link(address, 'report.md')})",
        f"**{text(suite.question)}** ({amount})",
        _answer(suite, points, base),
        kept,
        picture,
    ]
    return "\n\n".join(line for line in lines if line)


def _answer(suite: SuiteRecord, groups: list[Group], base: Group) -> str:
    """The report's first words: across all points where the report has such words, else at its
    base.
    """
    if across.settings_only(groups):
        return in_short(base)
    over = joint.fewest(base) or joint.answer(groups)
    return over or "\n\n".join(part for part in (in_short(base), staged.lost(base)) if part)
