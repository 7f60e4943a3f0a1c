"""Test sets out of distribution: what a change does to a sentence, and what is read of another
source."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtlab.data import also_test, sources
from mtlab.data.changed import CHANGES, Tally, change, typo
from mtlab.data.sources import Corpus
from mtlab.data.stored import Sentence
from mtlab.plan.also_test import AlsoTest
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.tasks.tags import entities
from tests import tiny
from tests.data.files import TRAIN, sentence, write_jsonl, write_source

KINDS = {name: task.as_kind for name, task in tiny.TASKS.items()}
LONG = "Überraschend don't WIND, again and again 2024 naïve"


def asked(**settings: Any) -> AlsoTest:
    return AlsoTest.model_validate({"of": "test", **settings})


def changed(
    rows: list[Sentence], seed: int = 0, name: str = "typos", **settings: Any
) -> list[Sentence]:
    return list(change(rows, name, asked(**settings), KINDS, seed, Tally()))


def of_words(words: str, *tags: str) -> Sentence:
    tokens = tuple(words.split())
    return Sentence(
        "file:1", 0, tokens, None, {"classifier": "a", "ner": tags or ("O",) * len(tokens)}
    )


def experiment(data: Path, **sets: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "also",
            "output": "reports/also",
            "data": {"source": str(data), "max_duplicates": 0.5},
            "also_test": sets,
            "scenarios": {"nothing": [{"epochs": 0}]},
        }
    )


def read(data: Path, **sets: Any) -> tuple[Corpus, dict[str, Corpus]]:
    of = experiment(data, **sets)
    corpus = sources.load(of.data, of.tasks, of.data_seed)
    return corpus, also_test.load(of, corpus)


def fails(data: Path, **sets: Any) -> tuple[str, str]:
    """The code and the line, without folders."""
    with pytest.raises(UserError) as error:
        read(data, **sets)
    line = str(error.value)
    assert "\n" not in line
    return error.value.code, line.replace(f"{data.parent}/", "")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_source(tmp_path / "data")


def other(directory: Path, *rows: dict[str, Any], split: str = "test") -> dict[str, str]:
    write_jsonl(directory / f"{split}.jsonl", list(rows))
    return {"source": str(directory)}


@pytest.mark.parametrize(
    "word", ["wind", "WIND,", "(near)", "don't", "aaaa", "Überraschend", "北京大学"]
)
def test_a_typo_is_one_edit_inside_a_word(word: str) -> None:
    letters = [letter for letter in word if letter.isalpha()]
    seen = {typo(word, np.random.default_rng(seed)) for seed in range(60)}
    assert word not in seen
    assert {len(other) - len(word) for other in seen} <= {-1, 0, 1}
    for other in seen:
        kept = [letter for letter in other if letter.isalpha()]
        assert (kept[0], kept[-1]) == (letters[0], letters[-1])
        assert abs(len(kept) - len(letters)) <= 1
        assert sum(mark not in word for mark in other) <= 1, "one letter is new at most"
        assert sorted(set(word) - set(letters)) == sorted(set(other) - set(kept))
    assert all(len(other) == len(word) - 1 for other in seen) or len(seen) > 1


def test_typos_come_to_the_share_of_long_words_that_is_asked_for() -> None:
    rows = [of_words("again with some wind in a b") for _ in range(400)]
    for rate in (0.1, 0.5, 1.0):
        pairs = [
            pair
            for before, after in zip(rows, changed(rows, change="typos", rate=rate), strict=True)
            for pair in zip(before.tokens or (), after.tokens or (), strict=True)
        ]
        long = [old != new for old, new in pairs if len(old) >= 4]
        assert np.mean(long) == pytest.approx(rate, abs=0.03)
        assert all(old == new for old, new in pairs if len(old) < 4)


def test_typos_depend_on_data_seed_name_and_place_alone() -> None:
    rows = [of_words(LONG) for _ in range(20)]
    settings = {"change": "typos", "rate": 0.5}
    base = changed(rows, **settings)
    assert base == changed(rows, **settings)
    assert base[:5] == changed(rows[:5], **settings), "what comes later does not matter"
    assert len({one.tokens for one in base}) > 10, "each place draws for itself"
    assert base != changed(rows, seed=1, **settings)
    assert base != changed(rows, name="others", **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"change": "lowercase"},
        {"change": "typos", "rate": 1.0},
        {"change": "shortened", "words": 4},
    ],
)
def test_words_stay_words_and_keep_their_tags(settings: dict[str, Any]) -> None:
    before = of_words(
        "Ada Ivanova flew From OSLO Airport again", "B-PER", "I-PER", "O", "B-X", "I-X", "I-X", "O"
    )
    (after,) = changed([before], **settings)
    size = 4 if settings["change"] == "shortened" else 7
    assert after.gold == {"classifier": "a", "ner": before.gold["ner"][:size]}
    assert len(after.tokens or ()) == size
    cut = list(entities(after.gold["ner"]))
    assert cut[0] == ("PER", 0, 2)
    assert cut[1] == ("X", 3, min(size, 6)), "an entity that is cut ends where the words do"


@pytest.mark.parametrize("kind", CHANGES)
def test_raw_text_is_changed_as_words_are_and_keeps_its_blanks(kind: str) -> None:
    settings = {"change": kind, **{"typos": {"rate": 1.0}, "shortened": {"words": 3}}.get(kind, {})}
    text = "  Fog  and\tWIND,\n again today "
    words = Sentence("f:1", 0, tuple(text.split()), None)
    (of_text,) = changed([Sentence("f:1", 0, None, text)], **settings)
    (of_tokens,) = changed([words], **settings)
    assert of_text.tokens is None
    assert (of_text.text or "").split() == list(of_tokens.tokens or ())
    if kind == "lowercase":
        assert of_text.text == text.lower()
    if kind == "shortened":
        assert of_text.text == "  Fog  and\tWIND,"


def test_a_change_is_of_the_test_split_and_told_in_numbers(data: Path) -> None:
    corpus, sets = read(
        data,
        short={"of": "test", "change": "shortened", "words": 2},
        lower={"of": "test", "change": "lowercase"},
    )
    assert sets["short"].splits.keys() == {"test"}
    assert [one.surface for one in sets["short"].splits["test"]] == ["book in"]
    assert sets["short"].notes == (
        "short: first 2 words: 1 of 3 words cut off, in 1 of 1 sentences.",
    )
    assert sets["lower"].notes == ("lower: lower case: 0 of 3 words changed, in 0 of 1 sentences.",)
    assert sets["lower"].fingerprint != corpus.fingerprint != sets["short"].fingerprint
    alone, _ = read(data)
    assert (alone.fingerprint, alone.notes) == (corpus.fingerprint, corpus.notes)


def test_another_source_has_its_test_split_in_the_experiments_codes(
    data: Path, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "there/train.jsonl", [sentence("unread words", "B-odd O", "odd")])
    there = other(
        tmp_path / "there",
        sentence("hear bird", "O B-musician", "listen"),
        sentence("book it", "", "book"),
    )
    rename = {"musician": "artist", "listen": "play"}
    corpus, sets = read(data, there={**there, "rename": rename})
    rows = sets["there"].splits["test"]
    assert [(one.surface, one.gold) for one in rows] == [
        ("hear bird", {"classifier": "play", "ner": ("O", "B-artist")}),
        ("book it", {"classifier": "book", "ner": ("O", "O")}),
    ]
    assert sets["there"].tasks == corpus.tasks
    assert sets["there"].notes[-1].endswith("there: 2 sentences, its test split.")


@pytest.mark.parametrize("names", [{"a": "b", "b": "a"}, {"a": "c", "b": "c"}])
def test_labels_are_renamed_at_once_and_not_one_after_another(names: dict[str, str]) -> None:
    from mtlab.tasks.multilabel import Multilabel
    from mtlab.tasks.tagging import Tagging

    assert Multilabel().renamed(("a", "b", "x"), names) == tuple(sorted({*names.values(), "x"}))
    tags = ("B-a", "I-a", "O", "B-b", "B-x")
    assert Tagging().renamed(tags, names) == (
        f"B-{names['a']}", f"I-{names['a']}", "O", f"B-{names['b']}", "B-x",
    )  # fmt: skip


ODD = (sentence("see paris", "O B-place", "visit"), sentence("book in paris", "O O B-city", "book"))


def test_what_train_does_not_have_is_an_error_that_names_all_of_it(
    data: Path, tmp_path: Path
) -> None:
    there = other(tmp_path / "there", *ODD, sentence("see me", "", "listen"))
    assert fails(data, there=there) == (
        "unseen-label",
        "there/test.jsonl:1 label: train has no label 'visit' (1) and 'listen' (1); name the one of train that each is "
        "with --also_test.there.rename, or pass --also_test.there.unseen_labels leave_out or count_as_error",
    )
    renamed = {**there, "rename": {"visit": "play", "listen": "play"}}
    assert "train has no entity type 'place' (1)" in fails(data, there=renamed)[1]


def test_what_train_does_not_have_may_count_as_an_error_or_be_left_out(
    data: Path, tmp_path: Path
) -> None:
    there = other(tmp_path / "there", *ODD)
    _, sets = read(data, there={**there, "unseen_labels": "count_as_error"})
    assert sets["there"].splits["test"][0].gold == {"classifier": "visit", "ner": ("O", "B-place")}
    assert "1 of 2 sentences count as errors" in sets["there"].notes[1]
    _, sets = read(data, there={**there, "unseen_labels": "leave_out"})
    assert [one.gold for one in sets["there"].splits["test"]] == [
        {"ner": ("O", "O")},
        {"classifier": "book", "ner": ("O", "O", "B-city")},
    ]
    assert "there: classifier: left out, for train has no label 'visit' (1)." in sets["there"].notes


def test_a_set_is_scored_on_the_tasks_that_it_has_gold_of(data: Path, tmp_path: Path) -> None:
    tags = [{key: row[key] for key in ("tokens", "ner_tags")} for row in TRAIN[:1]]
    tags[0]["tokens"] = ["hear", "some", "jazz"]
    _, sets = read(data, there=other(tmp_path / "there", *tags))
    assert [one.gold.keys() for one in sets["there"].splits["test"]] == [{"ner"}]
    assert "there: not scored there: classifier." in sets["there"].notes
    _, sets = read(data, there={**other(tmp_path / "both", *ODD[1:]), "tasks": ["classifier"]})
    assert [one.gold for one in sets["there"].splits["test"]] == [{"classifier": "book"}]
    words = other(tmp_path / "words", {"tokens": ["no", "gold"]})
    assert fails(data, there=words) == (
        "column-missing",
        "words/test.jsonl: no column 'label'; the columns are tokens; pass --also_test.there.columns.label COLUMN",
    )
    named = {**words, "columns": {"ner_tags": "slots"}}
    assert "no column 'slots'" in fails(data, there=named)[1]
    odd = {**other(tmp_path / "odd", sentence("x y", "", "visit")), "tasks": ["classifier"]}
    assert fails(data, there={**odd, "unseen_labels": "leave_out"})[0] == "unseen-label"


def test_text_without_words_is_read_as_text_and_told(data: Path, tmp_path: Path) -> None:
    text = other(tmp_path / "there", {"text": "book  it, now", "label": "book"})
    _, sets = read(data, there=text)
    assert sets["there"].splits["test"][0].text == "book  it, now"
    assert (
        "there: classifier: sentences are read as text, and those of train as words."
        in sets["there"].notes
    )


def test_which_sentences_of_a_source_are_the_set(data: Path, tmp_path: Path) -> None:
    row = sentence("book me", "", "book")
    single = write_jsonl(tmp_path / "one/mine.jsonl", [row])
    for source in (single, single.parent):
        _, sets = read(data, there={"source": str(source)})
        assert sets["there"].notes[-1].endswith("1 sentence, all that it has.")
    guessed = other(tmp_path / "guessed", row, split="my-test")
    other(tmp_path / "guessed", row, split="train")
    _, sets = read(data, there=guessed)
    assert any("test is 'my-test.jsonl', by its name" in note for note in sets["there"].notes)
    alone = other(tmp_path / "alone", row)
    assert read(data, there=alone)[1]["there"].notes[-1].endswith("1 sentence, its test split.")
    (tmp_path / "alone/test.jsonl").write_text("{broken")
    assert fails(data, there=alone)[1].startswith("alone/test.jsonl:1")
    odd = other(tmp_path / "odd", row, split="dev")
    other(tmp_path / "odd", row, split="more")
    assert fails(data, there=odd)[1].startswith("odd: no test split; say which")
    two = other(tmp_path / "two", row, split="train")
    other(tmp_path / "two", row, row, split="dev")
    assert fails(data, there=two) == (
        "no-split",
        "two: no test split; say which sentences with --also_test.there.splits.test NAME",
    )
    _, sets = read(data, there={**two, "splits": {"test": "dev"}})
    assert len(sets["there"].splits["test"]) == 2
    column = write_jsonl(
        tmp_path / "col/all.jsonl", [{**row, "part": part} for part in ("x", "y", "y")]
    )
    there = {"source": str(column), "split_column": "part", "splits": {"test": "y"}}
    assert len(read(data, there=there)[1]["there"].splits["test"]) == 2


def test_sentences_of_train_are_no_test_set(data: Path, tmp_path: Path) -> None:
    code, line = fails(data, there=other(tmp_path / "there", *TRAIN))
    assert code == "duplicates"
    assert "there: 4 of 4 sentences (100.0%) also stand in train" in line


@pytest.mark.parametrize(
    ("rename", "line"),
    [
        ({"vizit": "play"}, "also_test.there.rename.vizit: no sentence has 'vizit'; did you mean 'visit'?"),
        ({"visit": "plai"}, "also_test.there.rename.visit: train has no label 'plai'; did you mean 'play'?"),
        ({"place": "play"}, "also_test.there.rename.place: train has no entity type 'play'; known: artist, city, genre"),
    ],
)  # fmt: skip
def test_a_name_that_nothing_has_is_an_error(
    data: Path, tmp_path: Path, rename: dict[str, str], line: str
) -> None:
    there = {**other(tmp_path / "there", *ODD), "rename": rename}
    assert fails(data, there=there) == ("unknown-value", line)


def test_labels_of_a_source_choose_its_sentences(data: Path, tmp_path: Path) -> None:
    there = other(tmp_path / "there", *ODD)
    _, sets = read(data, there={**there, "labels": ["book"]})
    assert len(sets["there"].splits["test"]) == 1
    assert (
        "no test sentence has the label 'bok'" in fails(data, there={**there, "labels": ["bok"]})[1]
    )
