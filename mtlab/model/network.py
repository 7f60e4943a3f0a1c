"""The network: one shared encoder, and one linear head per task."""

import hashlib
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from mtlab.model.backbone import Backbone
from mtlab.plan.settings import Head as HeadSettings
from mtlab.tasks.kind import Shape


class Head(nn.Module):
    """Dropout and one linear layer: (…, hidden) to (…, outputs)."""

    def __init__(self, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, outputs)

    def forward(self, states: Tensor) -> Tensor:
        """Logits (…, outputs)."""
        return self.linear(self.dropout(states))


class Network(nn.Module):
    """The encoder and one head per task.

    Args:
        backbone: the encoder; it becomes a part of the network.
        shapes: task to the shape of its head.
        settings: pooling, dropout, and the standard deviation of initial head weights.
    """

    def __init__(
        self, backbone: Backbone, shapes: Mapping[str, Shape], settings: HeadSettings
    ) -> None:
        super().__init__()
        self.backbone, self.settings, self.shapes = backbone, settings, dict(shapes)
        self.encoder = backbone.model
        device = next(self.encoder.parameters()).device
        self.heads = nn.ModuleDict(
            {
                task: Head(backbone.hidden_size, shape.outputs, settings.dropout).to(device)
                for task, shape in shapes.items()
            }
        )

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, tasks: Iterable[str]
    ) -> dict[str, Tensor]:
        """Logits of ``tasks``.

        Args:
            input_ids: (sentences, tokens), padded.
            attention_mask: (sentences, tokens), 1 for tokens and 0 for padding.
            tasks: which heads to run.

        Returns:
            Task to logits: (sentences, outputs), or (sentences, tokens, outputs) for a task of
            words.
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.read(states, attention_mask, tasks)

    def read(
        self, states: Tensor, attention_mask: Tensor, tasks: Iterable[str]
    ) -> dict[str, Tensor]:
        """Logits of ``tasks`` from the encoder's last hidden states (sentences, tokens, hidden)."""
        pooled: Tensor | None = None
        logits = {}
        for task in tasks:
            if self.shapes[task].of_words:
                logits[task] = self.heads[task](states)
                continue
            pooled = self.pool(states, attention_mask) if pooled is None else pooled
            logits[task] = self.heads[task](pooled)
        return logits

    def pool(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """The input of heads of sentences: (sentences, tokens, hidden) to (sentences, hidden)."""
        if self.settings.pooling == "cls":
            return states[:, 0]
        mask = attention_mask.unsqueeze(-1).float()  # a sum in bf16 would have about three digits
        return (states.float() * mask).sum(dim=1) / mask.sum(dim=1)

    def draw_heads(self, seed: int) -> None:
        """Draw every head's weights by a generator that depends on the head's name and the seed
        alone, and set its biases to 0.

        The weights are drawn on the CPU, so that every device starts from the same ones.
        """
        for task, head in self.heads.items():
            weight = head.linear.weight
            drawn = torch.empty(weight.shape).normal_(
                0.0, self.settings.init_std, generator=generator(f"head.{task}", seed)
            )
            with torch.no_grad():
                weight.copy_(drawn)
                head.linear.bias.zero_()


def generator(name: str, seed: int) -> torch.Generator:
    """A CPU generator that depends on ``name`` and ``seed`` alone."""
    return torch.Generator().manual_seed(stream_seed(name, seed))


def stream_seed(name: str, *numbers: int) -> int:
    """A 63-bit seed for the stream of random numbers called ``name``. Streams with different names
    or numbers are unrelated.
    """
    text = "/".join([name, *map(str, numbers)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1
