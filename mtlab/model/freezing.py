"""Freezing: which units of a network a stage trains, and the check that the others did not change.

A unit is what can be trained or frozen as a whole: the embeddings, a block, what runs after the
blocks, the adapters, a head. A frozen unit has no gradients and no optimizer state, and is in eval
mode. Where a stage trains some parts of a unit and not others, or at other rates, the unit is
divided into sub-units (:mod:`mtlab.model.sub_units`). Such a unit is in train mode where any of its
sub-units trains, as in the code of the papers that train parts of blocks.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from mtlab.model import lora, sub_units
from mtlab.model.backbone import Backbone
from mtlab.plan import selectors
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage


class CertificateError(Exception):
    """Something changed that should not have, or the reverse: the trial's numbers cannot be
    trusted.
    """


class Network(Protocol):
    """A network whose parts can be frozen: :class:`mtlab.model.network.Network`, or a user's own
    model in :class:`mtlab.tuning.parts.Parts`.
    """

    backbone: Backbone
    """The encoder; the names of its modules in the network begin with ``encoder.``."""
    heads: nn.ModuleDict
    """Task to head."""

    def named_modules(self, *, remove_duplicate: bool = True) -> Iterable[tuple[str, nn.Module]]:
        """See :meth:`torch.nn.Module.named_modules`."""
        ...

    def get_submodule(self, target: str) -> nn.Module:
        """See :meth:`torch.nn.Module.get_submodule`."""
        ...

    def eval(self) -> object:
        """See :meth:`torch.nn.Module.eval`."""
        ...


@dataclass(frozen=True)
class Unit:
    """A unit of a network: its modules (a sub-unit has none), and its tensors by name within the
    network.
    """

    name: str
    modules: tuple[nn.Module, ...]
    parameters: Mapping[str, nn.Parameter]
    buffers: Mapping[str, Tensor]

    @cached_property
    def count(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters.values())

    def digest(self) -> str:
        """SHA-256 (hex) over the names and bytes of all parameters and buffers."""
        digest = hashlib.sha256()
        for name, tensor in sorted({**self.parameters, **self.buffers}.items()):
            digest.update(name.encode())
            digest.update(content(tensor))
        return digest.hexdigest()


def content(tensor: Tensor) -> memoryview:
    """The bytes of a tensor, whatever its type (numpy has no bf16)."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data


@dataclass(frozen=True)
class Group:
    """Units or sub-units that one selector trains at one learning rate."""

    selector: str
    rate: float
    units: tuple[str, ...]


@dataclass(frozen=True)
class Partition:
    """How a stage divides the network: what trains at which rate, and what is frozen.

    Attributes:
        trainable: groups in the order of the stage's selectors.
        frozen: the other units and sub-units, in execution order.
        prefix_depth: the number of blocks below the lowest block that has a trainable parameter; 0
            where the embeddings or adapters train.
    """

    trainable: tuple[Group, ...]
    frozen: tuple[str, ...]
    prefix_depth: int

    @property
    def trained_units(self) -> frozenset[str]:
        """The names of all units and sub-units that train."""
        return frozenset(unit for group in self.trainable for unit in group.units)

    @property
    def touched(self) -> frozenset[str]:
        """The names of all units that train as a whole or in part."""
        return frozenset(map(sub_units.owner, self.trained_units))

    @property
    def divided(self) -> frozenset[str]:
        """The names of all units that this partition lists by their sub-units."""
        names = {*self.trained_units, *self.frozen}
        return frozenset(map(sub_units.owner, names)) - names


def units(network: Network, divided: Collection[str] = ()) -> dict[str, Unit]:
    """All units of a network in execution order: ``embeddings``, ``layers[0]`` …, ``after``,
    ``lora``, ``head.<task>``.

    ``embeddings`` holds every module of the encoder that is not in a block and does not run after
    the blocks: for example relative positions, which every block reads. To train these parameters
    changes the input of the lowest block, so they count as below the blocks.

    Args:
        network: the network that has the units.
        divided: the units to list by their sub-units.

    Raises:
        UserError: two units share a parameter, so that neither can be frozen alone; or a block
            cannot be divided.
    """
    backbone = network.backbone
    parts: dict[str, tuple[str, ...]] = {
        f"layers[{i}]": (f"encoder.{name}",) for i, name in enumerate(backbone.blocks)
    }
    parts["after"] = tuple(f"encoder.{name}" for name in backbone.after)
    parts[lora.UNIT] = tuple(
        name for name, _ in network.named_modules() if name.rpartition(".")[2] in lora.PARTS
    )
    parts.update({f"head.{task}": (f"heads.{task}",) for task in network.heads})
    claimed = {name: unit for unit, names in parts.items() for name in names}
    members: dict[str, list[str]] = {"embeddings": [], **{unit: [] for unit in parts}}
    for name, _ in network.named_modules(remove_duplicate=False):
        members[_owner(name, claimed)].append(name)
    by_name = {unit: _unit(network, unit, names) for unit, names in members.items() if names}
    _refuse_shared(by_name)
    return {
        part.name: part
        for name, unit in by_name.items()
        for part in (_parts(network, unit, members[name]) if name in divided else (unit,))
    }


