"""A record says which code made it."""

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
