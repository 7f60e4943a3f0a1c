"""The comparison behind a recommendation: the user's experiment, or a new one for the user's data,
with a pilot seed and fresh seeds.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from mtlab.check import starter
from mtlab.check.findings import report
from mtlab.parser import OF_DATA
from mtlab.plan import given as plan_given
from mtlab.plan.errors import UserError, did_you_mean, printable, shown
from mtlab.plan.given import Source
from mtlab.plan.looks import ANY_LOSS

SEEDS = ("3",)
"""The looks (numbers of fresh seeds) that may confirm a candidate, unless the user gives others."""

FITTING = range(2, 9)
"""The numbers of fresh seeds from which a budget takes the largest that fits. More than eight seeds
confirm few additional candidates."""

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def asked(
    sources: Sequence[Source], settings: dict[str, list[str]]
) -> tuple[Source, dict[str, list[str]], float | None]:
    """The experiment and the settings of the comparison behind a recommendation.

    Args:
        sources: an experiment, or one or two sources of data.
        settings: settings that replace those of the experiment, and options of the recommendation
            (``looks``, ``margin``, ``tasks``, ``budget``).

    Returns:
        The experiment (for sources of data, its file is written first); the settings that replace
        its own; the seconds that it may take, or None without a budget.

    Raises:
        UserError: the data or the settings have a mistake.
    """
    settings = dict(settings)
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
    source = _experiment(sources, settings)
    settings |= {**seeds(looks), **_margins(source, margin, tasks)}
    return source, settings, None if budget is None else _seconds(" ".join(budget))


def seeds(looks: Iterable[object]) -> dict[str, list[str]]:
    """The setting ``seeds``: a pilot seed, and looks at these numbers of fresh seeds."""
    return {"seeds": [f"{{looks: [{', '.join(map(str, looks))}], stop: recommended}}"]}


def _seconds(budget: str) -> float:
    """The seconds of a time such as ``10m``, ``1.5h`` or ``90s``.

    Raises:
        UserError: the text is not such a time.
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


def _experiment(inputs: Sequence[Source], settings: dict[str, list[str]]) -> Source:
    """The given experiment, or the experiment file for the given sources of data. The file is
    written, unless it already exists with the same content.

    The settings of the data, which are in that file, are removed from ``settings``.
    """
    if len(inputs) == 1 and not _is_data(inputs[0]):
        return inputs[0]
    if len(inputs) > 2:
        raise UserError(
            f"{len(inputs)} sources",
            "give one for all tasks, or two, one for each of two tasks",
            code="too-many-sources",
        )
    sources = [str(source) for source in inputs]
    of_data = {key: settings.pop(key) for key in list(settings) if key.split(".")[0] in OF_DATA}
    content, path = report(sources, of_data).file, starter.usual_path(sources)
    if not (path.is_file() and path.read_text(encoding="utf-8") == content):
        starter.write(starter.file_for(sources, None), content)
        print(f"No mistakes. Written: {printable(str(path))}")
    return str(path)


def _is_data(source: Source) -> bool:
    """Whether this is a source of data, and not an experiment."""
    return isinstance(source, str | Path) and Path(source).suffix not in (".yaml", ".yml")


def _margins(
    source: Source, margin: Sequence[str], decisive: Sequence[str]
) -> dict[str, list[str]]:
    """The settings of margins: the given margin, if any, for every task. A task that does not
    decide gets a margin that allows any loss.
    """
    if not margin and not decisive:
        return {}
    tasks = list(plan_given.of(source, {}, with_data=False).experiment.tasks)
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
