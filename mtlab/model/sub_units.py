"""Sub-units: the norms, biases, attention and feed-forward layers within the units of an encoder.

They are recognised by their structure. A norm is a module whose ``weight`` is a vector. A bias is
any other vector. The attention of a block is its only outermost module with a type called
``…Attention``, and the remaining matrices of the block belong to its feed-forward layers. ``norms``
means the weights and biases of norms, ``biases`` includes the biases of norms, and ``attention``
and ``ffn`` exclude the norms.

BitFit (Ben Zaken et al. 2022) trains ``biases`` and the whole heads; a head is never divided.
"""

import re
from collections.abc import Mapping, Sequence

from torch import nn

from mtlab.plan.errors import UserError

REST = "rest"
"""The kind of what is neither attention, feed-forward layer nor norm: the tables of embeddings."""


_NAME = re.compile(r"(.+)\.(?:norms|attention|ffn|rest)\.(?:weights|biases)")


def owner(name: str) -> str:
    """The unit that a sub-unit belongs to; for a unit, the unit itself."""
    match = _NAME.fullmatch(name)
    return match[1] if match else name


def below_top(name: str, depth: int) -> int:
    """How many blocks a unit or sub-unit is below the top block of an encoder of ``depth`` blocks:
    0 for what is above the blocks, ``depth`` for the embeddings.
    """
    unit = owner(name)
    if unit == "embeddings":
        return depth
    return depth - 1 - int(unit[7:-1]) if unit.startswith("layers[") else 0


def names(unit: str, modules: Mapping[str, nn.Module]) -> dict[str, str]:
    """Name of each parameter and buffer of a unit to the sub-unit that holds it, which is called
    ``UNIT.KIND.weights`` or ``UNIT.KIND.biases``.

    Args:
        unit: the name of the unit.
        modules: the modules of the unit, by name within the network.

    Raises:
        UserError: the unit is a block whose attention and feed-forward layers cannot be
            distinguished.
    """
    block = unit.startswith("layers[")
    attention = _attention(unit, modules) if block else ""
    placed: dict[str, str] = {}
    for name, module in modules.items():
        parameters = dict(module.named_parameters(recurse=False))
        inside = bool(attention) and f"{name}.".startswith(f"{attention}.")
        norm = "weight" in parameters and parameters["weight"].dim() == 1
        kind = "norms" if norm else "attention" if inside else "ffn" if block else REST
        for key, tensor in (*parameters.items(), *module.named_buffers(recurse=False)):
            bias = key in parameters and tensor.dim() == 1 and not (norm and key == "weight")
            placed[f"{name}.{key}"] = f"{unit}.{kind}.{'biases' if bias else 'weights'}"
    if block and not {f"{unit}.attention.weights", f"{unit}.ffn.weights"} <= {*placed.values()}:
        raise _cannot_tell(unit)
    return placed


def selected(names_of_unit: Sequence[str], part: str) -> list[str]:
    """The sub-units that belong to a part of :data:`mtlab.plan.selectors.PARTS`; all of them where
    ``part`` is empty.
    """
    return [name for name in names_of_unit if not part or part in name.rsplit(".", 2)[1:]]


def _attention(unit: str, modules: Mapping[str, nn.Module]) -> str:
    """The name of the attention module of a block; ``modules`` has parents before their children.

    Raises:
        UserError: there is none, or more than one.
    """
    outermost: list[str] = []
    for name, module in modules.items():
        inside = outermost and name.startswith(f"{outermost[-1]}.")
        if type(module).__name__.endswith("Attention") and not inside:
            outermost.append(name)
    if len(outermost) != 1:
        raise _cannot_tell(unit)
    return outermost[0]


def _cannot_tell(unit: str) -> UserError:
    return UserError(
        f"the attention and the feed-forward layers of {unit} cannot be told apart",
        "select whole blocks of this encoder",
        where="encoder",
        code="encoder-unfit",
    )
