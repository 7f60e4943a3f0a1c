"""Checks of what an experiment varies."""

from typing import Any

from mtlab.plan.errors import mistake, shown

Varied = dict[str, tuple[Any, ...]]
"""Keys of an experiment to the values that each has in turn."""


def no_value_twice(sweep: Varied) -> Varied:
    """A sweep, in which no key has a value twice.

    Raises:
        PydanticCustomError: one has.
    """
    for key, values in sweep.items():
        for index, value in enumerate(values):
            if repr(value) in map(repr, values[:index]):
                line = f"{shown(value)} stands twice; keep one of them"
                raise mistake(line, key, index, code="twice")
    return sweep


def equally_long(settings: Varied) -> Varied:
    """Settings, of which each has one value of each key.

    Raises:
        PydanticCustomError: a key has more values than another, or fewer.
    """
    first, *others = settings or [""]
    for key in others:
        if len(settings[key]) != len(settings[first]):
            line = f"{len(settings[key])} values where {first} has {len(settings[first])}; a setting has one of each key"
            raise mistake(line, key, code="lengths-differ")
    return settings
