"""Further shapes in which people have their data: tags as other programs spell them, lists as Python prints
them, JSON and tables by another name, columns that say the split in words of their own."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mtlab.check import guesses
from mtlab.check.source import open_source
from mtlab.data import sources
from mtlab.data.sources import Corpus
from mtlab.plan.data import Data, Source
from mtlab.plan.errors import UserError
from mtlab.plan.tasks import Task
from tests.data.published import Line, bmes, columns, put, splits, two
from tests.tiny import TASKS

NAMES = ("train", "dev", "test")


def read(source: Path, *tasks: str, **options: Any) -> Corpus:
    wanted = {name: TASKS[name] for name in tasks or ("ner",)}
    return sources.load(Data(source=str(source), max_duplicates=1.0, **options), wanted, 0)


def refused(source: Path, *tasks: str, **options: Any) -> str:
    with pytest.raises(UserError) as error:
        read(source, *tasks, **options)
    return str(error.value).replace(f"{source.parent}/", "")


def words_and_tags(corpus: Corpus) -> dict[str, list[Any]]:
    return {
        split: sorted((row.tokens, row.gold["ner"]) for row in rows)
        for split, rows in corpus.splits.items()
    }


def expected() -> dict[str, list[Any]]:
    return {
        split: sorted((tuple(line.tokens), tuple(line.tags)) for line in some)
        for split, some in splits().items()
    }


def write(folder: Path, extension: str, text: Callable[[Sequence[Line]], str]) -> Path:
    for name, some in zip(NAMES, splits().values(), strict=True):
        put(folder / "set" / f"{name}{extension}", [text(some)])
    return folder / "set"


def conll(cells: Callable[[Line, int], Sequence[str]], by: str = "\t") -> Any:
    return lambda some: "\n".join(columns(some, cells, by))


def changed(change: Callable[[str], str]) -> Callable[[Sequence[str]], list[str]]:
    return lambda tags: [tag if tag == "O" else change(tag) for tag in tags]


def outside(sign: str) -> Callable[[Sequence[str]], list[str]]:
    return lambda tags: [sign if tag == "O" else tag for tag in tags]


SPELLINGS: dict[str, Callable[[Sequence[str]], list[str]]] = {
    "lower": changed(lambda tag: tag[0].lower() + tag[1:]),
    "an underscore": changed(lambda tag: tag.replace("-", "_")),
    "a colon": changed(lambda tag: tag.replace("-", ":")),
    "the prefix last": changed(lambda tag: f"{tag[2:]}-{tag[0]}"),
    "the prefix last, an underscore": changed(lambda tag: f"{tag[2:]}_{tag[0]}"),
    "W for one word": lambda tags: [tag.replace("S-", "W-") for tag in bmes(tags, "M")],
    "0 outside": outside("0"),
    "a line outside": outside("_"),
    "NONE outside": outside("NONE"),
    "o outside": outside("o"),
}


@pytest.mark.parametrize("kind", [".conll", ".txt", ".csv", ".jsonl"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_tags_of_other_spellings(tmp_path: Path, name: str, kind: str) -> None:
    spelt = SPELLINGS[name]
    options: dict[str, Any] = {}
    if kind == ".csv":  # a token a row
        rows = [
            f"{number},{word},{tag}"
            for number, line in enumerate(splits()["train"])
            for word, tag in zip(line.tokens, spelt(line.tags), strict=True)
        ]
        put(tmp_path / "set" / "train.csv", ["sentence,word,tag", *rows])
        options = {"columns": {"tokens": "word", "ner_tags": "tag"}, "test_fraction": 0.2}
    elif kind == ".jsonl":
        write(
            tmp_path,
            kind,
            lambda some: "\n".join(
                json.dumps({"tokens": line.tokens, "ner_tags": spelt(line.tags)}) for line in some
            ),
        )
    else:
        write(tmp_path, kind, conll(lambda line, at: (line.tokens[at], spelt(line.tags)[at]), " "))
    corpus = read(tmp_path / "set", **options)
    if kind == ".csv":
        every = sorted(pair for rows in words_and_tags(corpus).values() for pair in rows)
        assert every == expected()["train"]
    else:
        assert words_and_tags(corpus) == expected()
    assert any("tags are spelt otherwise: " in note for note in corpus.notes)


def brackets(line: Line, at: int) -> str:
    tag, after = line.tags[at], [*line.tags, "O"][at + 1]
    first = f"({tag[2:]}" if tag[0] == "B" else ""
    return f"{first}*{')' if tag != 'O' and not after.startswith('I-') else ''}"


def of_medline(some: Sequence[Line]) -> str:
    blocks = [columns([line], two) for line in some]
    heads = [[f"###MEDLINE:{at}", ""] if at % 4 == 0 else [] for at in range(len(blocks))]
    return "\n".join(
        line for pair in zip(heads, blocks, strict=True) for part in pair for line in part
    )


def with_pairs(sign: str) -> Callable[[Sequence[Line]], str]:
    return lambda some: "\n".join(
        " ".join(sign.join(pair) for pair in zip(line.tokens, line.tags, strict=True))
        for line in some
    )


def table(tokens: Callable[[Line], str], tags: Callable[[Line], str]) -> Any:
    return lambda some: "\n".join(
        ["tokens,ner_tags", *(f'"{tokens(line)}","{tags(line)}"' for line in some)]
    )


LINES: dict[str, tuple[str, Any]] = {
    "brackets of CoNLL-2012": (
        ".conll",
        conll(lambda line, at: ("bc/x", "0", str(at), line.tokens[at], "NN", brackets(line, at)), " "),
    ),
    "codes of languages": ("", conll(lambda line, at: (f"en:{line.tokens[at]}", line.tags[at]))),
    "a blank before the tab": (".txt", conll(lambda line, at: (f"{line.tokens[at]} ", line.tags[at]))),
    "commas": (".txt", conll(two, ",")),
    "commas, as a table": (".csv", conll(two, ",")),
    "bars": (".txt", conll(two, "|")),
    "comments of MEDLINE": (".iob2", of_medline),
    "a word and its tag": (".txt", with_pairs("/")),
    "a word, its part of speech and its tag": (".txt", with_pairs("|NN|")),
    "Python's lists": (".csv", table(lambda line: str(line.tokens), lambda line: str(line.tags))),
    "NumPy's lists": (
        ".csv",
        table(
            lambda line: str(line.tokens).replace(",", ""),
            lambda line: str(line.tags).replace(",", ""),
        ),
    ),
    "tags with commas": (".csv", table(lambda line: line.text, lambda line: ",".join(line.tags))),
    "tags with commas and blanks": (
        ".csv",
        table(lambda line: line.text, lambda line: ", ".join(line.tags)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_lines_and_cells_of_other_shapes(tmp_path: Path, name: str) -> None:
    assert words_and_tags(read(write(tmp_path, *LINES[name]))) == expected()


def test_a_table_by_the_name_of_text_is_not_taken_for_one_sentence(tmp_path: Path) -> None:
    rows = [f"{at}\tIN:x\t3:5:SL:y\tword{at} of it" for at in range(20)]
    put(tmp_path / "train.txt", rows)
    assert "train.txt:1: the header seems to be a row" in refused(tmp_path / "train.txt")


@pytest.mark.parametrize(("header", "by"), [("text\tlabel", "\t"), ("text,label", ",")])
def test_a_table_by_the_name_of_text(tmp_path: Path, header: str, by: str) -> None:
    source = write(
        tmp_path,
        ".txt",
        lambda some: "\n".join([header, *(f"{line.text}{by}{line.label}" for line in some)]),
    )
    rows = read(source, "classifier").splits["test"]
    assert [(row.text, row.gold["classifier"]) for row in rows] == [
        (line.text, line.label) for line in splits()["test"]
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("{}.seq.in", "{}.seq.out", "{}.label"),
        ("{}_seq_in.txt", "{}_seq_out.txt", "{}_label.txt"),
        ("{}.words.txt", "{}.tags.txt", "{}.intents.txt"),
    ],
)
def test_files_in_one_folder_that_belong_together(tmp_path: Path, names: Sequence[str]) -> None:
    for split, some in zip(NAMES, splits().values(), strict=True):
        texts = [[line.text, " ".join(line.tags), line.label] for line in some]
        for name, lines in zip(names, zip(*texts, strict=True), strict=True):
            put(tmp_path / "set" / name.format(split), lines)
    corpus = read(tmp_path / "set", "ner", "classifier")
    assert words_and_tags(corpus) == expected()
    assert not any("not read" in note for note in corpus.notes)


def test_snips_with_arrows(tmp_path: Path) -> None:
    for split, some in zip(NAMES, splits().values(), strict=True):
        lines = [
            f"{' '.join(map(':'.join, zip(line.tokens, line.tags, strict=True)))} <=> {line.label}"
            for line in some
        ]
        put(tmp_path / "set" / split, lines)
    corpus = read(tmp_path / "set", "ner", "classifier")
    assert words_and_tags(corpus) == expected()
    put(tmp_path / "set" / "test", [*lines, "word <=> play"])
    assert "set/test:10 ner_tags: 'word' has no tag; write each word as word:tag" in refused(
        tmp_path / "set", "ner", "classifier"
    )


def test_labels_of_fasttext(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        ".txt",
        lambda some: "\n".join(f"__label__{line.label} {line.text}" for line in some),
    )
    rows = read(source, "classifier").splits["train"]
    assert [(row.text, row.gold["classifier"]) for row in rows] == [
        (line.text, line.label) for line in splits()["train"]
    ]


CELLS = [["a,b", "a", "b", "a,c"], ["a; b", "a", "b", "a; c"], ["['a', 'b']", "['a']", "['b']", "['a', 'c']"]]  # fmt: skip


@pytest.mark.parametrize("cells", CELLS)
def test_several_labels_in_a_cell(tmp_path: Path, cells: Sequence[str]) -> None:
    rows = [f'word{at} is here now,"{cells[at % 4]}"' for at in range(24)]
    put(tmp_path / "train.csv", ["text,topics", *rows])
    task = Task(kind="multilabel", column="topics")
    data = Data(source=str(tmp_path / "train.csv"), test_fraction=0.3, max_duplicates=1.0)
    corpus = sources.load(data, {"topics": task}, 0)
    assert corpus.tasks["topics"].codes.names == ("a", "b", "c")
    source = Source(source=str(tmp_path / "train.csv"))
    opened = open_source("x", source, dict(TASKS), "data", TASKS)
    assert opened.train is not None
    assert guesses.tasks(opened.train, [], {})["topics"][0].as_kind.many


def test_a_comma_within_the_name_of_a_label(tmp_path: Path) -> None:
    names = ["Food, drink", "Home, garden", "Sports"]
    rows = [f'word{at} is here now,"{names[at % 3]}"' for at in range(24)]
    put(tmp_path / "train.csv", ["text,label", *rows])
    corpus = read(tmp_path / "train.csv", "classifier", test_fraction=0.3)
    assert corpus.tasks["classifier"].codes.names == tuple(names)


def in_parts(folder: Path, column: str, values: Sequence[Any]) -> Path:
    rows = [
        {"text": line.text, "label": line.label, column: value}
        for value, some in zip(values, splits().values(), strict=True)
        for line in some
    ]
    (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "all.jsonl"


def test_a_column_with_words_of_its_own_for_the_splits(tmp_path: Path) -> None:
    source = in_parts(tmp_path, "fold", (0, 1, 2))
    whole = read(source, "classifier", test_fraction=0.2)
    options = "--data.split_column fold --data.splits.train VALUE"
    assert any("may say the split of each row" in note and options in note for note in whole.notes)
    corpus = read(
        source,
        "classifier",
        split_column="fold",
        splits={"train": "0", "validation": "1", "test": "2"},
    )  # as the note says
    assert {split: len(rows) for split, rows in corpus.splits.items()} == {
        "train": 30,
        "validation": 8,
        "test": 9,
    }


def test_two_values_of_a_column_that_are_one_split(tmp_path: Path) -> None:
    source = in_parts(tmp_path, "Usage", ("Training", "PublicTest", "PrivateTest"))
    line = refused(source, "classifier", split_column="Usage")
    assert line.endswith("or name it with --data.split_column Usage --data.splits.test PrivateTest")
    named = {"test": "PrivateTest"}
    assert len(read(source, "classifier", split_column="Usage", splits=named).splits["test"]) == 9


def test_sentences_numbered_within_paragraphs_of_documents(tmp_path: Path) -> None:
    rows = [
        {"doc": number // 9, "paragraph": number // 3 % 3, "sentence": number % 3, "token_id": at, "token": word, "tag": tag}
        for number, line in enumerate(splits()["train"])
        for at, (word, tag) in enumerate(zip(line.tokens, line.tags, strict=True))
    ]  # fmt: skip
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = read(
        tmp_path / "train.jsonl", columns={"tokens": "token", "ner_tags": "tag"}, test_fraction=0.2
    )
    every = sorted(pair for rows in words_and_tags(corpus).values() for pair in rows)
    assert every == expected()["train"]


def test_files_that_nobody_reads_say_why(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.conll.gz").write_bytes(gzip.compress(b"a\tO\n"))
    assert refused(tmp_path / "set") == "set/train.conll.gz: is compressed; unpack it"
    (tmp_path / "set" / "train.conll.gz").unlink()
    (tmp_path / "set" / "esp.train").write_bytes("Ñandú B-PER\nva O\n".encode("latin-1"))
    assert (
        refused(tmp_path / "set") == "set/esp.train:1: not UTF-8 at byte 0; save the file as UTF-8"
    )


def test_blank_tags_in_a_table_with_a_token_a_row_are_told_of(tmp_path: Path) -> None:
    rows = [
        f"{number},{word},{tag if tag != 'O' else ''}"
        for number, line in enumerate(splits()["train"])
        for word, tag in zip(line.tokens, line.tags, strict=True)
    ]
    put(tmp_path / "train.csv", ["sentence,word,tag", *rows])
    settings = {"tokens": "word", "ner_tags": "tag"}
    line = refused(tmp_path / "train.csv", columns=settings, test_fraction=0.2)
    assert line.startswith("train.csv:2 tag: ") and line.endswith(
        "write O, or B- or I- and a type, as in B-person"
    )
