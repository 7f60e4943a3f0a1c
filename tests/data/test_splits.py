from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mtlab.data import splits
from mtlab.data.sources import Corpus
from mtlab.plan.experiment import Data
from tests.data.files import many, read, sentence, write_jsonl, write_source
from tests.tiny import load


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "train.jsonl", many(1000))
    write_jsonl(tmp_path / "test.jsonl", [sentence("held out", "", "label1")])
    return tmp_path


def places(corpus: Corpus, split: str = "train") -> list[str]:
    return [sentence.place for sentence in corpus.splits[split]]


@pytest.mark.parametrize(
    "sizes",
    [[500, 500], [900, 90, 10], [1000, *[1] * 100], [130] * 77, [2, 1, 1], [1], list(range(1, 60))],
)
def test_every_prefix_is_in_proportion(sizes: list[int]) -> None:
    strata = [f"class {number}" for number, size in enumerate(sizes) for _ in range(size)]
    for seed in range(5):
        order = splits.stratified_order(strata, np.random.default_rng(seed))
        assert sorted(order) == list(range(len(strata)))
        counts: Counter[str] = Counter()
        for taken, index in enumerate(order, start=1):
            counts[strata[index]] += 1
            largest = max(range(len(sizes)), key=sizes.__getitem__)
            assert abs(counts[f"class {largest}"] - taken * sizes[largest] / len(strata)) < 3
        half = Counter(strata[index] for index in order[: len(order) // 2])
        assert all(
            abs(half[f"class {number}"] - size * (len(order) // 2) / len(order)) < 1.5
            for number, size in enumerate(sizes)
        )


def test_subsets_are_nested_and_the_same_for_a_seed(source: Path) -> None:
    subsets = {size: read(source, train_size=size) for size in (10, 100, 300, 900)}
    assert [len(places(corpus)) for corpus in subsets.values()] == [10, 100, 300, 900]
    for smaller, larger in ((10, 100), (100, 300), (300, 900)):
        assert set(places(subsets[smaller])) < set(places(subsets[larger]))
    assert subsets[100] == read(source, train_size=100)
    assert places(subsets[100]) != places(read(source, seed=1, train_size=100))
    assert {places(corpus, "validation")[0] for corpus in subsets.values()} == {
        places(subsets[10], "validation")[0]
    }


def test_subset_keeps_the_order_of_the_file(source: Path) -> None:
    lines = [int(place.rpartition(":")[2]) for place in places(read(source, train_size=50))]
    assert lines == sorted(lines)


def test_labels_and_tags_are_those_of_the_whole_split(tmp_path: Path) -> None:
    rows = [*many(200), sentence("one of a kind", "O O B-rare I-rare", "rare")]
    write_jsonl(tmp_path / "train.jsonl", rows)
    write_jsonl(tmp_path / "test.jsonl", [sentence("held out", "B-rare O", "rare")])
    corpus = read(tmp_path, train_size=5)
    assert "rare" in corpus.tasks["classifier"].codes.names
    assert {"B-rare", "I-rare"} < set(corpus.tasks["ner"].codes.names)


def test_cut_is_stratified_seeded_and_said(source: Path) -> None:
    corpus = read(source)
    assert len(corpus.splits["train"]) == 900
    assert places(corpus, "validation") == places(read(source), "validation")
    assert places(corpus, "validation") != places(read(source, seed=1), "validation")
    assert not set(places(corpus)) & set(places(corpus, "validation"))
    whole = Counter(f"label{row['label'][-1]}" for row in many(1000))
    cut = Counter(sentence.gold.get("classifier") for sentence in corpus.splits["validation"])
    assert all(abs(cut[label] - count / 10) <= 1 for label, count in whole.items())
    wanted = (
        "no validation split: 100 of 1,000 training sentences cut off, stratified, data_seed 0."
    )
    assert corpus.notes[0] == f"{source}: {wanted}"


def test_cut_of_tags_alone_is_stratified_by_presence_of_an_entity(source: Path) -> None:
    classifier = write_source(source / "classifier")
    corpus = load(
        Data(
            classifier={"source": str(classifier)},
            ner={"source": str(source)},
            validation_fraction=0.3,
        ),
        0,
    )
    cut = [sentence for sentence in corpus.splits["validation"] if sentence.source == 1]
    assert len(cut) == 300
    assert (
        abs(sum(any(tag != "O" for tag in sentence.gold.get("ner", ())) for sentence in cut) - 100)
        <= 1
    )


def test_labels_with_one_sentence_stay_in_train(tmp_path: Path) -> None:
    rows = [
        sentence(f"word{number} x", "B-x O", label) for number, label in enumerate("aaaaaaabcdefgh")
    ]
    write_jsonl(tmp_path / "train.jsonl", rows)
    corpus = read(tmp_path, validation_fraction=0.2, test_fraction=0.2)
    assert [len(kept) for kept in corpus.splits.values()] == [8, 3, 3]
    assert {sentence.gold.get("classifier") for sentence in corpus.splits["train"]} == set(
        "abcdefgh"
    )
    write_jsonl(tmp_path / "train.jsonl", rows[-4:])
    assert [len(kept) for kept in read(tmp_path, test_fraction=0.25).splits.values()] == [2, 1, 1]


def test_too_few_to_cut(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", [sentence("a", "B-x", "x"), sentence("b", "O", "y")])
    with pytest.raises(
        splits.UserError,
        match="2 training sentences are too few to cut off validation; add some, or lower the fractions",
    ):
        read(tmp_path, test_fraction=0.5)
    with pytest.raises(splits.UserError, match="too few to cut off validation"):
        read(tmp_path, test_fraction=0.5, validation_fraction=0.5)


def test_cut_leaves_something(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "train.jsonl",
        [sentence("a", "B-x", "x"), sentence("b", "O", "y"), sentence("c", "O", "y")],
    )
    assert [
        len(kept)
        for kept in read(tmp_path, test_fraction=0.3, validation_fraction=0.6).splits.values()
    ] == [1, 1, 1]
