"""Whether a trial has its device to itself."""

import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch

from mtlab.train.measure.occupancy import REGISTRY, SHARED, Occupancy

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(REGISTRY, str(tmp_path))
    return tmp_path


def occupy(there: Event, leave: Event, told: "multiprocessing.Queue[str]") -> None:
    with Occupancy(CPU) as occupancy:
        there.set()
        leave.wait(60)
        told.put(occupancy.why())


class Other:
    """Another process that uses the device."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("fork")
        self.there, self.leave, self.told = context.Event(), context.Event(), context.Queue()
        self.process = context.Process(target=occupy, args=(self.there, self.leave, self.told))
        self.process.start()
        assert self.there.wait(60)

    def end(self) -> str:
        self.leave.set()
        told = self.told.get(timeout=60)
        self.process.join()
        return told


def test_alone_it_says_nothing(registry: Path) -> None:
    for _ in range(2):  # one after another is not at once
        with Occupancy(CPU) as occupancy:
            assert occupancy.why() == ""
    assert not list(registry.rglob("*.lock")) and not list(registry.rglob("*.met"))


def test_who_comes_and_who_was_there_both_learn_of_it() -> None:
    first = Other()
    with Occupancy(CPU) as second:
        assert second.why() == SHARED
    assert second.why() == SHARED, "when it has left, too"
    assert first.end() == SHARED, "though the other has gone"


def test_who_was_there_first_learns_of_one_that_came_and_went() -> None:
    with Occupancy(CPU) as first:
        other = Other()
        assert other.end() == SHARED
    assert first.why() == SHARED


def test_a_process_that_was_killed_uses_nothing(registry: Path) -> None:
    other = Other()
    os.kill(other.process.pid or 0, signal.SIGKILL)
    other.process.join()
    with Occupancy(CPU) as occupancy:
        assert occupancy.why() == ""
    assert not list(registry.rglob("*.lock")), "what it left is removed"


def test_a_reason_that_was_given_stands() -> None:
    with Occupancy(CPU, "it ran on another kind of device") as occupancy:
        assert occupancy.why() == "it ran on another kind of device"
