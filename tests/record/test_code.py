"""A record says which code made it."""

import re
import shutil
from pathlib import Path

import pytest

from mtlab.record import code
from mtlab.record.journal import Journal


def copied(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the packages that count, and of this one, which digests them."""
    source = Path(code.__file__).parents[1]
    for package in (*code.PACKAGES, "plan", "record", "report"):
        shutil.copytree(source / package, home / package)
    monkeypatch.setattr(code, "__file__", str(home / "record" / "code.py"))
    return home


def test_files_that_affect_numbers_change_the_digest_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = code.digest.__wrapped__
    home = copied(tmp_path / "mtlab", monkeypatch)
    before = digest()
    assert before == code.digest()
    (home / "report" / "table.py").write_text("")
    assert digest() == before
    seen = {before}
    for package in code.PACKAGES:
        (home / package / "more.py").write_text("x = 1\n")
        seen.add(digest())
    assert len(seen) == len(code.PACKAGES) + 1
    (home / "train" / "more.py").rename(home / "train" / "other.py")
    assert digest() not in seen


def test_a_trial_has_it(tiny_suite: Path) -> None:
    _, trials = Journal(tiny_suite / "out").read()
    assert {trial.code for trial in trials} == {code.digest()}


FUNCTION = '''
from other import scale

def spread(values: list[int], *, by: int = 2) -> list[int]:
    """What it does."""
    moved = []
    for value in values:  # each
        try:
            moved.append(scale(value) * by)
        except ValueError as error:
            print(error)
    return [one for one in moved if one]
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("What it does", "Something else"),
        ("  # each", ""),
        ("\n\n", "\n\n\n"),
        ("moved", "results"),
        ("value", "number"),
        ("one", "each"),
        ("error", "mistake"),
    ],
)
def test_what_changes_no_number_is_not_in_the_digest(old: str, new: str) -> None:
    changed = re.sub(rf"{old}\b", new, FUNCTION)
    assert changed != FUNCTION
    assert list(code.essence(changed)) == list(code.essence(FUNCTION))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("* by", "+ by"),
        ("by: int = 2", "by: int = 3"),
        ("by", "times"),
        ("values", "numbers"),
        ("scale", "moved"),
        ("scale", "other_scale"),
        ("spread", "widen"),
        ("scale(value)", "scale(moved)"),
        ("print(error)", "print(value)"),
        ("    return", "        return"),
        ("            print", "            pass\n        print"),
        ("one for", "not one for"),
    ],
)
def test_what_may_change_numbers_is_in_the_digest(old: str, new: str) -> None:
    changed = FUNCTION.replace(old, new)
    assert changed != FUNCTION
    assert list(code.essence(changed)) != list(code.essence(FUNCTION))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("if a:\n  if b: x()\n else: y()", "if a:\n  if b: x()\n  else: y()"),
        ("use({**a, 'b': x})", "use({'b': a, **x})"),
        ("use(None)", "use('')"),
        ("use('None')", "use(None)"),
        ("use(1)", "use(1.0)"),
        ("use(True)", "use(1)"),
        ("x = 1; use(y)", "x = 1; use(x)"),
        ("x = y = 1; use(x)", "x = y = 1; use(y)"),
        ("total = [0 for total in a]; use(total)", "total = [0 for item in a]; use(item)"),
        ("use(len); [len for len in a]", "use(size); [size for size in a]"),
        ("def g():\n  nonlocal x; x = 2\n x = 1; g()", "def g():\n  x = 2\n x = 1; g()"),
    ],
)
def test_code_that_does_something_else_has_another_essence(one: str, other: str) -> None:
    first, second = (list(code.essence(f"def f(a, b):\n {text}\n")) for text in (one, other))
    assert first != second
