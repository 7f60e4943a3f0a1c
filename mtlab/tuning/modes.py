"""Keeps frozen modules in eval mode. Otherwise ``train()`` of the model would put them into train
mode, too, and turn their dropout on.
"""

from collections.abc import Iterable

from torch import nn

from mtlab.model.freezing import Partition, apply, units
from mtlab.tuning.parts import Parts


class Stay:
    """The ``train`` method of a frozen module: the module stays in eval mode, and ``train`` of its
    children is called as usual.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, mode: bool = True) -> nn.Module:
        """Like ``nn.Module.train``, but only for the children."""
        self.module.training = False
        for child in self.module.children():
            child.train(mode)
        return self.module


def freeze(model: nn.Module, parts: Parts, partition: Partition) -> None:
    """Make a model train exactly what a partition says: turn gradients on or off, and put frozen
    modules into eval mode, in which they stay when ``model.train()`` is called.
    """
    release(parts)
    training = model.training
    apply(parts, partition)
    for module in frozen_modules(parts, partition):
        module.train = Stay(module)
    model.train(training)


def frozen_modules(parts: Parts, partition: Partition) -> list[nn.Module]:
    """The modules of frozen units; if no head trains, also modules outside the encoder that have no
    parameters.
    """
    modules = [
        module
        for name, unit in units(parts).items()
        if name not in partition.touched
        for module in unit.modules
    ]
    heads = any(name.startswith("head.") for name in partition.trained_units)
    return modules if heads else [*modules, *parts.loose]


def release(parts: Parts) -> None:
    """Let ``train()`` reach every module again."""
    _release([*parts.modules(), *parts.loose])


def _release(modules: Iterable[nn.Module]) -> None:
    for module in modules:
        if isinstance(vars(module).get("train"), Stay):
            del module.train
