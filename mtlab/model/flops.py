"""FLOPs of a training step as a function of its shape, counted on a model without weights.

``torch.utils.flop_counter`` counts matrix multiplications, with two FLOPs per multiply-add, as the
usual formulas do. It does not count fused CPU attention, and to count every step would slow
training. So the network is built a second time on torch's meta device, with unfused (eager)
attention; there the FLOPs are counted at four shapes. The cost of a transformer for B sentences of
T tokens is ``(1, B, BT, BT²) · k``, so four counts determine ``k`` exactly, and this polynomial
gives the FLOPs of any step.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import PretrainedConfig

from mtlab.model import backbone, freezing, lora
from mtlab.model.freezing import Partition
from mtlab.model.network import Network
from mtlab.plan.settings import Head, Lora
from mtlab.tasks.kind import Shape

SHAPES = ((1, 8), (1, 12), (1, 20), (2, 8))


@dataclass(frozen=True)
class Cost:
    """FLOPs as a polynomial in the shape of a batch: the coefficients of ``(1, B, BT, BT²)``."""

    coefficients: tuple[float, ...]

    def padded(self, sentences: int, tokens: int) -> int:
        """FLOPs of a batch of ``sentences`` that are all padded to ``tokens``."""
        return round(float(np.dot(self.coefficients, _terms(sentences, tokens))))

    def exact(self, lengths: Sequence[int] | np.ndarray) -> int:
        """FLOPs of a batch of sentences of these lengths if no padding were computed."""
        n = np.asarray(lengths, dtype=np.float64)
        terms = (1.0, float(n.size), n.sum(), (n**2).sum())
        return round(float(np.dot(self.coefficients, terms)))

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            tuple(a + b for a, b in zip(self.coefficients, other.coefficients, strict=True))
        )

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(
            tuple(a - b for a, b in zip(self.coefficients, other.coefficients, strict=True))
        )


class Counter:
    """Counts the FLOPs of a step with any partition, and caches the counts.

    Args:
        config: the encoder's configuration.
        shapes: task to the shape of its head.
        settings: of the heads.
        adapters: the settings of LoRA; None where the encoder has no adapters.
    """

    def __init__(
        self,
        config: PretrainedConfig,
        shapes: Mapping[str, Shape],
        settings: Head,
        adapters: Lora | None = None,
    ) -> None:
        self.adapted = adapters is not None
        self.network = Network(backbone.skeleton(config), shapes, settings)
        if adapters is not None:
            lora.inject(self.network, adapters)
        self._encoder: dict[frozenset[str], Cost] = {}
        self._prefix: dict[int, Cost] = {}
        self._counted: dict[tuple[int, int], dict[str, int]] = {}

    def step(self, partition: Partition, tasks: tuple[str, ...]) -> Cost:
        """The cost of a training step, forward and backward, with the losses of ``tasks``."""
        trained = frozenset(
            unit for unit in partition.trained_units if not unit.startswith("head.")
        )
        if trained not in self._encoder:
            self._encoder[trained] = (
                _fit(lambda sentences, tokens: self._both_ways(sentences, tokens, partition))
                if trained
                else self.forward()
            )
        return sum(
            (self._head(task, bool(trained), partition) for task in tasks),
            start=self._encoder[trained],
        )

    def forward(self) -> Cost:
        """One forward pass of the whole encoder."""
        return _fit(lambda *shape: self._modules(*shape)["Global"])

    def prefix(self, depth: int) -> Cost:
        """One forward pass of the embeddings and the lowest ``depth`` blocks."""
        if depth not in self._prefix:
            above = (*self.network.backbone.blocks[depth:], *self.network.backbone.after)
            names = [f"{type(self.network.encoder).__name__}.{name}" for name in above]
            self._prefix[depth] = self.forward() - _fit(
                lambda *shape: sum(self._modules(*shape).get(name, 0) for name in names)
            )
        return self._prefix[depth]

    def _head(self, task: str, encoder_trains: bool, partition: Partition) -> Cost:
        """The cost of a head, a linear layer: one matrix multiplication in the forward pass, one
        for the gradient of its input where the encoder trains, and one for that of its weights
        where the head trains.
        """
        linear = self.network.heads[task].linear
        work = (
            2.0
            * linear.in_features
            * linear.out_features
            * (1 + encoder_trains + (f"head.{task}" in partition.trained_units))
        )
        return Cost(
            (0.0, 0.0, work, 0.0) if self.network.shapes[task].of_words else (0.0, work, 0.0, 0.0)
        )

    def _both_ways(self, sentences: int, tokens: int, partition: Partition) -> int:
        freezing.apply(self.network, partition)
        with FlopCounterMode(display=False) as counter:
            backbone.probe(self.network.encoder, sentences, tokens).sum().backward()
        return counter.get_total_flops()

    def _modules(self, sentences: int, tokens: int) -> dict[str, int]:
        """Module to FLOPs of a forward pass; ``Global`` is the whole encoder."""
        shape = (sentences, tokens)
        if shape not in self._counted:
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                backbone.probe(self.network.encoder, sentences, tokens)
            self._counted[shape] = {
                name: sum(operations.values())
                for name, operations in counter.get_flop_counts().items()
            }
        return self._counted[shape]


def _terms(sentences: int, tokens: int) -> list[float]:
    return [1.0, sentences, sentences * tokens, sentences * tokens**2]


def _fit(count: Callable[[int, int], int]) -> Cost:
    counted = np.array([count(*shape) for shape in SHAPES], dtype=np.float64)
    return Cost(
        tuple(np.linalg.solve(np.array([_terms(*shape) for shape in SHAPES]), counted).tolist())
    )
