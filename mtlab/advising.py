"""The comparison behind ``mtlab recommend``: an experiment file, or one for one's own data, with a
pilot seed and fresh seeds.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from mtlab.check import starter
from mtlab.check.findings import report
from mtlab.parser import OF_DATA, parse_overrides
from mtlab.plan.errors import UserError, did_you_mean, printable, shown
from mtlab.plan.experiment import load
from mtlab.plan.looks import ANY_LOSS

SEEDS = ("3",)
"""Fresh seeds that confirm a candidate, where nothing else is asked for."""

FITTING = range(2, 9)
"""Fresh seeds of which a budget takes as many as fit: beyond eight few candidates are confirmed."""

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def comparison(words: Sequence[str]) -> tuple[str, dict[str, list[str]], float | None]:
    """The experiment file and the settings that ``mtlab compare`` takes for a recommendation.

    Args:
        words: of the command line: an experiment file, or one source or two, and settings.

    Returns:
        The path of the file, which is written where there is none for these sources; settings over
        those of the file; the seconds that it may take, where that is said.

    Raises:
        UserError: the data or the settings have a mistake.
    """
    count = next((at for at, word in enumerate(words) if word.startswith("--")), len(words))
    given, settings = words[:count], parse_overrides(list(words[count:]))
    margin, tasks = settings.pop("margin", []), settings.pop("tasks", [])
    budget = settings.pop("budget", None)
    looks = settings.pop("seeds.looks", []) or settings.pop("looks", [])
    if budget is not None and looks:
        raise UserError(
            "a budget chooses the number of fresh seeds",
            "leave one of the two out",
            where="--looks",
            code="conflict",
        )
    looks = looks or list(map(str, FITTING if budget else SEEDS))
    if "seeds" in settings:
        raise UserError(
            "a recommendation has a pilot seed and fresh seeds",
            "`--looks 3` sets how many fresh ones",
            where="--seeds",
            code="conflict",
        )
    file = _file(given, settings)
    settings |= {**seeds(looks), **_margins(file, margin, tasks)}
    return file, settings, None if budget is None else _seconds(" ".join(budget))


def seeds(looks: Iterable[object]) -> dict[str, list[str]]:
    """The setting of seeds: a pilot, and looks at so many fresh ones."""
    return {"seeds": [f"{{looks: [{', '.join(map(str, looks))}], stop: recommended}}"]}


def _seconds(budget: str) -> float:
    """Seconds of ``10m``, ``1.5h`` or ``90s``.

    Raises:
        UserError: it is not such a time.
    """
    number, unit = budget[:-1], budget[-1:]
    try:
        seconds = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise UserError(
            f"{shown(budget)} is not a time",
            "write `90s`, `10m` or `1.5h`",
            where="--budget",
            code="wrong-type",
        )
    return seconds


def _file(given: Sequence[str], settings: dict[str, list[str]]) -> str:
    """The experiment file: the one that is given, or that of sources, with the settings of their
    data, which is written unless it is there already, word for word.
    """
    if len(given) == 1 and Path(given[0]).suffix in (".yaml", ".yml"):
        return given[0]
    if len(given) > 2:
        raise UserError(
            f"{len(given)} sources",
            "give one for all tasks, or two, one for each of two tasks",
            code="too-many-sources",
        )
    of_data = {key: settings.pop(key) for key in list(settings) if key.split(".")[0] in OF_DATA}
    content, path = report(list(given), of_data).file, starter.usual_path(given)
    if not (path.is_file() and path.read_text(encoding="utf-8") == content):
        starter.write(starter.file_for(given, None), content)
        print(f"No mistakes. Written: {printable(str(path))}")
    return str(path)


def _margins(file: str, margin: Sequence[str], decisive: Sequence[str]) -> dict[str, list[str]]:
    """Settings of margins: one for all tasks, and none that counts for tasks that do not decide."""
    if not margin and not decisive:
        return {}
    tasks = list(load(file, with_data=False).tasks)
    for name in decisive:
        if name not in tasks:
            raise UserError(
                f"there is no task {name!r}",
                did_you_mean(name, tasks),
                where="--tasks",
                code="unknown-value",
            )
    settings = {f"margins.{name}": list(margin) for name in tasks if margin}
    ignored = [name for name in tasks if decisive and name not in decisive]
    return settings | {f"margins.{name}": [str(ANY_LOSS)] for name in ignored}
