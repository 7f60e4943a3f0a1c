"""Checks of what an experiment varies."""

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo

from mtlab.plan.errors import mistake, shown

Varied = dict[str, tuple[Any, ...]]
"""Keys of an experiment to the values that each has in turn."""

WHOLE = "the same in the whole experiment"
"""Marks a setting in which trials cannot differ: it cannot be swept, and their keys leave it out. A
suite has one device and one precision."""

NOT_SWEPT = "the same in the whole experiment, and part of a trial's key"
"""Marks a setting in which trials cannot differ, and which changes their result."""

KEYED_APART = "in a trial's key by what comes of it"
"""Marks a setting whose effect a trial's key holds: stages, data as encoded, the key of the trial
that trained the source checkpoint."""


def may_vary(varied: Varied, fields: Mapping[str, FieldInfo]) -> Varied:
    """What an experiment varies, each key of which may differ between trials and has values.

    Args:
        varied: a sweep, or settings.
        fields: of the experiment.

    Raises:
        PydanticCustomError: a key may not, or has none.
    """
    for key, values in varied.items():
        first = fields.get(key.partition(".")[0])
        marks = () if first is None else first.metadata
        whole = WHOLE in marks and not key.startswith("scenarios.")
        if whole or NOT_SWEPT in marks:
            line = f"{key} cannot be swept; it is the same for the whole experiment"
            raise mistake(line, key, code="not-sweepable")
        if not values:
            raise mistake("there is no value to sweep over; give at least one", key, code="empty")
    return varied


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
