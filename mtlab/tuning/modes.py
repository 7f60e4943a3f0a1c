"""Eval mode that lasts: ``train()`` of a whole model puts frozen modules into train mode, too, so
that their dropout is on. Here it does not.
"""

from collections.abc import Iterable

from torch import nn

from mtlab.model.freezing import Partition, apply, units
from mtlab.tuning.parts import Parts


class Stay:
    """The ``train`` of a frozen module: it stays in eval mode, and what it contains is asked as
    always.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, mode: bool = True) -> nn.Module:
        """As ``nn.Module.train``."""
        self.module.training = False
        for child in self.module.children():
            child.train(mode)
        return self.module


def freeze(model: nn.Module, parts: Parts, partition: Partition) -> None:
    """Make a model train exactly what a partition says: gradients on or off, and eval mode of what
    is frozen, which stays through ``model.train()``.
    """
    release(parts)
    training = model.training
    apply(parts, partition)
    for module in frozen_modules(parts, partition):
        module.train = Stay(module)
    model.train(training)


def frozen_modules(parts: Parts, partition: Partition) -> list[nn.Module]:
    """The modules of frozen units; without a head that trains also what has no parameters beside
    the encoder.
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