def resolve(stage: Stage, network: Network) -> Partition:
    """Apply a stage's selectors to this network: the first match wins, and what no selector matches
    is frozen.

    With a decay, a selector's rate is that of the top block, and a block has the rate ``rate *
    decay ** distance``, where ``distance`` is the number of blocks from the top block. The
    embeddings are one step below the lowest block (Howard and Ruder 2018; Sun et al. 2019; Zhang et
    al. 2021).

    Raises:
        UserError: a selector matches nothing, or only what earlier selectors match; ``where`` is
            the selector.
    """
    names, depth = list(units(network)), len(network.backbone.blocks)
    parts = _smallest(stage, network, names)
    assigned: dict[str, tuple[str, float]] = {}  # unit or sub-unit to selector and rate
    for text, rate in stage.train.items():
        matched = _matches(text, names, parts, depth)
        new = [name for name in matched if name not in assigned]
        if not new:
            raise UserError(
                f"selector {text!r} comes after others that match all it names",
                "put it first, or leave it out",
                where=text,
                code="bad-selector",
            )
        decay = stage.decay.get(text, 1.0)
        assigned |= {
            name: (text, rate * decay ** sub_units.below_top(name, depth))
            for name in new
            if sub_units.owner(name) not in stage.withheld
        }
    return _partition(names, parts, assigned)


def apply(network: Network, partition: Partition) -> None:
    """Make the network train exactly what the partition says: gradients on or off, train or eval
    mode.
    """
    network.eval()
    for name, unit in units(network, partition.divided).items():
        trains = name in partition.trained_units
        for parameter in unit.parameters.values():
            parameter.requires_grad_(trains)
            parameter.grad = None
    set_modes(network, partition)


def set_modes(network: Network, partition: Partition) -> None:
    """Set train mode for what trains and eval mode for the rest. This is needed after every
    evaluation, because ``train()`` would set train mode for frozen units too.
    """
    network.eval()
    for name, unit in units(network).items():
        for module in unit.modules if name in partition.touched else ():
            module.training = True


def digests(network: Network) -> dict[str, str]:
    """Unit to SHA-256 of its tensors."""
    by_name = units(network)
    with ThreadPoolExecutor() as pool:  # hashlib lets other threads run while it hashes
        return dict(zip(by_name, pool.map(Unit.digest, by_name.values()), strict=True))


def sub_digests(network: Network, divided: Collection[str]) -> dict[str, str]:
    """Sub-unit to SHA-256 of its tensors, for the sub-units of ``divided``."""
    parts = units(network, divided).items() if divided else ()
    return {name: part.digest() for name, part in parts if sub_units.owner(name) in divided}


def check(
    network: Network,
    partition: Partition,
    before: Mapping[str, str],
    after: Mapping[str, str],
    reached: frozenset[str],
) -> None:
    """Certify that a stage changed the units that it trained, and no others.

    Args:
        network: the network at the end of the stage.
        partition: what the stage trains.
        before: the digests when the stage began, of units and of the sub-units of divided units.
        after: the same digests when it ended.
        reached: the trained units and sub-units that depend on a loss of the stage; empty where the
            stage made no update.

    Raises:
        CertificateError: a unit fails; the message names the first one.
    """
    for name, unit in units(network, partition.divided).items():
        if name in partition.frozen:
            if before[name] != after[name]:
                raise CertificateError(f"frozen unit {name} changed")
            weights = unit.parameters.values()
            if any(weight.requires_grad or weight.grad is not None for weight in weights):
                raise CertificateError(f"frozen unit {name} has gradients")
        elif name in reached and before[name] == after[name]:
            raise CertificateError(f"trained unit {name} did not change")


def check_modes(network: Network, partition: Partition) -> None:
    """Certify, right after a training step, that every unit was in the right mode.

    Raises:
        CertificateError: a frozen unit was in train mode, so that its dropout was on, or a trained
            one was in eval mode.
    """
    for name, unit in units(network).items():
        trains = name in partition.touched
        if not trains and any(module.training for module in unit.modules):
            raise CertificateError(f"frozen unit {name} was in train mode")
        if trains and not all(module.training for module in unit.modules):
            raise CertificateError(f"trained unit {name} was in eval mode")


