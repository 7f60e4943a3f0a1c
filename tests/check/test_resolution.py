"""Which files of a source are which split: a check, a plan and a run say the same, and nothing is
skipped without a word."""

import csv
import gzip
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import Dataset, DatasetDict
from ruamel.yaml import YAML

from mtlab.check.survey import Survey, survey
from mtlab.data import disk
from mtlab.plan import experiment as experiments
from mtlab.plan.data import Data
from mtlab.plan.errors import UserError
from mtlab.plan.yaml_file import Located
from mtlab.train.measure import dry_run
from tests.check.test_check import words
from tests.tiny import load

COUNTS = {"train": 24, "validation": 6, "test": 8}
TAGS = ["O", "B-LOC", "I-LOC", "O"]
Rows = list[dict[str, Any]]


def rows(first: int, count: int) -> Rows:
    """Sentences no two of which are alike, by their numbers."""
    return [
        {"tokens": words(number), "ner_tags": TAGS, "label": "ab"[number % 2]}
        for number in range(first, first + count)
    ]


TRAIN, VALIDATION, TEST = rows(0, 24), rows(24, 6), rows(30, 8)


def as_text(kind: str, some: Rows) -> str:
    if kind == ".json":
        return json.dumps(some)
    if kind == ".conll":
        return (
            "\n\n".join(
                "\n".join(map("\t".join, zip(row["tokens"], row["ner_tags"], strict=True)))
                for row in some
            )
            + "\n"
        )
    if kind in (".csv", ".tsv"):
        file = io.StringIO()
        table = csv.writer(file, delimiter="," if kind == ".csv" else "\t")
        table.writerows(
            [
                ["tokens", "ner_tags", "label"],
                *([" ".join(row["tokens"]), " ".join(TAGS), row["label"]] for row in some),
            ]
        )
        return file.getvalue()
    return "".join(json.dumps(row) + "\n" for row in some)


