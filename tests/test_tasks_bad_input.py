"""Whatever is wrong with tasks, in the experiment file or in their gold: one line with place, problem
and remedy, status 2, and nothing is trained."""

import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mtlab.cli import main
from tests.test_bad_input import nothing_was_trained

EXPERIMENT = """\
encoder: ./encoder
tasks:
  intent: {kind: classification, column: label}
  tone: {kind: multilabel, column: tones}
  urgency: {kind: regression, column: urgency}
  pos: {kind: tagging, column: pos_tags, spans: false}
  slots: {kind: tagging, column: slots}
data: {source: set}
batch_size: 4
seeds: [0]
precision: fp32
device: cpu
output: report
scenarios:
  full:
    - {epochs: 1, train: {all: 1.0e-3}}
"""
ROWS = [
    ("rain near oslo", "weather", ["calm"], 1, "N P N", "O O B-city"),
    ("ada wins the race", "sport", ["glad", "loud"], 4.5, "N V D N", "B-person O O O"),
    ("wind in lagos again", "weather", [], "2", "N P N A", "O O B-city O"),
    ("a goal in turin", "sport", ["loud"], -3, "D N P N", "O O O B-city"),
]
NAMES = ("tokens", "label", "tones", "urgency", "pos_tags", "slots")


def row(number: int, **other: Any) -> dict[str, Any]:
    """A sentence with gold of every task, and other values in some columns; ``...`` takes one out."""
    words, label, tones, urgency, tags, slots = ROWS[number]
    values = (words.split(), label, tones, urgency, tags.split(), slots.split())
    merged = {**dict(zip(NAMES, values, strict=True)), **other}
    return {name: value for name, value in merged.items() if value is not ...}


def lines(*rows: dict[str, Any]) -> str:
    """Rows as a file has them."""
    return "".join(json.dumps(row) + "\n" for row in rows)


SENTENCES = [row(number) for number in range(len(ROWS))]
FILES = {
    "train": SENTENCES,
    "validation": [row(0, tokens=["fog", "near", "quito"])],
    "test": [row(1, tokens=["uma", "wins", "the", "match"])],
}


