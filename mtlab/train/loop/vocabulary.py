"""Training the word embeddings that occur: most rows of the table belong to words that the training
data do not have.

Such a row never gets a gradient, so AdamW's moments of it stay zero and all that happens to it is
weight decay, the same factor for every row. The rows that occur are trained as a small table of
their own, with small gradients and moments; the others are multiplied with the decay of all steps
when the large table is needed again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mtlab.data.encoding import Examples
from mtlab.model.network import Network


class Vocabulary:
    """The rows of a network's word embeddings that occur in some examples.

    Args:
        network: its word embeddings train.
        examples: the training split.
        pad_id: what batches are padded with.
    """

    def __init__(self, network: Network, examples: Examples, pad_id: int) -> None:
        table = network.encoder.get_input_embeddings()
        assert isinstance(table, nn.Embedding)
        self.table = table
        device = table.weight.device
        occurs = np.zeros(table.num_embeddings, dtype=bool)
        occurs[pad_id] = True
        occurs[examples.input_ids] = True
        place = np.where(occurs, np.cumsum(occurs) - 1, -1)
        self.rows, self.others, self.place = (
            torch.from_numpy(numbers).to(device)
            for numbers in (np.flatnonzero(occurs), np.flatnonzero(~occurs), place)
        )
        self.weight = nn.Parameter(table.weight.detach()[self.rows])
        self.decay = 1.0
        """What the rows that do not occur are still to be multiplied with."""
        padding = table.padding_idx
        self.padding = None if padding is None or not occurs[padding] else int(place[padding])

    def stands_for(self, parameter: nn.Parameter) -> bool:
        """Whether ``parameter`` is the large table that this one stands for."""
        return parameter is self.table.weight

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, the network reads the small table; after, the large one is as if it had been
        trained.
        """
        self.table.forward = self._look_up
        try:
            yield
        finally:
            del self.table.forward  # the method of the class is used again
            self._write_back()

    def _look_up(self, ids: Tensor) -> Tensor:
        return functional.embedding(self.place[ids], self.weight, self.padding)

    @torch.no_grad()
    def _write_back(self) -> None:
        self.table.weight.index_copy_(0, self.rows, self.weight)
        if self.decay != 1.0:
            self.table.weight.index_copy_(
                0, self.others, self.table.weight[self.others] * self.decay
            )
            self.decay = 1.0


def occurring(
    network: Network, examples: Examples, pad_id: int, trained: frozenset[str]
) -> Vocabulary | None:
    """The small table, if the embeddings train and are torch's plain table, without a maximal norm
    and without gradients scaled by frequency; None otherwise.
    """
    table = network.encoder.get_input_embeddings()
    plain = type(table) is nn.Embedding and table.max_norm is None and not table.scale_grad_by_freq
    trains = bool(trained & {"embeddings", "embeddings.rest.weights"})
    return Vocabulary(network, examples, pad_id) if plain and trains else None
