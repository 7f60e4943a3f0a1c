"""Checks of the settings that an experiment varies."""

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo

from mtlab.plan.errors import mistake, shown

Varied = dict[str, tuple[Any, ...]]
"""Keys of an experiment to the values that they have, one after another."""

WHOLE = "the same in the whole experiment"
"""Marks a setting in which trials cannot differ: it cannot be swept, and their keys leave it out. A
suite has one device and one precision."""

NOT_SWEPT = "the same in the whole experiment, and part of a trial's key"
"""Marks a setting in which trials cannot differ, and which changes their result."""

KEYED_APART = "in a trial's key by what comes of it"
"""Marks a setting that is in a trial's key by its effect: stages, encoded data, the key of the
trial that trained the source checkpoint."""


def may_vary(varied: Varied, fields: Mapping[str, FieldInfo]) -> Varied:
    """Check that each varied key may differ between trials and has values, and return all.

    Args:
        varied: a sweep, or settings.
        fields: the fields of the experiment.

    Raises:
        PydanticCustomError: a key may not differ between trials, or has no value.
    """
    for key, values in varied.items():
        first = fields.get(key.partition(".")[0])
        marks = () if first is None else first.metadata
        is_fixed = WHOLE in marks and not key.startswith("scenarios.")
        if is_fixed or NOT_SWEPT in marks:
            line = f"{key} cannot be swept; it is the same for the whole experiment"
            raise mistake(line, key, code="not-sweepable")
        if not values:
            raise mistake("there is no value to sweep over; give at least one", key, code="empty")
    return varied


def no_value_twice(sweep: Varied) -> Varied:
    """Check that no key of a sweep has a value twice, and return the sweep.

    Raises:
        PydanticCustomError: a key has a value twice.
    """
    for key, values in sweep.items():
        for index, value in enumerate(values):
            if repr(value) in map(repr, values[:index]):
                line = f"{shown(value)} stands twice; keep one of them"
                raise mistake(line, key, index, code="twice")
    return sweep


def equally_long(settings: Varied) -> Varied:
    """Check that all keys of ``settings`` have the same number of values, and return them.

    Raises:
        PydanticCustomError: a key has more values than another, or fewer.
    """
    first, *others = settings or [""]
    for key in others:
        if len(settings[key]) != len(settings[first]):
            line = f"{len(settings[key])} values where {first} has {len(settings[first])}; a setting has one of each key"
            raise mistake(line, key, code="lengths-differ")
    return settings
