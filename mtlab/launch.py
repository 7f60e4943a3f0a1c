"""The environment that a launcher, ``torchrun`` or ``accelerate launch``, sets for each process of
a suite.

This module does not import torch, so that the command line can use it before it loads anything.
"""

import os


class Lost(BaseException):
    """A process cannot continue with the other processes: it failed and they did not, or they
    ended. This is not an ``Exception``, because it is not the failure of a trial.

    The process ends, so that the launcher ends the others too; when they are started again, they
    continue from the last checkpoint.
    """


def number() -> int:
    """The number of processes that run the suite together; 1 if no launcher started this one."""
    return (
        _number_in("WORLD_SIZE", 1)
        if {"RANK", "LOCAL_RANK", "WORLD_SIZE"} <= set(os.environ)
        else 1
    )


def rank() -> int:
    """The number of this process among those that run the suite, counted from 0."""
    return _number_in("RANK", 0) if number() > 1 else 0


def leads() -> bool:
    """Whether this process writes files and prints: it is the first of several, or the only one."""
    return rank() == 0


def here() -> int:
    """The number of processes on this machine."""
    return _number_in("LOCAL_WORLD_SIZE", number())


def name() -> str:
    """The launcher's name for this run, which a restart keeps; empty if there is none."""
    return os.environ.get("TORCHELASTIC_RUN_ID", "")


def restarts() -> int:
    """How often the launcher started its processes again because one of them had failed."""
    return _number_in("TORCHELASTIC_RESTART_COUNT", 0) if number() > 1 else 0


def command() -> list[str]:
    """The words that start the same number of processes again; empty for one process."""
    return (
        ["torchrun", "--standalone", "--nproc-per-node", str(number()), "-m"]
        if number() > 1
        else []
    )


def _number_in(variable: str, default: int) -> int:
    value = os.environ.get(variable, "")
    return int(value) if value.isdecimal() else default
