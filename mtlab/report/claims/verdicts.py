"""Claims and their verdicts in words: a report's section, and a page over several reports."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from mtlab.plan.errors import UserError
from mtlab.plan.words import counted
from mtlab.record.files import write_atomically
from mtlab.record.records import SuiteRecord
from mtlab.report import markdown
from mtlab.report.claims.evidence import ClaimVerdict, Evidence, Finding, read
from mtlab.report.claims.overall import RULE, Evaluation, Sourced, evaluate
from mtlab.report.claims.register import CLAIMS, Claim
from mtlab.report.comparison.groups import Group
from mtlab.report.faults import explain_errors
from mtlab.report.markdown import listing, name, text

PUBLISHED = "published"
"""The folder, next to those of runs, that holds answers to be committed."""

HEADER = [
    "claim",
    "verdict",
    "strongest finding for",
    "strongest finding against",
    "findings for / against / open",
]

DETAILS = ["experiment", "verdict", "measured", "effect", "on", "trials of"]

UNTESTED = "not tested"

HOW_TO_READ = "\n".join(
    [
        "A *finding* tests a claim at one task, or for one cost, in one experiment. Its interval decides. "
        "*A differs from B* is contradicted where the two are equivalent. *A is at least as good as B* is contradicted where A loses more "
        "than the margin; a smaller loss leaves it open.",
        "",
        *(f"- *{verdict.capitalize()}*: {meaning}." for verdict, meaning in RULE.items()),
        "- *Strongest*: the most certain finding, whose interval must move furthest, in its own widths, for its verdict to change. Its "
        "effect need not be the largest.",
        "",
        "The experiments share data and an encoder, so their findings are not independent.",
    ]
)


def section(suite: SuiteRecord, groups: Sequence[Group]) -> str:
    """A row a claim that these records test: the verdict and the finding behind it, or the two
    behind a mixed one.
    """
    evaluations = evaluate({Path(): Evidence(suite, groups)})
    rows = [
        [
            text(claim.words),
            f"*{evaluation.verdict}*",
            "<br>".join(effect(sourced.finding) for sourced in evaluation.decisive),
            "<br>".join(text(sourced.finding.measured) for sourced in evaluation.decisive),
        ]
        for claim, evaluation in evaluations.items()
        if evaluation.findings
    ]
    if not rows:
        return "These records test none of the claims."
    lead = f"{_setting(suite)} These verdicts hold for this setting alone."
    untested = len(CLAIMS) - len(rows)
    note = f"These records do not test the other {counted(untested, 'claim')}." if untested else ""
    table = markdown.table(["claim", "verdict", "effect", "measured"], rows, words=4)
    return "\n\n".join(part for part in (lead, table, note) if part)


def write_page(directory: Path) -> Path:
    """Write ``claims.md`` into ``directory``: the findings of its experiments about every claim.

    Raises:
        UserError: the directory has no report, a record cannot be read, or the page cannot be
            written.
    """
    path = directory / "claims.md"
    reports = folders(directory)
    with explain_errors(directory):
        page = _page({folder.relative_to(directory): read(folder) for folder in reports})
        write_atomically(path, page)
    return path


def folders(directory: Path) -> list[Path]:
    """The folders with records in a directory, by name: of published answers or, without any, of
    runs.

    Raises:
        UserError: there is none.
    """
    paths = sorted(path.parent for path in directory.glob(f"{PUBLISHED}/*/suite.json"))
    paths = paths or sorted(path.parent for path in directory.glob("*/suite.json"))
    if not paths:
        raise UserError(
            "there is no report in its folders",
            "give the folder that holds them, such as reports",
            where=str(directory),
            code="no-reports",
        )
    return paths


def _page(experiments: Mapping[Path, Evidence]) -> str:
    evaluations = evaluate(experiments)
    rows = [_row(claim, evaluation) for claim, evaluation in evaluations.items()]
    settings = [
        f"- {_link(folder)}: {_setting(evidence.suite)}" for folder, evidence in experiments.items()
    ]
    parts = [
        "# Claims about freezing, put to the test",
        _tally(evaluations),
        markdown.table(HEADER, rows, words=4),
        "## How to read the table",
        HOW_TO_READ,
        "## Every finding",
        *(_details(claim, outcome) for claim, outcome in evaluations.items() if outcome.findings),
        "## The experiments",
        markdown.details("What each experiment trains on, and from where", "\n".join(settings)),
    ]
    return "\n\n".join(parts) + "\n"


def _tally(evaluations: Mapping[Claim, Evaluation]) -> str:
    """How many claims have each verdict."""
    counts = Counter(
        evaluation.verdict if evaluation.findings else UNTESTED
        for evaluation in evaluations.values()
    )
    tally = [f"{count} {verdict}" for verdict in (*RULE, UNTESTED) if (count := counts[verdict])]
    return f"{counted(len(evaluations), 'claim')}: {listing(tally)}."


def _row(claim: Claim, evaluation: Evaluation) -> list[str]:
    """A claim's line in the first table."""
    named = f"{text(claim.words)} ({text(claim.source)})"
    if not evaluation.findings:
        return [named, f"*{UNTESTED}*", f"needs {text(claim.needs)}", "–", "–"]
    sides: tuple[ClaimVerdict, ...] = ("supported", "contradicted", "open")
    return [
        named,
        f"**{evaluation.verdict}**",
        *(_evidence(evaluation.strongest(side)) for side in sides[:2]),
        "/".join(str(evaluation.count(side)) for side in sides),
    ]


