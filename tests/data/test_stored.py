"""What is too much for memory lies on disk, and nobody who goes through it can tell."""

import json
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from transformers import PreTrainedTokenizerBase

from mtlab.data import disk
from mtlab.data.encoding import Encoded, encode
from mtlab.data.reading.locate import SPLITS
from mtlab.data.sources import Corpus
from mtlab.data.stored import Joined, Sentence, Stored, collect
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Data
from tests import tiny
from tests.data.files import write_jsonl
from tests.tiny import load

Rows = list[dict]


def as_jsonl(file: Path, rows: Rows) -> None:
    write_jsonl(file.with_suffix(".jsonl"), rows)


def as_csv(file: Path, rows: Rows) -> None:
    lines = [
        ",".join((" ".join(row["tokens"]), " ".join(row["ner_tags"]), row["label"])) for row in rows
    ]
    file.with_suffix(".csv").write_text("\n".join(["tokens,ner_tags,label", "", *lines]))


def as_parquet(file: Path, rows: Rows) -> None:
    parquet.write_table(pa.Table.from_pylist(rows), file.with_suffix(".parquet"), row_group_size=50)


def as_marked(file: Path, rows: Rows) -> None:
    sentences = [
        " ".join(
            word if tag == "O" else f"[{tag[2:]} {word}]"
            for word, tag in zip(*words(row), strict=True)
        )
        for row in rows
    ]
    file.with_suffix(".txt").write_text(
        "\n\n".join(f"{row['label']} | {text}" for row, text in zip(rows, sentences, strict=True))
    )


def words(row: dict) -> tuple[list[str], list[str]]:
    return row["tokens"], row["ner_tags"]


def as_conll(file: Path, rows: Rows) -> None:
    """In IOB1, which is converted."""
    lines = ["-DOCSTART- O", ""]
    for row in rows:
        lines += [
            f"{word}\t{'I' + tag[1:] if tag[0] == 'B' else tag}"
            for word, tag in zip(*words(row), strict=True)
        ] + [""]
    file.with_suffix(".conll").write_text("\n".join(lines))


FORMATS: dict[str, Callable[[Path, Rows], None]] = {
    "jsonl": as_jsonl,
    "csv": as_csv,
    "parquet": as_parquet,
    "txt": as_marked,
    "conll": as_conll,
}


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called, it makes all data large from then on."""

    def lower() -> None:
        for name, limit in {"FILE": 0, "SENTENCES": 5, "NUMBERS": 200, "CHUNK": 7}.items():
            monkeypatch.setattr(disk, name, limit)

    return lower


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where what does not fit into memory is put."""
    return tmp_path / "cache"


def write(directory: Path, kind: str, sizes: tuple[int, ...] = (120, 30, 30)) -> Path:
    directory.mkdir(parents=True)
    for seed, (split, size) in enumerate(zip(SPLITS, sizes, strict=False)):
        FORMATS[kind](directory / split, tiny.sentences(size, seed))
    return directory


def both(data: Data, on_disk: Callable[[], None], folder: Path) -> Iterator[Corpus]:
    yield load(data, 3)
    on_disk()
    yield load(data, 3, directory=folder)


def check_same(one: Corpus, other: Corpus) -> None:
    assert isinstance(other.splits["train"], Stored | Joined)
    assert {split: list(kept) for split, kept in one.splits.items()} == {
        split: list(kept) for split, kept in other.splits.items()
    }
    for name in ("tasks", "notes", "fingerprint", "served", "forms"):
        assert getattr(one, name) == getattr(other, name), name


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"train_size": 40, "label_noise": {"ner": 0.3}, "labelled": {"ner": 0.5}},
        {"splits": {"test": "validation"}, "validation_fraction": 0.2},
    ],
    ids=["whole", "spoilt", "shared"],
)
def test_a_corpus_is_the_same_on_disk(
    tmp_path: Path, on_disk: Callable[[], None], folder: Path, kind: str, asked: dict
) -> None:
    data: dict = {"source": str(write(tmp_path / "data", kind)), "max_duplicates": 1.0}
    if kind == "conll":
        source = data.pop("source")
        write(tmp_path / "topics", "csv")
        splits = {"splits": asked.pop("splits")} if "splits" in (asked := dict(asked)) else {}
        data |= {
            "ner": {"source": source, **splits},
            "classifier": {"source": str(tmp_path / "topics"), **splits},
        }
    check_same(*both(Data(**data, **asked), on_disk, folder))
    assert list(folder.iterdir()) == [], "what lies there has no name"


