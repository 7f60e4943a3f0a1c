import json
from pathlib import Path
from typing import Any

import pytest

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Data
from tests.data.files import TRAIN, fails, sentence, write_jsonl, write_source
from tests.tiny import load

BAD_ROWS = [
    ({"ner_tags": ["O"]}, "ner_tags: 3 tokens but 1 tags; give every token one tag"),
    ({"ner_tags": []}, "ner_tags: 3 tokens but 0 tags; give every token one tag"),
    ({"tokens": [], "ner_tags": []}, "tokens: the sentence has no tokens; remove the sentence"),
    ({"tokens": ["", " ", "\u3000"]}, "tokens: all tokens are blank; remove the sentence"),
    ({"tokens": None}, "tokens: tokens are missing; write a list of tokens"),
    ({"tokens": "a b c"}, "tokens: tokens are 'a b c', not a list; write a list of tokens"),
    ({"tokens": ["a", 5, "c"]}, "tokens: token 2 is 5, not text; quote it"),
    ({"tokens": ["a", None, "c"]}, "tokens: token 2 is null, not text; quote it"),
    (
        {"tokens": ["a", "\ud83d", "c"]},
        "tokens: '\\ud83d' holds half of a surrogate pair; write the character whole",
    ),
    ({"label": ""}, "label: the label is empty; give the sentence a label, or remove it"),
    ({"label": " "}, "label: the label is empty; give the sentence a label, or remove it"),
    ({"label": None}, "label: the label is missing; write it as text"),
    ({"label": 1.5}, "label: the label is 1.5, not text; write it as text"),
    ({"label": True}, "label: the label is true, not text; write it as text"),
    ({"ner_tags": None}, "ner_tags: tags are missing; write a list of tags"),
    (
        {"ner_tags": [0, 1, 2]},
        "ner_tags: tag 1 is the number 0, and the source does not say what numbers stand for; write it as text",
    ),
    (
        {"ner_tags": ["O", "PER", "O"]},
        "ner_tags: 'PER' is not a tag (token 2, 'some'); write O, or B- or I- and a type, as in B-person",
    ),
    (
        {"ner_tags": ["O", "I-city", "O"]},
        "ner_tags: I-city follows O, not B-city or I-city, in tags that are otherwise IOB2 (token 2, 'some'); begin the entity with B-city",
    ),
]


