"""Shapes in which people have their data: what is read of each, and what is said where it cannot be."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from mtlab.data import sources
from mtlab.data.reading import readers
from mtlab.data.sources import Corpus
from mtlab.plan.data import Data
from mtlab.plan.errors import UserError
from mtlab.plan.tasks import Task
from tests.tiny import TASKS

Columns = tuple[list[str], list[str]]


def read(source: Path, task: str = "ner", **options: Any) -> Corpus:
    settings = {"max_duplicates": 1.0, "test_fraction": 0.3, **options}
    return sources.load(Data(source=str(source), **settings), {task: TASKS[task]}, 0)


def refused(source: Path, task: str = "ner", **options: Any) -> str:
    with pytest.raises(UserError) as error:
        read(source, task, **options)
    return str(error.value).replace(f"{source.parent}/", "")


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def sentences(some: str, times: int = 6) -> str:
    return some * times


WORDS = ["Ann", "left", "Rome"]
TAGS = ["B-PER", "O", "B-LOC"]
FORMS: list[tuple[str, str, str]] = [
    ("tags before words", "a.conll", "B-PER\tAnn\nO\tleft\nB-LOC\tRome\n\n"),
    ("numbers from 0", "a.iob2", "0 Ann X B-PER\n1 left Y O\n2 Rome X B-LOC\n\n"),
    ("a lemma, a place, tags, phrases", "a.tsv", "Ann\tann\t3\tB-PER\tB-NP\nleft\tleave\t9\tO\tB-VP\nRome\trome\t1\tB-LOC\tB-NP\n\n"),
    ("a document's name before the words", "a.txt", "doc1 Ann B-PER\ndoc1 left O\ndoc1 Rome B-LOC\n\n"),
    ("a line with names", "a.bio", "Token\tNER\nAnn\tB-PER\nleft\tO\nRome\tB-LOC\n\n"),
    ("two lines of comments", "a.ner", "# id = 1\n# text = Ann left Rome O\nAnn\tB-PER\nleft\tO\nRome\tB-LOC\n\n"),
    ("documents of CoNLL-2012", "a.conll", "#begin document (a/b); part 000\nAnn\tB-PER\nleft\tO\nRome\tB-LOC\n\n#end document\n"),
    ("a licence on top", "a.conll", "# Copyright of its makers, 2020\n\nAnn\tB-PER\nleft\tO\nRome\tB-LOC\n\n"),
    ("no extension", "train", "Ann\tB-PER\nleft\tO\nRome\tB-LOC\n\n"),
    ("types without prefixes", "a.data", "Ann\tPER\nleft\tO\nRome\tLOC\nin\tO\nMay\tO\nor\tO\n\n"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"), [case[1:] for case in FORMS], ids=[case[0] for case in FORMS]
)
def test_a_token_a_line_in_many_forms(tmp_path: Path, name: str, content: str) -> None:
    head = content.startswith(("Token", "# Copy"))
    first, _, rest = content.partition("\n" if content.startswith("Token") else "\n\n")
    whole = f"{first}\n{sentences(rest)}" if head else sentences(content)
    (tmp_path / name).write_text(whole, encoding="utf-8")
    corpus = read(tmp_path / name)
    for row in corpus.splits["train"]:
        assert row.tokens is not None
        assert (list(row.tokens)[:3], list(row.gold["ner"])[:3]) == (WORDS, TAGS)
    assert sum(map(len, corpus.splits.values())) == 6


KEPT = [
    ("a hashtag begins each sentence", "#ann\tB-PER\nleft\tO\nRome\tB-LOC\n\n", "#ann"),
    ("a bare sign begins each sentence", "# O\nann B-PER\nRome B-LOC\n\n", "#"),
]


@pytest.mark.parametrize(
    ("content", "first"), [case[1:] for case in KEPT], ids=[case[0] for case in KEPT]
)
def test_tokens_that_look_like_comments_stay(tmp_path: Path, content: str, first: str) -> None:
    (tmp_path / "train.conll").write_text(sentences(content))
    tokens = [row.tokens for row in read(tmp_path / "train.conll").splits["train"]]
    assert {row[0] for row in tokens if row} == {first}


def test_a_line_with_fewer_columns_than_all_others_is_a_mistake(tmp_path: Path) -> None:
    content = sentences("Ann NNP B-PER\nleft VBD O\nRome NNP B-LOC\n\n")
    (tmp_path / "train.conll").write_text(content.replace("left VBD O", "left VBD", 1))
    assert refused(tmp_path / "train.conll") == (
        "train.conll:2 ner_tags: 2 columns, of which the first is 'left'; other lines have 3; write 3 columns"
    )


def test_columns_are_chosen_by_number(tmp_path: Path) -> None:
    content = "1\tAnn\tB-PER\tO\n2\tof\tO\tO\n3\tRome\tB-LOC\tB-part\n\n"
    (tmp_path / "train.tsv").write_text(sentences(content))
    guessed, told = (
        read(tmp_path / "train.tsv", columns=columns)
        for columns in ({}, {"tokens": "2", "ner_tags": "4"})
    )
    assert guessed.splits["train"][0].gold["ner"] == ("B-PER", "O", "B-LOC")
    assert told.splits["train"][0].gold["ner"] == ("O", "O", "B-part")
    note = "train.tsv: of 4 columns, tokens from number 2 and ner_tags from number 3, a guess by their values; number 4 has tags too."
    assert f"{tmp_path}/{note}" in guessed.notes
    assert not any("a guess by their values" in line for line in told.notes)
    assert "no column '5'" in refused(tmp_path / "train.tsv", columns={"ner_tags": "5"})


def test_words_without_tags_are_told_of_once(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(sentences("Ann\tNN\nleft\tVB\nRome\tNN\nsoon\tRB\n\n"))
    line = refused(tmp_path / "train.txt")
    assert line == (
        "train.txt: has 2 columns, a token a line, and none of them holds tags of entities; "
        "call the file train.conll to take the last one for tags"
    )
    (tmp_path / "train.txt").rename(tmp_path / "train.conll")  # as the line says
    plain = Task(kind="tagging", column="ner_tags", spans=False)
    data = Data(source=str(tmp_path / "train.conll"), max_duplicates=1.0, test_fraction=0.3)
    corpus = sources.load(data, {"pos": plain}, 0)
    assert corpus.splits["train"][0].gold["pos"] == ("NN", "VB", "NN", "RB")


SCHEMES = [
    (["B-X", "M-X", "E-X", "S-Y"], ("B-X", "I-X", "I-X", "B-Y"), "tags are BMES: converted to IOB2, which rewrote"),
    (["B", "I", "O", "B"], ("B-entity", "I-entity", "O", "B-entity"), "tags have no types: all entities are of one, entity."),
    (["X", "X", "O", "O", "O", "Y"], ("B-X", "I-X", "O", "O", "O", "B-Y"), "tags have no prefixes: neighbouring words with the same"),
]  # fmt: skip


@pytest.mark.parametrize(("tags", "iob2", "note"), SCHEMES)
@pytest.mark.parametrize("kind", [".jsonl", ".parquet"])
def test_schemes_of_other_corpora(
    tmp_path: Path, tags: list[str], iob2: tuple[str, ...], note: str, kind: str
) -> None:
    rows = [
        {"tokens": [f"w{number}{at}" for at in range(len(tags))], "ner_tags": tags}
        for number in range(8)
    ]
    if kind == ".jsonl":
        (tmp_path / "train.jsonl").write_text(lines(*rows))
    else:
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    corpus = read(tmp_path / f"train{kind}")
    assert {row.gold["ner"] for row in corpus.splits["train"]} == {iob2}
    assert any(note in line for line in corpus.notes)


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        (["B_X", "B-X", "O"], "'B_X' is not a tag"),
        (["X-B", "B-X", "O"], "'X-B' is not a tag"),
        (["b-x", "B-X", "O"], "'b-x' is not a tag"),
        (["B-X", "M-X", "I-X"], "I-X stands among tags of BMES"),
        (
            ["M-X", "E-X", "O"],
            "M-X follows the start, not B-X or M-X, in tags that are otherwise BMES",
        ),
    ],
)
def test_tags_that_are_not_read(tmp_path: Path, tags: list[str], word: str) -> None:
    rows = [{"tokens": [f"w{number}", "x", "y"], "ner_tags": tags} for number in range(8)]
    (tmp_path / "train.jsonl").write_text(lines(*rows))
    assert word in refused(tmp_path / "train.jsonl")


def annotated(*entities: Any, text: str = "Ann left New Rome") -> str:
    return lines(*({"text": f"{text} {number}", "label": list(entities)} for number in range(8)))


def test_spans_lose_the_white_space_at_their_ends(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(annotated([0, 4, "PER"], [8, 17, "LOC"]))
    row = read(tmp_path / "train.jsonl", columns={"ner_tags": "label"}).splits["train"][0]
    assert row.gold["ner"] == ("B-PER", "O", "B-LOC", "I-LOC", "O")


def test_letters_are_words_where_a_language_has_no_blanks(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(annotated([0, 2, "PER"], text="王明去北京了"))
    row = read(tmp_path / "train.jsonl", columns={"ner_tags": "label"}).splits["train"][0]
    assert row.tokens is not None and row.tokens[:6] == ("王", "明", "去", "北", "京", "了")
    assert row.gold["ner"][:3] == ("B-PER", "I-PER", "O")


@pytest.mark.parametrize(
    ("entity", "line"),
    [
        ([0, 2, "PER"], "[0, 2, 'PER'] ('An') does not begin and end with whole words; move its ends"),
        ([0, 99, "PER"], "[0, 99, 'PER'] lies outside of the text, which has 19 characters; correct its places"),
        ([10, 12, "LOC"], "does not begin and end with whole words; move its ends"),
        ([0, 3, ""], "an entity is [0, 3, '']; write [start, end, type] with the places of characters"),
    ],
)  # fmt: skip
def test_spans_that_cannot_be(tmp_path: Path, entity: list[Any], line: str) -> None:
    (tmp_path / "train.jsonl").write_text(annotated([4, 8, "X"], entity))
    assert line in refused(tmp_path / "train.jsonl", columns={"ner_tags": "label"})


def test_spans_of_the_same_word(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(annotated([0, 3, "PER"], [0, 8, "X"]))
    line = refused(tmp_path / "train.jsonl", columns={"ner_tags": "label"})
    assert "has a word that another entity has too; keep one of them" in line


def labelled(kind: str, folder: Path, *labels: Any) -> Path:
    rows = [
        {"text": f"word{number} of it", "label": labels[number % len(labels)]}
        for number in range(12)
    ]
    path = folder / f"train{kind}"
    if kind == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(json.dumps(rows) if kind == ".json" else lines(*rows))
    return path


@pytest.mark.parametrize("kind", [".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize(
    ("labels", "names"), [((True, False), ("false", "true")), ((["b"], ["a"]), ("a", "b"))]
)
def test_labels_that_are_truths_or_lists_of_one(
    tmp_path: Path, kind: str, labels: tuple[Any, ...], names: tuple[str, ...]
) -> None:
    corpus = read(labelled(kind, tmp_path, *labels), "classifier")
    assert corpus.tasks["classifier"].codes.names == names


def test_several_labels_are_told_of(tmp_path: Path) -> None:
    line = refused(labelled(".jsonl", tmp_path, ["a"], ["a", "b"]), "classifier")
    assert line == (
        "train.jsonl:2 label: the sentence has several labels, ['a', 'b']; "
        "keep one, or read them for a task of the kind `multilabel`"
    )


PAIRS = list(enumerate(zip(WORDS, TAGS, strict=True)))
LONG: list[tuple[str, list[dict[str, Any]]]] = [
    ("numbers of words", [{"n": at, "word": word, "tag": tag} for _ in range(8) for at, (word, tag) in PAIRS]),
    (
        "numbers within documents",
        [
            {"doc": number // 4, "in": number % 4, "word": word, "tag": tag}
            for number in range(8)
            for _, (word, tag) in PAIRS
        ],
    ),
    ("numbers of sentences", [{"sent": number, "word": word, "tag": tag} for number in range(8) for _, (word, tag) in PAIRS]),
]  # fmt: skip


@pytest.mark.parametrize("kind", [".jsonl", ".parquet"])
@pytest.mark.parametrize("rows", [case[1] for case in LONG], ids=[case[0] for case in LONG])
def test_tables_with_a_token_a_row(tmp_path: Path, kind: str, rows: list[dict[str, Any]]) -> None:
    path = tmp_path / f"train{kind}"
    if kind == ".jsonl":
        path.write_text(lines(*rows))
    else:
        parquet.write_table(pa.Table.from_pylist(rows), path)
    corpus = read(path, columns={"tokens": "word", "ner_tags": "tag"})
    read_ = [(row.tokens, row.gold["ner"]) for rows in corpus.splits.values() for row in rows]
    assert read_ == [(tuple(WORDS), tuple(TAGS))] * 8
    assert any("a row holds one token; a sentence begins where" in note for note in corpus.notes)


def test_blank_lines_between_the_sentences_of_a_table(tmp_path: Path) -> None:
    text = "".join(f"{word},{tag}\n" for word, tag in zip(WORDS, TAGS, strict=True))
    (tmp_path / "train.csv").write_text("word,tag\n" + "\n".join([text] * 8))
    corpus = read(tmp_path / "train.csv", columns={"tokens": "word", "ner_tags": "tag"})
    assert sum(map(len, corpus.splits.values())) == 8


def test_a_token_a_row_and_no_word_of_sentences(tmp_path: Path) -> None:
    text = "word,tag\n" + "".join(f"w{number},O\nx,B-X\ny,I-X\n" for number in range(20))
    (tmp_path / "train.csv").write_text(text)
    line = refused(tmp_path / "train.csv", columns={"tokens": "word", "ner_tags": "tag"})
    assert line == (
        "train.csv: a row holds one token ('word', 'tag'), and no column says of which sentence; "
        "add a column that numbers the sentences, or leave a blank line after each"
    )
    spaced = text.replace("y,I-X\n", "y,I-X\n\n")
    (tmp_path / "train.csv").write_text(spaced)  # as the line says
    corpus = read(tmp_path / "train.csv", columns={"tokens": "word", "ner_tags": "tag"})
    assert sum(map(len, corpus.splits.values())) == 20


def test_a_sentence_that_continues_after_another(tmp_path: Path) -> None:
    rows = LONG[2][1]
    (tmp_path / "train.jsonl").write_text(lines(*rows, rows[0]))
    line = refused(tmp_path / "train.jsonl", columns={"tokens": "word", "ner_tags": "tag"})
    assert "train.jsonl:25: sentence 0 has begun before, and others stand between" in line


def folded(folder: Path, **changes: str) -> Path:
    folds = ["train", "train", "dev", "test"]
    rows = [
        {"text": f"word{number} x", "label": "ab"[number % 3 == 0], "fold": folds[number % 4]}
        for number in range(40)
    ]
    rows[5] |= changes
    (folder / "all.jsonl").write_text(lines(*rows))
    return folder / "all.jsonl"


def test_a_column_says_the_split(tmp_path: Path) -> None:
    corpus = read(folded(tmp_path), "classifier", split_column="fold", test_fraction=None)
    assert {split: len(rows) for split, rows in corpus.splits.items()} == {
        "train": 20,
        "validation": 10,
        "test": 10,
    }


@pytest.mark.parametrize(
    ("changes", "column", "line"),
    [
        ({}, "flod", "data.split_column: no column 'flod'; did you mean 'fold'?"),
        ({"fold": " "}, "fold", "all.jsonl:6 fold: the split of the row is ' '; write train, validation or test"),
        ({}, "text", "data.split_column: no row is of train"),
    ],
)  # fmt: skip
def test_a_column_that_does_not_say_it(
    tmp_path: Path, changes: dict[str, str], column: str, line: str
) -> None:
    assert refused(folded(tmp_path, **changes), "classifier", split_column=column).startswith(line)


def test_files_that_do_not_belong_together_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "set" / "train").mkdir(parents=True)
    (tmp_path / "set" / "train" / "seq.in").write_text("a b\nc d\n")
    (tmp_path / "set" / "train" / "seq.out").write_text("O O\n")
    assert refused(tmp_path / "set") == (
        "set/train/seq.out: 1 lines, and seq.in has 2; give every sentence a line in each of these files"
    )


def test_splits_in_one_file_are_read_by_their_names(tmp_path: Path) -> None:
    pairs = [[label, f"word{number} is here"] for number, label in enumerate("abababab")]
    (tmp_path / "all.json").write_text(
        json.dumps({"learn": pairs, "test": pairs[:2], "more": pairs})
    )
    line = refused(tmp_path / "all.json", "classifier")
    assert line.startswith(
        "all.json: no train split among learn, test, more; pass --data.splits.train NAME"
    )
    corpus = read(tmp_path / "all.json", "classifier", splits={"train": "learn"})
    assert [row.text for row in corpus.splits["test"]] == ["word0 is here", "word1 is here"]
    table = readers.read
    with pytest.raises(UserError, match="holds splits"):
        table(tmp_path / "all.json")


def test_an_annotation_that_was_rejected_is_not_learnt(tmp_path: Path) -> None:
    spans = [{"start": 0, "end": 3, "label": "PER"}]
    rows = [
        {"text": f"Ann {number} left", "spans": spans, "answer": "accept"} for number in range(9)
    ]
    rows[4]["answer"] = "reject"
    (tmp_path / "train.jsonl").write_text(lines(*rows))
    told = refused(tmp_path / "train.jsonl", columns={"ner_tags": "spans"})
    assert told.startswith("train.jsonl:5 answer: the annotation was not accepted (reject)")
