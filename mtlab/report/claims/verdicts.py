"""Claims and their verdicts in words: a report's section, and a page over several reports."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from mtlab.plan.errors import UserError
from mtlab.record.files import write_atomically
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord
from mtlab.report import markdown
from mtlab.report.claims.evidence import Evidence, Finding
from mtlab.report.claims.register import CLAIMS, Claim, findings
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.faults import explain_errors
from mtlab.report.markdown import listing, name, text

PUBLISHED = "published"
"""The folder, next to those of runs, that holds answers to be committed."""

HEADER = ["verdict", "measured", "effect", "on", "trials of"]

HOW_TO_READ = (
    "*Undecided*: the interval allows both. A claim that two scenarios differ is *contradicted* where they are equivalent. A pair of "
    "scenarios has the same interval here as in the results. Intervals cover other seeds and other test sentences."
)


def section(suite: SuiteRecord, groups: Sequence[Group]) -> str:
    """Every claim with its findings in these records; claims that the records do not test are
    listed without a verdict.
    """
    evidence = Evidence(suite, groups)
    said = {claim: findings(claim, evidence) for claim in CLAIMS}
    rows = [
        [
            f"**{text(claim.name)}**: {text(claim.words)} ({text(claim.source)})"
            if at == 0
            else f"({text(claim.name)})",
            *_cells(finding),
        ]
        for claim, some in said.items()
        for at, finding in enumerate(some)
    ]
    if not rows:
        return "These records test none of the claims."
    lead = f"{_setting(suite)} A verdict holds for these and says nothing of others. {HOW_TO_READ}"
    untested = _untested(claim for claim, some in said.items() if not some)
    return "\n\n".join(
        part for part in (lead, markdown.table(["claim", *HEADER], rows, words=3), untested) if part
    )


def write_page(directory: Path) -> Path:
    """Write ``claims.md`` into ``directory``: the findings of its experiments about every claim.

    Raises:
        UserError: the directory has no report, a record cannot be read, or the page cannot be
            written.
    """
    path = directory / "claims.md"
    reports = folders(directory)
    with explain_errors(directory):
        write_atomically(
            path,
            _page({folder.relative_to(directory): Journal(folder).read() for folder in reports}),
        )
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


def _page(read: Mapping[Path, tuple[SuiteRecord, list]]) -> str:
    evidence = {
        folder: Evidence(suite, groups(suite, trials)) for folder, (suite, trials) in read.items()
    }
    parts = ["# Claims about freezing, put to the test", HOW_TO_READ]
    parts += [
        f"- {_link(folder)}: {_setting(records.suite)}" for folder, records in evidence.items()
    ]
    untested = []
    for claim in CLAIMS:
        rows = [
            [_link(folder), *_cells(finding)]
            for folder, records in evidence.items()
            for finding in findings(claim, records)
        ]
        if rows:
            parts += [
                f"## {text(claim.words)}",
                f"*{text(claim.source)}*",
                markdown.table(["experiment", *HEADER], rows, words=3),
            ]
        else:
            untested.append(claim)
    return "\n\n".join(part for part in (*parts, _untested(untested)) if part) + "\n"


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


def _untested(claims: Iterator[Claim] | Sequence[Claim]) -> str:
    named = [f"*{text(claim.name)}* (needs {text(claim.needs)})" for claim in claims]
    return f"**Not tested here**, and so without a verdict: {'; '.join(named)}." if named else ""


def _cells(finding: Finding) -> list[str]:
    on = f"{finding.seeds} seed{'' if finding.seeds == 1 else 's'}, {text(finding.at)}"
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
        return f"{markdown.signed(finding.effect)}{markdown.bounds(finding.low, finding.high)}"
    if finding.form == "ratio":
        return f"{finding.effect:.2f}×{markdown.bounds(finding.low, finding.high, 2)}"
    if finding.form == "count":
        low, high = ("–" if end is None else f"{end:.0f}" for end in (finding.low, finding.high))
        return f"{finding.effect:.0f} [{low} to {high}]"
    if finding.low == finding.high:
        return f"{finding.effect:.3%}"
    return f"{finding.effect:.3f}{markdown.bounds(finding.low, finding.high)}"
