"""The page of claims: one verdict a claim over all findings, and the strongest finding on each side."""

import math
import re
from pathlib import Path

import pytest

from mtlab.report.claims import verdicts
from mtlab.report.claims.evidence import ClaimVerdict, Finding
from mtlab.report.claims.overall import RULE, Evaluation, Sourced
from mtlab.report.claims.register import CLAIMS

from . import factory

PAGE = Path(__file__).parents[2] / "reports" / "claims.md"
FOLD = re.compile(r"<details>.*?</details>", re.DOTALL)


def finding(
    verdict: ClaimVerdict,
    low: float | None = 0.1,
    high: float | None = 0.2,
    limits: tuple[float, ...] = (0.0,),
    seeds: int = 3,
) -> Finding:
    return Finding(
        verdict, "", "", 0.15, low, high, "difference", seeds, "", ("some",), limits=limits
    )


def evaluation(*found: Finding) -> Evaluation:
    return Evaluation([Sourced(one, Path(str(at))) for at, one in enumerate(found)])


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (("supported", "open", "supported"), "supported"),
        (("contradicted", "open"), "contradicted"),
        (("supported", "supported", "contradicted"), "mixed"),
        (("open", "open"), "open"),
    ],
)
def test_the_overall_verdict_is_of_the_findings_that_decide(given, verdict):
    assert evaluation(*map(finding, given)).verdict == verdict
    assert verdict in RULE


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        pytest.param(finding("supported", 0.1, 0.3), finding("supported", 0.2, 0.4), id="far"),
        pytest.param(finding("supported", 0.1, 0.3), finding("supported", 0.1, 0.2), id="narrow"),
        pytest.param(
            finding("supported", 0.1, 0.2), finding("supported", -0.3, -0.2), id="either side"
        ),
        pytest.param(finding("supported", 1.05, 1.15, (1.0,)), finding("supported"), id="a ratio"),
        pytest.param(
            finding("supported", 0.0, 0.019, (-0.02, 0.02)),
            finding("supported", -0.01, 0.01, (-0.02, 0.02)),
            id="the middle of the margin",
        ),
        pytest.param(finding("supported", None, None), finding("supported"), id="no interval"),
        pytest.param(finding("supported"), finding("supported", 0.1, 0.1), id="exact"),
        pytest.param(finding("supported"), finding("supported", seeds=5), id="more seeds"),
    ],
)
def test_the_strongest_finding_has_most_to_go_in_its_own_widths(weaker, stronger):
    for order in ((weaker, stronger), (stronger, weaker)):
        found = evaluation(*order, finding("contradicted", 5.0, 5.0))
        assert found.strongest("supported").finding == stronger
    assert evaluation(weaker).strongest("contradicted") is None


def test_how_far_an_interval_must_move_is_in_its_widths():
    assert finding("supported", 0.1, 0.2).strength == pytest.approx(1.0)
    assert finding("contradicted", -0.01, 0.01, (-0.02, 0.02)).strength == pytest.approx(0.5)
    assert finding("open", -0.1, 0.3).strength == pytest.approx(0.25)
    assert finding("supported", 0.0, 0.0).strength == math.inf


def test_what_decides_a_mixed_verdict_is_one_finding_on_each_side():
    found = evaluation(finding("supported"), finding("contradicted"), finding("open"))
    assert [one.finding.verdict for one in found.decisive] == ["supported", "contradicted"]
    assert [one.finding.verdict for one in evaluation(finding("open")).decisive] == ["open"]


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """Of two experiments: heads alone are worse for entities in both, and for topics in one."""
    directory = tmp_path_factory.mktemp("claims")
    for name, accuracy in (("near", 0.9), ("far", 0.5)):
        trials = [
            factory.trial(scenario, seed, scores=scores, spread=0.002)
            for scenario, scores in (
                ("backbone_frozen", (accuracy, 0.3)),
                ("full_finetune", (0.9, 0.8)),
            )
            for seed in range(5)
        ]
        suite = factory.suite(trials, 5, scenarios={trial.scenario: [] for trial in trials})
        factory.journal(directory / name, suite, trials)
    return verdicts.write_page(directory).read_text(encoding="utf-8")


def rows(page: str) -> dict[str, list[str]]:
    """Claim to the cells of its row in the first table."""
    table = page.partition("| claim |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [line.strip("| ").split(" | ") for line in table]
    return {claim.rpartition(" (")[0]: rest for claim, *rest in cells}


def test_every_claim_has_a_row_and_untested_ones_say_what_they_need(page):
    by_claim = rows(page)
    assert list(by_claim) == [claim.words for claim in CLAIMS]
    for claim in CLAIMS:
        verdict, first, second, counts = by_claim[claim.words]
        folds = [fold for fold in FOLD.findall(page) if claim.words in fold]
        if verdict == "*not tested*":
            assert (first, second, counts) == (f"needs {claim.needs}", "–", "–")
            assert not folds
        else:
            assert verdict.strip("*") in RULE
            assert len(folds) == 1
            assert folds[0].count("\n| [") == sum(map(int, counts.split("/")))


def test_a_row_has_the_strongest_finding_with_its_report_task_and_interval(page):
    verdict, support, against, counts = rows(page)[
        "Freezing the backbone is ideal below 10,000 samples, fine-tuning beyond."
    ]
    assert (verdict, support, counts) == ("**contradicted**", "–", "0/3/1")
    assert re.fullmatch(
        r"\[(near|far)\]\(\1/report\.md\): entity recognition −0\.\d+ .*\d", against
    )


def test_the_page_is_short_outside_its_folds():
    words = [word for word in FOLD.sub("", PAGE.read_text()).split() if re.search(r"\w", word)]
    assert len(words) <= 900