def _smallest(stage: Stage, network: Network, names: list[str]) -> dict[str, Unit]:
    """What a stage's selectors choose among: units, or sub-units where a selector names a part."""
    heads = {name for name in names if name.startswith("head.")}
    tasks = [head.removeprefix("head.") for head in heads]
    parts = any(selectors.parse(text, tasks).part for text in stage.train)
    return units(network, set(names) - heads - {lora.UNIT} if parts else ())


def _partition(
    names: list[str], parts: Mapping[str, Unit], taken: Mapping[str, tuple[str, float]]
) -> Partition:
    """The partition that trains ``taken``, a map from unit or sub-unit to selector and rate.

    A unit is listed whole, and not by its sub-units, where they all have the same selector and
    rate, or all are frozen.
    """
    settings: dict[str, set[tuple[str, float] | None]] = {name: set() for name in names}
    for name, part in parts.items():
        if part.parameters:
            settings[sub_units.owner(name)].add(taken.get(name))
    divided = frozenset(name for name in names if len(settings[name]) > 1)
    listed = {name: name if (unit := sub_units.owner(name)) in divided else unit for name in parts}
    groups: dict[tuple[str, float], dict[str, None]] = {}
    for name, setting in taken.items():
        groups.setdefault(setting, {})[listed[name]] = None
    trained = {listed[name] for name in taken}
    return Partition(
        tuple(Group(*setting, tuple(of_group)) for setting, of_group in groups.items()),
        tuple(name for name in dict.fromkeys(listed.values()) if name not in trained),
        _prefix_depth(names, set(map(sub_units.owner, taken))),
    )


def _owner(name: str, claimed: Mapping[str, str]) -> str:
    """The unit that a module belongs to: that of the module itself or of its nearest ancestor in
    ``claimed``, else ``embeddings``.
    """
    while name:
        if name in claimed:
            return claimed[name]
        name = name.rpartition(".")[0]
    return "embeddings"


def _unit(network: Network, name: str, members: list[str]) -> Unit:
    modules = {member: network.get_submodule(member) for member in members}
    parameters = {
        f"{member}.{key}": value
        for member, module in modules.items()
        for key, value in module.named_parameters(recurse=False)
    }
    buffers = {
        f"{member}.{key}": value
        for member, module in modules.items()
        for key, value in module.named_buffers(recurse=False)
    }
    return Unit(name, tuple(modules.values()), parameters, buffers)


def _parts(network: Network, unit: Unit, members: list[str]) -> list[Unit]:
    """The sub-units of a unit; ``members`` are the names of its modules."""
    modules = {member: network.get_submodule(member) for member in members}
    placed = sub_units.names(unit.name, modules)
    return [
        Unit(
            part,
            (),
            {name: weight for name, weight in unit.parameters.items() if placed[name] == part},
            {name: buffer for name, buffer in unit.buffers.items() if placed[name] == part},
        )
        for part in dict.fromkeys(placed.values())
    ]


def _refuse_shared(by_name: Mapping[str, Unit]) -> None:
    owner: dict[int, str] = {}
    for name, unit in by_name.items():
        for key, parameter in unit.parameters.items():
            if owner.setdefault(id(parameter), name) != name:
                raise UserError(
                    f"{name} and {owner[id(parameter)]} share {key}",
                    "neither can be frozen alone",
                    where="encoder",
                    code="encoder-unfit",
                )


def _matches(text: str, names: list[str], parts: Mapping[str, Unit], depth: int) -> list[str]:
    """The units of ``names``, or their sub-units in ``parts``, that a selector names.

    Raises:
        UserError: there are none.
    """
    heads = [name.removeprefix("head.") for name in names if name.startswith("head.")]
    selector = selectors.parse(text, heads)
    kinds = {
        "all": lambda name: True,
        "heads": lambda name: name.startswith("head."),
        "encoder": lambda name: not name.startswith("head."),
    }
    is_meant = kinds.get(selector.name, lambda name: name == selector.name)
    if selector.name == "layers":
        try:
            blocks = {f"layers[{index}]" for index in selector.blocks(depth)}
        except UserError as error:
            raise UserError(error.problem, error.remedy, where=text, code=error.code) from None
        is_meant = blocks.__contains__
    meant = [
        name
        for name, part in parts.items()
        if is_meant(sub_units.owner(name)) and (part.parameters or name in names)
    ]
    meant = sub_units.selected(meant, selector.part)
    if not meant:
        remedy = f"these blocks have no {selector.part}; leave it out"
        raise UserError(
            f"selector {text!r} matches nothing",
            remedy if selector.part else f"this network has {', '.join(names)}",
            where=text,
            code="bad-selector",
        )
    return meant


def _prefix_depth(names: list[str], taken: set[str]) -> int:
    if {"embeddings", lora.UNIT} & taken:  # the lowest block has adapters, too
        return 0
    blocks = [name for name in names if name.startswith("layers[")]
    return next((index for index, name in enumerate(blocks) if name in taken), len(blocks))
