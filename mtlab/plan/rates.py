"""Rates that fall from block to block, and blocks that are drawn anew: two keys of a stage.

``train: {encoder: {rate: 1.0e-4, decay: 0.9}}`` gives the top block the rate, each block below it
0.9 times the rate of the one above, and the embeddings 0.9 times that of the lowest block (Howard
and Ruder 2018; Sun et al. 2019; Zhang et al. 2021).
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, field_serializer, model_validator

from mtlab.plan import selectors
from mtlab.plan.errors import UserError, did_you_mean, mistake, shown

Selectors = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
]
"""A list of selectors, or a single one."""


def _apart(values: Any) -> Any:
    """The settings of a stage, with ``train`` split into ``train`` (the rates) and ``decay``."""
    if not isinstance(values, dict) or not isinstance(values.get("train"), dict):
        return values
    if "decay" in values:
        line = "unknown key; a decay belongs to a rate, as in `train: {encoder: {rate: 1.0e-4, decay: 0.9}}`"
        raise mistake(line, "decay", code="unknown-key")
    train, decay = dict(values["train"]), dict[str, Any]()
    for part, rate in train.items():
        if not isinstance(rate, dict):
            continue
        for key in rate.keys() - {"rate", "decay"}:
            line = f"unknown key; {did_you_mean(str(key), ('rate', 'decay'))}"
            raise mistake(line, "train", part, key, code="unknown-key")
        if "rate" not in rate:
            raise mistake("missing; add it", "train", part, "rate", code="missing")
        train[part] = rate["rate"]
        decay |= {part: rate["decay"]} if "decay" in rate else {}
    return {**values, "train": train, **({"decay": decay} if decay else {})}


def _as_written(self: Any, train: dict[str, float]) -> dict[str, Any]:
    return {
        part: {"rate": rate, "decay": self.decay[part]} if part in self.decay else rate
        for part, rate in train.items()
    }


apart = model_validator(mode="before")(_apart)
"""Reads what :data:`as_written` writes."""
as_written = field_serializer("train")(_as_written)
"""Writes ``train`` and ``decay`` as the ``train`` of an experiment file."""


def check_decay(decay: Mapping[str, Any]) -> None:
    """Refuse decays that are not above 0 and up to 1, and decays of parts that have no depth.

    Raises:
        PydanticCustomError: with the line to print.
    """
    for part, share in decay.items():
        if (
            isinstance(share, bool | str)
            or not isinstance(share, int | float)
            or not 0 < share <= 1
        ):
            line = f"{shown(share)} is not a number above 0 and up to 1"
            raise mistake(line, "train", part, "decay", code="out-of-range")
        if part in ("all", "lora") or part.startswith("head"):
            line = f"{part} has no decay; give one to `encoder` or to blocks, as in layers[-4:]"
            raise mistake(line, "train", part, "decay", code="conflict")


def check_reinit(reinit: Iterable[str], tasks: Iterable[str], epochs: int, *, guided: bool) -> None:
    """Refuse ``reinit`` of parts other than blocks, without training, and together with guidance.

    Raises:
        PydanticCustomError: with the line to print.
    """
    for index, text in enumerate(reinit):
        try:
            name = selectors.parse(text, tasks).name
        except UserError as error:
            raise mistake(str(error), "reinit", index, code="bad-selector") from None
        if name != "layers":
            heads = "heads are drawn in each trial anyway"
            why = heads if name.startswith("head") else "only blocks are drawn anew"
            line = f"{why}; name blocks instead of {text!r}, as in layers[-1:]"
            raise mistake(line, "reinit", index, code="bad-selector")
        if not epochs:
            line = "blocks that are drawn anew need training; give the stage epochs"
            raise mistake(line, "reinit", code="conflict")
        if guided:
            line = (
                "guidance begins with scores of the weights that reinit replaces; keep one of them"
            )
            raise mistake(line, "reinit", code="conflict")
