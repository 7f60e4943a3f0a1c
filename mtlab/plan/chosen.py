"""Removing scenarios from an experiment, with all other settings of its file that name them."""

from collections.abc import Collection, Sequence
from typing import Any

from mtlab.plan.errors import UserError, did_you_mean


def choose_scenarios(value: dict[str, Any], names: Sequence[str]) -> None:
    """Keep only the scenarios called ``names``, in this order.

    Args:
        value: the content of a file; it is changed.
        names: names of scenarios.

    Raises:
        UserError: the file has no such scenario.
    """
    scenarios = value.get("scenarios")
    scenarios = scenarios if isinstance(scenarios, dict) else {}
    for name in names:
        if name not in scenarios:
            raise UserError(
                f"no scenario is called {name!r}",
                did_you_mean(name, scenarios),
                where="--scenarios",
                code="unknown-scenario",
            )
    take_out(value, "scenarios", [name for name in scenarios if name not in names])
    value["scenarios"] = {name: scenarios[name] for name in names}
    if value.get("control") not in names:
        value["control"] = None


def take_out(value: dict[str, Any], key: str, gone: Collection[str]) -> None:
    """Remove scenarios, or the entries of another ``key``, from the content of a file.

    Args:
        value: the content; it is changed.
        key: the section that has the entries, such as ``scenarios``.
        gone: the names of the entries.
    """
    for section in (key, "expected") if key == "scenarios" else (key,):
        if isinstance(value.get(section), dict):
            value[section] = {
                name: entry for name, entry in value[section].items() if name not in gone
            }
    beginnings = tuple(f"{key}.{name}." for name in gone)
    for varying in ("sweep", "settings"):
        if isinstance(value.get(varying), dict):
            value[varying] = {
                varied: values
                for varied, values in value[varying].items()
                if not str(varied).startswith(beginnings)
            }
