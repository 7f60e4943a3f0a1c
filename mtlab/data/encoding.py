"""Encoding: sentences as sub-word ids with word alignment, made once and used by every epoch, seed
and scenario.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
from transformers import PreTrainedTokenizerBase

from mtlab.data import disk
from mtlab.data.disk import Numbers
from mtlab.data.stored import Sentence
from mtlab.tasks.kind import IGNORE, Task


@dataclass(frozen=True, slots=True)
class Example:
    """One encoded sentence.

    Attributes:
        source: index of the source that it comes from.
        input_ids: sub-word ids, special tokens included.
        words: position of each word's first sub-word, -1 where truncation or the tokenizer lost the
            word; empty for sentences without gold for words.
        of_words: task to targets, one for each of ``words``, ``IGNORE`` where it has no gold.
        of_sentence: task to its target, a number or a row of them.
    """

    source: int
    input_ids: np.ndarray
    words: np.ndarray
    of_words: Mapping[str, np.ndarray]
    of_sentence: Mapping[str, int | float | np.ndarray]

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True, eq=False)
class Examples(Sequence[Example]):
    """Encoded sentences as columns of numbers, in memory or in files; an :class:`Example` is a view
    that is made on demand.

    Attributes:
        sources: the source of each sentence.
        of_sentence: task to the target of each sentence.
        starts: (sentences + 1,): where each sentence begins in ``input_ids``.
        input_ids: sentence after sentence.
        word_starts: (sentences + 1,): where each sentence begins in ``words``, and in targets.
        words: sentence after sentence.
        of_words: task to targets, sentence after sentence, one for each of ``words``.
    """

    sources: np.ndarray
    of_sentence: Mapping[str, np.ndarray]
    starts: np.ndarray
    input_ids: np.ndarray
    word_starts: np.ndarray
    words: np.ndarray
    of_words: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, examples: Iterable[Example], directory: Path | None = None) -> "Examples":
        """The columns of some examples.

        Args:
            examples: read once, one after another; none of them is kept.
            directory: for the files of columns that are too long for memory; None is the system's
                folder for temporary files.

        Raises:
            UserError: there is no room for those files.
        """
        rest = iter(examples)
        with ExitStack() as files:
            ids, words, lengths, counts, sources = (Numbers(directory, files) for _ in range(5))
            of_words: dict[str, Numbers] = defaultdict(lambda: Numbers(directory, files))
            of_sentence: dict[str, Numbers] = {}
            while chunk := list(islice(rest, disk.CHUNK)):
                ids.add(np.concatenate([example.input_ids for example in chunk]))
                words.add(np.concatenate([example.words for example in chunk]))
                lengths.add([len(example.input_ids) for example in chunk])
                counts.add([len(example.words) for example in chunk])
                sources.add([example.source for example in chunk])
                for task in chunk[0].of_words:
                    of_words[task].add(
                        np.concatenate([example.of_words[task] for example in chunk])
                    )
                for task, like in chunk[0].of_sentence.items():
                    if task not in of_sentence:
                        of_sentence[task] = Numbers(directory, files, like)
                    of_sentence[task].add([example.of_sentence[task] for example in chunk])
            starts, word_starts = (
                np.concatenate([[0], np.cumsum(sizes.array())]) for sizes in (lengths, counts)
            )
            return cls(
                sources.array(),
                {task: numbers.array() for task, numbers in of_sentence.items()},
                starts,
                ids.array(),
                word_starts,
                words.array(),
                {task: numbers.array() for task, numbers in of_words.items()},
            )

    @cached_property
    def lengths(self) -> np.ndarray:
        """Sub-words of each sentence."""
        return np.diff(self.starts)

    def __len__(self) -> int:
        return len(self.sources)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self._at(place) for place in range(len(self))[index]]
        return self._at(range(len(self))[index])

    def __iter__(self) -> Iterator[Example]:
        return map(self._at, range(len(self)))

    def _at(self, index: int) -> Example:
        begin, end = self.starts[index], self.starts[index + 1]
        first, last = self.word_starts[index], self.word_starts[index + 1]
        return Example(
            int(self.sources[index]),
            self.input_ids[begin:end],
            self.words[first:last],
            {task: targets[first:last] for task, targets in self.of_words.items()},
            {task: targets[index] for task, targets in self.of_sentence.items()},
        )


@dataclass(frozen=True, eq=False)
class Encoded:
    """The encoded sentences of a split; an example's id is its index here."""

    examples: Examples

    @cached_property
    def lost_words(self) -> int:
        """Words with gold that have no sub-word left."""
        return int((self.examples.words < 0).sum())


def encode(
    sentences: Iterable[Sentence],
    tokenizer: PreTrainedTokenizerBase,
    tasks: Mapping[str, Task],
    max_length: int,
    directory: Path | None = None,
) -> Encoded:
    """Encode a split.

    Args:
        sentences: of the split; they are read once, one after another.
        tokenizer: a fast one.
        tasks: those that targets are made for.
        max_length: inputs are cut to this many sub-words, special tokens included.
        directory: for columns too long for memory; None is the system's folder for temporary files.

    Raises:
        UserError: there is no room for those columns.
    """

    def examples() -> Iterator[Example]:
        rest = iter(sentences)
        while chunk := list(islice(rest, disk.CHUNK)):
            for sentence, (ids, word_ids) in zip(
                chunk, _tokenized(chunk, tokenizer, max_length), strict=True
            ):
                yield _example(sentence, ids, word_ids, tasks)

    return Encoded(Examples.of(examples(), directory))


def _tokenized(
    sentences: Sequence[Sentence], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> list[tuple[list[int], list[int | None]]]:
    """Sub-word ids of each sentence, and the word that each of them belongs to."""
    encodings: list[tuple[list[int], list[int | None]]] = [([], [])] * len(sentences)
    for split_into_words in (False, True):
        chosen = [
            index
            for index, sentence in enumerate(sentences)
            if (sentence.tokens is not None) is split_into_words
        ]
        if not chosen:
            continue
        texts = [
            list(sentences[index].tokens or ()) if split_into_words else sentences[index].text
            for index in chosen
        ]
        unread = {"return_token_type_ids": False, "return_attention_mask": False}
        batch = tokenizer(
            texts,
            is_split_into_words=split_into_words,
            truncation=True,
            max_length=max_length,
            **unread,
        )
        for row, index in enumerate(chosen):
            encodings[index] = (
                batch["input_ids"][row],
                batch.word_ids(row) if split_into_words else [],
            )
    return encodings


def _example(
    sentence: Sentence,
    ids: list[int],
    word_ids: list[int | None],
    tasks: Mapping[str, Task],
) -> Example:
    tagged = any(task.of_words and name in sentence.gold for name, task in tasks.items())
    count = len(sentence.tokens or ()) if tagged else 0
    words = np.full(count, -1, dtype=np.int64)
    if count:
        for position in range(
            len(word_ids) - 1, -1, -1
        ):  # backwards, so that a word's first sub-word is the one that stays
            word = word_ids[position]
            if word is not None:
                words[word] = position
    return Example(
        source=sentence.source,
        input_ids=np.asarray(ids, dtype=np.int64),
        words=words,
        of_words={
            name: task.targets(sentence.gold[name])
            if name in sentence.gold
            else np.full(count, IGNORE)
            for name, task in tasks.items()
            if task.of_words
        },
        of_sentence={
            name: task.targets(sentence.gold.get(name))
            for name, task in tasks.items()
            if not task.of_words
        },
    )