@dataclass(frozen=True)
class Bad:
    """A mistake, and the line that tells of it."""

    name: str
    line: str
    """Without ``mtlab: ``."""
    files: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Split to its rows, where they are others."""
    change: tuple[str, str] = ("", "")
    """Words of the experiment file, and what stands there instead."""
    options: str = ""
    """More of the command line."""


def in_train(**other: Any) -> dict[str, list[dict[str, Any]]]:
    """A fifth row in the training split, of these words: ``sun in oslo``."""
    return {"train": [*SENTENCES, row(0, tokens=["sun", "in", "oslo"], **other)]}


def without(column: str, *splits: str) -> dict[str, list[dict[str, Any]]]:
    """Splits that lack a column."""
    return {split: [{**made, column: ...} for made in FILES[split]] for split in splits}


FULL = "exp.yaml:16 scenarios.full.0"
TASKS = "intent, tone, urgency, pos, slots"
NAME = "cannot be the name of a task; use letters, digits and `_`, and no key of `data`"

CASES = [
    # gold
    Bad(
        "one label where a list belongs",
        "set/train.jsonl:5 tones: labels are 'calm', not a list; write a list of labels",
        in_train(tones="calm"),
    ),
    Bad(
        "labels that are missing",
        "set/train.jsonl:5 tones: labels are missing; write a list of labels",
        in_train(tones=None),
    ),
    Bad(
        "number among the labels",
        "set/train.jsonl:5 tones: label 2 is the number 3, and the source does not say what numbers stand for; write it as text",
        in_train(tones=["calm", 3]),
    ),
    Bad(
        "list among the labels",
        "set/train.jsonl:5 tones: label 1 is ['calm'], not text; write it as text",
        in_train(tones=[["calm"]]),
    ),
    Bad(
        "empty label in a list",
        "set/train.jsonl:5 tones: a label is empty; take it out of the list",
        in_train(tones=["calm", " "]),
    ),
    Bad(
        "no labels at all",
        "set tones: no training sentence has a label; give some sentences labels",
        {"train": [{**made, "tones": []} for made in SENTENCES]},
    ),
    Bad(
        "label in a list that training does not have",
        "set/test.jsonl:1 tones: train has no label 'clam'; did you mean 'calm'?, or pass --data.unseen_labels count_as_error",
        {"test": [{**FILES["test"][0], "tones": ["loud", "clam"]}]},
    ),
    Bad(
        "word for a number",
        "set/train.jsonl:5 urgency: 'soon' is not a number; write a number, such as 2.5",
        in_train(urgency="soon"),
    ),
    Bad(
        "number that is missing",
        "set/train.jsonl:5 urgency: the number is missing; write a number",
        in_train(urgency=None),
    ),
    Bad(
        "truth value for a number",
        "set/train.jsonl:5 urgency: true is not a number; write a number, such as 2.5",
        in_train(urgency=True),
    ),
    Bad(
        "list for a number",
        "set/train.jsonl:5 urgency: [1] is not a number; write a number, such as 2.5",
        in_train(urgency=[1]),
    ),
    Bad(
        "infinite number",
        "set/test.jsonl:1 urgency: 'inf' is not a number; write a number, such as 2.5",
        {"test": [{**FILES["test"][0], "urgency": "inf"}]},
    ),
    Bad(
        "one number",
        "set urgency: every training sentence has the number 2; regression needs two numbers or more",
        {"train": [{**made, "urgency": 2} for made in SENTENCES]},
    ),
    Bad(
        "more words than tags",
        "set/train.jsonl:5 pos_tags: 3 tokens but 2 tags; give every token one tag",
        in_train(pos_tags=["N", "P"]),
    ),
    Bad(
        "more tags than words",
        "set/test.jsonl:1 slots: 4 tokens but 5 tags; give every token one tag",
        {"test": [{**FILES["test"][0], "slots": ["O"] * 5}]},
    ),
    Bad(
        "tags as one text",
        "set/train.jsonl:5 pos_tags: tags are 'N P N', not a list; write a list of tags",
        in_train(pos_tags="N P N"),
    ),
    Bad(
        "tag that is no text",
        "set/train.jsonl:5 pos_tags: tag 3 is missing; write it as text",
        in_train(pos_tags=["N", "P", None]),
    ),
    Bad(
        "plain tag that training does not have",
        "set/test.jsonl:1 pos_tags: train has no tag 'X'; correct it, or pass --data.unseen_labels count_as_error",
        {"test": [{**FILES["test"][0], "pos_tags": ["N", "V", "D", "X"]}]},
    ),
    Bad(
        "plain tags for entities",
        "set/train.jsonl:1 slots: 'N' is not a tag (token 1, 'rain'); write O, or B- or I- and a type, as in B-person",
        {"train": [{**made, "slots": made["pos_tags"]} for made in SENTENCES]},
    ),
    Bad(
        "one tag",
        "set pos_tags: every training word has the same tag; tagging needs two tags or more",
        {"train": [{**made, "pos_tags": ["N"] * len(made["tokens"])} for made in SENTENCES]},
    ),
    Bad(
        "list for a label",
        "set/train.jsonl:5 label: the label is ['weather'], not text; write it as text",
        in_train(label=["weather"]),
    ),
    # columns
    Bad(
        "column that no split has",
        "set/train.jsonl: no column 'tones'; the columns are tokens, label, urgency, pos_tags, slots; "
        "did you mean 'tokens'? pass --data.columns.tones COLUMN",
        without("tones", "train", "validation", "test"),
    ),
    Bad(
        "column that one split lacks",
        "set/test.jsonl: no column 'urgency'; the columns are tokens, label, tones, pos_tags, slots; pass --data.columns.urgency COLUMN",
        without("urgency", "test"),
    ),
    Bad(
        "column by another name",
        "set/train.jsonl: no column 'tones'; the columns are tokens, label, tone, urgency, pos_tags, slots; "
        "did you mean 'tone'? pass --data.columns.tones COLUMN",
        {
            split: [
                {("tone" if name == "tones" else name): value for name, value in made.items()}
                for made in rows
            ]
            for split, rows in FILES.items()
        },
    ),
    Bad(
        "text for tags of words",
        "set/train.jsonl: no column 'tokens'; the columns are label, tones, urgency, pos_tags, slots, text; "
        "tags belong to words: write the text as a list of words, or pass --data.columns.tokens COLUMN",
        {"train": [{**made, "tokens": ..., "text": "sun in oslo"} for made in SENTENCES]},
    ),
    Bad(
        "columns of a task that there is not",
        "exp.yaml:8 data.columns.tone: 'tone' is not known; did you mean 'tones'?",
        change=("source: set", "source: set, columns: {tone: moods}"),
    ),
    # tasks in the file
    Bad(
        "kind that is not known",
        "exp.yaml:4 tasks.tone.kind: 'multilable' is not known; did you mean 'multilabel'?",
        change=("kind: multilabel", "kind: multilable"),
    ),
    Bad(
        "kind that is not known, on the command line",
        "--tasks.tone.kind: 'regresion' is not known; did you mean 'regression'?",
        options="--tasks.tone.kind regresion",
    ),
    Bad(
        "task without a kind",
        "exp.yaml:5 tasks.urgency.kind: missing; add it",
        change=("{kind: regression, column: urgency}", "{column: urgency}"),
    ),
    Bad(
        "task without a column",
        "exp.yaml:5 tasks.urgency.column: missing; add it",
        change=("{kind: regression, column: urgency}", "{kind: regression}"),
    ),
    Bad(
        "two tasks on one column",
        "exp.yaml:4 tasks.tone.column: intent has the column 'label' already; name another",
        change=("column: tones", "column: label"),
    ),
    Bad(
        "gold in a column of words",
        "exp.yaml:4 tasks.tone.column: 'text' is a column of words; name the column that has the gold",
        change=("column: tones", "column: text"),
    ),
    Bad(
        "option of another kind",
        "exp.yaml:5 tasks.urgency.spans: a task of kind regression has no `spans`; take it out",
        change=("column: urgency", "column: urgency, spans: true"),
    ),
    Bad(
        "key that a task does not have",
        "exp.yaml:5 tasks.urgency.colum: unknown key; did you mean 'column'?",
        change=("column: urgency", "column: urgency, colum: x"),
    ),
    Bad(
        "name that a task cannot have",
        f"exp.yaml:4 tasks.my-tone: 'my-tone' {NAME}",
        change=("  tone:", "  my-tone:"),
    ),
    Bad(
        "name of a key of data",
        f"exp.yaml:4 tasks.labels: 'labels' {NAME}",
        change=("  tone:", "  labels:"),
    ),
    Bad(
        "no task",
        "exp.yaml:2 tasks: there is no task; name one, or leave the key out",
        change=(EXPERIMENT[EXPERIMENT.index("tasks:") : EXPERIMENT.index("data:")], "tasks: {}\n"),
    ),
    # tasks that are named elsewhere
    Bad(
        "loss of a task that there is not",
        f"{FULL}.losses.0: 'ner' is not known; known: {TASKS}",
        change=("train: {all: 1.0e-3}", "train: {all: 1.0e-3}, losses: [ner]"),
    ),
    Bad(
        "loss of a task whose name is misspelt",
        f"{FULL}.losses.1: 'slot' is not known; did you mean 'slots'?",
        change=("train: {all: 1.0e-3}", "train: {all: 1.0e-3}, losses: [pos, slot]"),
    ),
    Bad(
        "weight of a task that there is not",
        f"{FULL}.weights.urgenci: 'urgenci' is not known; did you mean 'urgency'?",
        change=("train: {all: 1.0e-3}", "train: {all: 1.0e-3}, weights: {urgenci: 2}"),
    ),
    Bad(
        "weight in the sum of a task that there is not",
        "--task_weights.intents: unknown key; did you mean 'intent'?",
        options="--task_weights.intents 2",
    ),
    Bad(
        "head of a task that there is not",
        f"{FULL}.train.head.tones: unknown selector 'head.tones'; did you mean 'head.tone'?",
        change=("all: 1.0e-3", "head.tones: 1.0e-3"),
    ),
    Bad(
        "share of labels of a task that there is not",
        "--data.labelled.slot: 'slot' is not known; did you mean 'slots'?",
        options="--data.labelled.slot 0.5",
    ),
    Bad(
        "noise in a task that there is not",
        "exp.yaml:8 data.label_noise.intend: 'intend' is not known; did you mean 'intent'?",
        change=("source: set", "source: set, label_noise: {intend: 0.1}"),
    ),
    Bad(
        "source of a task that there is not",
        "exp.yaml:8 data.ton: unknown key; did you mean 'tone'?",
        change=("source: set", "ton: {source: set}"),
    ),
    Bad(
        "task without a source",
        "exp.yaml:8 data.tone: no source; add `source: PATH`",
        change=("source: set", "intent: {source: set}"),
    ),
    Bad(
        "tasks in a sweep",
        "exp.yaml:9 sweep.tasks.pos.spans: tasks.pos.spans cannot be swept; it is the same for the whole experiment",
        change=("batch_size: 4", "sweep: {tasks.pos.spans: [true, false]}\nbatch_size: 4"),
    ),
]


@pytest.fixture
def home(tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which everything is right."""
    shutil.copytree(encoder, tmp_path / "encoder")
    (tmp_path / "set").mkdir()
    write(tmp_path, FILES)
    (tmp_path / "exp.yaml").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


