"""Shell completion: a script that a shell reads once, so that nothing of mtlab runs when a key is
pressed.
"""

import argparse
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import Strict


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script that makes a shell complete what ``parser`` knows."""
    import shtab

    return str(shtab.complete(parser, shell=shell))


def settings(kind: Any = Experiment, prefix: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every key that a command line may set, dotted, with the words that it may have where they are
    few; what lies in lists is left out.
    """
    for name, field in kind.model_fields.items():
        origin, kinds = (
            get_origin(field.annotation),
            [field.annotation, *get_args(field.annotation)],
        )
        words = tuple(
            str(word) for part in kinds if get_origin(part) is Literal for word in get_args(part)
        )
        nested = (
            [part for part in kinds if isinstance(part, type) and issubclass(part, Strict)]
            if origin is not tuple
            else []
        )
        for part in nested:
            yield from settings(part, f"{prefix}{name}.")
        if origin is dict and words:  # they are its keys
            yield from ((f"{prefix}{name}.{word}", ()) for word in words)
        elif not nested or hasattr(nested[0], "_short_form"):
            yield f"{prefix}{name}", words
