"""A process that hangs ends itself, where somebody would start it again."""

import os
import sys
import time
from pathlib import Path

import pytest

from mtlab.train.resume import watchdog
from mtlab.watched import NOTE, hung
from tests.programs import run

PROGRAM = """
import sys, time
from pathlib import Path
from mtlab.train.resume import watchdog

def works():
    for _ in range(8):
        time.sleep(0.5)
        watchdog.beat()

def waits():
    time.sleep(60)

with watchdog.watched(Path(sys.argv[1]), 2.5):
    works()
print("worked", flush=True)
with watchdog.watched(Path(sys.argv[1]), 2.5):
    waits()
"""


@pytest.mark.process
def test_it_says_where_it_hung_and_ends(tmp_path: Path) -> None:
    status, out, err = run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, NOTE: str(tmp_path / "note")},
    )
    assert (status, out, err) == (1, "worked\n", "")
    (file,) = hung(tmp_path)
    assert "in waits" in file.read_text()


def test_what_nobody_would_start_again_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(NOTE, raising=False)
    with watchdog.watched(tmp_path, 0.01):
        time.sleep(0.1)
    assert list(tmp_path.iterdir()) == []


def test_a_task_of_a_cluster_is_done_again_elsewhere(tmp_path: Path) -> None:
    with watchdog.on_cluster(), watchdog.watched(tmp_path, 60.0):
        assert hung(tmp_path) == [], "it runs"
        assert [path.name for path in tmp_path.iterdir()] == ["stalled-0.txt"]
    assert list(tmp_path.iterdir()) == []