def write(home: Path, files: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write splits; a value that is ``...`` is left out."""
    for split, rows in files.items():
        kept = [{k: value for k, value in made.items() if value is not ...} for made in rows]
        (home / "set" / f"{split}.jsonl").write_text(lines(*kept))


def test_what_the_mistakes_are_made_in_is_right(home: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["plan", "exp.yaml"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name.replace(" ", "_"))
def test_a_mistake_is_one_line_and_nothing_is_trained(
    bad: Bad, home: Path, capsys: pytest.CaptureFixture
) -> None:
    text = EXPERIMENT.replace(*bad.change)
    assert (text == EXPERIMENT) is (bad.change == ("", ""))
    (home / "exp.yaml").write_text(text)
    write(home, bad.files)
    status = main(["compare", "exp.yaml", *shlex.split(bad.options)])
    (told,) = capsys.readouterr().err.splitlines()
    assert (told, status) == (f"mtlab: {bad.line}", 2)
    assert nothing_was_trained(home)


CHECKED = [
    (
        "set --tasks.tone.kind multilable --tasks.tone.column tones",
        "--tasks.tone.kind: 'multilable' is not known; did you mean 'multilabel'?",
    ),
    (
        "set --tasks.tone.kind multilabel --tasks.tone.column tones --tasks.mood.kind multilabel --tasks.mood.column tones",
        "--tasks.mood.column: tone has the column 'tones' already; name another",
    ),
    (
        "set --tasks.tone.kind multilabel",
        "--tasks.tone.column: missing; add it",
    ),
    (
        "set set --tasks.tone.kind multilabel --tasks.tone.column tones",
        "2 sources for 1 task; give one source for all tasks",
    ),
    (
        "set --data.columns.mods mood --tasks.mood.kind multilabel --tasks.mood.column moods",
        "--data.columns.mods: 'mods' is not known; did you mean 'moods'?",
    ),
]


@pytest.mark.parametrize(("given", "line"), CHECKED)
def test_a_mistake_in_the_tasks_of_a_check_is_one_line(
    given: str, line: str, home: Path, capsys: pytest.CaptureFixture
) -> None:
    status = main(["check", *shlex.split(given), "--encoder", "./encoder"])
    said = capsys.readouterr()
    assert (said.err, said.out, status) == (f"mtlab: {line}\n", "", 2)


def test_no_two_mistakes_have_one_name() -> None:
    assert len({bad.name for bad in CASES}) == len(CASES) >= 40
