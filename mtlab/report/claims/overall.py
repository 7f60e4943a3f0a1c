"""One verdict on a claim from all its findings, and the findings that speak most for and against it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mtlab.report.claims.evidence import ClaimVerdict, Evidence, Finding
from mtlab.report.claims.register import CLAIMS, Claim, findings

Overall = Literal["supported", "contradicted", "mixed", "open"]

RULE = {
    "supported": "some findings support the claim and none contradicts it",
    "contradicted": "some findings contradict the claim and none supports it",
    "mixed": "some findings support the claim and some contradict it",
    "open": "no finding decides",
}
"""The rule in words; :attr:`Evaluation.verdict` applies it."""


@dataclass(frozen=True)
class Sourced:
    """A finding, and the folder of its experiment."""

    finding: Finding
    folder: Path


@dataclass(frozen=True)
class Evaluation:
    """All findings about a claim."""

    findings: Sequence[Sourced]

    @property
    def verdict(self) -> Overall:
        """The verdict over all findings, by :data:`RULE`."""
        support, against = self.count("supported"), self.count("contradicted")
        if support and against:
            return "mixed"
        if support:
            return "supported"
        return "contradicted" if against else "open"

    def count(self, verdict: ClaimVerdict) -> int:
        """How many findings have a verdict."""
        return len(self._of(verdict))

    def strongest(self, verdict: ClaimVerdict) -> Sourced | None:
        """The finding with a verdict whose interval must move furthest to lose it, in its own widths
        (:attr:`Finding.strength`); of equal ones that with the most seeds, then the first.
        """
        return max(self._of(verdict), key=_strength, default=None)

    @property
    def decisive(self) -> list[Sourced]:
        """The strongest finding of the verdict; where the verdict is mixed, that for and that against
        the claim.
        """
        verdict = self.verdict
        sides: Iterable[ClaimVerdict] = (
            ("supported", "contradicted") if verdict == "mixed" else (verdict,)
        )
        return [sourced for side in sides if (sourced := self.strongest(side)) is not None]

    def _of(self, verdict: ClaimVerdict) -> list[Sourced]:
        return [sourced for sourced in self.findings if sourced.finding.verdict == verdict]


def evaluate(experiments: Mapping[Path, Evidence]) -> dict[Claim, Evaluation]:
    """Every claim with all its findings; the list is empty for a claim that no record tests.

    Args:
        experiments: folder to the results in it.
    """
    return {
        claim: Evaluation(
            [
                Sourced(finding, folder)
                for folder, evidence in experiments.items()
                for finding in findings(claim, evidence)
            ]
        )
        for claim in CLAIMS
    }


def _strength(sourced: Sourced) -> tuple[float, int]:
    return sourced.finding.strength, sourced.finding.seeds
