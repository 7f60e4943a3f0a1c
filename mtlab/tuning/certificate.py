"""Certificates: proof that frozen weights did not change, and that trained weights did."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor, nn

from mtlab.model.freezing import CertificateError, content, units
from mtlab.tuning.parts import parts

SHOWN = 5
"""The most names that an error lists."""


@dataclass
class Certificate:
    """Digests of a model's weights before and after training.

    Attributes:
        frozen: names of the tensors that must not change.
        trained: unit to the names of its tensors that train; at least one of them must change.
        before: name of each tensor to the SHA-256 of its content.
        after: the same at the end; empty until then.
    """

    frozen: tuple[str, ...]
    trained: Mapping[str, tuple[str, ...]]
    before: Mapping[str, str]
    after: Mapping[str, str] = field(default_factory=dict)

    @property
    def moved(self) -> list[str]:
        """Frozen tensors that changed."""
        return [name for name in self.frozen if self.after.get(name) != self.before[name]]

    @property
    def idle(self) -> list[str]:
        """Units that train and did not change."""
        return [
            unit
            for unit, names in self.trained.items()
            if all(self.after.get(name) == self.before[name] for name in names)
        ]


@contextmanager
def certify(model: nn.Module) -> Iterator[Certificate]:
    """A context in which frozen weights must not change, and each unit that trains must change.

    Parameters with ``requires_grad`` at the beginning train. All others are frozen, and so are the
    buffers of units without a parameter that trains.

    Args:
        model: as for :func:`mtlab.train_only`.

    Raises:
        CertificateError: it names the frozen tensors that changed, and the units that did not.

    Example:
        ``with mtlab.certify(model): trainer.train()``
    """
    certificate = _begun(model)
    yield certificate
    certificate.after = digests(_tensors(model))
    refuse(certificate.moved, certificate.idle)


def refuse(moved: Iterable[str], idle: Iterable[str], where: str = "") -> None:
    """Raise an error if anything frozen changed, or anything that trains did not.

    Args:
        moved: names of tensors or units that are frozen and changed.
        idle: names of units that train and did not change.
        where: what was trained, for the error.

    Raises:
        CertificateError: there are such names.
    """
    lines = [
        f"{verb}: {listed(names)}"
        for verb, names in (("frozen, but changed", moved), ("trains, but did not change", idle))
        if list(names)
    ]
    if lines:
        raise CertificateError(
            "; ".join([f"{where}: {lines[0]}" if where else lines[0], *lines[1:]])
        )


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Name to SHA-256 (hex) of the content."""
    with ThreadPoolExecutor() as pool:  # hashlib releases the GIL
        return dict(zip(tensors, pool.map(_digest, tensors.values()), strict=True))


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(content(tensor)).hexdigest()


def _begun(model: nn.Module) -> Certificate:
    names = {id(tensor): name for name, tensor in _tensors(model).items()}
    frozen: list[str] = []
    trained: dict[str, tuple[str, ...]] = {}
    for unit_name, unit in units(parts(model)).items():
        training = tuple(names[id(own)] for own in unit.parameters.values() if own.requires_grad)
        frozen += [names[id(own)] for own in unit.parameters.values() if not own.requires_grad]
        if training:
            trained[unit_name] = training
        else:
            frozen += [names[id(own)] for own in unit.buffers.values()]
    return Certificate(tuple(frozen), trained, digests(_tensors(model)))


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
