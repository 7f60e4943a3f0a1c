"""Texts that look alike: labels and types of train, those that train does not have, and sentences
that stand in two splits."""

import unicodedata
from pathlib import Path

import pytest

from mtlab.data import alike
from mtlab.data.sources import together
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Data
from tests.data.files import OTHER, TRAIN, fails, many, read, sentence, write_jsonl, write_source
from tests.tiny import load


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        ("jard\u00edn", "jardi\u0301n", "'jard\u00edn', 'jardi\\u0301n' look alike"),
        ("trip", "trip\u200b", "'trip', 'trip\\u200b' look alike"),
        ("trip", "\ufefftrip", "'trip', '\\ufefftrip' look alike"),
        ("trip", "tr\u00adip", "'trip', 'tr\\xadip' look alike"),
        ("trip", "tr\u2060ip", "'trip', 'tr\\u2060ip' look alike"),
        ("trip", "\u202etrip\u2069", "'trip', '\\u202etrip\\u2069' look alike"),
        ("heart\u2764", "heart\u2764\ufe0f", "'heart\u2764', 'heart\u2764\\ufe0f' look alike"),
        ("trip", "\uff34\uff32\uff29\uff30", "'trip', '\\uff34\\uff32\\uff29\\uff30' look alike"),
        ("fish", "\ufb01sh", "'fish', '\\ufb01sh' look alike"),
        ("e-mail", "e\u2011mail", "'e-mail', 'e\\u2011mail' look alike"),
        ("don't", "don\u2019t", "\"don't\", 'don\\u2019t' look alike"),
        ("cap", "\u0441\u0430p", "'cap', '\\u0441\\u0430p' look alike"),
        (
            "\ud55c\uae00",
            unicodedata.normalize("NFD", "\ud55c\uae00"),
            "'\ud55c\uae00', '\u1112\u1161\u11ab\u1100\u1173\u11af' look alike",
        ),
        ("get it", "get  it", "'get it', 'get \\x20it' differ in case or white space alone"),
        ("get it", "get\u00a0it", "'get it', 'get\\xa0it' differ in case or white space alone"),
        ("get it", "Get It ", "'get it', 'Get It ' differ in case or white space alone"),
        ("trip", 'trip"', "'trip', 'trip\"' look alike"),
        ("trip", "\u201ctrip\u201d", "'trip', '\u201ctrip\u201d' look alike"),
        ("''", "'", None),
        ("trip", "tripe", None),
        ("r\u00e9sum\u00e9", "resume", None),
        ("get it", "getit", None),
        ("x2", "x3", None),
        ("\u00fc", "u", None),
    ],
)
def test_names_that_look_alike(one: str, other: str, line: str | None) -> None:
    told = alike.notes([one, other, "else"], "label")
    assert told == ([] if line is None else [f"{line}, and are different labels"])
    assert alike.notes([one, one, "else"], "label") == []


def test_a_run_says_which_labels_and_types_look_alike(tmp_path: Path) -> None:
    train = [
        *TRAIN,
        sentence("see rome", "O B-City", "book\u200b"),
        sentence("see turin", "O B-ci\u00adty", "see"),
    ]
    source = write_source(tmp_path, train=train, test=[sentence("play on", "", "play")])
    assert read(source).notes[:2] == (
        f"{source}: 'book', 'book\\u200b' look alike, and are different labels.",
        f"{source}: 'city', 'City', 'ci\\xadty' look alike, and are different entity types.",
    )
    assert "'book', 'book\\u200b'" in read(source, labels=("play", "book")).notes[0]
    assert not any(
        "different labels" in note for note in read(source, labels=("play", "see")).notes
    )


def test_types_of_a_conll_file_look_alike(tmp_path: Path) -> None:
    for split, word in (("train", "a"), ("test", "b")):
        (tmp_path / f"{split}.conll").write_text(
            f"{word}1\tB-caf\u00e9\n\n{word}2\tB-cafe\u0301\n\n{word}3\tO\n", encoding="utf-8"
        )
    corpus = load(
        Data(
            classifier={"source": str(write_source(tmp_path / "c"))},
            ner={"source": str(tmp_path)},
            validation_fraction=0.3,
        ),
        0,
    )
    assert any(
        "'caf\u00e9', 'cafe\\u0301' look alike, and are different entity types." in note
        for note in corpus.notes
    )