def test_cuts_and_labels_are_the_same_on_disk(
    tmp_path: Path, on_disk: Callable[[], None], folder: Path
) -> None:
    write(tmp_path / "data", "jsonl", (150,))
    asked = {
        "test_fraction": 0.2,
        "labels": ["food", "sport"],
        "label_noise": {"classifier": 0.2},
        "labelled": {"classifier": 0.6},
    }
    check_same(
        *both(Data(source=str(tmp_path / "data"), max_duplicates=1.0, **asked), on_disk, folder)
    )


def test_a_directory_as_the_hub_lays_it_out(
    tmp_path: Path, on_disk: Callable[[], None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hub")
    for split, kept in (("train", 80), ("test", 20)):
        (tmp_path / "set" / "data").mkdir(parents=True, exist_ok=True)
        as_parquet(
            tmp_path / "set" / "data" / f"{split}-00000-of-00001", tiny.sentences(kept, kept)
        )
    check_same(*both(Data(source=str(tmp_path / "set"), max_duplicates=1.0), on_disk, folder))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            '{"tokens": ["a"], "ner_tags": ["O", "O"], "label": "food"}',
            "train.jsonl:101 ner_tags: 1 tokens but 2 tags",
        ),
        (
            '{"tokens": ["a"], "ner_tags": ["I-LOC"], "label": "food"}',
            "train.jsonl:101 ner_tags: I-LOC follows the start",
        ),
        ('{"tokens": ["a"], "ner_tags": ["O"]}', "train.jsonl:101 label: the label is missing"),
        ('{"tokens": ["a"]', "train.jsonl:101: not JSON"),
        (
            '{"tokens": ["\\udcff"], "ner_tags": ["O"], "label": "food"}',
            "train.jsonl:101 tokens: '\\udcff' holds half",
        ),
    ],
)
def test_mistakes_far_down_in_a_large_file_are_told_with_their_line(
    tmp_path: Path, on_disk: Callable[[], None], line: str, told: str
) -> None:
    train = write(tmp_path / "data", "jsonl") / "train.jsonl"
    lines = train.read_text().splitlines()
    train.write_text("\n".join([*lines[:100], line, *lines[100:]]))
    errors = []
    for _ in range(2):
        with pytest.raises(UserError) as error:
            load(Data(source=str(train.parent), max_duplicates=1.0), 0)
        errors.append(str(error.value))
        on_disk()
    assert errors[0] == errors[1]
    assert told in errors[0]


def test_duplicates_are_found_on_disk(tmp_path: Path, on_disk: Callable[[], None]) -> None:
    source = write(tmp_path / "data", "jsonl")
    rows = [json.loads(line) for line in (source / "train.jsonl").read_text().splitlines()]
    loud = {**rows[70], "tokens": [token.upper() for token in rows[70]["tokens"]]}
    write_jsonl(source / "test.jsonl", [rows[90], loud, *tiny.sentences(30, 77)])
    on_disk()
    told = r"test\.jsonl:1: validation: 3 of 32 .* stand in train, 2 of them exactly; .* also stands at .*train\.jsonl:91\)"
    with pytest.raises(UserError, match=told):
        load(Data(source=str(source), max_duplicates=0.0, splits={"validation": "test"}), 0)


