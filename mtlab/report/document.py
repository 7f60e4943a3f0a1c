"""The report: ``report.md``, ``report.html``, ``trials.csv`` and ``plots/``, rebuilt from a
directory's records and from nothing else.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from mtlab.plan.errors import UserError
from mtlab.record.files import write_atomically
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report import markdown
from mtlab.report.claims import verdicts
from mtlab.report.claims.evidence import Evidence
from mtlab.report.comparison import across, winner
from mtlab.report.comparison.groups import Group, Task, groups
from mtlab.report.faults import explain_errors
from mtlab.report.figures import curves, scores, staged_plots
from mtlab.report.figures.canvas import LEFT_OUT, Plot
from mtlab.report.html.page import page
from mtlab.report.sections import body, guided, joint, length, provenance, staged
from mtlab.report.sections.answer import answer, untimed
from mtlab.report.sections.telling import most_telling
from mtlab.report.table import to_csv, trials_table

Plots = dict[str, Plot]

Chosen = Literal["all", "main"]
"""Which figures a report has: all that can be drawn, or the two that tell the most."""


def write(directory: Path, to: Path | None = None, chosen: Chosen = "all") -> Path:
    """Write the table, the plots and the report of a directory's records.

    The same records give the same bytes, whenever and wherever they are read.

    Args:
        directory: where the records are.
        to: where the report goes; next to the records, where none is given.
        chosen: the figures.

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
    """Remove the figures of an earlier report, which may have had others.

    Raises:
        UserError: they lie elsewhere.
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
        }
        for group, suffix in zip(view.shown, suffixes, strict=True)
    ]
    path, report = directory / "report.md", document(view, drawn, over)
    write_atomically(path, report)
    write_atomically(path.with_suffix(".html"), page(report, directory))
    return path


class View:
    """What a report shows of a suite.

    Attributes:
        suite: the record of the experiment.
        groups: its points.
        picked: scenario to the point of its best setting, where points are settings.
        base: the group that represents the whole: the best settings, or the point with the most
            sentences.
        shown: the groups whose results are shown in full.
        chosen: the figures.
    """

    def __init__(self, suite: SuiteRecord, groups: list[Group], chosen: Chosen = "all") -> None:
        self.suite, self.groups, self.chosen = suite, groups, chosen
        self.base = Evidence(suite, groups).base
        self.picked: dict[str, Group] = (
            across.chosen(groups)[1] if across.settings_only(groups) else {}
        )
        self.shown = [self.base] if self.picked else groups


def document(view: View, drawn: list[Plots], over: Plots) -> str:
    """The report's markdown: question, answer, one figure and the table first, the details after
    them.

    Args:
        view: what to show.
        drawn: the figures of each group that is shown.
        over: the figures that look over them.
    """
    suite, groups, shown = view.suite, view.groups, view.shown
    pairs = list(zip(shown, drawn, strict=True))
    parts = [
        f"# {markdown.text(suite.experiment.get('name', 'experiment'))}",
        f"> **Question:** {markdown.text(suite.question or 'which parts should be frozen?')} {_asked(suite, groups)}",
        _over(view, over),
        *(_first_screen(suite, group, plots) for group, plots in pairs),
        body.notes(view.base),
        _part("## Blocks that train", joint.frontier(view.base), over, "quality_vs_blocks"),
        _part(
            "## Settings",
            joint.settings(suite, groups, view.picked) if view.picked else "",
            over,
            "settings",
            "quality_vs_epochs",
        ),
        _part(
            "## What was kept", _each(pairs, _kept) if any(map(staged.section, shown)) else "", {}
        ),
        "## Claims",
        verdicts.section(suite, groups),
        "## What each scenario trains",
        _scenarios(shown),
        _part(
            "## Intervals",
            _each(pairs, lambda _, plots: _figures(plots, "intervals", "differences")),
            {},
        ),
        *(_metrics(task, pairs, over) for task in view.base.every),
        "## Cost",
        _each(
            pairs,
            lambda group, plots: _joined(
                untimed(group), body.cost(group), _figure(plots, "time_by_lap")
            ),
        ),
        body.cost_words(suite),
        _part("## Learning curves", _each(pairs, _learning), {}),
        _part(
            "## Length of training",
            _each(pairs, lambda group, plots: length.section(group, suite.experiment)),
            {},
        ),
        "## Parameters",
        _each(
            pairs,
            lambda group, plots: _joined(body.parameters(group), _figure(plots, "parameters")),
        ),
        *_trust(view),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _over(view: View, over: Plots) -> str:
    """Results across points, before any single point."""
    if view.picked:
        return f"Each scenario stands at the best of {len(view.groups)} settings, chosen on validation (see *Settings*)."
    by_size = _part(
        "## By size of the training data", joint.sizes(view.groups), over, "quality_vs_data"
    )
    return _joined(joint.fewest(view.base), joint.answer(view.groups), by_size)


def _part(heading: str, words: str, over: Plots, *figures: str) -> str:
    """A section with its figures; empty where it has no words."""
    return _joined(heading, words, _figures(over, *figures)) if words else ""


def _asked(suite: SuiteRecord, groups: list[Group]) -> str:
    """The number of scenarios, seeds and points, and the encoders, in brackets."""
    amounts = {
        "scenario": len(groups[0].scenarios),
        "seed": len(groups[0].seeds),
        "point": len(groups),
    }
    counts = [
        f"{many} {what}{'' if many == 1 else 's'}"
        for what, many in amounts.items()
        if what != "point" or many > 1
    ]
    encoders = dict.fromkeys(
        markdown.name(facts.get("name") or "unknown") for facts in suite.encoder.values()
    )
    return f"({' × '.join(counts)}; encoder {', '.join(encoders)}.)"


def _first_screen(suite: SuiteRecord, group: Group, plots: Plots) -> str:
    heading = f"## At {markdown.text(group.label)}" if group.label else ""
    return _joined(
        heading,
        length.warning(group, suite.experiment),
        f"**Answer.** {answer(group)}",
        _figure(plots, "quality_vs_time"),
        body.results(group),
    )


def _metrics(task: Task, pairs: list[tuple[Group, Plots]], over: Plots) -> str:
    words = _each(pairs, lambda group, plots: body.metrics(group, task))
    return _part(f"## {markdown.text(task.heading)}", words, over, curves.parts(task))


def _learning(group: Group, plots: Plots) -> str:
    return _joined(_figure(plots, "learning_curves"), guided.section(group))


def _kept(group: Group, plots: Plots) -> str:
    return _joined(staged.section(group), _figures(plots, *staged_plots.FIGURES))


def _trust(view: View) -> list[str]:
    suite, groups = view.suite, view.groups
    pairs: list[tuple[Group, Plots]] = [(group, {}) for group in view.shown]
    return [
        "## Failures",
        provenance.failures(groups),
        "## Certificates",
        provenance.certificates(groups),
        "## Selection",
        _each(pairs, lambda group, plots: provenance.selection(group)),
        "## Data",
        provenance.data(suite),
        "## Encoder",
        provenance.encoder(suite),
        "## Environment",
        provenance.environment(suite),
        "## The model to take home",
        winner.section(suite, view.base),
        "## How to reproduce",
        provenance.reproduce(suite, view.chosen == "all"),
    ]


def _scenarios(groups: list[Group]) -> str:
    """The lines on scenarios once, unless the sweep changes them."""
    lines = [body.scenarios(group) for group in groups]
    if len(set(lines)) == 1:
        return lines[0]
    return _each([(group, {}) for group in groups], lambda group, plots: body.scenarios(group))


def _each(pairs: list[tuple[Group, Plots]], make: Callable[[Group, Plots], str]) -> str:
    """A section's part for every point that has words for it, under a heading where there are
    several points.
    """
    parts = [(group.label, make(group, plots)) for group, plots in pairs]
    return _joined(
        *(
            _joined(f"### At {markdown.text(label)}" if label else "", words)
            for label, words in parts
            if words
        )
    )


def _figures(plots: Plots, *kinds: str) -> str:
    """The figures that were drawn."""
    return _joined(*(_figure(plots, kind) for kind in kinds if kind in plots))


def _figure(plots: Plots, kind: str) -> str:
    """A figure with its caption; where it was not drawn, the reason; empty where nobody asked for
    it.
    """
    if kind not in plots:
        return "No figure: no trial ended well, or none has what it shows."
    plot = plots[kind]
    if plot is LEFT_OUT:
        return ""
    alt = markdown.text(plot.alt)
    return f"![{alt}](plots/{plot.name}.png)\n\n*{plot.caption}*"


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
