"""What is served is what was measured: the folder, `mtlab predict` and the card's code say what the
record of the test says."""

import csv
import io
import json
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import LoggedModelStatus
from mlflow.tracking import MlflowClient
from pandas import DataFrame

from mtlab.cli import main
from mtlab.export.reader import Parts, Reader
from mtlab.export.served import Served
from mtlab.plan.experiment import load
from mtlab.record.journal import Journal
from mtlab.report.comparison.decisions import still_open
from mtlab.tasks.tags import entities
from mtlab.train.engines import local
from mtlab.train.measure.progress import Silent
from mtlab.train.suite import Suite
from tests import tiny
from tests.conftest import made_once
from tests.data.files import write_jsonl

FILE = """\
encoder: encoder
tasks: {tasks}
data: {{{data}, max_duplicates: 1.0}}
batch_size: 8
seeds: [0]
precision: {precision}
device: cpu
max_length: 24
keep_weights: best
control: full
output: out-{name}
scenarios:
  full: [{{epochs: 2, train: {{encoder: 2.0e-3, heads: 2.0e-2}}}}]
"""

SOURCES = {
    "one": "source: both",
    "two": "classifier: {source: texts}, ner: {source: tags}",
    "words": "classifier: {source: both}, ner: {source: tags}",
}
"""One source of tokens; raw text for classification and tokens for NER; tokens of two sources."""

MARKS = (",", "!", "...", "'s", " -", " 😀")


USUAL = {name: task.model_dump(exclude_none=True) for name, task in tiny.TASKS.items()}
"""The tasks of an experiment that names none."""


def run(
    name: str, data: str, precision: str = "fp32", tasks: dict[str, dict[str, Any]] = USUAL
) -> None:
    """Run a suite in the working directory, without MLflow and without a report."""
    settings = {"data": data, "precision": precision, "name": name, "tasks": json.dumps(tasks)}
    Path(f"{name}.yaml").write_text(FILE.format(**settings))
    experiment = load(f"{name}.yaml")
    with local.opened(experiment) as engine:
        suite = Suite(experiment, f"mtlab compare {name}.yaml", Silent(), engine)
        with suite.journal.held(suite.command):
            _, trials = suite.run(lambda record: record, lambda record, trial: None, still_open)
    assert [trial.status for trial in trials] == ["ok"]