def made(count: int) -> Iterator[Sentence]:
    for number in range(count):
        text = None if number % 3 else f"text {number}"
        tokens = (f"é{number}", "🧊", "") if number % 3 else None
        tags = ("B-x", "I-x", "O") if number % 3 == 1 else None
        yield Sentence(
            f"dir/caf\udce9.jsonl:{number + 1}",
            number % 2,
            tokens,
            text,
            {
                **({} if number % 5 else {"classifier": "ein Ort"}),
                **({} if tags is None else {"ner": tags}),
                **({} if number % 2 else {"tone": number / 7}),
            },
        )


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 8, 14, 15, 60])
def test_stored_sentences_are_those_that_were_put_there(
    on_disk: Callable[[], None], folder: Path, count: int
) -> None:
    on_disk()
    kept = collect(made(count), folder)
    assert isinstance(kept, Stored) == (count > 5)
    assert list(kept) == list(made(count))
    assert len(kept) == count
    everything = list(made(count))
    assert [list(kept[part]) for part in (slice(1, 4), slice(None, None, -2))] == [
        everything[1:4],
        everything[::-2],
    ]
    if count:
        assert (kept[-1], kept[count // 2]) == (everything[-1], everything[count // 2])
    with pytest.raises(IndexError):
        kept[count]
    joined = Joined([kept, list(made(3)), [], kept])
    assert list(joined) == [*kept, *made(3), *kept]
    assert [joined[index] for index in range(len(joined))] == list(joined)


def columns(one: Encoded) -> list[np.ndarray]:
    return [
        value for _, value in sorted(vars(one.examples).items()) if isinstance(value, np.ndarray)
    ]


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    return tiny.tokenizer()


def test_encoded_sentences_are_the_same_on_disk(
    on_disk: Callable[[], None], folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    def encoded() -> Encoded:
        return encode(
            made(50),
            tokenizer,
            tiny.learnt(classifier=("ein Ort",), ner=("O", "B-x")),
            8,
            folder,
        )

    inside = encoded()
    assert not folder.exists()
    on_disk()
    outside = encoded()
    assert list(folder.iterdir()) == []
    assert all(
        np.array_equal(one, other)
        for one, other in zip(columns(inside), columns(outside), strict=True)
    )
    assert not outside.examples.input_ids.flags.writeable, "it lies in a file"
    assert inside.lost_words == outside.lost_words > 0
    assert [len(example) for example in outside.examples] == outside.examples.lengths.tolist()
    for one, other in zip(inside.examples, outside.examples[:], strict=True):
        assert (one.source, one.of_sentence) == (other.source, other.of_sentence)
        assert one.words.tolist() == other.words.tolist()
        assert one.of_words["ner"].tolist() == other.of_words["ner"].tolist()


def test_no_room_is_one_line(
    on_disk: Callable[[], None], folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    words = "data that are too many for memory cannot be put there"
    on_disk()
    before, handler = (
        resource.getrlimit(resource.RLIMIT_FSIZE),
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        for put in (
            lambda: collect(made(500), folder),
            lambda: encode(made(500), tokenizer, {}, 8, folder),
        ):
            with pytest.raises(UserError) as error:
                put()
            assert (
                str(error.value)
                == f"{folder}: {words} (File too large); make room, or choose another --output"
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def anonymous_mb() -> float:
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    return next(int(words[1]) * 1024 / 1e6 for words in lines if words[0] == "RssAnon:")


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel how much is resident")
def test_going_through_many_sentences_takes_no_memory(
    tmp_path: Path,
    on_disk: Callable[[], None],
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In lists, these take some 60 MB."""

    def encoded(source: Path) -> Encoded:
        corpus = load(Data(source=str(source), max_duplicates=1.0), 0, directory=folder)
        return encode(corpus.splits["train"], tokenizer, corpus.tasks, 16, folder)

    on_disk()
    small = encoded(
        write(tmp_path / "small", "jsonl")
    )  # what is imported, and allocated once, is there from here on
    many = write(tmp_path / "many", "jsonl")
    with (many / "train.jsonl").open("w") as file:
        for number in range(60_000):
            tokens = [f"word{number}", "in", "oslo", "again", "and", "again", f"{number}"]
            file.write(
                json.dumps(
                    {
                        "tokens": tokens,
                        "ner_tags": ["O", "B-PER", "B-LOC", *"OOOO"],
                        "label": list(tiny.TOPICS)[number % 3],
                    }
                )
                + "\n"
            )
    monkeypatch.setattr(disk, "CHUNK", 500)
    before = anonymous_mb()
    large = encoded(many)
    assert (len(small.examples), len(large.examples)) == (120, 60_000)
    assert anonymous_mb() - before < 12