def _evidence(sourced: Sourced | None) -> str:
    if sourced is None:
        return "–"
    finding = sourced.finding
    return f"{_link(sourced.folder)}: {text(finding.about)} {effect(finding)}"


def _details(claim: Claim, evaluation: Evaluation) -> str:
    """Every finding about a claim, folded."""
    rows = [[_link(sourced.folder), *_cells(sourced.finding)] for sourced in evaluation.findings]
    return markdown.details(
        f"{text(claim.words)} ({counted(len(rows), 'finding')})",
        markdown.table(DETAILS, rows, words=3),
    )


def link(folder: Path, file: str) -> str:
    """The address of a file in a folder, whose name may have any characters."""
    return f"{quote(os.fsencode(folder))}/{file}"


def _link(folder: Path) -> str:
    return f"[{text(folder.name)}]({link(folder, 'report.md')})"


def _setting(suite: SuiteRecord) -> str:
    encoders = dict.fromkeys(
        name(facts.get("name") or "unknown") for facts in suite.encoder.values()
    )
    sources = dict.fromkeys(
        text(source) for facts in suite.data.values() for source in facts.get("sources", [])
    )
    data = f"; data {listing(list(sources))}" if sources else ""
    protocol = "cold (pretrained encoder, new heads)"
    if suite.experiment.get("start"):
        first = dict.fromkeys(
            text(source)
            for facts in suite.data.values()
            for source in facts.get("start", {}).get("sources", [])
        )
        protocol = (
            f"staged (each scenario starts from a checkpoint trained on {listing(list(first))})"
        )
    return f"Protocol: {protocol}; encoder {listing(list(encoders))}{data}."


def _cells(finding: Finding) -> list[str]:
    on = f"{counted(finding.seeds, 'seed')}, {text(finding.at)}"
    return [
        f"*{finding.verdict}*",
        text(finding.measured),
        effect(finding),
        on,
        ", ".join(map(name, finding.scenarios)),
    ]


def effect(finding: Finding) -> str:
    """A finding's effect with its interval, in the form that suits it."""
    if finding.effect is None:
        return "none" + (f" [{finding.low:.0f} to –]" if finding.low is not None else "")
    if finding.form == "difference":
        return markdown.measured(finding.effect, finding.low, finding.high, sign=True)
    if finding.form == "ratio":
        return markdown.times(finding.effect, finding.low, finding.high)
    if finding.form == "count":
        low, high = ("–" if end is None else f"{end:.0f}" for end in (finding.low, finding.high))
        return f"{finding.effect:.0f} [{low} to {high}]"
    if finding.low == finding.high:
        return f"{finding.effect:.3%}"
    return markdown.measured(finding.effect, finding.low, finding.high)
