"""The report: ``report.md``, ``report.html``, ``trials.csv`` and ``plots/``, made from the records
of a directory alone.
"""

from pathlib import Path

from mtlab.plan.errors import UserError
from mtlab.plan.words import counted
from mtlab.record.files import write_atomically
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report import markdown
from mtlab.report.comparison import winner
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.comparison.shifts import shifts
from mtlab.report.decision.box import box
from mtlab.report.faults import explain_errors
from mtlab.report.figures import curves, scores, shift_plots, staged_plots
from mtlab.report.html.page import page
from mtlab.report.sections import (
    appendix,
    body,
    certainty,
    expected,
    length,
    pilot,
    provenance,
    question,
    worth,
)
from mtlab.report.sections.telling import most_telling
from mtlab.report.table import to_csv, trials_table
from mtlab.report.view import Chosen, Plots, View, figures, joined, part
from mtlab.report.wording import untimed


def write(directory: Path, to: Path | None = None, chosen: Chosen = "all") -> Path:
    """Write the table, the plots and the report of a directory's records.

    The same records give the same bytes, at any time and on any machine.

    Args:
        directory: where the records are.
        to: where the report goes; by default next to the records.
        chosen: which figures to draw.

    Returns:
        The path of ``report.md``; ``report.html``, the same for a browser, is in the same folder.

    Raises:
        UserError: the directory has no suite, a record cannot be read, or the report cannot be
            written.
    """
    suite, trials = Journal(directory).read()
    with explain_errors(directory):
        return _write(to or directory, suite, trials, chosen)


def clear(plots: Path) -> None:
    """Remove the figures of an earlier report, because the new report may have other figures.

    Raises:
        UserError: ``plots`` is a symbolic link.
    """
    if plots.is_symlink():
        raise UserError(
            "a link, and files would be deleted where it leads",
            "remove it",
            where=str(plots),
            code="is-link",
        )
    for old in plots.glob("*.[ps][nv]g"):
        old.unlink()


def _write(directory: Path, suite: SuiteRecord, trials: list[TrialRecord], chosen: Chosen) -> Path:
    plots, view = directory / "plots", View(suite, groups(suite, trials), chosen)
    clear(plots)
    write_atomically(directory / "trials.csv", to_csv(trials_table(suite, trials)))
    suffixes = [f"-{at}" if len(view.shown) > 1 else "" for at in range(1, len(view.shown) + 1)]
    wanted = None
    if chosen == "main":
        of_base = next(
            suffix for group, suffix in zip(view.shown, suffixes, strict=True) if group is view.base
        )
        wanted = most_telling(view.groups, view.base, of_base)
    over = curves.write_all(view.groups, view.base, plots, wanted)
    drawn = [
        {
            **scores.write_all(group, plots, suffix, wanted),
            **staged_plots.write_all(group, plots, suffix, wanted),
            **shift_plots.write_all(group, plots, suffix, wanted),
        }
        for group, suffix in zip(view.shown, suffixes, strict=True)
    ]
    path, report = directory / "report.md", document(view, drawn, over)
    write_atomically(path, report)
    write_atomically(path.with_suffix(".html"), page(report, directory))
    return path


def document(view: View, drawn: list[Plots], over: Plots) -> str:
    """The report as markdown: the question, the decision, its figure and the table of results come
    first. How sure the results are, the question's own figure and the costs follow. The appendix
    at the end has the details.

    Args:
        view: what to show.
        drawn: the figures of each group that is shown.
        over: the figures that compare groups.
    """
    suite, base = view.suite, view.base
    pairs = list(zip(view.shown, drawn, strict=True))
    plots = next(plots for group, plots in pairs if group is base)
    base_shifts = shifts(base)
    parts = [
        f"# {markdown.text(suite.experiment.get('name', 'experiment'))}",
        f"> **Question:** {markdown.text(suite.question or 'which parts should be frozen?')} {_asked(suite, view.groups)}",
        *first_screen(view, plots),
        part("## Quality and cost", worth.section(base, base_shifts)),
        part("## Expected and measured", expected.section(base, suite.experiment, base_shifts)),
        part("## Failures", provenance.failures(view.groups)),
        part("## How sure", certainty.section(base, suite.experiment)),
        part("## Pilot", pilot.section(base)),
        *question.sections(view, pairs, plots, over),
        part(
            "## Cost",
            untimed(base),
            body.cost(base) if base.trials else "",
            body.cost_words(suite) if base.trials else "",
            figures(plots, "time_by_lap"),
        ),
        part("## The recommended model", winner.section(suite, base)),
        part("## How to reproduce", provenance.reproduce(suite, view.chosen == "all")),
        "## Appendix",
        *appendix.parts(view, pairs, over),
    ]
    return joined(*parts) + "\n"


def first_screen(view: View, plots: Plots) -> list[str]:
    """The decision, its figure and the table of results.

    Args:
        view: what to show.
        plots: the figures of the group that represents the whole.
    """
    suite, base = view.suite, view.base
    if not base.good and not base.pilot:
        return ["**Answer.** No trial ended well, so there is no answer; see *Failures*."]
    at = f"The figure and the table are at {markdown.text(base.label)}." if base.label else ""
    if view.picked:
        at = f"Each scenario has the best of {len(view.groups)} settings, chosen on validation."
    return [
        length.warning(base, suite.experiment),
        box(suite, view.groups, base).markdown,
        figures(plots, "decision"),
        at,
        body.results(base),
    ]


def _asked(suite: SuiteRecord, groups: list[Group]) -> str:
    """The number of scenarios, seeds and points, and the encoders, in brackets."""
    first = groups[0]
    amounts = {"scenario": len(first.scenarios), "seed": len(first.seeds), "point": len(groups)}
    if first.pilot:
        fresh = len(first.seeds) if first.trials else 0
        amounts = {"scenario": len(first.pilot), "pilot seed": 1, "fresh seed": fresh}
    counts = [counted(many, noun) for noun, many in amounts.items() if noun != "point" or many > 1]
    encoders = dict.fromkeys(
        markdown.name(facts.get("name") or "unknown") for facts in suite.encoder.values()
    )
    return f"({' × '.join(counts)}; encoder {', '.join(encoders)}.)"
