import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Data
from tests import stand_in
from tests.tiny import load

FEATURES = Features(
    {
        "words": List(Value("string")),
        "tags": List(ClassLabel(names=["O", "B-x", "I-x"])),
        "intent": ClassLabel(names=["go", "stop"]),
    }
)
COLUMNS = {"tokens": "words", "ner_tags": "tags", "label": "intent"}
TRAIN = {
    "words": [["to", "new", "york"], ["halt"], ["on"], ["wait", "here"]],
    "tags": [[0, 1, 2], [0], [0], [0, 0]],
    "intent": [0, 1, 0, 1],
}
TEST = {"words": [["rome"]], "tags": [[1]], "intent": [0]}
MAIN, FIRST = "a" * 40, "b" * 40


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def write(path: Path, columns: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict(columns, features=FEATURES).to_parquet(path)
    return path


@pytest.mark.parametrize(
    "layout",
    [
        "train.parquet test.parquet",
        "data/train-00000-of-00001.parquet data/test-00000-of-00001.parquet",
    ],
)
def test_class_numbers_are_decoded(tmp_path: Path, layout: str) -> None:
    for name, columns in zip(layout.split(), (TRAIN, TEST), strict=True):
        write(tmp_path / "set" / name, columns)
    corpus = load(Data(source=str(tmp_path / "set"), columns=COLUMNS, validation_fraction=0.3), 0)
    assert corpus.tasks["classifier"].codes.names == ("go", "stop")
    assert corpus.tasks["ner"].codes.names == ("O", "B-x", "I-x")
    kept = {sentence.tokens: sentence for split in corpus.splits.values() for sentence in split}
    assert len(kept) == 5
    found = kept["to", "new", "york"]
    assert (found.gold.get("ner"), found.gold.get("classifier")) == (("O", "B-x", "I-x"), "go")
    assert found.place == f"{tmp_path}/set/{layout.partition(' ')[0]} row 1"


def test_number_of_no_class(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", TRAIN)
    write(tmp_path / "test.parquet", {**TEST, "intent": [-1]})
    with pytest.raises(UserError) as error:
        load(Data(source=str(tmp_path), columns=COLUMNS), 0)
    line = "test.parquet row 1 intent: the label is -1, none of the 2 classes; use a split that has its labels"
    assert str(error.value) == f"{tmp_path}/{line}"


CARD = """---
configs:
- config_name: en
  data_files: [{split: train, path: en/a.csv}, {split: dev, path: en/b.csv}, {split: held, path: en/b.csv}]
- config_name: de
  data_files: en/b.csv
---
"""


@pytest.fixture
def carded(tmp_path: Path) -> Path:
    source = tmp_path / "carded"
    (source / "en").mkdir(parents=True)
    (source / "README.md").write_text(CARD)
    (source / "en" / "a.csv").write_text("tokens,ner_tags,label\nNA b,B-x O,null\nc,O,None\n")
    (source / "en" / "b.csv").write_text("tokens,ner_tags,label\nd,O,null\n")
    return source


def test_card_with_subsets_and_text_that_pandas_takes_for_missing(carded: Path) -> None:
    corpus = load(Data(source=str(carded), subset="en", splits={"test": "held"}), 0)
    assert corpus.tasks["classifier"].codes.names == ("None", "null")
    assert [sentence.tokens for sentence in corpus.splits["train"]] == [("NA", "b"), ("c",)]
    assert [len(kept) for kept in corpus.splits.values()] == [2, 1, 1]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {},
            "{source}: Config name is missing. Please pick one among the available configs: ['en', 'de']; "
            "pass one of its configurations as `subset`",
        ),
        (
            {"subset": "fr"},
            "{source}: BuilderConfig 'fr' not found. Available: ['en', 'de']; pass one of its configurations as `subset`",
        ),
        (
            {"subset": "en"},
            "{source} (en): no test split; add one, name it with --data.splits.test NAME",
        ),
        (
            {"subset": "en", "splits": {"test": "hold"}},
            "{source}: no split 'hold'; did you mean 'held'?",
        ),
        (
            {"subset": "en", "splits": {"test": "held"}, "columns": {"label": "labels"}},
            "{source} train: no column 'labels'; the columns are tokens, ner_tags, label; did you mean 'label'? pass --data",
        ),
    ],
)
def test_mistakes_about_a_directory_laid_out_as_the_hub(
    carded: Path, options: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError) as error:
        load(Data(source=str(carded), **options), 0)
    assert str(error.value).startswith(line.format(source=carded))


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (
            "notes.bak",
            "x",
            ": no data files that could be read; name the files train, validation and test",
        ),
        ("data/train.parquet", "x", "/data/train.parquet: not a Parquet file (ArrowInvalid)"),
        ("data/train.csv.gz", "x", ": the files could not be read ("),
        (
            "README.md",
            "---\nconfigs: [\n---\n",
            ": the files could not be read (ParserError); check the card in README.md",
        ),
        (
            "set.py",
            "x",
            ": the data set is a script, which is never run; for one of the hub try `revision: refs/convert/parquet`",
        ),
    ],
)
def test_directories_that_hold_no_data(tmp_path: Path, name: str, content: str, line: str) -> None:
    path = tmp_path / "set" / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(UserError) as error:
        load(Data(source=str(tmp_path / "set")), 0)
    assert str(error.value).startswith(f"{tmp_path}/set{line}")


