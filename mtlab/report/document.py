"""The report: ``report.md``, ``trials.csv`` and ``plots/``, rebuilt from the records of a directory and from nothing else."""

from collections.abc import Callable
from pathlib import Path

from mtlab.record.journal import Journal, write_atomically
from mtlab.record.records import SuiteRecord
from mtlab.report import figures, markdown, provenance, sections
from mtlab.report.answer import answer
from mtlab.report.figures import Plot
from mtlab.report.groups import Group, groups
from mtlab.report.table import to_csv, trials_table

Plots = dict[str, Plot]


def write(directory: Path) -> Path:
    """Write the table, the plots and the report of a directory's records beside them.

    The same records give the same bytes, whenever and wherever they are read.

    Returns:
        The path of ``report.md``.

    Raises:
        UserError: the directory has no suite, or a record cannot be read.
    """
    suite, trials = Journal(directory).read()
    write_atomically(directory / "trials.csv", to_csv(trials_table(suite, trials)))
    found = groups(suite, trials)
    for old in (directory / "plots").glob("*.[ps][nv]g"):  # of an earlier run with other points
        old.unlink()
    drawn = [figures.write_all(group, directory / "plots", _suffix(at, found)) for at, group in enumerate(found, start=1)]
    path = directory / "report.md"
    write_atomically(path, document(suite, found, drawn))
    return path


def _suffix(at: int, found: list[Group]) -> str:
    return f"-{at}" if len(found) > 1 else ""


def document(suite: SuiteRecord, found: list[Group], drawn: list[Plots]) -> str:
    """The report's markdown: question, answer, one figure and the table first, the details after them."""
    pairs = list(zip(found, drawn, strict=True))
    parts = [
        f"# {markdown.text(suite.experiment.get('name', 'experiment'))}",
        f"> **Question:** {markdown.text(suite.question or 'which parts should be frozen?')} {_asked(suite, found)}",
        *(_first_screen(group, plots) for group, plots in pairs),
        sections.notes(found[0]),
        "## What each scenario trains",
        _scenarios(found),
        "## Intervals",
        _each(pairs, lambda group, plots: _joined(*(_figure(plots, kind) for kind in ("intervals", "differences") if kind in plots))),
        "## Entities",
        _each(pairs, lambda group, plots: sections.entities(group)),
        "## Cost",
        _each(pairs, lambda group, plots: _joined(sections.cost(group), _figure(plots, "time_by_lap"))),
        sections.cost_words(suite),
        "## Learning curves",
        _each(pairs, lambda group, plots: _figure(plots, "learning_curves")),
        "## Parameters",
        _each(pairs, lambda group, plots: _joined(sections.parameters(group), _figure(plots, "parameters"))),
        *_trust(suite, found),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _asked(suite: SuiteRecord, found: list[Group]) -> str:
    """What was run to answer, in brackets."""
    amounts = {"scenario": len(found[0].scenarios), "seed": len(found[0].seeds), "point": len(found)}
    counts = [f"{many} {what}{'' if many == 1 else 's'}" for what, many in amounts.items() if what != "point" or many > 1]
    encoders = dict.fromkeys(markdown.name(facts.get("name") or "unknown") for facts in suite.encoder.values())
    return f"({' × '.join(counts)}; encoder {', '.join(encoders)}.)"


def _first_screen(group: Group, plots: Plots) -> str:
    heading = f"## At {markdown.text(group.label)}" if group.label else ""
    return _joined(heading, f"**Answer.** {answer(group)}", _figure(plots, "quality_vs_time"), sections.results(group))


def _trust(suite: SuiteRecord, found: list[Group]) -> list[str]:
    pairs: list[tuple[Group, Plots]] = [(group, {}) for group in found]
    return [
        "## Failures",
        provenance.failures(found),
        "## Certificates",
        provenance.certificates(found),
        "## Selection",
        _each(pairs, lambda group, plots: provenance.selection(group)),
        "## Data",
        provenance.data(suite),
        "## Encoder",
        provenance.encoder(suite),
        "## Environment",
        provenance.environment(suite),
        "## How to reproduce",
        provenance.reproduce(suite),
    ]


def _scenarios(found: list[Group]) -> str:
    """The lines on scenarios once, unless the sweep changes them."""
    lines = [sections.scenarios(group) for group in found]
    if len(set(lines)) == 1:
        return lines[0]
    return _each([(group, {}) for group in found], lambda group, plots: sections.scenarios(group))


def _each(pairs: list[tuple[Group, Plots]], make: Callable[[Group, Plots], str]) -> str:
    """A section's part for every point, headed by the point where there are several."""
    return _joined(*(_joined(f"### At {markdown.text(group.label)}" if group.label else "", make(group, plots)) for group, plots in pairs))


def _figure(plots: Plots, kind: str) -> str:
    if kind not in plots:
        return "No figure: no trial ended well."
    plot = plots[kind]
    alt = markdown.text(plot.alt)
    return f"![{alt}](plots/{plot.name}.png)\n\n*{plot.caption}*"


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
