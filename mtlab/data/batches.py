"""Batches: which sentences go together, in which order, as which tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mtlab.data.encoding import Encoded, Example
from mtlab.tasks.kind import IGNORE

WINDOW = 50
"""Batches in a window: a part of the shuffled order in which sentences are sorted by length."""

EVALUATION_TOKENS = 2048
"""Padded tokens in a batch without gradients: its size changes only the speed."""

STRETCH = 1 << 16
"""Sentences in a stretch. For evaluation, sentences are sorted by length only within a stretch, so
that batches that follow one another read and write data that are close together on a disk."""


@dataclass(frozen=True)
class Batch:
    """A padded batch.

    Attributes:
        ids: the examples, in row order.
        input_ids: (sentences, tokens).
        attention_mask: (sentences, tokens), 1 for tokens and 0 for padding.
        targets: by task (sentences,) or (sentences, classes); or, where words have gold, (sentences,
            tokens), ``IGNORE`` everywhere but on first sub-words of words.
        lengths: tokens of each sentence, padding not counted.
        of_words: the tasks that have gold for words.
    """

    ids: tuple[int, ...]
    input_ids: Tensor
    attention_mask: Tensor
    targets: Mapping[str, Tensor]
    lengths: tuple[int, ...]
    of_words: frozenset[str] = frozenset()

    @property
    def tokens(self) -> np.ndarray:
        """(tokens,): the places of its tokens in the flattened batch, without padding. They are
        computed from the lengths, because reading a mask on a GPU would make the host wait.
        """
        width = self.input_ids.shape[1]
        return np.concatenate(
            [row * width + np.arange(length) for row, length in enumerate(self.lengths)]
        )

    def part(self, first: int, every: int) -> "Batch":
        """Every ``every``-th sentence, starting at ``first``, padded to the longest of them."""
        rows = slice(first, None, every)
        ids, lengths = self.ids[rows], self.lengths[rows]
        words = (rows, slice(max(lengths)))
        return Batch(
            ids,
            self.input_ids[words],
            self.attention_mask[words],
            {
                task: gold[words] if task in self.of_words else gold[rows]
                for task, gold in self.targets.items()
            },
            lengths,
            self.of_words,
        )

    def to(self, device: torch.device) -> "Batch":
        """The batch with its tensors on ``device``; a GPU fetches them from pinned memory while the
        host works.
        """

        def there(tensor: Tensor) -> Tensor:
            pinned = tensor.pin_memory() if device.type == "cuda" else tensor
            return pinned.to(device, non_blocking=True)

        return replace(
            self,
            input_ids=there(self.input_ids),
            attention_mask=there(self.attention_mask),
            targets={task: there(gold) for task, gold in self.targets.items()},
        )


def collate(examples: Sequence[Example], ids: Sequence[int], pad_id: int) -> Batch:
    """Pad the examples ``ids`` to the longest of them."""
    rows = [examples[index] for index in ids]
    shape = (len(rows), max(len(row) for row in rows))
    input_ids, mask = np.full(shape, pad_id), np.zeros(shape, dtype=np.int64)
    targets: dict[str, np.ndarray] = {
        task: np.array([row.of_sentence[task] for row in rows]) for task in rows[0].of_sentence
    }
    targets |= {task: np.full(shape, IGNORE) for task in rows[0].of_words}
    for index, row in enumerate(rows):
        input_ids[index, : len(row)] = row.input_ids
        mask[index, : len(row)] = 1
        kept = row.words >= 0
        for task, gold in row.of_words.items():
            targets[task][index, row.words[kept]] = gold[kept]
    return Batch(
        ids=tuple(ids),
        input_ids=torch.from_numpy(input_ids),
        attention_mask=torch.from_numpy(mask),
        targets={task: torch.from_numpy(gold) for task, gold in targets.items()},
        lengths=tuple(len(row) for row in rows),
        of_words=frozenset(rows[0].of_words),
    )


def epoch(
    encoded: Encoded, sources: Sequence[int], batch_size: int, data_seed: int, number: int
) -> list[tuple[int, ...]]:
    """The batches of one epoch, as ids of exactly ``batch_size`` examples of one source each.

    A source's sentences are shuffled; within windows of ``WINDOW`` batches they are sorted by
    length, which keeps padding low, and then the batches are shuffled. Where the last batch is
    short, the first sentences of the shuffled order fill it up: every sentence is seen, none is
    dropped. Batches of several sources alternate in proportion to their numbers. The order depends
    on ``data_seed`` and the epoch alone.

    Args:
        encoded: the training split.
        sources: the sources to draw from.
        batch_size: sentences a batch.
        data_seed: the experiment's.
        number: the epoch, counted over all stages.
    """
    placed = []
    for source in sources:
        members = np.flatnonzero(encoded.examples.sources == source)
        batches = _shuffled(
            encoded.examples.lengths,
            members,
            batch_size,
            np.random.default_rng([data_seed, number, source]),
        )
        placed += [
            ((turn + 0.5) / len(batches), source, batch) for turn, batch in enumerate(batches)
        ]
    return [batch for _, _, batch in sorted(placed, key=lambda place: place[:2])]


def by_length(encoded: Encoded, token_budget: int) -> list[tuple[int, ...]]:
    """Batches for evaluation: sentences sorted by length, as many as fit ``token_budget`` padded
    tokens (at least one).

    They are sorted in stretches of ``STRETCH`` sentences.
    """
    batches: list[tuple[int, ...]] = []
    for start in range(0, len(encoded.examples), STRETCH):
        lengths = encoded.examples.lengths[start : start + STRETCH]
        batch: list[int] = []
        order = np.argsort(lengths, kind="stable")
        for index, length in zip((start + order).tolist(), lengths[order].tolist(), strict=True):
            if batch and (len(batch) + 1) * length > token_budget:
                batches.append(tuple(batch))
                batch = []
            batch.append(index)
        batches.append(tuple(batch))
    return batches


def _shuffled(
    every: np.ndarray, members: np.ndarray, size: int, draw: np.random.Generator
) -> list[tuple[int, ...]]:
    order = draw.permutation(members)
    order = np.resize(order, -(-len(order) // size) * size)
    lengths = every[order]
    batches = []
    for start in range(0, len(order), WINDOW * size):
        window = slice(start, start + WINDOW * size)
        ordered = order[window][np.argsort(lengths[window], kind="stable")]
        batches += [tuple(row) for row in ordered.reshape(-1, size).tolist()]
    return [batches[index] for index in draw.permutation(len(batches))]
