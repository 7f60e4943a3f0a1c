"""The verdicts in the terminal are those of the report."""

from pathlib import Path

import pytest

from mtlab.cli import main
from mtlab.report import terminal
from mtlab.report.comparison import decisions
from mtlab.report.comparison.groups import groups
from mtlab.report.wording import effect, verdict

from . import factory, tables
from .tables import CONTROL, RIVALS


def test_each_verdict_stands_beside_its_scenario(tmp_path: Path) -> None:
    shown = {
        RIVALS[0]: tables.noisy(-0.2, 5),
        RIVALS[1]: tables.noisy(0.0, 5),
        CONTROL: tables.control(5, 300),
    }
    suite, trials = tables.ran(shown)
    lines = terminal.lines(factory.journal(tmp_path, suite, trials))
    (group,) = groups(suite, trials)
    by_name = {line.split()[0]: line for line in lines if line}
    for contrast in decisions.against_control(group):
        assert f"{effect(contrast)} {verdict(contrast)}" in by_name[contrast.scenario]
    assert f"{CONTROL} (control)" in by_name[CONTROL] and "0.900" in by_name[CONTROL]
    assert {line.index("training FLOPs") for line in lines[:1]} == {by_name[CONTROL].index("1.00×")}
    said = lines[lines.index("") + 1 :]
    assert said[0].startswith("Do this: ") and said[-1].startswith("Next step: mtlab ")
    assert not any("`" in line for line in said)


def test_a_missing_result_has_no_recommendation(tmp_path: Path) -> None:
    shown = {RIVALS[0]: tables.noisy(-0.2, 3), CONTROL: tables.control(3, 300)}
    suite, trials = tables.ran(shown, failed=[(RIVALS[0], 1)])
    lines = terminal.lines(factory.journal(tmp_path, suite, trials))
    assert "Do this: No recommendation: a trial has no result." in lines
    assert "unclear (runs failed to train)" in next(line for line in lines if RIVALS[0] in line)


def test_report_ends_with_the_verdicts(tiny_suite: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["report", str(tiny_suite / "tiny.yaml"), "--output", str(tiny_suite / "out")]) == 0
    shown = capsys.readouterr().out.rstrip().split("\n")
    assert shown[-1].startswith("Next step: ")
    assert any(line.startswith("scenario ") for line in shown)
