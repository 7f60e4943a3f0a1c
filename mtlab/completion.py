"""Shell completion: a script that a shell reads once, so that mtlab does not run when the user
presses a key.
"""

import argparse
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from mtlab.plan.data import Data, Source
from mtlab.plan.experiment import Experiment
from mtlab.plan.looks import Looks
from mtlab.plan.tasks import WORDS
from mtlab.plan.values import NOT_WRITTEN, Strict
from mtlab.tasks.registry import USUAL

OF_TASKS = ("tasks", "labelled", "label_noise", "task_weights")
"""Settings that map tasks to values."""
COLUMNS = (*WORDS, *(task["column"] for task in USUAL.values()))


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script that makes a shell complete the commands and options of ``parser``."""
    import shtab

    return str(shtab.complete(parser, shell=shell))


def settings(kind: Any = Experiment, prefix: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every dotted key that the command line can set, with the words that its type allows, if any.

    Keys within lists are left out. The tasks are the usual ones, which a file without ``tasks``
    has.
    """
    for name, field in kind.model_fields.items():
        if NOT_WRITTEN in field.metadata:
            continue
        origin, kinds = (
            get_origin(field.annotation),
            [field.annotation, *get_args(field.annotation)],
        )
        words = tuple(
            str(word) for part in kinds if get_origin(part) is Literal for word in get_args(part)
        )
        nested = (
            [part for part in kinds if isinstance(part, type) and issubclass(part, Strict)]
            if origin is not tuple and (origin is not dict or name in OF_TASKS)
            else []
        )
        keys = USUAL if name in OF_TASKS else COLUMNS if name == "columns" else ()
        for part in nested:
            for key in [f"{prefix}{name}.{key}" for key in keys] or [f"{prefix}{name}"]:
                yield from settings(part, f"{key}.")
        if origin is dict and not nested and (words or keys):
            yield from ((f"{prefix}{name}.{key}", ()) for key in words or keys)
        elif not nested or hasattr(nested[0], "_short_form"):
            yield f"{prefix}{name}", words
    if kind is Experiment:
        yield from settings(Looks, f"{prefix}seeds.")
    if kind is Data:
        for task in USUAL:
            yield from settings(Source, f"{prefix}{task}.")