PROGRAM = """
import json, sys
from tests.tiny import load
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Data
for options in json.loads(sys.argv[1]):
    try:
        corpus = load(Data(**options), 0)
        print(json.dumps([len(kept) for kept in corpus.splits.values()] + [list(corpus.tasks["classifier"].codes.names), corpus.notes[0]]))
    except UserError as error:
        print(json.dumps(str(error)))
"""


def in_a_process(home: Path, *sources: dict[str, Any], **variables: str) -> list[Any]:
    """What loading each source gives in a process of its own: the hub's variables are read once, at
    import."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", **variables}
    options = [{"columns": COLUMNS, "validation_fraction": 0.3, **source} for source in sources]
    command = [sys.executable, "-c", PROGRAM, json.dumps(options)]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert "Traceback" not in ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.process
def test_hub(tmp_path: Path) -> None:
    splits = {"train": TRAIN, "test": TEST}
    shards = {
        f"data/{split}.parquet": write(tmp_path / split, columns).read_bytes()
        for split, columns in splits.items()
    }
    table = "words,tags,intent\nw1,B-x,NA\nw2,B-x,null\nw3,B-x,NA\nw4,B-x,null\n"
    cells = {
        "README.md": b"# toy\n",
        "data/train.csv": table.encode(),
        "data/test.csv": b"words,tags,intent\nx,O,NA\n",
    }
    source, home = {"source": "owner/toy"}, tmp_path / "home"
    main, first = [3, 1, 1, ["go", "stop"]], [3, 1, 1, ["NA", "null"]]
    with stand_in.serve({MAIN: shards, FIRST: cells}, {"main": MAIN, "v1": FIRST}) as address:
        answers = in_a_process(
            home,
            source,
            {**source, "revision": "v1"},
            {**source, "revision": "v9"},
            {"source": "owner/absent"},
            {"source": "owner/gated"},
            HF_ENDPOINT=address,
        )
    assert answers == [
        [*main, f"owner/toy: commit {MAIN}."],
        [*first, f"owner/toy: commit {FIRST}."],
        "data.source: data set 'owner/toy' has no revision 'v9'; pass a branch, a tag or a commit of it",
        "data.source: 'owner/absent' is neither a file or directory here nor a data set on the hub that can be read without "
        "further rights; check the spelling; for a private one set HF_TOKEN or run `hf auth login`",
        "data.source: data set 'owner/gated' is gated; ask for access at huggingface.co/datasets/owner/gated, "
        "then set HF_TOKEN or run `hf auth login`",
    ]
    start = time.monotonic()
    for variables in (
        {"HF_ENDPOINT": address},
        {"HF_HUB_OFFLINE": "1"},
    ):  # the server is gone by now
        wanted = (
            source,
            {**source, "revision": FIRST},
            {**source, "revision": "v2"},
            {"source": "owner/absent"},
        )
        answers = in_a_process(home, *wanted, **variables)
        nowhere = "is not a file or directory here, and as a data set it is not in the cache, with the hub out of reach"
        remedy = "check the path, or connect and unset HF_HUB_OFFLINE where it is set"
        assert answers == [
            [*main, f"owner/toy: commit {MAIN} (from the cache: the hub is out of reach)."],
            [*first, f"owner/toy: commit {FIRST} (from the cache: the hub is out of reach)."],
            f"data.source: 'owner/toy' {nowhere}; {remedy}",
            f"data.source: 'owner/absent' {nowhere}; {remedy}",
        ]
    assert time.monotonic() - start < 20  # no retries
