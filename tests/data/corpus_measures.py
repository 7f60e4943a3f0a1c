"""What is measured of the built-in corpus: for its tests, and for the numbers on its card.

``python -m tests.data.corpus_measures`` prints the card's tables.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from seqeval.metrics import f1_score
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from mtlab.data import sources
from mtlab.data.reading import marked
from mtlab.data.reading.locate import CORPUS, DOMAINS, SPLITS
from mtlab.data.sentences import Sentence
from mtlab.data.sources import Corpus
from mtlab.plan.experiment import Data
from tests import tiny

AGREEMENT = Path(__file__).parent / "agreement"
TYPES = ("PER", "ORG", "LOC", "MISC")
Mention = tuple[str, str]
"""An entity's type and its surface."""


@cache
def corpus(domain: str) -> Corpus:
    return sources.load(Data(source="builtin", subset=domain), tiny.TASKS, 0)


def sentences(domains: Iterable[str] = DOMAINS, splits: Iterable[str] = SPLITS) -> list[Sentence]:
    return [
        sentence
        for domain in domains
        for split in splits
        for sentence in corpus(domain).splits[split]
    ]


def spans(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Type, start and end of every mention of an IOB2 sequence."""
    for start, tag in enumerate(tags):
        if tag.startswith("B-"):
            end = start + 1
            while end < len(tags) and tags[end] == f"I-{tag[2:]}":
                end += 1
            yield tag[2:], start, end


def mentions(sentence: Sentence) -> list[Mention]:
    assert sentence.tokens is not None and sentence.gold.get("ner") is not None
    return [
        (kind, " ".join(sentence.tokens[start:end]))
        for kind, start, end in spans(sentence.gold.get("ner"))
    ]


def masked(sentence: Sentence) -> list[str]:
    """The words in lower case, each entity and each number one placeholder, signs left out."""
    words = []
    for token, tag in zip(sentence.tokens or (), sentence.gold.get("ner", ()), strict=True):
        if tag.startswith("B-"):
            words.append("<entity>")
        elif tag == "O" and re.search(r"\d", token):
            words.append("<number>")
        elif tag == "O" and re.search(r"\w", token):
            words.append(token.lower())
    return words


def trigrams(sentence: Sentence) -> set[tuple[str, ...]]:
    words = masked(sentence)
    return {tuple(words[index : index + 3]) for index in range(len(words) - 2)}


def overlaps(kept: Sequence[Sentence]) -> Iterator[tuple[float, Sentence, Sentence]]:
    """Pairs that share a masked trigram, with the share of the shorter one's trigrams."""
    of = [trigrams(sentence) for sentence in kept]
    holding: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, found in enumerate(of):
        for trigram in found:
            holding[trigram].append(index)
    shared = Counter(
        (a, b) for ids in holding.values() for at, a in enumerate(ids) for b in ids[at + 1 :]
    )
    for (a, b), count in shared.items():
        yield count / min(len(of[a]), len(of[b])), kept[a], kept[b]


def openings(kept: Sequence[Sentence]) -> list[tuple[tuple[str, ...], int]]:
    """The first three words (entities and numbers masked) and how many sentences begin with them,
    most frequent first."""
    return Counter(tuple(masked(sentence)[:3]) for sentence in kept).most_common()


def ambiguous(kept: Sequence[Sentence]) -> dict[str, set[str]]:
    """Surfaces (in lower case) that are of two types or more, with the types."""
    types = defaultdict(set)
    for sentence in kept:
        for kind, surface in mentions(sentence):
            types[surface.lower()].add(kind)
    return {surface: kinds for surface, kinds in types.items() if len(kinds) > 1}


def seen_share(domain: str) -> float:
    """Share of test mentions whose surface (in lower case) is that of an entity in train."""
    known = {
        surface.lower()
        for sentence in corpus(domain).splits["train"]
        for _, surface in mentions(sentence)
    }
    found = [
        surface.lower() in known
        for sentence in corpus(domain).splits["test"]
        for _, surface in mentions(sentence)
    ]
    return sum(found) / len(found)


def gazetteer_f1(domain: str) -> float:
    """Entity F1 on test of marking every surface seen in train, longest first, with its most
    frequent type."""
    types: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for sentence in corpus(domain).splits["train"]:
        for kind, start, end in spans(sentence.gold.get("ner", ())):
            types[tuple(word.lower() for word in (sentence.tokens or ())[start:end])][kind] += 1
    longest = max(map(len, types))
    gold, found = [], []
    for sentence in corpus(domain).splits["test"]:
        words = [word.lower() for word in sentence.tokens or ()]
        tags = ["O"] * len(words)
        at = 0
        while at < len(words):
            end = next(
                (end for end in range(at + longest, at, -1) if tuple(words[at:end]) in types), None
            )
            if end is not None:
                kind = types[tuple(words[at:end])].most_common(1)[0][0]
                tags[at:end] = [f"B-{kind}"] + [f"I-{kind}"] * (len(words[at:end]) - 1)
            at = end or at + 1
        gold.append(list(sentence.gold.get("ner", ())))
        found.append(tags)
    return float(f1_score(gold, found))


def unigram_accuracy(domain: str) -> float:
    """Test accuracy of logistic regression on the words of a sentence; its strength of
    regularisation is chosen on validation."""
    splits = corpus(domain).splits
    words = {
        split: [[word.lower() for word in sentence.tokens or ()] for sentence in kept]
        for split, kept in splits.items()
    }
    labels = {
        split: [sentence.gold.get("classifier") for sentence in kept]
        for split, kept in splits.items()
    }
    vectors = TfidfVectorizer(analyzer=lambda tokens: tokens, sublinear_tf=True).fit(words["train"])
    x = {split: vectors.transform(kept) for split, kept in words.items()}
    models = [
        LogisticRegression(C=c, max_iter=1000).fit(x["train"], labels["train"])
        for c in (0.3, 1, 3, 10, 30, 100)
    ]
    best = max(models, key=lambda model: model.score(x["validation"], labels["validation"]))
    return float(best.score(x["test"], labels["test"]))


def agreement() -> dict[str, float]:
    """Agreement of the two annotations of the same sentences: accuracy of topics and F1 of
    entities, the first taken as gold."""
    first, second = (
        [marked.parse(line, path.name) for line in path.read_text("utf-8").splitlines()]
        for path in _annotations()
    )
    assert [words for _, words, _ in first] == [words for _, words, _ in second]
    same = [a == b for (a, _, _), (b, _, _) in zip(first, second, strict=True)]
    f1 = float(f1_score([tags for *_, tags in first], [tags for *_, tags in second]))
    return {"sentences": len(first), "topic": sum(same) / len(same), "entity F1": f1}


def _annotations() -> tuple[Path, Path]:
    return AGREEMENT / "first.txt", AGREEMENT / "second.txt"


def card() -> list[str]:
    """The tables of the corpus's card, as Markdown lines."""
    lines = ["| | news | chat |", "| --- | ---: | ---: |"]
    rows: dict[str, list[str]] = defaultdict(list)
    for domain in DOMAINS:
        kept = sentences([domain])
        lengths = sorted(len(sentence.tokens or ()) for sentence in kept)
        types = Counter(kind for sentence in kept for kind, _ in mentions(sentence))
        topics = Counter(sentence.gold.get("classifier") for sentence in kept)
        rows["sentences: train / validation / test"].append(
            " / ".join(f"{len(corpus(domain).splits[split]):,}" for split in SPLITS)
        )
        rows["a topic has"].append(f"{min(topics.values())} to {max(topics.values())}")
        rows["words and signs a sentence: least, median, most"].append(
            f"{lengths[0]}, {lengths[len(lengths) // 2]}, {lengths[-1]}"
        )
        rows["sentences without an entity"].append(
            f"{sum(not mentions(sentence) for sentence in kept) / len(kept):.0%}"
        )
        rows["entities: " + " / ".join(TYPES)].append(
            " / ".join(f"{types[kind]:,}" for kind in TYPES)
        )
        lower = sum(
            surface == surface.lower() for sentence in kept for _, surface in mentions(sentence)
        )
        rows["entities in lower case"].append(f"{lower / types.total():.0%}")
        rows["surfaces of two types or more"].append(f"{len(ambiguous(kept))}")
        rows["test entities with a surface seen in train"].append(f"{seen_share(domain):.0%}")
        rows["entity F1 of a gazetteer made of train"].append(f"{gazetteer_f1(domain):.2f}")
        rows["accuracy of a unigram logistic regression"].append(f"{unigram_accuracy(domain):.3f}")
    return lines + [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]


if __name__ == "__main__":
    print("\n".join(card()))
    print(agreement() if AGREEMENT.exists() else CORPUS)
