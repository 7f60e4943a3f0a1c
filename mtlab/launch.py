"""The environment that a launcher, ``torchrun`` or ``accelerate launch``, gives each of the
processes of one suite.

Nothing here knows torch, so that the command line can ask before it loads anything.
"""

import os


class Lost(BaseException):
    """A process cannot continue with the others: it failed where they did not, or they are gone. Not
    an ``Exception``: no trial's failure.

    It ends, so that the launcher ends the others too; started again they continue from the last
    checkpoint.
    """


def number() -> int:
    """Processes that run the suite together; 1 where no launcher started this one."""
    return (
        _number_in("WORLD_SIZE", 1)
        if {"RANK", "LOCAL_RANK", "WORLD_SIZE"} <= set(os.environ)
        else 1
    )


def rank() -> int:
    """The number of this process among them, from 0 on."""
    return _number_in("RANK", 0) if number() > 1 else 0


def leads() -> bool:
    """Whether this is the process that writes and speaks, as a process alone does."""
    return rank() == 0


def here() -> int:
    """The number of processes on this machine."""
    return _number_in("LOCAL_WORLD_SIZE", number())


def name() -> str:
    """The launcher's name for this run; the same when it starts its processes again."""
    return os.environ.get("TORCHELASTIC_RUN_ID", "")


def restarts() -> int:
    """How often the launcher started its processes again, one of them having failed."""
    return _number_in("TORCHELASTIC_RESTART_COUNT", 0) if number() > 1 else 0


def command() -> list[str]:
    """The words that start as many processes again; none for one."""
    return (
        ["torchrun", "--standalone", "--nproc-per-node", str(number()), "-m"]
        if number() > 1
        else []
    )


def _number_in(variable: str, default: int) -> int:
    value = os.environ.get(variable, "")
    return int(value) if value.isdecimal() else default
