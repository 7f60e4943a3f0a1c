import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Data
from tests.data.files import (
    OTHER,
    SHARED,
    TRAIN,
    fails,
    many,
    read,
    sentence,
    write_jsonl,
    write_source,
)
from tests.tiny import load

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared data sets are not on this machine"
)


def test_one_source_with_both_labels(tmp_path: Path) -> None:
    corpus = read(write_source(tmp_path))
    assert {split: len(kept) for split, kept in corpus.splits.items()} == {
        "train": 4,
        "validation": 1,
        "test": 1,
    }
    assert corpus.tasks["classifier"].codes.names == ("book", "play")
    assert corpus.tasks["ner"].codes.names == ("O", "B-artist", "B-city", "B-genre", "I-artist")
    assert corpus.served == (("classifier", "ner"),)
    first = corpus.splits["train"][0]
    assert (first.place, first.source, first.tokens) == (
        f"{tmp_path}/train.jsonl:1",
        0,
        ("play", "some", "jazz"),
    )
    assert (first.text, first.gold.get("ner"), first.gold.get("classifier")) == (
        None,
        ("O", "O", "B-genre"),
        "play",
    )
    assert corpus.notes == (f"{tmp_path}: 4 train, 1 validation, 1 test sentences.",)


def test_two_files_for_one_split(tmp_path: Path) -> None:
    source = write_source(tmp_path)
    write_jsonl(source / "dev.jsonl", OTHER["validation"])
    assert "dev.jsonl and validation.jsonl are both the validation split; keep one" in fails(source)
    assert (
        read(source, splits={"validation": "dev"})
        .splits["validation"][0]
        .place.endswith("dev.jsonl:1")
    )


@pytest.mark.parametrize(
    "names",
    [
        ("training", "dev", "testing"),
        ("Train", "valid", "Test"),
        ("train", "val", "test"),
        ("train", "eval", "test"),
    ],
)
def test_names_of_splits(tmp_path: Path, names: tuple[str, str, str]) -> None:
    for name, rows in zip(names, (TRAIN, *OTHER.values()), strict=True):
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    assert [len(kept) for kept in read(tmp_path).splits.values()] == [4, 1, 1]


def test_single_file_and_others_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jsonl(tmp_path / "everything.jsonl", many(100))
    write_jsonl(tmp_path / "held_out.jsonl", many(10))
    corpus = read(tmp_path / "everything.jsonl", test_fraction=0.2)
    assert [len(kept) for kept in corpus.splits.values()] == [70, 10, 20]
    monkeypatch.setenv("HOME", str(tmp_path))
    corpus = load(
        Data(source="~/everything.jsonl", splits={"test": "held_out.jsonl"}, max_duplicates=1), 0
    )
    assert len(corpus.splits["test"]) == 10


def test_csv_cells_hold_lists_or_words(tmp_path: Path) -> None:
    rows = [
        '"[""New York"", ""x""]",B-city O,NA',
        'b c,"[""O"", ""O""]",null',
        "d e,O O,null",
        "[1 ok,O O,None",
    ]
    (tmp_path / "train.csv").write_text("\n".join(["words,tags,label", *rows]))
    (tmp_path / "test.csv").write_text("words,tags,label\nf g,O O,NA\n")
    columns = {"tokens": "words", "ner_tags": "tags"}
    corpus = read(tmp_path, columns=columns, splits={"validation": "test.csv"})
    assert [sentence.tokens for sentence in corpus.splits["train"]] == [
        ("New York", "x"),
        ("b", "c"),
        ("d", "e"),
        ("[1", "ok"),
    ]
    assert corpus.tasks["classifier"].codes.names == ("NA", "None", "null")
    (tmp_path / "test.csv").write_text('words,tags,label\n"[f, g]",O O,NA\n')
    problem = "test.csv:2 words: a list in brackets that is not JSON"
    assert (
        fails(tmp_path, columns=columns)
        == f'{problem}; write ["a", "b"] with double quotes, or a b without brackets'
    )


@pytest.mark.parametrize("name", ["train.json", "train.parquet"])
def test_plain_numbers_are_labels(tmp_path: Path, name: str) -> None:
    rows = [{**row, "label": number} for number, row in enumerate(TRAIN)]
    if name.endswith("json"):
        (tmp_path / name).write_text(json.dumps({"data": rows}))
    else:
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    write_jsonl(tmp_path / "test.jsonl", [{**OTHER["test"][0], "label": 3}])
    corpus = read(tmp_path, splits={"validation": "test"})
    assert corpus.tasks["classifier"].codes.names == ("0", "1", "2", "3")


def test_schemes_are_converted_and_said(tmp_path: Path) -> None:
    iob1 = [
        sentence("in new york", "O I-city I-city", "a"),
        sentence("to rome paris", "O I-city B-city", "b"),
    ]
    source = write_source(
        tmp_path, train=iob1, validation=[sentence("x", "I-city")], test=[sentence("y", "O")]
    )
    corpus = read(source)
    assert [sentence.gold.get("ner") for sentence in corpus.splits["train"]] == [
        ("O", "B-city", "I-city"),
        ("O", "B-city", "B-city"),
    ]
    assert corpus.splits["validation"][0].gold.get("ner") == ("B-city",)
    assert corpus.tasks["ner"].codes.names == ("O", "B-city", "I-city")
    assert (
        corpus.notes[0]
        == f"{tmp_path}: tags are IOB1: converted to IOB2, which rewrote 3 of 8 tags."
    )


