"""Labels made scarce or wrong on purpose: as many as asked, in train alone, and nothing else
changes."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from mtlab.data.sentences import Sentence
from mtlab.data.sources import Corpus
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Data
from mtlab.tasks.tags import entity_type
from tests import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_data(tmp_path_factory.mktemp("spoil"), train=200)


def load(folder: Path, **settings: object) -> Corpus:
    return tiny.load(
        Data.model_validate({"source": str(folder), "max_duplicates": 1.0, **settings}), 0
    )


def starts(sentence: Sentence) -> list[int]:
    return [at for at, tag in enumerate(sentence.gold.get("ner", ())) if tag.startswith("B-")]


def pairs(one: Corpus, other: Corpus) -> Sequence[tuple[Sentence, Sentence]]:
    assert one.splits["validation"] == other.splits["validation"]
    assert one.splits["test"] == other.splits["test"]
    assert one.tasks == other.tasks
    return list(zip(one.splits["train"], other.splits["train"], strict=True))


def test_a_share_of_labels_is_wrong_and_every_one_of_them_is_another(folder: Path) -> None:
    both = pairs(load(folder), load(folder, label_noise={"classifier": 0.2}))
    wrong = [
        other for one, other in both if one.gold.get("classifier") != other.gold.get("classifier")
    ]
    assert len(wrong) == 40
    assert {other.gold.get("classifier") for other in wrong} == {
        one.gold.get("classifier") for one, _ in both
    }, "each label is drawn"
    assert all(
        (one.tokens, one.gold.get("ner")) == (other.tokens, other.gold.get("ner"))
        for one, other in both
    )


def test_a_share_of_entities_has_a_wrong_type_and_the_same_words(folder: Path) -> None:
    both = pairs(load(folder), load(folder, label_noise={"ner": 0.2}))
    assert all(starts(one) == starts(other) for one, other in both)
    kinds = [
        (entity_type(one.gold.get("ner")[at]), entity_type(other.gold.get("ner")[at]))
        for one, other in both
        for at in starts(one)
    ]
    assert sum(before != after for before, after in kinds) == round(0.2 * len(kinds))
    assert {tag for _, other in both for tag in other.gold.get("ner")} <= {
        tag for one, _ in both for tag in one.gold.get("ner")
    }, "no tag is new"
    for _, other in both:
        for before, tag in zip(("O", *other.gold.get("ner")), other.gold.get("ner"), strict=False):
            assert not tag.startswith("I-") or before[1:] == tag[1:], "an entity has one type"
    assert all(one.gold.get("classifier") == other.gold.get("classifier") for one, other in both)


def test_a_share_of_sentences_keeps_its_labels_and_a_smaller_one_lies_within_it(
    folder: Path,
) -> None:
    for task, read in (
        ("classifier", lambda sentence: sentence.gold.get("classifier")),
        ("ner", lambda sentence: sentence.gold.get("ner")),
    ):
        kept = {}
        for share in (0.05, 0.2):
            both = pairs(load(folder), load(folder, labelled={task: share}))
            kept[share] = {at for at, (_, other) in enumerate(both) if read(other) is not None}
            assert all(read(other) in (None, read(one)) for one, other in both)
            assert (
                len(
                    {
                        other.gold.get("classifier")
                        for _, other in both
                        if other.gold.get("classifier")
                    }
                )
                == len(tiny.TOPICS)
                or share == 0.05
            )
        assert (len(kept[0.05]), len(kept[0.2])) == (10, 40)
        assert kept[0.05] < kept[0.2]


def test_the_labels_that_are_kept_are_in_proportion(folder: Path) -> None:
    whole = Counter(sentence.gold.get("classifier") for sentence in load(folder).splits["train"])
    for share in (0.1, 0.25, 0.5):
        kept = Counter(
            sentence.gold.get("classifier")
            for sentence in load(folder, labelled={"classifier": share}).splits["train"]
        )
        assert all(abs(kept[label] - share * count) < 1.5 for label, count in whole.items()), share


def test_both_are_told(folder: Path) -> None:
    notes = load(folder, labelled={"ner": 0.25}, label_noise={"classifier": 0.1}).notes
    assert any(
        "20 of 200 training labels are wrong, drawn evenly, data_seed 0." in note for note in notes
    )
    assert any(
        "50 of 200 training sentences keep their tags, stratified, data_seed 0." in note
        for note in notes
    )


def test_a_share_of_everything_changes_nothing(folder: Path) -> None:
    assert (
        load(folder, labelled={"ner": 1.0}, label_noise={"ner": 0.0}).fingerprint
        == load(folder).fingerprint
    )


def test_with_one_type_there_is_no_wrong_one(tmp_path: Path) -> None:
    rows = [
        {"tokens": ["in", "Oslo"], "ner_tags": ["O", "B-LOC"], "label": label} for label in "ab"
    ]
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load(tmp_path, label_noise={"ner": 0.0}).tasks["ner"].codes.names == (
        "O",
        "B-LOC",
    )
    with pytest.raises(
        UserError, match=r"data.label_noise: there is no wrong entity type to give: all are LOC"
    ):
        load(tmp_path, label_noise={"ner": 0.5})


def test_sentences_can_be_taken_by_label(folder: Path) -> None:
    chosen = list(tiny.TOPICS)[:2]
    whole, some = load(folder), load(folder, labels=chosen)
    assert set(some.tasks["classifier"].codes.names) == set(chosen)
    for split, sentences in some.splits.items():
        assert sentences == tuple(
            sentence
            for sentence in whole.splits[split]
            if sentence.gold.get("classifier") in chosen
        )
    assert any("sentences have the labels" in note for note in some.notes)
    with pytest.raises(
        UserError, match=r"data.labels: no training sentence has the label 'Wether'"
    ):
        load(folder, labels=["Wether"])


@pytest.mark.parametrize(
    "settings",
    [{"labelled": {"ner": 0.0}}, {"labelled": {"ner": 1.5}}, {"label_noise": {"classifier": -0.1}}],
)
def test_a_share_lies_between_nothing_and_everything(
    folder: Path, settings: dict[str, dict[str, float]]
) -> None:
    with pytest.raises(ValueError, match="is not a share; give a number"):
        load(folder, **settings)
