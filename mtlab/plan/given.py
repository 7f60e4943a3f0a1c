"""An experiment as the user gives it: as a file, or in Python as a mapping or a value."""

import io
import json
import numbers
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from mtlab.plan import yaml_file
from mtlab.plan.errors import UserError, shown
from mtlab.plan.experiment import Experiment, load
from mtlab.plan.tree import address, value_at
from mtlab.plan.yaml_file import Located

Source = str | Path | Mapping[str, Any] | Experiment
"""An experiment: the path of a file, a mapping with the content of a file, or the experiment
itself."""

FILE = "experiment.yaml"
"""The file in an experiment's output with its settings, if it was not read from a file."""


@dataclass(frozen=True)
class Given:
    """An experiment, and the words of a command line that stand for it.

    Attributes:
        experiment: the settings.
        words: the words after ``mtlab compare``: a file, and settings that replace its own.
        text: the content for :data:`FILE`, if the words name that file; empty if the experiment was
            read from another file.
    """

    experiment: Experiment
    words: tuple[str, ...]
    text: str = ""

    def command(self, name: str, launcher: Iterable[str] = ()) -> str:
        """The command line of a command on this experiment."""
        return shlex.join([*launcher, "mtlab", name, *self.words])


def of(source: Source, settings: Mapping[str, list[str]], with_data: bool = True) -> Given:
    """The experiment that the user gives, with settings that replace its own.

    Args:
        source: the experiment; a mapping is read like a file in the working folder.
        settings: key to its values as words, as on the command line.
        with_data: whether the experiment must say where the data are.

    Raises:
        UserError: the experiment or a setting has a mistake.
    """
    overrides = dict(settings)
    if isinstance(source, str | Path):
        words = [word for key, values in settings.items() for word in (f"--{key}", *values)]
        return Given(load(source, overrides, with_data), (str(source), *words))
    value = settings_of(source) if isinstance(source, Experiment) else plain(source)
    if not isinstance(value, dict):
        raise UserError(
            f"{shown(source)} is not an experiment",
            "give the path of a file, or a mapping of keys to values",
            code="wrong-type",
        )
    located = yaml_file.extended(Located(value, {(): ""}), Path())
    if not ("name" in located.value or "name" in overrides):
        raise UserError(
            "missing; add it, for the output is named after it", where="name", code="missing"
        )
    experiment = load(located, overrides, with_data)
    unchanged = isinstance(source, Experiment) and with_data and not overrides
    file = str(experiment.output / FILE)
    return Given(source if unchanged else experiment, (file,), dumped(located.value))  # type: ignore[arg-type]


def settings_of(experiment: Experiment) -> dict[str, Any]:
    """The settings of an experiment, as a file has them."""
    value = experiment.model_dump(mode="json")
    looks, pilot = value.pop("looks", None), value.pop("pilot", 0)
    if looks:
        rule = {"looks": [look - pilot for look in looks[1:]], "stop": "recommended"}
        value["seeds"] = rule if pilot else {"looks": looks}
    return value


def dumped(value: Mapping[str, Any]) -> str:
    """Settings as the text of a file."""
    yaml, file = YAML(), io.StringIO()
    yaml.width = 120
    yaml.dump(dict(value), file)
    return file.getvalue()


def words(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Settings in Python as words of an equivalent command line; None becomes ``null``.

    Args:
        settings: dotted key to value. ``scenarios`` is a list of names, or a mapping from names to
            stages, which are added to the experiment or replace its own.

    Raises:
        UserError: a value has a type that a file cannot have, or no word stands for it.
    """
    spelt: dict[str, list[str]] = {}
    for key, value in settings.items():
        plain_value = plain(value, key)
        if key == "scenarios" and isinstance(plain_value, dict):
            spelt |= {f"{key}.{name}": [_word(stages)] for name, stages in plain_value.items()}
        elif key == "scenarios":
            spelt[key] = [
                str(name)
                for name in (plain_value if isinstance(plain_value, list) else [plain_value])
            ]
        else:
            spelt[key] = _words(key, plain_value)
    return spelt


def plain(value: Any, where: str = "") -> Any:
    """A value in Python as a file has it: as dicts, lists and scalars.

    Raises:
        UserError: a part of it is of another type.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, numbers.Integral):  # numpy's too
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, Mapping):
        inner = f"{where}." if where else ""
        return {str(key): plain(item, f"{inner}{key}") for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(item, f"{where}.{index}") for index, item in enumerate(value)]
    raise UserError(
        f"the value is of type {type(value).__name__}, which has no place in an experiment",
        "give text, a number, a list or a mapping",
        where=where,
        code="wrong-type",
    )


def _words(key: str, value: Any) -> list[str]:
    scalars = isinstance(value, list) and not any(isinstance(item, list | dict) for item in value)
    words = list(map(_word, value)) if scalars and len(value) > 1 else [_word(value)]
    located = Located({}, {(): ""})
    try:
        yaml_file.override(located, key, words)
        meant = value_at(address({}, key, ""), located.value)
    except UserError:  # the key has an index of a list, which is not known here
        return words
    if meant != value:  # for some keys, the command line reads one word as a list of one value
        remedy = "write `[...]`" if meant == [value] else "set it in the file"
        raise UserError(f"{shown(value)} cannot be set", remedy, where=key, code="wrong-type")
    return words


def _word(value: Any) -> str:
    """A word that stands for the value: text itself if it is read as that text, else JSON, which is
    also YAML.
    """
    if isinstance(value, str) and value.isprintable() and not value.startswith("--"):
        located = Located({}, {(): ""})
        yaml_file.override(located, "value", [value])
        if located.value["value"] == value:
            return value
    return json.dumps(value, ensure_ascii=False)
