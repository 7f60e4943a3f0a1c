"""Lab cards: the comment on top of an experiment file, with what was measured.

The paragraph of the comment that begins with ``# Measured:`` is written from the report of the same
name; the rest of the file stays as it is.
"""

import itertools
import os
import textwrap
from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.plan.words import counted
from mtlab.record.files import write_atomically
from mtlab.report import gallery
from mtlab.report.claims.evidence import Evidence
from mtlab.report.decision.box import answer_line
from mtlab.report.pages import results
from mtlab.report.pages.reports import Reports

BEGINS = "# Measured:"
WIDTH = 140


def write(directory: Path, reports: Reports) -> list[Path]:
    """Write the lab cards of the experiment files in a folder; the files that have such a paragraph.

    Raises:
        UserError: an experiment has no report.
    """
    written = []
    for file in sorted(directory.glob("*.yaml")):
        lines = file.read_bytes().decode(errors="surrogateescape").splitlines(keepends=True)
        start = next((at for at, line in enumerate(lines) if line.startswith(BEGINS)), None)
        if start is not None:
            count = len(list(itertools.takewhile(_is_text, lines[start:])))
            end = "\r\n" if lines[start].endswith("\r\n") else "\n"
            card = _card(file, start + 1, reports)
            lines[start : start + count] = [line + end for line in card]
            write_atomically(file, "".join(lines).encode(errors="surrogateescape"))
            written.append(file)
    return written


def _is_text(line: str) -> bool:
    """Whether a line is a comment that says something."""
    return line.startswith("#") and bool(line.strip("# \r\n"))


def _card(file: Path, line: int, reports: Reports) -> list[str]:
    """The lines of the paragraph of a file, at a line."""
    if file.stem not in reports.folders:
        raise UserError(
            "the lab card tells what was measured, and there is no report",
            f"write 'It has not been run.' there, or publish a run: mtlab publish {file}",
            where=f"{file}:{line}",
            code="no-reports",
        )
    summary = measured(reports.evidence(file.stem))
    report = Path(os.path.relpath(reports.folder(file.stem), file.parent.parent)) / "report.md"
    paragraph = f"{BEGINS} {summary} See {report.as_posix()}."
    return textwrap.wrap(paragraph, WIDTH, subsequent_indent="# ", break_on_hyphens=False)


def measured(evidence: Evidence) -> str:
    """How much ran where, in which time, what the control scored, and the answer."""
    suite, base = evidence.suite, evidence.base
    trials = counted(sum(len(group.trials) for group in evidence.groups), "trial")
    time = gallery.minutes(suite)
    took = f" in {time}" if time else ""
    facts = [suite.environment.get(key) for key in ("device_name", "precision")]
    machine = ", ".join(str(value) for value in facts if value)
    parts = [f"{trials}{took} ({machine})." if machine else f"{trials}{took}."]
    if base.control is not None and base.of(base.control):
        scores = (
            f"{task.metric_title} {results.score(base, task, base.control)}" for task in base.tasks
        )
        parts.append(f"{base.control}: {', '.join(scores)}.")
    parts.append(answer_line(suite, evidence.groups, base).replace("`", ""))
    return " ".join(part for part in parts if part)
