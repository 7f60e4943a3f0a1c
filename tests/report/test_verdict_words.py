"""A difference is better, worse, equivalent or unclear, and at least as good: committed reports have no
other word for it.
"""

import re
from pathlib import Path

import pytest

from mtlab.report import markdown

REPORTS = Path(__file__).parents[2] / "reports"
PAGES = [*sorted(REPORTS.glob("*.md")), *sorted(REPORTS.glob("published/*/report.md"))]

OTHER = re.compile(
    r"\b(?:undecided|ties?|tied|leads|behind|ahead|forgets|not told|told apart)\b"
    r"|(?<!at least )\bas good\b",
    re.IGNORECASE,
)


def test_other_words_are_found_and_these_are_not() -> None:
    found = "The two are tied. It is as good. Undecided: `a` leads, `b` is behind."
    assert OTHER.findall(found) == ["tied", "as good", "Undecided", "leads", "behind"]
    assert OTHER.findall("At least as good, better, equivalent (identical) or unclear.") == []


@pytest.mark.parametrize(
    ("low", "high", "printed"),
    [
        (-0.0799, -0.0003, "−0.0401 ± 0.0398"),
        (-0.0801, 0.0003, "−0.0399 ± 0.0402"),
        (-0.08, -0.01, "−0.045 ± 0.035"),
        (0.0, 0.0, "0.000 ± 0.000"),
    ],
)
def test_a_difference_has_decimals_enough_to_see_its_verdict(
    low: float, high: float, printed: str
) -> None:
    assert markdown.measured((low + high) / 2, low, high, sign=True) == printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPORTS)))
def test_a_committed_page_has_no_other_word_for_a_verdict(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    found = [(number, *OTHER.findall(line)) for number, line in enumerate(lines, start=1)]
    assert [words for words in found if len(words) > 1] == []
