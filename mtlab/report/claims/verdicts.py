"""Claims and their verdicts in words: a report's section, and the page that gathers those of
several reports.
"""

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
from mtlab.report.faults import told
from mtlab.report.markdown import listing, name, text

PUBLISHED = "published"
"""The folder beside those of runs that holds answers to be committed."""

HEADER = ["verdict", "measured", "effect", "on", "trials of"]

HOW_TO_READ = (
    "*Undecided*: the interval allows both. Intervals cover other seeds and other test sentences, and are adjusted for the effects that a "
    "claim is judged by in one experiment."
)


def section(suite: SuiteRecord, found: Sequence[Group]) -> str:
    """Every claim with what these records say of it; those that they do not test are named, without
    a verdict.
    """
    evidence = Evidence(suite, found)
    said = {claim: findings(claim, evidence) for claim in CLAIMS}
    rows = [
        [
            f"**{text(claim.name)}**: {text(claim.words)} ({text(claim.source)})"
            if at == 0
            else f"({text(claim.name)})",
            *_cells(one),
        ]
        for claim, some in said.items()
        for at, one in enumerate(some)
    ]
    if not rows:
        return "These records test none of the claims."
    lead = f"{_setting(suite)} A verdict holds for these and says nothing of others. {HOW_TO_READ}"
    untested = _untested(claim for claim, some in said.items() if not some)
    return "\n\n".join(
        part for part in (lead, markdown.table(["claim", *HEADER], rows, words=3), untested) if part
    )


def write_page(directory: Path) -> Path:
    """Write ``claims.md`` into ``directory``: what the reports of its experiments say of every
    claim.

    Raises:
        UserError: no report lies there, a record cannot be read, or the records make no sense.
    """
    path = directory / "claims.md"
    found = folders(directory)
    with told(directory):
        write_atomically(
            path, _page({folder.relative_to(directory): Journal(folder).read() for folder in found})
        )
    return path


def folders(directory: Path) -> list[Path]:
    """The folders with records in a directory, by name: of answers that were published, or of runs
    where none was.

    Raises:
        UserError: there is none.
    """
    found = sorted(path.parent for path in directory.glob(f"{PUBLISHED}/*/suite.json"))
    found = found or sorted(path.parent for path in directory.glob("*/suite.json"))
    if not found:
        raise UserError(
            "there is no report in its folders",
            "give the folder that holds them, such as reports",
            where=str(directory),
        )
    return found


def _page(read: Mapping[Path, tuple[SuiteRecord, list]]) -> str:
    evidence = {
        folder: Evidence(suite, groups(suite, trials)) for folder, (suite, trials) in read.items()
    }
    parts = ["# Claims about freezing, put to the test", HOW_TO_READ]
    parts += [f"- {_link(folder)}: {_setting(one.suite)}" for folder, one in evidence.items()]
    untested = []
    for claim in CLAIMS:
        rows = [
            [_link(folder), *_cells(found)]
            for folder, one in evidence.items()
            for found in findings(claim, one)
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
    """The address of a file in a folder, whose names may be anything that a file system takes."""
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


def _cells(found: Finding) -> list[str]:
    on = f"{found.seeds} seed{'' if found.seeds == 1 else 's'}, {text(found.at)}"
    return [
        f"*{found.verdict}*",
        text(found.measured),
        effect(found),
        on,
        ", ".join(map(name, found.scenarios)),
    ]


def effect(found: Finding) -> str:
    """A finding's effect with its interval, in the form that suits it."""
    if found.effect is None:
        return "none" + (f" [{found.low:.0f} to –]" if found.low is not None else "")
    if found.form == "difference":
        return f"{markdown.signed(found.effect)}{markdown.bounds(found.low, found.high)}"
    if found.form == "ratio":
        return f"{found.effect:.2f}×{markdown.bounds(found.low, found.high, 2)}"
    if found.form == "count":
        low, high = ("–" if end is None else f"{end:.0f}" for end in (found.low, found.high))
        return f"{found.effect:.0f} [{low} to {high}]"
    if found.low == found.high:
        return f"{found.effect:.3%}"
    return f"{found.effect:.3f}{markdown.bounds(found.low, found.high)}"