@pytest.mark.parametrize(
    ("change", "words"),
    BAD_ROWS,
    ids=lambda value: None if isinstance(value, str) else json.dumps(value),
)
def test_bad_rows(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    row = {**sentence("eat some cake", "", "book"), **change}
    source = write_source(tmp_path)
    with (source / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    assert fails(source) == f"train.jsonl:5 {words}"


def test_tag_error_in_a_conll_file_names_the_line_of_the_token(tmp_path: Path) -> None:
    lines = [
        "-DOCSTART- -X- O O",
        "",
        "EU NNP B-NP B-ORG",
        "rejects VBZ B-VP O",
        "",
        "Peter NNP B-NP B-PER",
        "B. NNP I-NP I-ORG",
    ]
    for split in ("train", "test"):
        (tmp_path / f"{split}.conll").write_text("\n".join(lines))
    write_jsonl(tmp_path / "label" / "train.jsonl", TRAIN)
    data = Data(
        classifier={"source": str(tmp_path / "label")},
        ner={"source": str(tmp_path)},
        test_fraction=0.3,
    )
    with pytest.raises(UserError) as error:
        load(data, 0)
    problem = "I-ORG follows B-PER, not B-ORG or I-ORG, in tags that are otherwise IOB2 (2 such tags) (token 2, 'B.')"
    assert (
        str(error.value)
        == f"{tmp_path}/train.conll:7 ner_tags: {problem}; begin the entity with B-ORG"
    )


BAD_SPLITS = [
    (
        {"validation": [sentence("eat", "O", "plya")]},
        "validation.jsonl:1 label: train has no label 'plya'; did you mean 'play'?, or pass --data.unseen_labels count_as_error",
    ),
    (
        {"test": [sentence("eat", "O", "eat")]},
        "test.jsonl:1 label: train has no label 'eat'; correct it, or pass --data.unseen_labels count_as_error",
    ),
    (
        {"test": [sentence("eat", "B-food", "book")]},
        "test.jsonl:1 ner_tags: train has no entity type 'food'; correct it, or pass --data.unseen_labels count_as_error",
    ),
    (
        {"train": [sentence("a b", "B-x O", "z"), sentence("c", "", "z")]},
        "set label: every training sentence has the label 'z'; classification needs two labels or more",
    ),
    (
        {"train": [sentence("a b", "", "z"), sentence("c", "", "y")]},
        "set ner_tags: no training sentence has an entity; tag some",
    ),
    (
        {"test": []},
        "set: no test split; add one, name it with --data.splits.test NAME, or cut one off train with --data.test_fraction 0.1",
    ),
    (
        {"train": []},
        "set: no train split; add a file train with one of .jsonl .json .csv .tsv .parquet .conll .txt",
    ),
    (
        {"test": [TRAIN[1]]},
        "test.jsonl:1: test: 1 of 1 sentences (100.0%) also stand in train, 1 of them exactly; the limit is 5.0%; "
        "remove them (the first also stands at train.jsonl:2), or allow them with --data.max_duplicates 1.00",
    ),
    (
        {
            "validation": [
                sentence("eat", "", "book"),
                {"tokens": ["BOOK", "two\u00a0SEATS"], "ner_tags": ["O", "O"], "label": "book"},
            ]
        },
        "validation.jsonl:2: validation: 1 of 2 sentences (50.0%) also stand in train, 0 of them exactly; the limit is 5.0%; "
        "remove them (the first also stands at train.jsonl:4), or allow them with --data.max_duplicates 0.51",
    ),
]


@pytest.mark.parametrize(("splits", "line"), BAD_SPLITS)
def test_bad_splits(tmp_path: Path, splits: dict[str, Any], line: str) -> None:
    assert fails(write_source(tmp_path / "set", **splits)) == line


def test_empty_split(tmp_path: Path) -> None:
    source = write_source(tmp_path)
    (source / "test.jsonl").write_text("\n")
    assert fails(source) == "test.jsonl: no sentences; the test split needs some"


BAD_PLACES = [
    ({"source": "./absent"}, "./absent: no such file or directory; check the path"),
    ({"source": "~/absent-data"}, "~/absent-data: no such file or directory; check the path"),
    ({"source": "absent/train.csv"}, "absent/train.csv: no such file or directory; check the path"),
    (
        {"source": "~nobody-of-this-name/x"},
        "~nobody-of-this-name/x: no such file or directory; check the path",
    ),
    ({"source": "x" * 300}, "data.source: cannot be read (File name too long)"),
    ({"source": "a\0b"}, "a\\x00b: no such file or directory; check the path"),
    ({"source": "a b"}, "a b: no such file or directory; check the path"),
    ({"source": "a/b/c"}, "a/b/c: no such file or directory; check the path"),
    (
        {"source": "builtin", "subset": "nwes"},
        "data.subset: the built-in corpus has no domain 'nwes'; did you mean 'news'?",
    ),
    (
        {"source": "builtin", "revision": "v1"},
        "data.revision: the built-in corpus has no revisions; leave it out",
    ),
    (
        {"source": "set", "revision": "v1"},
        "data.revision: local data has no revisions; leave it out",
    ),
    (
        {"source": "set/train.jsonl", "subset": "x"},
        "data.subset: a single file has no subsets; leave it out",
    ),
    (
        {"source": "set/notes.doc"},
        "set/notes.doc: unknown kind of file '.doc'; use one of .jsonl .json .csv .tsv .parquet .conll .txt",
    ),
    (
        {"source": "set", "splits": {"test": "tset.jsonl"}},
        "set: no file 'tset.jsonl' for the test split; did you mean 'test.jsonl'?",
    ),
    (
        {"source": "set/train.jsonl", "splits": {"train": "test"}},
        "set/train.jsonl: train.jsonl and test.jsonl are both the train split; pass the directory as the source",
    ),
    (
        {"source": "set", "columns": {"label": "intent"}},
        "set/train.jsonl: no column 'intent'; the columns are tokens, ner_tags, label; pass --data.columns.label COLUMN",
    ),
    (
        {"source": "set", "columns": {"tokens": "token"}},
        "set/train.jsonl: no column 'token'; the columns are tokens, ner_tags, label; did you mean 'tokens'? "
        "pass --data.columns.tokens COLUMN",
    ),
    (
        {"source": "set", "train_size": 5},
        "data.train_size: 5 is above the 4 training sentences of set; pass 4 at most, or full",
    ),
]


@pytest.mark.parametrize(
    ("data", "line"),
    BAD_PLACES,
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
def test_bad_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], line: str
) -> None:
    write_source(tmp_path / "set")
    (tmp_path / "set" / "notes.doc").write_text("x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        load(Data(**data), 0)
    assert str(error.value) == line
