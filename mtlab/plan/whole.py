"""Checks of an experiment as a whole, in addition to those of its parts."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mtlab.plan.errors import did_you_mean, mistake, shown
from mtlab.plan.scenario import Stage
from mtlab.plan.values import CONTROL

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names of experiments and scenarios; they become names of files, runs and columns."""

Scenarios = Mapping[str, Sequence[Stage]]
"""Name of a scenario to its stages."""


def check_names(name: str, scenarios: Scenarios, output: Path) -> None:
    """Refuse names that cannot be names of files.

    Raises:
        PydanticCustomError: the experiment or a scenario has such a name, or the path of the output
            has a control character.
    """
    for path in (("name",), *(("scenarios", scenario) for scenario in scenarios)):
        called = path[1] if len(path) > 1 else name
        if not NAME.fullmatch(called):
            raise mistake(
                f"{shown(called)} cannot be a name; use letters, digits, `_`, `-` and `.`, at most 64",
                *path,
                code="bad-name",
            )
    if CONTROL.search(str(output)):
        raise mistake(
            f"{shown(str(output))} holds a control character; take it out",
            "output",
            code="control-character",
        )


def check_scenarios(scenarios: Scenarios) -> None:
    """Refuse an experiment without a scenario, and a scenario without a stage.

    Raises:
        PydanticCustomError: there is no scenario, or a scenario has no stage.
    """
    if not scenarios:
        raise mistake("there is no scenario; add one", "scenarios", code="empty")
    for name, stages in scenarios.items():
        if not stages:
            raise mistake(
                "the scenario has no stage; one that trains nothing is `[{epochs: 0}]`",
                "scenarios",
                name,
                code="empty",
            )


def check_control(control: str | None, scenarios: Scenarios, looks: Sequence[int]) -> None:
    """Refuse a control that is not a scenario, and looks without a control.

    Raises:
        PydanticCustomError: the control is not one of the scenarios, or looks need one and it is
            missing.
    """
    if control is not None and control not in scenarios:
        raise mistake(
            f"no scenario is called {control!r}; {did_you_mean(control, scenarios)}",
            "control",
            code="unknown-scenario",
        )
    if control is None and looks:
        raise mistake(
            "scenarios are decided against a control, and there is none; name one in `control`, or write `stop: never`",
            "seeds",
            code="conflict",
        )


def check_expected(expected: Iterable[str], scenarios: Scenarios) -> None:
    """Refuse an expectation of a scenario that does not exist.

    Raises:
        PydanticCustomError: the experiment has no such scenario.
    """
    for name in expected:
        if name not in scenarios:
            line = f"no scenario is called {name!r}; {did_you_mean(name, scenarios)}"
            raise mistake(line, "expected", name, code="unknown-scenario")
