"""The kinds of values that an experiment file holds: numbers, text, and mappings of known keys."""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mtlab.plan.errors import did_you_mean, mistake, shown


def no_text_for_number(value: Any) -> Any:
    """Refuse text in place of a number. ``"1e-5"`` in quotes is text, and is not converted."""
    if isinstance(value, str) and _is_number(value):
        raise mistake(
            f"{shown(value)} is text, not a number; take the quotes off", code="wrong-type"
        )
    if isinstance(value, str | bool):
        raise mistake(f"{shown(value)} is not a number", code="wrong-type")
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


Number = Annotated[float, BeforeValidator(no_text_for_number)]
Count = Annotated[int, BeforeValidator(no_text_for_number), Field(lt=2**63)]


CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that act on a terminal, end a line, or reverse the text after them."""


def no_control(text: str) -> str:
    """Refuse text with characters that act on a terminal."""
    if CONTROL.search(text):
        raise mistake(
            f"{shown(text)} holds a control character; take it out", code="control-character"
        )
    return text


Text = Annotated[str, AfterValidator(no_control)]


NOT_WRITTEN = "follows from others"
"""Marks a setting that a file does not write: it follows from another one."""


OF_A_RUN = "follows from a run"
"""Marks a setting that only a run sets; a file cannot."""


class Strict(BaseModel):
    """A frozen value read from an experiment file; a key it does not know is an error that names
    the nearest one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, values: Any) -> Any:
        fields = {
            name: field
            for name, field in cls.model_fields.items()
            if OF_A_RUN not in field.metadata
        }
        for key in values if isinstance(values, dict) else ():
            if key not in fields:
                written = [
                    name for name, field in fields.items() if NOT_WRITTEN not in field.metadata
                ]
                raise mistake(
                    f"unknown key; {did_you_mean(str(key), written)}",
                    key,
                    code="unknown-key",
                )
        return values


def is_setting(experiment: Strict, field: str) -> bool:
    """Whether ``field`` is a dotted key of the experiment, and not, for example, the name of a file
    such as ``data.csv``.
    """
    value: Any = experiment
    for part in field.split("."):
        if isinstance(value, Strict):
            if part not in type(value).model_fields:
                return False
            value = getattr(value, part)
    return True


def unknown_task(task: str, tasks: Iterable[str]) -> str:
    """The line about a task that the experiment does not have."""
    return f"{shown(task)} is not known; {did_you_mean(task, tasks)}"