def write(path: Path, some: Rows) -> None:
    """A file of sentences, of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        Dataset.from_list(some).to_parquet(path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(as_text(Path(path.stem).suffix, some).encode()))
    else:
        path.write_text(as_text(path.suffix, some), encoding="utf-8")


def files(**named: Rows) -> Callable[[Path], None]:
    """What writes files of these names."""
    return lambda folder: [write(folder / name, some) for name, some in named.items()] and None


def of(names: str, *more: Rows) -> Callable[[Path], None]:
    """What writes files of these names with train, validation, test and what is given beyond."""
    return files(**dict(zip(names.split(), (TRAIN, VALIDATION, TEST, *more), strict=False)))


def save_to_disk(folder: Path) -> None:
    splits = {
        "train": Dataset.from_list(TRAIN),
        "dev": Dataset.from_list(VALIDATION),
        "test": Dataset.from_list(TEST),
    }
    DatasetDict(splits).save_to_disk(folder, num_shards={"train": 3, "dev": 1, "test": 2})


def save_one_by_one(folder: Path) -> None:
    for name, some in (("train", TRAIN), ("valid", VALIDATION), ("test", TEST)):
        Dataset.from_list(some).save_to_disk(folder / name)


def carded(folder: Path) -> None:
    of("a.csv b.csv parts/c.csv")(folder)
    data_files = (
        "[{split: train, path: a.csv}, {split: dev, path: b.csv}, {split: test, path: parts/*.csv}]"
    )
    (folder / "README.md").write_text(
        f"---\nconfigs: [{{config_name: default, data_files: {data_files}}}]\n---\n# A set\n"
    )


def in_shards(kind: str, before: str = "") -> Callable[[Path], None]:
    """Shards as the hub names them: three of train, out of order on purpose, and two of test."""
    parts = {
        "train-00002-of-00003": TRAIN[20:],
        "train-00000-of-00003": TRAIN[:11],
        "train-00001-of-00003": TRAIN[11:20],
    }
    parts |= {
        "validation-00000-of-00001": VALIDATION,
        "test-00000-of-00002": TEST[:3],
        "test-00001-of-00002": TEST[3:],
    }
    return files(**{f"{before}{name}{kind}": some for name, some in parts.items()})


LAYOUTS: list[tuple[str, Callable[[Path], None], dict[str, Any]]] = [
    ("flat files", of("train.jsonl validation.jsonl test.jsonl"), {}),
    ("kinds that differ", of("train.csv dev.json test.parquet"), {}),
    ("shards of parquet", in_shards(".parquet"), {}),
    ("shards of csv", in_shards(".csv"), {}),
    ("shards of jsonl in data", in_shards(".jsonl", "data/"), {}),
    ("shards of json with another name", in_shards(".json", "my-"), {}),
    ("saved to disk", save_to_disk, {}),
    ("each split saved to disk", save_one_by_one, {}),
    ("a card that names files", carded, {}),
    (
        "a card, and files named over it",
        carded,
        {"splits": {"train": "a.csv", "validation": "b.csv", "test": "parts/c.csv"}},
    ),
    ("a folder for each split", of("train/x.jsonl devel/x.jsonl testing/x.jsonl"), {}),
    (
        "several files in the folder of a split",
        files(
            **{
                "train/a.csv": TRAIN[:9],
                "train/b.csv": TRAIN[9:],
                "val.csv": VALIDATION,
                "test.csv": TEST,
            }
        ),
        {},
    ),
    (
        "as the hub converts them",
        of("default/train/0000.parquet default/validation/0000.parquet default/test/0000.parquet"),
        {},
    ),
    ("devel", of("train.jsonl devel.jsonl test.jsonl"), {}),
    ("words in other names", of("wnut17train.csv emerging.dev.csv My-TestSet.csv"), {}),
    ("evaluation beside dev", of("trn.jsonl dev.jsonl evaluation.jsonl"), {}),
    ("eval beside test", of("train.json eval.json test.json"), {}),
    ("as CoNLL-2003 names them, with a sign", of("train.jsonl test_a.jsonl Test-B.jsonl"), {}),
    ("as CoNLL-2003 names them", of("eng.train.json eng.testa.json eng.testb.json"), {}),
    (
        "named",
        of("x.jsonl y.jsonl z.jsonl"),
        {"splits": {"train": "x", "validation": "y.jsonl", "test": "z"}},
    ),
    (
        "shards and folders that are named",
        of("x-00000-of-00001.csv b/y.csv z.csv"),
        {"splits": {"train": "x", "validation": "b", "test": "z"}},
    ),
    ("compressed", of("train.jsonl.gz devel.jsonl.gz test.jsonl.gz"), {}),
    ("separated by tabs", of("train.tsv dev.tsv evaluation.tsv"), {}),
    ("what is older lies below", of("train.jsonl dev.jsonl test.jsonl old/train.jsonl", TEST), {}),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)


def looked(encoder: Path, *given: str, **options: Any) -> Survey:
    settings = {f"data.splits.{split}": [name] for split, name in options.pop("splits", {}).items()}
    return survey(
        given,
        {
            "encoder": [str(encoder)],
            **settings,
            **{f"data.{key}": [str(value)] for key, value in options.items()},
        },
    )


def planned(made: Survey) -> experiments.Experiment:
    """The experiment of the file that a check prints."""
    return experiments.checked(
        Located({"name": "x", "output": "out", **YAML(typ="safe").load(made.file)}, {(): ""})
    )


def counts(splits: Any) -> dict[str, int]:
    return {split: len(some) for split, some in splits.items()}


@pytest.mark.parametrize(
    ("write", "options"), [case[1:] for case in LAYOUTS], ids=[case[0] for case in LAYOUTS]
)
def test_a_check_a_plan_and_a_run_read_the_same(
    encoder: Path, write: Callable[[Path], None], options: dict[str, Any]
) -> None:
    write(Path("set"))
    made = looked(encoder, "set", **options)
    assert made.mistakes == []
    assert {split: len(table.rows) for split, table in made.checks[0].tables.items()} == COUNTS
    run = load(Data(source="set", **options), 0)
    assert counts(run.splits) == COUNTS
    assert [sentence.tokens for sentence in run.splits["train"]] == [
        tuple(row["tokens"]) for row in TRAIN
    ]
    assert not any("cut off" in note for note in run.notes)
    again = planned(made)
    assert load(again.data, 0).fingerprint == run.fingerprint
    prepared, _ = dry_run.sketch(again)
    assert counts(prepared.corpus.splits) == COUNTS
    assert {
        split: len(encoded.examples.lengths) for split, encoded in prepared.encoded.items()
    } == COUNTS


@pytest.mark.parametrize("given", ["builtin", "single/one.jsonl", "folder", "saved"])
def test_what_is_cut_off_is_the_same_too(encoder: Path, given: str) -> None:
    write(Path("single/one.jsonl"), TRAIN)
    write(Path("folder/all.json"), TRAIN)
    Dataset.from_list(TRAIN).save_to_disk("saved")
    made = looked(encoder, given)
    assert made.mistakes == []
    run = load(Data(source=given, test_fraction=0.1), 0)
    assert made.checks[0].part is not None
    assert not any("not read" in note for note in run.notes)
    assert (
        counts(made.checks[0].part.splits)
        == counts(run.splits)
        == counts(dry_run.sketch(planned(made))[0].corpus.splits)
    )
    assert sum(counts(run.splits).values()) == (2629 if given == "builtin" else 24)
    assert load(planned(made).data, 0).fingerprint == run.fingerprint


def test_folders_of_conll_by_other_names(encoder: Path) -> None:
    of(
        "set/wnut17train.conll set/emerging.dev.conll set/emerging.test.conll labelled/train.csv labelled/test.csv",
        TRAIN,
        TEST,
    )(Path())
    made = looked(encoder, "labelled", "set", max_duplicates=1)
    assert made.mistakes == []
    tables = made.checks[1].tables
    assert {split: len(table.rows) for split, table in tables.items()} == COUNTS
    assert "train: wnut17train.conll" in made.file


def test_large_shards_are_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    in_shards(".csv")(Path("set"))
    few = load(Data(source="set"), 0)
    monkeypatch.setattr(disk, "FILE", 0)
    many = load(Data(source="set"), 0)
    assert few.fingerprint == many.fingerprint
    assert [sentence.place for sentence in few.splits["test"]] == [
        sentence.place for sentence in many.splits["test"]
    ]
    assert few.splits["test"][3].place == "set/test-00001-of-00002.csv:2"


UNREAD = [
    (
        "a copy with a kind of its own",
        "train.jsonl dev.jsonl emerging.test.annotated",
        "'emerging.test.annotated' (unknown kind)",
        "test",
    ),
    ("compressed", "train.csv test.csv.gz dev.csv", "'test.csv.gz' (compressed)", "test"),
    ("no word for a split", "train.csv holdout.csv test.csv", "'holdout.csv'", "validation"),
    (
        "words for two splits",
        "train.json train-dev.json test.json",
        "'train-dev.json'",
        "validation",
    ),
    ("a folder", "train.jsonl test/part/x.jsonl dev.jsonl", "'test/'", "test"),
    ("no extension", "train.jsonl dev.jsonl test", "'test'", "test"),
]


@pytest.mark.parametrize(
    ("names", "told", "split"), [case[1:] for case in UNREAD], ids=[case[0] for case in UNREAD]
)
def test_what_may_be_the_split_that_is_cut_off_is_named(
    encoder: Path, names: str, told: str, split: str, capsys: pytest.CaptureFixture
) -> None:
    of(names)(Path("set"))
    for name in ("README.md", "LICENSE", ".gitattributes", "dataset_infos.json"):
        Path("set", name).write_text("{}")
    if split == "test":
        with pytest.raises(
            UserError, match=r"set: no test split; .*; it may be in what is not read: "
        ) as error:
            load(Data(source="set"), 0)
        assert told in str(error.value)
    run = load(Data(source="set", test_fraction=0.1), 0)
    (warned,) = [note for note in run.notes if "cut off" in note]
    assert f"no {split} split" in warned and f"it may be in what is not read: {told}" in warned
    (unread,) = [note for note in run.notes if note.startswith("set: not read: ")]
    assert unread.startswith(f"set: not read: {told}") and "README" not in unread
    made = looked(encoder, "set")
    assert made.mistakes == []
    (line,) = [line for line in made.file.split("\n") if "source: set" in line]
    assert f"# the {split} split may be in what is not read: {told}" in line
    assert counts(load(planned(made).data, 0).splits) == counts(run.splits)


def test_what_is_surely_another_split_is_named_without_a_warning() -> None:
    of("train.csv dev.csv train_full.csv", TEST)(Path("set"))
    run = load(Data(source="set", test_fraction=0.25), 0)
    assert "set: not read: 'train_full.csv'." in run.notes
    assert not any("may be in" in note for note in run.notes)


def test_what_lies_beside_a_single_file_is_named_where_a_split_is_cut_off(encoder: Path) -> None:
    of("train-00000-of-00002.jsonl dev.jsonl other.jsonl")(Path("set"))
    run = load(Data(source="set/train-00000-of-00002.jsonl", test_fraction=0.25), 0)
    assert (
        run.notes[0]
        == "set/train-00000-of-00002.jsonl is one of 2 shards; the others are not read."
    )
    assert "it may be in what is not read: 'dev.jsonl'" in next(
        note for note in run.notes if "no validation split" in note
    )
    assert "not read" not in next(note for note in run.notes if "no test split" in note)
    made = looked(encoder, "set/train-00000-of-00002.jsonl")
    assert "the validation split may be in what is not read: 'dev.jsonl'" in made.file
    of("test.jsonl", TEST)(Path("set"))
    made = looked(encoder, "set/train-00000-of-00002.jsonl")
    for split, name in (("validation", "dev.jsonl"), ("test", "test.jsonl")):
        assert made.file.count(f"the {split} split may be in what is not read: '{name}'") == 1


REFUSED = [
    (
        "one that may be either",
        "train.jsonl eval.jsonl",
        "eval.jsonl may be the validation or the test split; say which with --data.splits.validation eval.jsonl "
        "or --data.splits.test eval.jsonl",
    ),
    (
        "two that may be test",
        "train.csv dev.csv testa.csv testb.csv",
        "testa.csv and testb.csv may be the test split; say which with",
    ),
    (
        "two words for one",
        "train.jsonl dev.jsonl devel.jsonl",
        "dev.jsonl and devel.jsonl are both the validation split; keep one, or name",
    ),
    (
        "two kinds of one",
        "train.jsonl train.csv test.csv",
        "train.csv and train.jsonl are both the train split; keep one, or name it with",
    ),
    (
        "a file and a folder",
        "train.jsonl test.jsonl test/x.jsonl",
        "test/ and test.jsonl are both the test split; keep one, or name it",
    ),
    (
        "numbers that may be years",
        "train.csv test2016.csv test2017.csv",
        "test2016.csv and test2017.csv are both the test split; keep one",
    ),
    (
        "parts of one",
        "train_0.csv train_1.csv test.csv",
        "train_0.csv and train_1.csv are both the train split; keep one, or name it with --data.splits.train train_1.csv, "
        "or move all of them into a folder train",
    ),
    (
        "two languages",
        "train.csv de.test.csv en.test.csv",
        "de.test.csv and en.test.csv are both the test split; keep one, or name it",
    ),
    (
        "a shard that is lost",
        "train-00001-of-00002.csv test.csv",
        "train-00000-of-00002.csv is missing, of train-*-of-00002.csv; add it",
    ),
    (
        "shards of two writings",
        "train-00000-of-00001.csv train-00000-of-00002.csv",
        "are both the train split; keep one, or name it with",
    ),
    (
        "two data sets",
        "en/train.csv de/train.csv",
        "each of de/ and en/ has a train split; pass one of these folders as the source",
    ),
    (
        "no names of splits",
        "a.jsonl b.jsonl",
        "no train split among a.jsonl and b.jsonl; pass --data.splits.train FILE, or name the files",
    ),
    (
        "no names of splits, compressed",
        "a.csv.gz b.csv.gz",
        "no train split among a.csv.gz and b.csv.gz; pass --data.splits.train FILE",
    ),
    (
        "kinds that differ",
        "train/a.csv train/b.jsonl",
        "set/train: one split in files of several kinds (.csv .jsonl); keep one kind",
    ),
]


@pytest.mark.parametrize(
    ("names", "line"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_cannot_be_told_is_one_line(encoder: Path, names: str, line: str) -> None:
    of(names, TEST)(Path("set"))
    with pytest.raises(UserError) as error:
        load(Data(source="set", test_fraction=0.1), 0)
    assert line in str(error.value)
    assert [str(mistake) for mistake in looked(encoder, "set").mistakes] == [str(error.value)]


def test_what_is_refused_can_be_named() -> None:
    of("train.jsonl eval.jsonl")(Path("set"))
    assert counts(
        load(Data(source="set", splits={"test": "eval"}, validation_fraction=0.25), 0).splits
    ) == {
        "train": 18,
        "validation": 6,
        "test": 6,
    }


def test_one_file_for_two_splits_is_said() -> None:
    of("train.jsonl dev.jsonl")(Path("set"))
    run = load(Data(source="set", splits={"test": "dev"}), 0)
    assert run.notes[0] == "set/dev.jsonl is both the validation and the test split."


def test_splits_of_an_earlier_time_are_not_read(encoder: Path) -> None:
    save_to_disk(Path("set"))
    shutil.rmtree("set/dev")
    Dataset.from_list(TRAIN[:3]).save_to_disk("set/dev")
    DatasetDict({"train": Dataset.from_list(TRAIN), "test": Dataset.from_list(TEST)}).save_to_disk(
        "set"
    )
    run = load(Data(source="set", validation_fraction=0.25), 0)
    assert counts(run.splits) == {"train": 18, "validation": 6, "test": 8}
    assert "it may be in what is not read: 'dev/'" in next(
        note for note in run.notes if "cut off" in note
    )


@pytest.mark.parametrize("kind", [".jsonl", ".csv"])
def test_a_column_with_names_of_splits_is_no_label_and_is_said(encoder: Path, kind: str) -> None:
    lines = [
        {"text": " ".join(words(n)), "fold": ("train", "train", "dev", "test")[n % 4]}
        for n in range(40)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    if kind == ".csv":
        text = "text,fold\n" + "".join(f"{line['text']},{line['fold']}\n" for line in lines)
    Path(f"alone{kind}").write_text(text)
    of("tagged/train.conll tagged/dev.conll tagged/test.conll")(Path())
    made = looked(encoder, f"alone{kind}", "tagged")
    assert any("no column for classification" in str(mistake) for mistake in made.mistakes)
    labelled = text.replace('"fold"', '"x": "a", "fold"').replace('"x": "a"', '"x": "b"', 15)
    if kind == ".csv":
        labelled = "".join(
            f"{line},{'x' if not number else 'ab'[number % 2]}\n"
            for number, line in enumerate(text.splitlines())
        )
    Path(f"all{kind}").write_text(labelled)
    made = looked(encoder, f"all{kind}", "tagged")
    assert made.mistakes == []
    assert next(choice for choice in made.checks[0].choices if choice.name == "label").column == "x"
    assert "    split_column: fold # a guess" in made.file
    data = planned(made).data
    of_fold = {
        split: sum(sentence.source == 0 for sentence in rows)
        for split, rows in load(data, 0).splits.items()
    }
    assert of_fold == {"train": 20, "validation": 10, "test": 10}
    unsaid = Data(
        classifier={"source": f"all{kind}", "columns": {"label": "x"}},
        ner={"source": "tagged"},
        test_fraction=0.1,
    )
    told = f"all{kind}: column 'fold' holds names of splits ('train' 20, 'dev' 10, 'test' 10) and is not read: "
    assert (
        f"{told}pass --data.classifier.split_column fold to take the splits from it."
        in load(unsaid, 0).notes
    )


@pytest.mark.parametrize("inner", [[{"text": "a b", "label": "x"}], [["a b", "x"]]])
def test_splits_within_one_json_file_are_read(encoder: Path, inner: list[Any]) -> None:
    Path("all.json").write_text(json.dumps({"oos": inner, "train": inner, "val": inner}))
    of("tagged/train.conll tagged/dev.conll tagged/test.conll")(Path())
    made = looked(encoder, "all.json", "tagged")
    located = made.checks[0].located
    assert {split: table.name for split, table in located.tables.items()} == {
        "train": "all.json train",
        "validation": "all.json val",
    }
    assert located.unread == ("oos",)
