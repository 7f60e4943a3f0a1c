"""Laps and peaks: what is added up, and when the device is waited for."""

import time
from pathlib import Path

import numpy as np
import pytest

from mtlab.record.measure import LAPS, Clock, PeakMemory


def nothing() -> None:
    """A device without a queue."""


def test_laps_add_up_apart_from_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 3.0, 10.0, 14.0, 20.0, 20.5])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    clock = Clock(nothing)
    for name in ("train", "eval", "train"):
        with clock.lap(name):
            pass
    assert clock.laps == {"setup": 0.0, "cache": 0.0, "train": 2.5, "eval": 4.0}
    assert tuple(clock.laps) == LAPS


def test_device_is_waited_for_before_every_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(time, "perf_counter", lambda: seen.append("read") or 0.0)
    clock = Clock(lambda: seen.append("wait"))
    with clock.lap("train"):
        seen.append("work")
    clock.read()
    assert seen == ["wait", "read", "work", "wait", "read", "wait", "read"]


def test_time_of_a_lap_that_fails_still_counts() -> None:
    clock = Clock(nothing)
    with pytest.raises(RuntimeError, match="diverged"), clock.lap("train"):
        time.sleep(0.002)
        raise RuntimeError("diverged")
    assert clock.laps["train"] > 0


def test_laps_nest_and_a_clock_starts_at_zero() -> None:
    clock = Clock(nothing)
    with clock.lap("train"), clock.lap("eval"):
        time.sleep(0.002)
    assert clock.laps["train"] >= clock.laps["eval"] > 0
    assert Clock(nothing).laps == dict.fromkeys(LAPS, 0.0)


def test_there_is_no_lap_of_another_name() -> None:
    clock = Clock(nothing)
    with pytest.raises(KeyError, match="logging"), clock.lap("logging"):
        pass
    assert tuple(clock.laps) == LAPS


def test_peak_rises_with_what_is_used_and_starts_anew() -> None:
    memory = PeakMemory()
    before = memory.read_mb()
    if before is None:
        pytest.skip("this system cannot reset its high-water mark")
    block = np.ones(200_000_000, dtype=np.uint8)
    assert block[-1] == 1
    del block
    peak = memory.read_mb()
    assert peak is not None and peak > before + 150  # though it is freed by now
    later = PeakMemory().read_mb()
    assert later is not None and later < peak - 150


def test_no_peak_is_told_where_the_mark_cannot_be_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, text: str) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    assert PeakMemory().read_mb() is None
