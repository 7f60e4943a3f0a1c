"""Encoding: sentences as sub-word ids with word alignment, made once and used by every epoch, seed and scenario."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from mtlab.data.sources import Sentence

IGNORE = -100
"""The target of positions that no loss counts: what torch's cross-entropy ignores."""


@dataclass(frozen=True, slots=True)
class Example:
    """One encoded sentence.

    Attributes:
        source: index of the source that it comes from.
        input_ids: sub-word ids, special tokens included.
        words: position of each word's first sub-word, -1 where truncation or the tokenizer lost the word; empty for
            sentences without tags.
        tags: gold tag ids, one a word, ``IGNORE`` for a tag that training does not have.
        label: gold label id; ``IGNORE`` where there is none, or training does not have it.
    """

    source: int
    input_ids: np.ndarray
    words: np.ndarray
    tags: np.ndarray
    label: int

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True)
class Encoded:
    """The encoded sentences of a split; an example's id is its index here."""

    examples: tuple[Example, ...]
    lost_words: int
    """Words with a tag that have no sub-word left: scored as ``O``."""


def encode(
    sentences: Sequence[Sentence], tokenizer: PreTrainedTokenizerBase, labels: Sequence[str], tags: Sequence[str], max_length: int
) -> Encoded:
    """Encode a split.

    Args:
        sentences: of the split.
        tokenizer: a fast one.
        labels: label names in the order of their ids.
        tags: tag names in the order of their ids.
        max_length: inputs are cut to this many sub-words, special tokens included.
    """
    label_ids = {label: index for index, label in enumerate(labels)}
    tag_ids = {tag: index for index, tag in enumerate(tags)}
    encodings: list[tuple[list[int], list[int | None]]] = [([], [])] * len(sentences)
    for split_into_words in (False, True):
        chosen = [index for index, sentence in enumerate(sentences) if (sentence.tokens is not None) is split_into_words]
        if not chosen:
            continue
        texts = [list(sentences[index].tokens or ()) if split_into_words else sentences[index].text for index in chosen]
        batch = tokenizer(texts, is_split_into_words=split_into_words, truncation=True, max_length=max_length)
        for row, index in enumerate(chosen):
            encodings[index] = (batch["input_ids"][row], batch.word_ids(row) if split_into_words else [])
    examples = tuple(
        _example(sentence, ids, word_ids, label_ids, tag_ids) for sentence, (ids, word_ids) in zip(sentences, encodings, strict=True)
    )
    return Encoded(examples, sum(int((example.words < 0).sum()) for example in examples))


def _example(sentence: Sentence, ids: list[int], word_ids: list[int | None], label_ids: dict[str, int], tag_ids: dict[str, int]) -> Example:
    gold = sentence.tags or ()
    words = np.full(len(gold), -1, dtype=np.int64)
    if gold:
        for position in range(len(word_ids) - 1, -1, -1):  # backwards, so that a word's first sub-word is the one that stays
            word = word_ids[position]
            if word is not None:
                words[word] = position
    return Example(
        source=sentence.source,
        input_ids=np.asarray(ids, dtype=np.int64),
        words=words,
        tags=np.asarray([tag_ids.get(tag, IGNORE) for tag in gold], dtype=np.int64),
        label=IGNORE if sentence.label is None else label_ids.get(sentence.label, IGNORE),
    )