def write_data() -> None:
    """Folders with text and labels, with tokens and tags, and with all of it."""
    for seed, (split, count) in enumerate({"train": 48, "validation": 12, "test": 16}.items()):
        rows = tiny.sentences(count, seed)
        odd = [
            {"text": text, "tokens": text.split(), "label": rows[at]["label"]}
            for at, text in enumerate(tiny.ODD)
        ]
        for at, row in enumerate(rows):
            row["text"] = " ".join(row["tokens"]) + MARKS[at % len(MARKS)]
        for row in odd:
            row["ner_tags"] = ["B-LOC", *["O"] * (len(row["tokens"]) - 1)]
        rows += odd
        for name in ("texts", "tags"):
            Path(name).mkdir(exist_ok=True)
        with Path("texts", f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerows([("text", "label"), *((row["text"], row["label"]) for row in rows)])
        lines = [
            "".join(
                f"{token} {tag}\n"
                for token, tag in zip(row["tokens"], row["ner_tags"], strict=True)
            )
            for row in rows
        ]
        Path("tags", f"{split}.conll").write_text("\n".join(lines), encoding="utf-8")
        blank = [
            {
                **row,
                "tokens": ["", " ", *row["tokens"], "\u200b"],
                "ner_tags": ["O", "O", *row["ner_tags"], "O"],
            }
            for row in rows[::3]
        ]
        write_jsonl(Path("both", f"{split}.jsonl"), [*rows, *blank])


SLOW = {"distilbert", "electra", "mpnet"}
"""Families whose tokenizers are of a kind that another family has too."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(one, marks=[pytest.mark.nightly] if one in SLOW else [])
        for one in sorted(tiny.CONFIGS)
    ],
)
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Suites of a family that ran, on one source and on two, in the working directory, and their
    models."""

    def make(home: Path) -> None:
        tiny.write_subword_encoder(home / "encoder", request.param)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(home)
            write_data()
            for name in ("one", "two"):
                run(name, SOURCES[name])
                assert main(["export", f"{name}.yaml", "--to", f"model-{name}"]) == 0

    made = made_once(tmp_path_factory, f"served-{request.param}", make)
    home = shutil.copytree(made, tmp_path_factory.mktemp(request.param) / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        yield home


def recorded(name: str) -> list[dict[str, Any]]:
    journal = Journal(Path(f"out-{name}"))
    (trial,) = journal.read()[1]
    return [json.loads(line) for line in journal.predictions_path(trial).read_text().splitlines()]


def predicted(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["predict", *words]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def labels(found: list[dict[str, Any]]) -> list[str]:
    return [one["tasks"]["classifier"]["label"] for one in found]


def named(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The entities of an answer."""
    return list(answer["tasks"]["ner"]["entities"])


def tokens(file: str) -> list[list[str]]:
    if file.endswith(".jsonl"):
        return [json.loads(line)["tokens"] for line in Path(file).read_text().splitlines()]
    return [
        [line.split(" ")[0] for line in block.splitlines()]
        for block in Path(file).read_text().strip("\n").split("\n\n")
    ]


def spans(lines: list[dict[str, Any]], words: list[list[str]]) -> list[list[tuple[str, str]]]:
    pairs = zip(lines, words, strict=True)
    return [
        [
            (kind, " ".join(some[begin:end]))
            for kind, begin, end in entities(line["predicted"]["ner"])
        ]
        for line, some in pairs
    ]


def test_predict_says_of_every_test_sentence_what_the_record_says(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = recorded("one")
    found = predicted(capsys, "model-one", "both/test.jsonl")
    assert labels(found) == [line["predicted"]["classifier"] for line in lines]
    said = [[(one["type"], one["text"]) for one in named(sentence)] for sentence in found]
    assert said == spans(lines, tokens("both/test.jsonl"))
    texts = [line for line in recorded("two") if "classifier" in line["gold"]]
    wanted = [line["predicted"]["classifier"] for line in texts]
    assert labels(predicted(capsys, "model-two", "texts/test.csv")) == wanted
    with Path("texts/test.csv").open(newline="") as file:
        Path("in.txt").write_text("".join(row["text"] + "\n" for row in csv.DictReader(file)))
    found = predicted(capsys, "model-two", "in.txt")
    assert labels(found) == wanted
    assert all(
        one["text"][entity["start"] : entity["end"]] == entity["text"]
        for one in found
        for entity in named(one)
    )
    assert (
        labels(predicted(capsys, "model-two", "both/test.jsonl"))[: len(wanted)] == wanted
    )  # which have both
    found = predicted(capsys, "model-two", "tags/test.conll")
    tagged = [line for line in recorded("two") if "ner" in line["gold"]]
    assert [[(one["type"], one["text"]) for one in named(sentence)] for sentence in found] == spans(
        tagged, tokens("tags/test.conll")
    )
    assert any(one["cut"] for one in found)


UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
"""A script that ends closes its files."""


def read_by_card(
    folder: str, texts: Sequence[str], words: Sequence[Sequence[str]]
) -> list[dict[str, Any]]:
    """What the card's code prints of each sentence."""
    code = re.search(r"```python\n(.*?)```", Path(folder, "README.md").read_text(), re.S)
    assert code is not None
    loads, _, reads = (
        code[1].replace('"./', f'"{folder}/').replace('("."', f'("{folder}"').partition("# `")
    )
    known: dict[str, Any] = {}
    exec(loads, known)
    compiled = compile(f"# {reads}", "card", "exec")
    said: list[dict[str, Any]] = []
    for text, some in zip(texts, words, strict=True):
        exec(compiled, {**known, "text": text, "words": some, "print": said.append})
    return said


def by_word(subwords: Sequence[tuple[int | None, str]], words: int, lost: str) -> list[str]:
    """A tag a word: its first sub-word's."""
    tags = {word: tag for word, tag in reversed(subwords) if word is not None}
    return [tags.get(at, lost) for at in range(words)]


@UNCLOSED
def test_the_cards_code_says_it_too(home: Path) -> None:
    for name in ("one", "two"):
        lines = recorded(name)
        words = tokens("both/test.jsonl" if name == "one" else "tags/test.conll")
        texts = [""] * len(words)
        if name == "two":
            with Path("texts/test.csv").open(newline="") as file:
                texts = [row["text"] for row in csv.DictReader(file)]
        said = read_by_card(f"model-{name}", texts, words)
        labelled, tagged = (
            [line for line in lines if task in line["gold"]] for task in ("classifier", "ner")
        )
        assert [one["classifier"] for one in said] == [
            line["predicted"]["classifier"] for line in labelled
        ]
        for one, some, line in zip(said, words, tagged, strict=True):
            assert by_word(one["ner"], len(some), "O") == line["predicted"]["ner"]


def test_export_says_that_it_looked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        shutil.rmtree("again", ignore_errors=True)
        assert main(["export", f"{name}.yaml", "--to", "again"]) == 0
        lines = recorded(name)
        many = (
            sum("classifier" in line["gold"] for line in lines),
            sum(len(line["gold"].get("ner", ())) for line in lines),
        )
        told = f"checked: {many[0]} of {many[0]} labels and {many[1]} of {many[1]} tags of the test split are as recorded"
        assert told in capsys.readouterr().out
        assert told in Path("again", "README.md").read_text()
    assert forms("again") == {"classifier": "text", "ner": "words"}


def forms(folder: str) -> dict[str, str]:
    tasks = json.loads(Path(folder, "heads.json").read_text())["tasks"]
    return {name: facts["input"] for name, facts in tasks.items()}


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of a byte-level tokenizer that ran on two sources, in a folder of its own."""

    def make(home: Path) -> None:
        tiny.write_subword_encoder(home / "encoder", "roberta")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(home)
            write_data()
            run("two", SOURCES["two"])
            assert main(["export", "two.yaml", "--to", "model"]) == 0

    return made_once(tmp_path_factory, "served-two", make)


@pytest.fixture
def copy(roberta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in the working directory."""
    shutil.copytree(roberta, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["export", "two.yaml", "--to", "new", *words]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and not list(Path().glob("*new*"))
    return told


def test_a_folder_that_splits_what_was_trained_on_as_text_is_refused(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encode = Reader.encode
    monkeypatch.setattr(Reader, "encode", lambda self, parts, form: encode(self, parts, "words"))
    assert re.search(
        r"texts/test\.csv:\d+: the folder cuts .* into other sub-words", refused(capsys)
    )


def test_mlflow_is_given_no_model_that_says_something_else(
    copy: Path,
    empty_database: Path,
    no_figures: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(empty_database, "mlflow.db")
    uri = f"sqlite:///{copy / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    encode = Reader.encode
    with monkeypatch.context() as patch:
        patch.setattr(Reader, "encode", lambda self, parts, form: encode(self, parts, "words"))
        assert main(["compare", "two.yaml"]) == 0  # the suite ended well, and its report is there
    told = capsys.readouterr()
    assert "MLflow does not have the recommended model (texts/test.csv:" in told.out + told.err
    assert Path("out-two", "report.md").exists()
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("two").experiment_id
    assert LoggedModelStatus.READY not in [
        one.status for one in client.search_logged_models([experiment])
    ]
    assert main(["sync", "two.yaml"]) == 0
    assert [one.status for one in client.search_logged_models([experiment])] == [
        LoggedModelStatus.READY
    ]


def test_a_folder_that_says_something_else_is_refused(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = Path("out-two", "predictions").iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    other = {"weather": "sport", "sport": "food", "food": "weather"}
    lines[3]["predicted"]["classifier"] = other[lines[3]["predicted"]["classifier"]]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert (
        "gives 1 of 23 labels of the test split that differ from the recorded ones (first: texts/test.csv:5"
        in refused(capsys)
    )


@pytest.mark.parametrize("harm", ["gone", "changed", "no predictions"])
def test_what_cannot_be_checked_is_exported_and_says_so(
    harm: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if harm == "gone":
        shutil.rmtree("texts")
    elif harm == "changed":
        Path("texts", "test.csv").write_text(
            Path("texts", "test.csv").read_text().replace("rain", "snow")
        )
    else:
        shutil.rmtree(Path("out-two", "predictions"))
    why = {
        "gone": "cannot be read again",
        "changed": "the data have changed since the run",
        "no predictions": "are missing or damaged",
    }
    assert main(["export", "two.yaml", "--to", "new"]) == 0
    (line,) = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("not checked against")
    ]
    assert why[harm] in line
    assert "not checked against the recorded predictions" in Path("new", "README.md").read_text()
    assert Path("new", "heads.json").read_bytes() == Path("model", "heads.json").read_bytes()


def test_a_suite_that_lost_the_form_is_refused(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = json.loads(Path("out-two", "suite.json").read_text())
    assert suite["data"][""].pop("inputs") == {"classifier": "text", "ner": "words"}
    Path("out-two", "suite.json").write_text(json.dumps(suite))
    assert "suite.json: damaged, or not a record of mtlab's" in refused(capsys)


def test_in_bf16_only_close_calls_may_differ(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("rough", SOURCES["words"], "bf16")
    capsys.readouterr()
    assert main(["export", "rough.yaml", "--to", "rough"]) == 0
    told = re.search(
        r"checked: (\d+) of (\d+) labels and (\d+) of (\d+) tags", capsys.readouterr().out
    )
    assert told is not None
    assert int(told[1]) >= int(told[2]) - 2 and int(told[3]) >= 0.95 * int(told[4])
    (file,) = Path("out-rough", "predictions").iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        if "ner" in line["gold"]:
            line["predicted"]["ner"] = [
                "I-PER" if tag == "O" else "O" for tag in line["predicted"]["ner"]
            ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["export", "rough.yaml", "--to", "wrong"]) == 2
    assert (
        "that differ from the recorded ones" in capsys.readouterr().err
        and not Path("wrong").exists()
    )


def test_the_form_of_a_split_is_that_of_the_others(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("texts", "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    write_jsonl(
        Path("texts", "test.jsonl"),
        [{"tokens": row["text"].split(), "label": row["label"]} for row in rows],
    )
    Path("texts", "test.csv").unlink()
    assert main(["plan", "two.yaml"]) == 2
    told = capsys.readouterr().err
    assert (
        "texts/test.jsonl: is read as words, and texts/train.csv as text; give all splits a column `text`"
        in told
    )


def given(
    copy: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> list[dict[str, Any]]:
    Path(name).write_bytes(content)
    return predicted(capsys, "model", name)


@pytest.mark.parametrize("name", ["in.jsonl", "in.txt", "in", "in.json", "in.csv", "in.conll"])
def test_a_byte_order_mark_is_no_part_of_the_first_sentence(
    name: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {
        "in.jsonl": '{"tokens": ["the", "rain", "near", "oslo"]}\r\n\r\n',
        "in.json": '[{"tokens": ["the", "rain", "near", "oslo"]}]',
        "in.csv": "text\nthe rain near oslo\n",
        "in.conll": "the O\nrain O\nnear O\noslo O\n",
    }.get(name, "the rain near oslo\n")
    (found,) = given(copy, capsys, name, b"\xef\xbb\xbf" + content.encode())
    (plain,) = given(copy, capsys, name, content.encode())
    assert found == plain and found["text"] == "the rain near oslo"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("in.jsonl", b'{"text": "a"}\n{"text": "a",}\n', "in.jsonl:2: not JSON ("),
        ("in.jsonl", b'{"text": "a"}\nthe rain\n', "in.jsonl:2: not JSON ("),
        ("in.jsonl", b'["the"]\n', "in.jsonl:1: a JSON list, not an object"),
        (
            "in.jsonl",
            b'{"label": "a"}\n',
            "in.jsonl:1: neither `tokens`, a list of words, nor `text`",
        ),
        ("in.jsonl", b'{"tokens": ["", " "]}\n', "in.jsonl:1 tokens: all tokens are blank"),
        (
            "in.jsonl",
            b'{"tokens": "the rain"}\n',
            "in.jsonl:1 tokens: tokens are 'the rain', not a list",
        ),
        ("in.jsonl", b'{"text": "  "}\n', "in.jsonl:1 text: text is blank"),
        ("in.jsonl", b'{"text": "a"}\n{"text": "\xff"}\n', "in.jsonl:2: not UTF-8 at byte 24"),
        ("in.txt", b"the\n\xe9t\xe9\n", "in.txt:2: not UTF-8 at byte 4"),
        ("in.txt", b'the rain\n{"text": "a"}\n', "in.txt:2: a JSON object among sentences"),
        ("in.txt", b'{"text": "a"}\n{"text": "a"\n', "in.txt:2: not JSON ("),
        ("in.csv", b"label\na\n", "in.csv:2: neither `tokens`"),
        ("in.conll", b"the\n", "in.conll:1 ner_tags: one column"),
        ("in.parquet", b"PAR1", "in.parquet: not a Parquet file"),
        ("-", b'{"text": "a",}\n', "standard input:1: not JSON ("),
        ("-", b'\xef\xbb\xbf{"text": "a"}\nthe rain\n', "standard input:2: not JSON ("),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(
    name: str,
    content: bytes,
    line: str,
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if name == "-":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    else:
        Path(name).write_bytes(content)
    capsys.readouterr()
    assert main(["predict", "model", name]) == 2
    told = capsys.readouterr().err
    assert line in told and told.count("\n") == 1


def test_standard_input_is_read_where_no_file_is_named_and_as_a_dash(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = {}
    for name, content in {
        "text": "\ufeff\nthe rain\n {again} it\n",
        "objects": '\n{"text": "the rain"}\n\n{"text": " {again} it"}',
    }.items():
        for words in ((), ("-",)):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
            read[name, words] = predicted(capsys, "model", *words)
    (first, *others) = read.values()
    assert [one["text"] for one in first] == ["the rain", " {again} it"] and all(
        other == first for other in others
    )


def test_a_sentence_may_begin_with_a_brace(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = given(copy, capsys, "in.txt", b'{the rain}\n{"text": "a",}\n')
    assert [one["text"] for one in found] == ["{the rain}", '{"text": "a",}']


def test_words_without_a_sub_word_have_no_entity_and_keep_their_places(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(Path("blank.jsonl"), [{"tokens": ["", "oslo", " ", "ada"]}])
    (first,) = predicted(capsys, "model-one", "blank.jsonl")
    assert first["text"] == " oslo   ada"
    for entity in named(first):
        assert (
            first["text"][entity["start"] : entity["end"]] == entity["text"]
            and entity["text"].strip()
        )


def test_a_sentence_of_which_nothing_is_left_is_told_as_in_training(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(Path("nothing.jsonl"), [{"tokens": ["oslo"]}, {"tokens": ["\u200b"]}])
    left = (
        len(Reader(Path("model-one")).tokenizer("\u200b")["input_ids"]) > 2
    )  # byte-level tokenizers keep all
    capsys.readouterr()
    assert main(["predict", "model-one", "nothing.jsonl"]) == (0 if left else 2)
    assert (
        left
        or "nothing.jsonl:2: the encoder's tokenizer leaves nothing of" in capsys.readouterr().err
    )


def test_mlflow_serves_texts_words_and_tables(copy: Path) -> None:
    with Path("texts", "test.csv").open(newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    served, wanted = (
        Served(Path("model")),
        [
            line["predicted"]["classifier"]
            for line in recorded("two")
            if "classifier" in line["gold"]
        ],
    )
    assert labels(served.predict(texts)) == wanted
    words = [text.split() for text in texts]
    for table in (
        DataFrame({"sentence": texts}),
        DataFrame({"id": range(len(texts)), "text": texts, "tokens": words}),
    ):
        assert labels(served.predict(table)) == wanted
    assert (
        served.predict(words)
        == served.predict(DataFrame({"tokens": words}))
        == served.predict([{"tokens": some} for some in words])
    )
    with pytest.raises(ValueError, match="neither a text nor a list of words"):
        served.predict([3])


def test_both_forms_of_a_sentence() -> None:
    text = Parts.of("it's  5.30, ok")
    assert (text.raw, text.words) == ("it's  5.30, ok", ["it", "'s", "5.30", ",", "ok"])
    assert [text.text[begin:end] for begin, end in text.spans] == text.words
    for tokens in (["a,", "b"], ("a,", "b")):
        assert (
            Parts.of(tokens)
            == Parts.of({"tokens": tokens})
            == Parts.of({"tokens": tokens, "text": None})
        )
        assert (Parts.of(tokens).raw, Parts.of(tokens).words) == ("a, b", ["a,", "b"])
    both = Parts.of({"text": "a,b", "tokens": ["a,", "b"]})
    assert (both.raw, both.words, both.text) == ("a,b", ["a,", "b"], "a, b")
    for wrong in (3, float("nan"), None, {"text": 3}, {"tokens": "ab"}, ["a", 3]):
        with pytest.raises(ValueError, match="neither a text nor a list of words"):
            Parts.of(wrong)  # type: ignore[arg-type]
