"""Seeded changes of sentences, to test how well a model still reads them. No change splits or joins
words, so each tag stays with its word.
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
"""The rows of letters on a keyboard."""


def _neighbours() -> dict[str, str]:
    """Each letter to the letters next to it on the keyboard, also above and below."""
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
    """A random neighbour of a letter on the keyboard; it is a capital if the letter is one."""
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
"""Name of a change to the function that applies it to the words of a sentence. It returns as many
words, or only the first ones."""


@dataclass
class Tally:
    """What was changed.

    Attributes:
        words: the words of all sentences.
        changed: words that are different now.
        cut: words that were removed.
        sentences: sentences with a word that was changed or removed.
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

    Random draws depend only on ``data_seed``, the set's name and the place of the sentence.

    Args:
        sentences: of the test split.
        name: of the set.
        asked: the change.
        kinds: task to its kind.
        data_seed: of the experiment.
        tally: the counts, to which these sentences are added.
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
    """A sentence with its words replaced, perhaps by fewer; its blanks, and the tags of the words
    that are left, do not change.
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
