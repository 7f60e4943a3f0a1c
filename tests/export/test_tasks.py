"""Any number of tasks of any kind, taken home: the folder, `mtlab predict` and the card's code say of
every test sentence what the record says."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from mtlab.cli import main
from mtlab.model.losses import LOSSES
from mtlab.tasks.kind import BadValue, Codes, Columns, Kind, Scored
from mtlab.tasks.registry import KINDS
from mtlab.tasks.tags import entities
from tests import tiny
from tests.conftest import made_once
from tests.data.files import write_jsonl
from tests.export.test_export import PLAIN
from tests.export.test_serving import UNCLOSED, by_word, predicted, read_by_card, recorded, run

TASKS: dict[str, dict[str, Any]] = {
    "topic": {"kind": "classification", "column": "topic", "title": "topic of a sentence"},
    "types": {"kind": "multilabel", "column": "types"},
    "share": {"kind": "regression", "column": "share"},
    "ner": {"kind": "tagging", "column": "ner_tags"},
    "pos": {"kind": "tagging", "column": "pos_tags", "spans": False},
}
"""One of each kind, and plain tags."""

SOURCES = {
    "whole": "source: words",
    "each": ", ".join(f"{task}: {{source: words}}" for task in TASKS).replace("words", "texts", 1),
    "alone": "source: texts",
}
"""Tokens with gold of all tasks; a source a task, the first of them with raw text; one task, of raw
text."""

FAST = ("bert", "roberta")
"""Families of encoders that are tried in the fast tests."""


def write_data() -> None:
    """Folders with raw text, and with tokens, both with gold of sentences and of words."""
    for seed, (split, count) in enumerate({"train": 64, "validation": 12, "test": 16}.items()):
        rows = [
            {**row, "text": " ".join(row["tokens"]) + "!"} for row in tiny.sentences(count, seed)
        ]
        odd = [
            {"text": text, "tokens": ["", *text.split()], "label": rows[at]["label"]}
            for at, text in enumerate(tiny.ODD)
        ]
        for row in odd:
            row["ner_tags"] = ["O", "B-LOC", *["O"] * (len(row["tokens"]) - 2)]
        for row in (rows := rows + odd):
            tags, topic = row["ner_tags"], row.pop("label")
            row["types"] = sorted({tag[2:] for tag in tags if tag != "O"})
            row["share"] = 10 + sum(tag != "O" for tag in tags) / len(tags)
            row["pos_tags"] = [
                tag[:1] + ("f" if word in tiny.FILLERS else "")
                for tag, word in zip(tags, row["tokens"], strict=True)
            ]
            row["topic"] = topic
        write_jsonl(
            Path("words", f"{split}.jsonl"),
            [{key: value for key, value in row.items() if key != "text"} for row in rows],
        )
        of_text = ("text", "topic", "share")
        write_jsonl(
            Path("texts", f"{split}.jsonl"), [{key: row[key] for key in of_text} for row in rows]
        )


def make(home: Path, family: str, names: Sequence[str]) -> None:
    """Run suites of a family, and export their models."""
    tiny.write_subword_encoder(home / "encoder", family)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        write_data()
        for name in names:
            run(name, SOURCES[name], tasks=TASKS if name != "alone" else {"share": TASKS["share"]})
            assert main(["export", f"{name}.yaml", "--to", f"model-{name}"]) == 0


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(family, marks=[] if family in FAST else [pytest.mark.nightly])
        for family in sorted(tiny.CONFIGS)
    ],
)
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Suites of a family that ran, and their models, in the working directory."""
    made = made_once(
        tmp_path_factory,
        f"tasks-{request.param}",
        lambda home: make(home, request.param, [*SOURCES]),
    )
    home = shutil.copytree(made, tmp_path_factory.mktemp(request.param) / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        yield home


@pytest.fixture
def copy(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of a suite with all tasks and its model, in the working directory."""
    made = made_once(tmp_path_factory, "tasks-copy", lambda home: make(home, "bert", ["whole"]))
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "copy"))
    return Path.cwd()


def rows(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "test.jsonl").read_text().splitlines()]


def of_task(name: str, task: str) -> list[Any]:
    """What the record of a suite says of a task."""
    return [line["predicted"][task] for line in recorded(name) if task in line["gold"]]


def said(answers: Sequence[dict[str, Any]], words: Sequence[Sequence[str]]) -> dict[str, list[Any]]:
    """Task to answers, as a record has predictions; of entities, types and texts."""
    read: dict[str, Callable[[dict[str, Any]], Any]] = {
        "topic": lambda answer: answer["label"],
        "types": lambda answer: [label["label"] for label in answer["labels"]],
        "share": lambda answer: pytest.approx(answer["value"], abs=1e-5),
        "ner": lambda answer: [(entity["type"], entity["text"]) for entity in answer["entities"]],
        "pos": lambda answer: [word["tag"] or "" for word in answer["tags"]],
    }
    return {
        task: [read[task](answer["tasks"][task]) for answer in answers]
        for task in answers[0]["tasks"]
    }


def spans(lines: Sequence[Sequence[str]], words: Sequence[Sequence[str]]) -> list[Any]:
    return [
        [(kind, " ".join(some[begin:end])) for kind, begin, end in entities(tags)]
        for tags, some in zip(lines, words, strict=True)
    ]


def test_predict_says_of_every_test_sentence_what_the_record_says(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [row["tokens"] for row in rows("words")]
    for name in ("whole", "each"):
        answers = predicted(capsys, f"model-{name}", "words/test.jsonl")
        assert [[*answer["tasks"]] for answer in answers] == [[*TASKS]] * len(words)
        found = said(answers, words)
        wanted = {task: of_task(name, task) for task in TASKS}
        wanted["ner"] = spans(wanted["ner"], words)
        if name == "each":  # which was trained on text
            found["topic"] = said(predicted(capsys, "model-each", "texts/test.jsonl"), [])["topic"]
        assert found == wanted
        for answer in answers:
            scores = [word["score"] for word in answer["tasks"]["pos"]["tags"]]
            scores += [label["score"] for label in answer["tasks"]["types"]["labels"]]
            assert all(score is None or 0 < score <= 1 for score in scores)
            assert all(
                answer["text"][one["start"] : one["end"]] == one["word"]
                for one in answer["tasks"]["pos"]["tags"]
            )
        assert None in [
            word["tag"] for answer in answers for word in answer["tasks"]["pos"]["tags"]
        ]
    answers = predicted(capsys, "model-alone", "texts/test.jsonl")
    assert said(answers, []) == {"share": of_task("alone", "share")}


@UNCLOSED
def test_the_cards_code_says_it_too(home: Path) -> None:
    words = [row["tokens"] for row in rows("words")]
    texts = [row["text"] for row in rows("texts")]
    for name in SOURCES:
        lines = read_by_card(f"model-{name}", texts, words)
        for task in lines[0]:
            found: list[Any] = [line[task] for line in lines]
            if task in ("ner", "pos"):
                lost = "O" if task == "ner" else ""
                pairs = zip(found, words, strict=True)
                found = [by_word(subwords, len(some), lost) for subwords, some in pairs]
            if task == "share":
                found = [pytest.approx(number, abs=1e-5) for number in found]
            assert found == of_task(name, task), (name, task)
        assert [*lines[0]] == (["share"] if name == "alone" else [*TASKS])


@pytest.mark.process
def test_the_cards_code_needs_nothing_of_mtlab(copy: Path) -> None:
    code = re.search(r"```python\n(.*?)```", Path("model-whole", "README.md").read_text(), re.S)
    assert code is not None
    Path("model-whole", "load.py").write_text(code[1])
    Path("model-whole", "run.py").write_text(PLAIN)
    command = [sys.executable, "-I", "run.py", str(copy / "words" / "test.jsonl")]
    ran = subprocess.run(command, cwd="model-whole", capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = json.loads(Path("model-whole", "said.json").read_text())
    for task in ("topic", "types"):
        assert [line[task] for line in lines] == of_task("whole", task)


def test_export_says_what_it_compared(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentences, words = len(rows("words")), sum(len(row["tokens"]) for row in rows("words"))
    counts = {
        "labels": sentences,
        "sets of labels": sentences,
        "numbers": sentences,
        "tags of ner": words,
        "tags of pos": words,
    }
    same = [f"{count} of {count} {what}" for what, count in counts.items()]
    for name in SOURCES:
        shutil.rmtree("again", ignore_errors=True)
        assert main(["export", f"{name}.yaml", "--to", "again"]) == 0
        told = re.search(
            r"checked: (.*) of the test split are as recorded", capsys.readouterr().out
        )
        assert told is not None and told[0] in Path("again", "README.md").read_text()
        wanted = same if name != "alone" else [same[2]]
        assert re.split(", | and ", told[1]) == wanted


def test_the_card_speaks_of_every_task(copy: Path) -> None:
    card = Path("model-whole", "README.md").read_text()
    for line in (
        "tags: [text-classification, token-classification, multi-task]",
        "heads for topic of a sentence, `types` (multi-label classification), `share` (regression), ",
        "`ner` (entity recognition) and `pos` (tagging), trained as `full`",
        "| label F1 of LOC (",
        "| Pearson's r |",
        "| mean absolute error |",
        "| accuracy a word |",
        "| macro F1 (pos) |",
        "For topic of a sentence it gives a label a sentence; it knows 3 labels (food, sport, weather)",
        "For `share` (regression) it gives a number a sentence; those in training have mean 10.",
    ):
        assert line in card, line


@pytest.mark.parametrize(
    ("task", "wrong"),
    [
        ("topic", lambda label: "food" if label != "food" else "sport"),
        ("types", lambda labels: [] if labels else ["LOC"]),
        ("types", lambda labels: [*labels, "LAW"]),
        ("share", lambda number: number + 0.01),
        ("ner", lambda tags: [*tags[:-1], "B-PER" if tags[-1] != "B-PER" else "O"]),
        ("pos", lambda tags: ["none", *tags[1:]]),
    ],
)
def test_a_folder_that_says_something_else_is_refused(
    task: str, wrong: Callable[[Any], Any], copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = Path("out-whole", "predictions").iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[3]["predicted"][task] = wrong(lines[3]["predicted"][task])
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    capsys.readouterr()
    assert main(["export", "whole.yaml", "--to", "new"]) == 2
    told = capsys.readouterr().err
    assert re.search(
        r"gives 1 of \d+ .* that differ from the recorded ones \(first: .*jsonl:4", told
    )
    assert told.count("\n") == 1 and not Path("new").exists()
    lines[3]["predicted"][task] = {"neither": "of them"}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["export", "whole.yaml", "--to", "new"]) == 0
    assert "are missing or damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"kind": "ranking"}, "topic is of kind 'ranking', which is not known"),
        ({"names": ["a", "b"]}, "topic has 2 labels, and its head 3 outputs"),
        ({"input": "sound"}, "topic reads 'sound', which is none of text, words"),
    ],
)
def test_a_folder_that_does_not_fit_together_is_refused(
    change: dict[str, Any], line: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path("model-whole", "heads.json")
    facts = json.loads(file.read_text())
    facts["tasks"]["topic"] |= change
    file.write_text(json.dumps(facts))
    capsys.readouterr()
    assert main(["predict", "model-whole", "words/test.jsonl"]) == 2
    assert line in capsys.readouterr().err


def test_in_bf16_only_close_calls_may_differ(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("rough", SOURCES["whole"], "bf16", TASKS)
    capsys.readouterr()
    assert main(["export", "rough.yaml", "--to", "rough"]) == 0
    counts = re.findall(r"(\d+) of (\d+) (?:labels|sets|numbers|tags)", capsys.readouterr().out)
    assert len(counts) == len(TASKS)
    assert all(int(same) >= 0.9 * int(every) for same, every in counts)
    assert "bfloat16" in Path("rough", "README.md").read_text()


class Level(Kind):
    """One of a few names that have an order, which a head learns as a number."""

    name = "level"
    one_label = True
    loss = "squared error"
    metrics: ClassVar[dict[str, str]] = {"accuracy": "accuracy"}
    title = "levels"
    gold_title, value_title, wrong = "level", "level", "levels are wrong"
    wants = "a level a sentence"
    order = ("food", "sport", "weather")

    def read(self, value: Any, names: Sequence[str] | None, words: int | None) -> str:
        if value not in self.order:
            raise BadValue("{} is no level", f"write one of {', '.join(self.order)}", value)
        return str(value)

    def learn(self, golds: Any) -> Codes:
        return Codes(self.order)

    def join(self, codes: Sequence[Codes]) -> Codes:
        return codes[0]

    def outputs(self, codes: Codes) -> int:
        return 1

    def targets(self, gold: str | None, codes: Codes) -> float:
        return np.nan if gold is None else float(codes.numbers[gold])

    def predicted(self, raw: np.ndarray, codes: Codes, words: np.ndarray) -> str:
        return codes.names[int(np.clip(np.rint(raw), 0, 2))]

    def score(self, pairs: Sequence[tuple[str, str]]) -> Scored:
        return Scored({"accuracy": float(np.mean([gold == said for gold, said in pairs]))})

    def columns(self, pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[int | float, ...]]:
        return {"right": tuple(int(gold == said) for gold, said in pairs)}

    def linear(self, columns: Columns) -> np.ndarray | None:
        return np.array(columns["right"], dtype=float)


@UNCLOSED
def test_a_kind_that_is_added_here_alone_is_exported(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(KINDS, Level.name, Level)
    tasks = {"ner": TASKS["ner"], "level": {"kind": "level", "column": "topic"}}
    run("levels", "source: words", tasks=tasks)
    assert main(["export", "levels.yaml", "--to", "levels"]) == 0
    assert re.search(r"checked: \d+ of \d+ tags and (\d+) of \1 levels", capsys.readouterr().out)
    words = [row["tokens"] for row in rows("words")]
    answers = predicted(capsys, "levels", "words/test.jsonl")
    values = [answer["tasks"]["level"]["value"] for answer in answers]
    assert values == of_task("levels", "level")
    numbers = [line["level"][0] for line in read_by_card("levels", [""] * len(words), words)]
    assert [Level.order[int(np.clip(np.rint(one), 0, 2))] for one in numbers] == values


@pytest.mark.parametrize(
    ("loss", "logits", "targets", "apart"),
    [
        ("cross-entropy", [[1.0, 8.0, 7.0]], [2], 1 / 8),
        ("binary cross-entropy", [[-0.5, 4.0]], [[1, 1]], 0.5 / 4),
        ("binary cross-entropy", [[-0.05, 0.2]], [[1, 1]], 0.05),
        ("squared error", [[8.0]], [9.0], 1 / 8),
        ("squared error", [[0.0]], [0.25], 0.25),
    ],
)
def test_rounding_decides_what_is_near_and_nothing_else(
    loss: str, logits: Any, targets: Any, apart: float
) -> None:
    given, wanted, of_loss = torch.tensor(logits), torch.tensor(targets), LOSSES[loss]
    less, more = (
        of_loss.decide(of_loss.nudged(given, wanted, share)).double()
        for share in (0.99 * apart, 1.01 * apart)
    )
    assert torch.equal(more, wanted.double()) and not torch.equal(less, wanted.double())
