"""The built-in corpus: what its card promises, checked on every sentence."""

import re
import unicodedata
from collections import Counter

import pytest

from mtlab.data.alike import normal
from mtlab.data.encoding import encode
from mtlab.data.reading.locate import CORPUS, DOMAINS, SPLITS
from mtlab.model import backbone
from mtlab.plan.experiment import Encoder
from tests.data import corpus_measures as measures

TOPICS = ("business", "culture", "health", "politics", "science", "sport")
SIZES = {
    "news": {"train": 900, "validation": 250, "test": 450},
    "chat": {"train": 600, "validation": 150, "test": 500},
}
FINGERPRINTS = {
    "news": "f7ed8ba72163d79f9278bb8ccecb09e6fdd4a0c0a6a6c479b48eac7ca37b9141",
    "chat": "8765ed09af520da90290dd5765898c9f6c819593b2b5156d9d48e0e418b7e208",
}


@pytest.mark.parametrize("domain", DOMAINS)
def test_fingerprint(domain: str) -> None:
    """What the loader makes of the text is what it made when the committed reports were
    measured."""
    assert measures.corpus(domain).fingerprint == FINGERPRINTS[domain]


@pytest.mark.parametrize("domain", DOMAINS)
def test_sizes_topics_and_types(domain: str) -> None:
    corpus = measures.corpus(domain)
    assert corpus.tasks["classifier"].codes.names == TOPICS
    assert set(corpus.tasks["ner"].codes.names) == {
        "O",
        *(f"{side}-{kind}" for side in "BI" for kind in measures.TYPES),
    }
    for split in SPLITS:
        assert len(corpus.splits[split]) >= SIZES[domain][split]
        topics = Counter(sentence.gold.get("classifier") for sentence in corpus.splits[split])
        assert max(topics.values()) <= 1.2 * min(topics.values())
    assert len(measures.sentences()) >= 2850


@pytest.mark.parametrize("domain", DOMAINS)
def test_share_without_entity(domain: str) -> None:
    for split in SPLITS:
        kept = measures.corpus(domain).splits[split]
        assert 0.10 <= sum(not measures.mentions(sentence) for sentence in kept) / len(kept) <= 0.20


def test_lengths() -> None:
    """Five words at least, signs not counted; forty at most, signs counted."""
    for sentence in measures.sentences():
        assert sum(bool(re.search(r"\w", token)) for token in sentence.tokens or ()) >= 5, (
            sentence.place
        )
        assert len(sentence.tokens or ()) <= 40, sentence.place


def test_text_is_clean() -> None:
    for domain in DOMAINS:
        for split in SPLITS:
            text = (CORPUS / domain / f"{split}.txt").read_text("utf-8")
            assert unicodedata.normalize("NFC", text) == text
            assert text.endswith("\n") and not re.search(
                r"[\t\r\ufeff\u200b-\u200f\ufe0f]|  |\n\n| \n", text
            )
            assert text.splitlines() == sorted(
                text.splitlines(), key=lambda line: line.split(" | ")[0]
            )  # topic by topic


def test_no_templates() -> None:
    for share, one, other in measures.overlaps(measures.sentences()):
        assert share <= 0.30, (
            f"{one.place} and {other.place} share {share:.0%} of their masked trigrams"
        )


@pytest.mark.parametrize("domains", [DOMAINS, *((domain,) for domain in DOMAINS)], ids=" ".join)
def test_openings(domains: tuple[str, ...]) -> None:
    kept = measures.sentences(domains)
    opening, count = measures.openings(kept)[0]
    assert count <= 0.01 * len(kept), opening


def test_no_sentence_twice() -> None:
    texts = Counter(normal(sentence.surface) for sentence in measures.sentences())
    assert texts.most_common(1)[0][1] == 1


def test_ambiguous_surfaces() -> None:
    assert len(measures.ambiguous(measures.sentences())) >= 60


@pytest.mark.parametrize("domain", DOMAINS)
def test_kinds_of_entities(domain: str) -> None:
    """Several words, abbreviations, possessives, hyphens, lower case: of each there are some."""
    kept = measures.sentences([domain])
    surfaces = [surface for sentence in kept for _, surface in measures.mentions(sentence)]
    followed = [
        sentence.tokens[end]
        for sentence in kept
        for _, _, end in measures.spans(sentence.gold.get("ner", ()))
        if sentence.tokens is not None and end < len(sentence.tokens)
    ]
    assert sum(" " in surface for surface in surfaces) >= 0.15 * len(surfaces)
    assert sum(surface == surface.lower() for surface in surfaces) >= 5
    assert sum(bool(re.fullmatch(r"[A-Z]{2,5}", surface)) for surface in surfaces) >= 5
    assert sum(" - " in surface for surface in surfaces) >= 5
    assert sum(sign in ("'s", "’s") for sign in followed) >= 10
    assert followed.count("-") >= 5


def test_spans_follow_the_rules() -> None:
    """No article in front but in titles of works, no possessive or sign at an end, no title of a
    person."""
    for sentence in measures.sentences():
        for kind, surface in measures.mentions(sentence):
            words = surface.split()
            where = f"{sentence.place}: {kind} {surface}"
            assert words[-1].lower() not in ("'s", "’s") and not re.fullmatch(
                r"[#@,;:\"“”(-]", words[0]
            ), where
            assert kind == "MISC" or words[0].lower() not in ("the", "a", "an"), where
            assert kind != "PER" or words[0].lower() not in (
                "mrs",
                "ms",
                "dr",
                "prof",
                "professor",
                "president",
            ), where


@pytest.mark.parametrize("domain", DOMAINS)
def test_not_solved_by_lists_of_words(domain: str) -> None:
    assert measures.seen_share(domain) <= 0.35
    assert measures.gazetteer_f1(domain) <= 0.40


def test_nothing_is_lost_in_the_embedded_encoder() -> None:
    """Every word has a sub-word (some emoji the unknown one) and no sentence is cut."""
    location = backbone.find(Encoder())
    tokenizer = backbone.tokenizer(location)
    for domain in DOMAINS:
        corpus = measures.corpus(domain)
        for split in SPLITS:
            encoded = encode(corpus.splits[split], tokenizer, corpus.tasks, 128)
            assert encoded.lost_words == 0


def test_the_card_has_these_numbers() -> None:
    card = (CORPUS / "README.md").read_text("utf-8")
    assert "\n".join(measures.card()) in card


def test_agreement_of_two_annotations() -> None:
    found = measures.agreement()
    assert found["sentences"] == 200
    card = (CORPUS / "README.md").read_text("utf-8")
    assert (
        f"topics agree on {found['topic']:.1%}, entities with an F1 of {found['entity F1']:.3f}"
        in " ".join(card.split())
    )
