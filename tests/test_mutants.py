"""The list of planted bugs does not rot: each can still be planted, and the tests that are to
notice it are there."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.mutants import MUTANTS, ROOT, Mutant


@cache
def node_ids_of(file: Path) -> dict[str, bool]:
    """The tests of a file, and whether they have parameters."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return {
        node.name: any("parametrize" in ast.dump(mark) for mark in node.decorator_list)
        for node in functions
    }


def test_every_bug_can_be_planted() -> None:
    assert {mutant.name: reason for mutant in MUTANTS if (reason := why_not_planted(mutant))} == {}


def why_not_planted(mutant: Mutant) -> str:
    """Why a bug cannot be planted; nothing where it can."""
    file = ROOT / "mtlab" / mutant.file
    if not file.exists():
        return f"there is no {mutant.file}"
    text = file.read_text(encoding="utf-8")
    try:
        planted = mutant.planted(text)
        compile(planted, str(file), "exec")
    except (ValueError, SyntaxError) as error:
        return str(error)
    return "" if ast.dump(ast.parse(planted)) != ast.dump(source(text)) else "no code changes"


@cache
def source(text: str) -> ast.Module:
    return ast.parse(text)


def test_the_tests_that_are_to_notice_a_bug_exist() -> None:
    assert [mutant.name for mutant in MUTANTS if not mutant.tests] == []
    assert [test for mutant in MUTANTS for test in mutant.tests if not exists(test)] == []


def exists(test: str) -> bool:
    path, _, name = test.partition("::")
    name, bracket, _ = name.partition("[")
    if name not in node_ids_of(ROOT / path):
        return False
    return node_ids_of(ROOT / path)[name] or not bracket


def test_there_are_many_bugs_and_no_two_are_the_same() -> None:
    assert len(MUTANTS) >= 26
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)


def test_a_bug_that_no_longer_applies_is_told() -> None:
    mutant = Mutant("gone", "cli.py", "once", "twice", ("tests/test_cli.py::test_x",))
    for text in ("never", "once and once more"):
        with pytest.raises(ValueError, match=r"times in mtlab/cli\.py"):
            mutant.planted(text)


BADLY_PLANTED = """
import sys
from dataclasses import replace
from tests.mutants import MUTANTS, try_all

honest = next(one for one in MUTANTS if one.name == "some wrong labels are the right ones")
bad = {
    "harmless": "return [value for value in list(known) if value != self.values(gold)[at]]",
    "no Python": "return [value for value in",
    "a crash": "return [value.nothing for value in known]",
    "endless": "return [value for value in iter(lambda: known[0], None) if False]",
}
import tests.mutants
tests.mutants.LIMIT_S = 20.0
planted = [replace(honest, name=name, new=new) for name, new in bad.items()]
sys.exit(not try_all([honest, *planted, replace(honest, name="gone", old="was here once")], 2))
"""


@pytest.mark.nightly
def test_what_no_check_notices_is_told_from_what_one_does() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BADLY_PLANTED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = {line.split(": ")[1]: line for line in ran.stdout.splitlines() if ": " in line}
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert lines["some wrong labels are the right ones"].startswith("caught: ")
    for name, why in {
        "harmless": "the tests pass",
        "no Python": "SyntaxError",
        "a crash": "AttributeError",
        "endless": "ran past the limit",
    }.items():
        assert lines[name].startswith("SURVIVED: ") and why in lines[name], lines[name]
    assert lines["gone"].startswith("no longer applies: ")
    assert ran.stdout.splitlines()[-1] == "1 of 6 planted bugs are caught"


@pytest.mark.nightly
def test_every_planted_bug_is_caught() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--jobs", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (
        ran.stdout.splitlines()[-1] == f"{len(MUTANTS)} of {len(MUTANTS)} planted bugs are caught"
    )
