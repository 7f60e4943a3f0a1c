"""Sub-units: the norms, biases, attention and feed-forward layers within the units of an encoder.

Structure tells which is which. A norm is a module whose ``weight`` is a vector. A bias is any
other vector. The attention of a block is its one outermost module of a type called ``…Attention``,
and its feed-forward layers hold what matrices are left. ``norms`` are weights and biases of norms,
``biases`` are those of norms too, ``attention`` and ``ffn`` leave the norms out.

BitFit (Ben Zaken et al. 2022) trains ``biases`` and the whole heads; a head is never divided.
"""

import re
from collections.abc import Mapping, Sequence

from torch import nn

from mtlab.plan.errors import UserError

REST = "rest"
"""What is neither attention, feed-forward layer nor norm: the tables of embeddings."""


_NAME = re.compile(r"(.+)\.(?:norms|attention|ffn|rest)\.(?:weights|biases)")


def owner(name: str) -> str:
    """The unit that a sub-unit belongs to; a unit is its own."""
    match = _NAME.fullmatch(name)
    return match[1] if match else name


def below_top(name: str, depth: int) -> int:
    """How many blocks a unit, or a sub-unit, is below the top one of an encoder of ``depth`` blocks;
    the embeddings are below them all.
    """
    unit = owner(name)
    if unit == "embeddings":
        return depth
    return depth - 1 - int(unit[7:-1]) if unit.startswith("layers[") else 0


def names(unit: str, modules: Mapping[str, nn.Module]) -> dict[str, str]:
    """Name of each parameter and buffer of a unit to the sub-unit that holds it.

    Args:
        unit: its name.
        modules: of the unit, by name within the network.

    Returns:
        Sub-units are called ``UNIT.KIND.weights`` or ``UNIT.KIND.biases``.

    Raises:
        UserError: it is a block whose attention and feed-forward layers cannot be told apart.
    """
    block = unit.startswith("layers[")
    attention = _attention(unit, modules) if block else ""
    placed: dict[str, str] = {}
    for name, module in modules.items():
        own = dict(module.named_parameters(recurse=False))
        inside = bool(attention) and f"{name}.".startswith(f"{attention}.")
        norm = "weight" in own and own["weight"].dim() == 1
        kind = "norms" if norm else "attention" if inside else "ffn" if block else REST
        for key, tensor in (*own.items(), *module.named_buffers(recurse=False)):
            vector = key in own and tensor.dim() == 1 and not (norm and key == "weight")
            placed[f"{name}.{key}"] = f"{unit}.{kind}.{'biases' if vector else 'weights'}"
    if block and not {f"{unit}.attention.weights", f"{unit}.ffn.weights"} <= {*placed.values()}:
        raise _cannot_tell(unit)
    return placed


def selected(names_of_unit: Sequence[str], part: str) -> list[str]:
    """The sub-units that belong to a part of :data:`mtlab.plan.selectors.PARTS`; all where the part
    is empty.
    """
    return [name for name in names_of_unit if not part or part in name.rsplit(".", 2)[1:]]


def _attention(unit: str, modules: Mapping[str, nn.Module]) -> str:
    """The name of the attention of a block, whose modules come parents first."""
    kept: list[str] = []
    for name, module in modules.items():
        outer = kept and name.startswith(f"{kept[-1]}.")
        if type(module).__name__.endswith("Attention") and not outer:
            kept.append(name)
    if len(kept) != 1:
        raise _cannot_tell(unit)
    return kept[0]


def _cannot_tell(unit: str) -> UserError:
    return UserError(
        f"the attention and the feed-forward layers of {unit} cannot be told apart",
        "select whole blocks of this encoder",
        where="encoder",
        code="encoder-unfit",
    )