def test_unseen_labels_may_count_as_errors(tmp_path: Path) -> None:
    source = write_source(
        tmp_path,
        test=[sentence("eat", "B-food", "eat"), sentence("dine", "B-city", "eat"), *OTHER["test"]],
    )
    corpus = read(source, unseen_labels="count_as_error")
    assert len(corpus.splits["test"]) == 3
    assert corpus.tasks["classifier"].codes.names == ("book", "play")
    assert corpus.notes[:2] == (
        f"{tmp_path} test: 2 of 3 sentences count as errors: train does not have their label ('eat').",
        f"{tmp_path} test: 1 of 3 sentences count as errors: train does not have their entity type ('food').",
    )


def test_an_inner_tag_unseen_in_train_is_no_error(tmp_path: Path) -> None:
    corpus = read(write_source(tmp_path, test=[sentence("new york", "B-city I-city", "book")]))
    assert corpus.splits["test"][0].gold.get("ner") == ("B-city", "I-city")
    assert "I-city" not in corpus.tasks["ner"].codes.names


def test_two_sources(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text(
            "text,category\n" + "".join(f'"{split} {n}, NA",c{n % 2}\n' for n in range(20))
        )
    ner = write_source(tmp_path / "ner")
    data = Data(
        classifier={"source": str(tmp_path), "columns": {"label": "category"}},
        ner={"source": str(ner)},
        train_size=3,
        max_duplicates=1,
    )
    corpus = load(data, 0)
    assert corpus.served == (("classifier",), ("ner",))
    assert corpus.tasks["classifier"].codes.names == ("c0", "c1")
    assert [sentence.source for sentence in corpus.splits["train"]] == [0, 0, 0, 1, 1, 1]
    first, last = corpus.splits["test"][0], corpus.splits["test"][-1]
    assert (first.text, first.tokens, first.gold.get("ner"), first.gold.get("classifier")) == (
        "test 0, NA",
        None,
        None,
        "c0",
    )
    assert (last.text, last.tokens, last.gold.get("ner"), last.gold.get("classifier")) == (
        None,
        ("book", "in", "rome"),
        ("O", "O", "B-city"),
        None,
    )
    assert [len(kept) for kept in corpus.splits.values()] == [6, 3, 21]


def test_a_classifier_source_may_have_tokens(tmp_path: Path) -> None:
    source = str(write_source(tmp_path))
    corpus = load(Data(classifier={"source": source}, ner={"source": source}), 0)
    assert corpus.splits["test"][0].tokens == ("book", "in", "rome")
    (tmp_path / "text.csv").write_text("text,tokens,label\n A b ,a b,x\nc,c,y\n")
    for columns, text in (({}, " A b "), ({"text": "text"}, " A b "), ({"tokens": "tokens"}, None)):
        alone = {
            "source": str(tmp_path / "text.csv"),
            "splits": {"test": "text", "validation": "text"},
            "columns": columns,
        }
        corpus = load(Data(classifier=alone, ner={"source": source}, max_duplicates=1), 0)
        assert corpus.splits["train"][0].text == text


def test_blank_text(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text('text,label\n"  ",x\n')
    with pytest.raises(UserError, match=r"train\.csv:2 text: text is blank; remove the sentence"):
        load(Data(classifier={"source": str(tmp_path)}, ner={"source": str(tmp_path)}), 0)


def test_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    one, same = write_source(tmp_path / "one"), write_source(tmp_path / "two")
    other = write_source(tmp_path / "three", test=[sentence("book in rome", "O O B-city", "play")])
    assert read(one).fingerprint == read(same).fingerprint != read(other).fingerprint
    assert len(read(one).fingerprint) == 64


@needs_shared
def test_snips() -> None:
    corpus = read(SHARED / "snips", train_size=4000)
    assert {split: len(kept) for split, kept in corpus.splits.items()} == {
        "train": 4000,
        "validation": 700,
        "test": 700,
    }
    assert (len(corpus.tasks["ner"].codes.names), len(corpus.tasks["classifier"].codes.names)) == (
        72,
        7,
    )
    whole = read(SHARED / "snips")
    assert len(whole.splits["train"]) == 13084
    assert (whole.tasks["ner"].codes.names, whole.tasks["classifier"].codes.names) == (
        corpus.tasks["ner"].codes.names,
        corpus.tasks["classifier"].codes.names,
    )
    share = Counter(sentence.gold.get("classifier") for sentence in whole.splits["train"])
    taken = Counter(sentence.gold.get("classifier") for sentence in corpus.splits["train"])
    assert all(abs(taken[label] - count * 4000 / 13084) < 1 for label, count in share.items())


@needs_shared
def test_banking77_and_wnut17() -> None:
    data = Data(
        classifier={"source": str(SHARED / "banking77"), "columns": {"label": "category"}},
        ner={"source": str(SHARED / "wnut17")},
    )
    corpus = load(data, 0)
    assert (len(corpus.tasks["classifier"].codes.names), len(corpus.tasks["ner"].codes.names)) == (
        77,
        13,
    )
    assert {split: len(kept) for split, kept in corpus.splits.items()} == {
        "train": 9003 + 3394,
        "validation": 1000 + 1009,
        "test": 3080 + 1287,
    }
    cut = Counter(
        sentence.gold.get("classifier")
        for sentence in corpus.splits["validation"]
        if sentence.source == 0
    )
    assert len(cut) == 77