def test_labels_of_two_data_sets_look_alike(tmp_path: Path) -> None:
    first = read(write_source(tmp_path / "one"))
    train = [{**row, "label": row["label"].title()} for row in TRAIN]
    second = read(
        write_source(
            tmp_path / "two",
            train=train,
            **{split: [{**row[0], "label": "Play"}] for split, row in OTHER.items()},
        )
    )
    for corpus in together([first, second]):
        assert corpus.notes[-2:] == (
            "in the data of both phases: 'Book', 'book' differ in case or white space alone, and are different labels.",
            "in the data of both phases: 'Play', 'play' differ in case or white space alone, and are different labels.",
        )
    assert together([first, first])[0].notes == first.notes


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            sentence("eat", "O", "Play"),
            "label: train has no label 'Play', which looks like train's 'play'; write",
        ),
        (
            sentence("eat", "O", "play\u200d"),
            "label: train has no label 'play\\u200d', which looks like train's 'play'; write both alike, or",
        ),
        (
            sentence("eat", "B-cit\u0443", "play"),
            "ner_tags: train has no entity type 'cit\\u0443', which looks like train's 'city'; write both",
        ),
    ],
)
def test_what_train_does_not_have_looks_like_what_it_has(
    tmp_path: Path, row: dict, line: str
) -> None:
    source = write_source(tmp_path / "set", validation=[row])
    assert fails(source).startswith(f"validation.jsonl:1 {line}")
    assert "; write both alike, or pass --data.unseen_labels count_as_error" in fails(source)
    notes = read(source, unseen_labels="count_as_error").notes
    assert any(
        f"which looks like train's '{'city' if 'city' in line else 'play'}'" in note
        for note in notes
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: text.replace(" ", "\u200b \u2060"),
        lambda text: text.upper().replace(" ", "  "),
        lambda text: "".join(
            chr(ord(mark) + 0xFEE0) if "!" <= mark <= "~" else mark for mark in text
        ),
        lambda text: text.replace(" ", "\u3000"),
        lambda text: "\ufeff" + text.replace("o", "o\u00ad"),
    ],
)
@pytest.mark.parametrize("tokens", [True, False])
def test_a_split_that_is_train_in_another_form_is_told(
    tmp_path: Path, tokens: bool, change
) -> None:  # type: ignore[no-untyped-def]
    rows = many(20)
    for row in rows:
        row["tokens"] = ["jard\u00edn", *row["tokens"][1:-1], f"word{row['tokens'][0][4:]}"]
    changed = [{**row, "tokens": [change(f"{token} ") for token in row["tokens"]]} for row in rows]
    if not tokens:
        rows, changed = (
            [{**row, "tokens": None, "text": " ".join(row["tokens"])} for row in some]
            for some in (rows, changed)
        )
        changed = [{**row, "text": change(row["text"])} for row in rows]
    write_jsonl(tmp_path / "set" / "train.jsonl", rows)
    write_jsonl(tmp_path / "set" / "test.jsonl", changed)
    write_jsonl(
        tmp_path / "set" / "validation.jsonl",
        [{**sentence("held out", "", "label1"), "text": "held out"}],
    )
    ner = str(write_source(tmp_path / "ner"))
    columns = {"tokens": "tokens"} if tokens else {"text": "text"}
    data = {
        "classifier": {"source": str(tmp_path / "set"), "columns": columns},
        "ner": {"source": ner},
    }
    with pytest.raises(
        UserError,
        match=r"test: 20 of 20 sentences \(100\.0%\) also stand in train, 0 of them exactly",
    ):
        load(Data(**data), 0)
    notes = load(Data(**data, max_duplicates=1), 0).notes
    assert any(
        "20 of 20 sentences (100.0%) also stand in train, 0 of them exactly" in note
        for note in notes
    )


def test_the_normal_form_of_plain_text_is_what_it_was() -> None:
    for text in (
        "Stra\u00dfe",
        "A  b\u00a0c",
        "\u0130",
        "e\u0301",
        "na\u00efve  CAF\u00c9",
        "\u4e2d\u6587 text",
    ):
        assert alike.normal(text) == unicodedata.normalize(
            "NFKC", " ".join(text.casefold().split())
        )
    assert alike.normal(alike.normal("\uff26\u017f\u1e9e\u3000\u00bd")) == alike.normal(
        "\uff26\u017f\u1e9e\u3000\u00bd"
    )
