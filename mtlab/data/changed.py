"""Seeded changes of sentences, to see what a model still reads then. A word stays a word, so that
tags stay with their words.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtlab.data.stored import Sentence
from mtlab.plan.also_test import AlsoTest
from mtlab.tasks.kind import Kind

FEWEST_LETTERS = 4
"""Words with fewer letters get no typo."""

WORD = re.compile(r"\S+")
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Letters of a keyboard."""


def _neighbours() -> dict[str, str]:
    """A letter to those that lie beside it, above and below it."""
    places = {
        letter: (at + row / 2, row)
        for row, keys in enumerate(ROWS)
        for at, letter in enumerate(keys)
    }
    return {
        letter: "".join(
            other
            for other, (column, line) in places.items()
            if other != letter and abs(column - x) <= 1 and abs(line - y) <= 1
        )
        for letter, (x, y) in places.items()
    }


NEIGHBOURS = _neighbours()


def typo(word: str, rng: np.random.Generator) -> str:
    """A word with one typo inside: two neighbouring letters swapped, a letter left out, doubled, or
    replaced by its neighbour on the keyboard, each as likely where the word allows it.

    The first and the last letter stay (Belinkov and Bisk 2018; Pruthi, Dhingra and Lipton 2019).
    """
    letters = [place for place, letter in enumerate(word) if letter.isalpha()]
    inner = letters[1:-1]
    ways: list[tuple[Callable[[int], str], list[int]]] = [
        (lambda at: word[at + 1] + word[at], [at for at in inner if _swappable(word, at, inner)]),
        (lambda at: word[at + 1], inner),
        (lambda at: word[at] * 2 + word[at + 1], inner),
        (
            lambda at: _beside(word[at], rng) + word[at + 1],
            [at for at in inner if word[at].lower() in NEIGHBOURS],
        ),
    ]
    possible = [(way, places) for way, places in ways if places]
    way, places = possible[rng.integers(len(possible))]
    at = places[rng.integers(len(places))]
    return word[:at] + way(at) + word[at + 2 :]


def _swappable(word: str, at: int, inner: Sequence[int]) -> bool:
    return at + 1 in inner and word[at] != word[at + 1]


def _beside(letter: str, rng: np.random.Generator) -> str:
    """A neighbour of a letter, a capital for a capital."""
    near = NEIGHBOURS[letter.lower()]
    other = near[rng.integers(len(near))]
    return other.upper() if letter.isupper() else other


def _typos(words: Sequence[str], asked: AlsoTest, rng: np.random.Generator) -> list[str]:
    draws = rng.random(len(words))
    return [
        typo(word, rng)
        if draw < (asked.rate or 0) and sum(map(str.isalpha, word)) >= FEWEST_LETTERS
        else word
        for word, draw in zip(words, draws.tolist(), strict=True)
    ]


CHANGES: Mapping[str, Callable[[Sequence[str], AlsoTest, np.random.Generator], list[str]]] = {
    "lowercase": lambda words, asked, rng: [word.lower() for word in words],
    "typos": _typos,
    "shortened": lambda words, asked, rng: list(words[: asked.words]),
}
"""Change to what makes it of the words of a sentence, the first ones of which it may leave alone."""


@dataclass
class Tally:
    """What was changed.

    Attributes:
        words: of all sentences.
        changed: those that are other words now.
        cut: those that are gone.
        sentences: those with a word that was changed or cut.
    """

    words: int = 0
    changed: int = 0
    cut: int = 0
    sentences: int = 0

    def add(self, before: Sequence[str], after: Sequence[str]) -> None:
        """Count a sentence."""
        changed = sum(map(str.__ne__, before, after))
        cut = len(before) - len(after)
        self.words += len(before)
        self.changed, self.cut = self.changed + changed, self.cut + cut
        self.sentences += bool(changed or cut)


def change(
    sentences: Iterable[Sentence],
    name: str,
    asked: AlsoTest,
    kinds: Mapping[str, Kind],
    data_seed: int,
    tally: Tally,
) -> Iterator[Sentence]:
    """The sentences, changed.

    What is drawn depends on ``data_seed``, the set's name and the place of the sentence alone.

    Args:
        sentences: of the test split.
        name: of the set.
        asked: the change.
        kinds: task to its kind.
        data_seed: of the experiment.
        tally: is added to.
    """
    of_set = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    for place, sentence in enumerate(sentences):
        rng = np.random.default_rng([data_seed, of_set, place])
        words = (
            sentence.tokens if sentence.tokens is not None else WORD.findall(sentence.text or "")
        )
        after = CHANGES[asked.change or ""](words, asked, rng)
        tally.add(words, after)
        yield _with_words(sentence, after, kinds)


def _with_words(sentence: Sentence, words: Sequence[str], kinds: Mapping[str, Kind]) -> Sentence:
    """A sentence with other words, of which there may be fewer; its blanks and the tags of words that
    are left stay as they are.
    """
    gold = {
        task: known[: len(words)] if kinds[task].of_words else known
        for task, known in sentence.gold.items()
    }
    if sentence.tokens is not None:
        return replace(sentence, tokens=tuple(words), gold=gold)
    text = sentence.text or ""
    ends = [match.end() for match in WORD.finditer(text)]
    rest = iter(words)
    cut = text if len(words) == len(ends) else text[: ends[len(words) - 1]]
    return replace(sentence, text=WORD.sub(lambda _: next(rest), cut), gold=gold)
