"""FLOPs of a training step as a function of its shape, counted on a model without weights.

``torch.utils.flop_counter`` counts matrix multiplications, two FLOPs a multiply-add, as the usual formulas do. Fused
CPU attention escapes it, and counting every step would slow training. So the network is built once more on torch's meta
device with attention written out, the counter runs there at four shapes, and the exact polynomial through them
serves every step: a transformer's cost for B sentences of T tokens is ``(1, B, BT, BT²) · k``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import PretrainedConfig

from mtlab.model import backbone, freezing
from mtlab.model.freezing import Partition
from mtlab.model.network import Network
from mtlab.plan.experiment import Head

SHAPES = ((1, 8), (1, 12), (1, 20), (2, 8))


@dataclass(frozen=True)
class Cost:
    """FLOPs as a polynomial in the shape of a batch; the coefficients belong to ``(1, B, BT, BT²)``."""

    coefficients: tuple[float, ...]

    def padded(self, sentences: int, tokens: int) -> int:
        """FLOPs of a batch of ``sentences`` that are all padded to ``tokens``."""
        return round(float(np.dot(self.coefficients, _terms(sentences, tokens))))

    def exact(self, lengths: Sequence[int]) -> int:
        """FLOPs of a batch of sentences of these lengths if no padding were computed."""
        n = np.asarray(lengths, dtype=np.float64)
        terms = (1.0, float(n.size), n.sum(), (n**2).sum())
        return round(float(np.dot(self.coefficients, terms)))

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(tuple(a - b for a, b in zip(self.coefficients, other.coefficients, strict=True)))


class Counter:
    """Counts what a step of any partition costs; what was counted once is remembered.

    Args:
        config: the encoder's configuration.
        classes: task to number of classes.
        settings: the heads'.
    """

    def __init__(self, config: PretrainedConfig, classes: Mapping[str, int], settings: Head) -> None:
        self.network = Network(backbone.skeleton(config), classes, settings)
        self._known: dict[tuple[frozenset[str], tuple[str, ...]], Cost] = {}
        self._prefixes: dict[int, Cost] = {}
        self._forward: dict[tuple[int, int], dict[str, int]] = {}

    def step(self, partition: Partition, tasks: tuple[str, ...]) -> Cost:
        """Forward and backward pass of a training step in which the losses of ``tasks`` count."""
        known = (partition.trained_units, tasks)
        if known not in self._known:
            freezing.apply(self.network, partition)
            self._known[known] = _fit(lambda sentences, tokens: self._run(sentences, tokens, tasks))
        return self._known[known]

    def prefix(self, depth: int) -> Cost:
        """One forward pass of the embeddings and the lowest ``depth`` blocks."""
        if depth not in self._prefixes:
            self._prefixes[depth] = _fit(lambda sentences, tokens: self._forward_below(sentences, tokens, depth))
        return self._prefixes[depth]

    def _run(self, sentences: int, tokens: int, tasks: tuple[str, ...]) -> int:
        with FlopCounterMode(display=False) as counter:
            states = backbone.probe(self.network.encoder, sentences, tokens)
            mask = torch.ones(sentences, tokens, device="meta")
            total = sum(logits.sum() for logits in self.network.read(states, mask, tasks).values())
            if isinstance(total, torch.Tensor) and total.requires_grad:
                total.backward()
        return counter.get_total_flops()

    def _forward_below(self, sentences: int, tokens: int, depth: int) -> int:
        above = (*self.network.backbone.blocks[depth:], *self.network.backbone.after)
        shape = (sentences, tokens)
        if shape not in self._forward:
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                backbone.probe(self.network.encoder, sentences, tokens)
            self._forward[shape] = {name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
        by_module, root = self._forward[shape], type(self.network.encoder).__name__
        return by_module.get("Global", 0) - sum(by_module.get(f"{root}.{name}", 0) for name in above)


def _terms(sentences: int, tokens: int) -> list[float]:
    return [1.0, sentences, sentences * tokens, sentences * tokens**2]


def _fit(count: Callable[[int, int], int]) -> Cost:
    counted = np.array([count(*shape) for shape in SHAPES], dtype=np.float64)
    return Cost(tuple(np.linalg.solve(np.array([_terms(*shape) for shape in SHAPES]), counted).tolist()))
