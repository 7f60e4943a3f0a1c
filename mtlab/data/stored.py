"""Sentences: few are kept in memory, many in an Arrow file on disk, with the same interface."""

import json
import os
import uuid
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from mtlab.data import disk

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence with what its source says about it."""

    place: str
    """``file:line``, for messages."""
    source: int
    """Index of the source it comes from."""
    tokens: tuple[str, ...] | None
    """Its words, or None where the source gives raw text only."""
    text: str | None
    """Its raw text, where there are no tokens."""
    gold: Mapping[str, Any] = field(default_factory=dict)
    """Task to its gold, in the order of the experiment; tasks without gold are left out. Gold
    consists of text, numbers and tuples of them."""

    def with_gold(self, task: str, gold: Any) -> "Sentence":
        """The sentence with new gold for a task that has gold already; None removes its gold."""
        others = {name: known for name, known in self.gold.items() if name != task}
        return replace(self, gold=others if gold is None else {**self.gold, task: gold})

    @property
    def surface(self) -> str:
        """The text, or the tokens joined by blanks."""
        return " ".join(self.tokens) if self.tokens is not None else self.text or ""


COLUMNS = ("place", "source", "tokens", "text", "gold")


class View(Sequence[Sentence]):
    """Sentences that are made on demand: reading all in their order is cheap, picking out single
    ones is not.
    """

    @overload
    def __getitem__(self, index: int) -> Sentence: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sentence]: ...
    def __getitem__(self, index: int | slice) -> Sentence | list[Sentence]:
        whole = range(len(self))
        return (
            [self.sentence(place) for place in whole[index]]
            if isinstance(index, slice)
            else self.sentence(whole[index])
        )

    @abstractmethod
    def sentence(self, index: int) -> Sentence:
        """The sentence with this index, from 0, which must exist."""


class Stored(View):
    """Sentences in an Arrow file.

    Args:
        data: with the columns of :data:`COLUMNS`.
    """

    def __init__(self, data: "Dataset") -> None:
        self._data = data.with_format("arrow")

    def __len__(self) -> int:
        return int(self._data.num_rows)

    def __iter__(self) -> Iterator[Sentence]:
        for table in self._data.iter(disk.CHUNK):
            yield from _sentences(table)

    def sentence(self, index: int) -> Sentence:
        """The sentence with this index, from 0, which must exist."""
        return next(_sentences(self._data[index]))


class Joined(View):
    """Several sequences of sentences, one after another."""

    def __init__(self, parts: Sequence[Sequence[Sentence]]) -> None:
        self._parts = parts
        self._starts = list(accumulate(map(len, parts), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Sentence]:
        return chain.from_iterable(self._parts)

    def sentence(self, index: int) -> Sentence:
        """The sentence with this index, from 0, which must exist."""
        at = next(at for at, end in enumerate(self._starts[1:]) if index < end)
        return self._parts[at][index - self._starts[at]]


def joined(parts: Sequence[Sequence[Sentence]]) -> Sequence[Sentence]:
    """Several sequences as one: a tuple, unless some of them lie on disk."""
    if any(isinstance(part, View) for part in parts):
        return Joined(parts) if len(parts) > 1 else parts[0]
    return tuple(chain.from_iterable(parts))


def collect(sentences: Iterable[Sentence], directory: Path | None) -> Sequence[Sentence]:
    """The sentences as a list; if there are more than :data:`disk.SENTENCES`, all are in a file.

    Args:
        sentences: read once, one after another.
        directory: for the file.

    Raises:
        UserError: there is no room for the file.
    """
    rest = iter(sentences)
    few = list(islice(rest, disk.SENTENCES + 1))
    return few if len(few) <= disk.SENTENCES else _stored(few, rest, directory)


def _stored(first: list[Sentence], rest: Iterator[Sentence], directory: Path | None) -> Stored:
    """Write sentences to a file; ``first`` is emptied on the way."""
    import pyarrow as pa
    from datasets import Dataset, Features, List, Value
    from datasets.arrow_writer import ArrowWriter

    features = Features(
        {
            "place": Value("binary"),  # the name of a file, which need not be text
            "source": Value("int64"),
            "tokens": List(Value("string")),
            "text": Value("string"),
            "gold": Value("string"),
        }
    )
    with disk.nameless(directory) as file:
        named = uuid.uuid4().hex  # without one, the library would pickle all the data to make one
        writer = ArrowWriter(
            features=features, stream=file, writer_batch_size=disk.CHUNK, fingerprint=named
        )
        while chunk := first[: disk.CHUNK] or list(islice(rest, disk.CHUNK)):
            del first[: disk.CHUNK]
            with disk.room(directory):
                writer.write_batch({name: _column(chunk, name) for name in COLUMNS})
        with disk.room(directory):
            writer.finalize(close_stream=False)
            return Stored(Dataset.from_buffer(pa.py_buffer(disk.mapped(file))))


def _column(sentences: Sequence[Sentence], name: str) -> list[Any]:
    values = [getattr(sentence, name) for sentence in sentences]
    if name == "gold":
        return [json.dumps(value) for value in values]
    return [os.fsencode(value) for value in values] if name == "place" else values


def _sentences(table: Any) -> Iterator[Sentence]:
    """The rows of an Arrow table."""
    columns = (table.column(name).to_pylist() for name in COLUMNS)
    for place, source, tokens, text, gold in zip(*columns, strict=True):
        words = None if tokens is None else tuple(tokens)
        known = {task: _as_it_was(value) for task, value in json.loads(gold).items()}
        yield Sentence(os.fsdecode(place), source, words, text, known)


def _as_it_was(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
