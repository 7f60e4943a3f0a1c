"""Small sources of every kind: what is said of them, that a run agrees, and that the file that is
printed runs."""

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from mtlab.check import guesses, starter
from mtlab.check.survey import survey
from mtlab.cli import main
from mtlab.data.reading.table import Row, Table
from mtlab.plan import yaml_file
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load
from mtlab.tasks.classification import Classification
from mtlab.tasks.registry import KINDS
from mtlab.train.measure.facts import describe_data
from mtlab.train.prepare import prepare
from mtlab.train.runtime import resolve
from tests import tiny
from tests.data.files import OTHER, TRAIN, sentence, write_jsonl, write_source
from tests.data.test_bad_data import BAD_ROWS

ROOT = Path(__file__).parents[2]
Check = Callable[..., tuple[int, str]]

WORDS = (
    "rain",
    "wind",
    "goal",
    "race",
    "soup",
    "bread",
    "oslo",
    "quito",
    "ada",
    "ivo",
    "near",
    "with",
)


def words(number: int, count: int = 4) -> list[str]:
    """Words that only the sentence of this number has in this order."""
    return [WORDS[number // len(WORDS) ** place % len(WORDS)] for place in range(count)]


def csv(count: int, first: int = 0) -> str:
    rows = (
        f'{n},"{" ".join(words(n))}",{("en", "de")[n % 2]},{("order", "refund", "order", "hello")[n % 4]}'
        for n in range(first, count)
    )
    return "\n".join(["id,Utterance,lang,Intent", *rows]) + "\n"


def conll(count: int, tags: str, first: int = 1000) -> str:
    pairs = (zip(words(n), tags.split(), strict=True) for n in range(first, first + count))
    return "\n\n".join("\n".join(f"{word}\t{tag}" for word, tag in pair) for pair in pairs) + "\n"


def rows(
    count: int,
    tags: str,
    names: tuple[str, str, str] = ("tokens", "ner_tags", "label"),
    first: int = 0,
) -> list[dict[str, Any]]:
    return [
        dict(zip(names, (words(n), tags.split(), "ab"[n % 2]), strict=True))
        for n in range(first, first + count)
    ]


def jsonl(count: int, tags: str = "O B-LOC I-LOC O", *names: str, first: int = 0) -> str:
    made = rows(count, tags, names or ("tokens", "ner_tags", "label"), first)  # type: ignore[arg-type]
    return "".join(json.dumps(row) + "\n" for row in made)


GOLD: dict[str, Callable[[int], Any]] = {
    "text": lambda n: " ".join(words(n)),
    "tokens": words,
    "words": words,
    "label": lambda n: "ab"[n % 2],
    "ner_tags": lambda n: ["O", "B-LOC", "I-LOC", "O"],
    "pos": lambda n: ["D", "V", "N", "V"],
    "tones": lambda n: [[], ["calm"], ["calm", "glad"], ["sad"]][n % 4],
    "urgency": lambda n: n % 10 / 2 + 0.5,
    "topic": lambda n: "vwxyz"[n % 5],
    "my score": lambda n: n % 12,
}
"""Column to its value in the sentence of a number."""


def gold(count: int, *names: str) -> str:
    """Sentences with these columns."""
    chosen = names or ("text", "tones", "urgency")
    return "".join(
        json.dumps({name: GOLD[name](n) for name in chosen}) + "\n" for n in range(count)
    )


@pytest.fixture
def check(
    tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Check:
    """Write files, check the sources with a tiny encoder, and give the status and all that was
    said."""
    monkeypatch.chdir(tmp_path)

    def check(
        given: str, files: Mapping[str, str] | None = None, command: str = "check"
    ) -> tuple[int, str]:
        for name, content in (files or {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content, encoding="utf-8")
        status = main([command, *shlex.split(given), "--encoder", str(encoder)])
        said = capsys.readouterr()
        assert all(line.isprintable() for line in (said.out + said.err).split("\n"))
        assert (said.err == "") == (status == 0)
        assert "Traceback" not in said.err and said.err.count("\n") <= 1
        return status, said.out + said.err

    return check


def the_file(said: str) -> str:
    """The experiment file at the end of what was said."""
    return said[said.index("# Which parts") :]


ODD_CSV = {"mine/my_train.csv": csv(60), "mine/my-dev.csv": csv(72, 60)}
IOB1 = {
    "tagged/train.conll": conll(40, "I-LOC I-LOC O I-PER"),
    "tagged/test.conll": conll(8, "O I-PER O O", 1040),
}

SAID = [
    (
        "columns and files by other names, and IOB1, in either order",
        "tagged mine",
        {**ODD_CSV, **IOB1},
        [
            "mine: read for classification",
            "splits      train 60, validation 12 sentences; no test: cut off train",
            "train is 'my_train.csv', a guess by its name; --data.classifier.splits.train FILE takes another",
            "label       column 'Intent', a guess by its name and its values (3 different in 60 rows); it might be 'lang' too; "
            "--data.classifier.columns.label COLUMN takes another",
            "text        column 'Utterance', a guess by its name and its values (text of several words)",
            "not read    columns 'id', 'lang'",
            "labels      3; in train 'order' 30, 'refund' 15, 'hello' 15",
            "imbalance   the most frequent label has 2.0 times the sentences of the rarest; answering it every time is right for 50.0%",
            "no test split: 6 of 60 training sentences cut off, stratified, data_seed 0.",
            "tagged: read for NER",
            "tags are IOB1: converted to IOB2, which rewrote 88 of 192 tags.",
            "types       2; in train 'LOC' 40, 'PER' 40",
            "not in test: 'LOC'; nothing is measured of it there",
            "  classifier:\n    source: mine\n    columns:  # a guess\n      label: Intent\n      text: Utterance\n",
            "      train: my_train.csv\n      validation: my-dev.csv\n",
            "  test_fraction: 0.1  # there is no test split\n",
        ],
    ),
    (
        "one file that is alone, BIOES, columns by their values",
        "mine",
        {"mine/all.json": json.dumps(rows(40, "B-X E-X O S-Y", ("sent", "spans", "kind")))},
        [
            "mine: read for classification and NER",
            "train is 'all.json', a guess since it is the only file",
            "tags        column 'spans', a guess by its values (every item is a tag)",
            "tokens      column 'sent', a guess by its values (as many words as tags)",
            "label       column 'kind', a guess by its values (2 different in 40 rows)",
            "tags are BIOES: converted to IOB2, which rewrote 80 of 160 tags.",
            "    ner_tags: spans\n    tokens: sent\n    label: kind\n",
        ],
    ),
    (
        "words and tags in cells of a CSV file",
        "mine",
        {
            "mine/train.csv": "sentence,tags,topic\n"
            + "".join(f"{' '.join(words(n))},O B-x I-x O,{'ab'[n % 2]}\n" for n in range(30))
        },
        [
            "column 'sentence', a guess by its name and its values (as many words as tags)",
            "column 'tags'",
            "column 'topic'",
        ],
    ),
    (
        "one source for both tasks, twice: the order decides",
        "first second",
        {"first/train.jsonl": jsonl(30), "second/train.jsonl": jsonl(30, first=50)},
        [
            "first: read for classification\n",
            "second: read for NER\n",
            "Both have labels and tags: the first is taken for classification, the second for NER; a guess, and their order changes it.",
        ],
    ),
    (
        "long sentences, repeated ones, labels that look alike, a type seen once",
        "mine --data.max_duplicates 1",
        {
            "mine/train.jsonl": jsonl(20)
            + jsonl(1)
            + json.dumps({"tokens": words(0), "ner_tags": ["O"] * 4, "label": "A "})
            + "\n"
            + json.dumps(
                {"tokens": words(77, 100), "ner_tags": ["O"] * 90 + ["B-Rare"] * 10, "label": "A "}
            )
            + "\n"
            + json.dumps(
                {"tokens": words(5, 5), "ner_tags": ["B-once", "O", "O", "O", "O"], "label": "a"}
            )
            + "\n",
            "mine/validation.jsonl": jsonl(4, first=90),
            "mine/test.jsonl": jsonl(3, first=90) + jsonl(2),
        },
        [
            "2 of 24 sentences of train repeat an earlier one; labelled in two ways: 1 "
            "(the first: mine/train.jsonl:1 and mine/train.jsonl:22)",
            "3 of 5 sentences of test also stand in validation",
            "test: 2 of 5 sentences (40.0%) also stand in train, 2 of them exactly.",
            "'a', 'A ' differ in case or white space alone, and are different labels",
            "once in train: 'once'; nobody learns it from that",
            "reads 64 sub-words, as many as it has positions for",
            "the longest sentence has 102, 95% have 6 or fewer; 1 of 33 are cut, and 38 words with a tag are lost, which count as O",
            "  max_duplicates: 1\n",
        ],
    ),
    (
        "a file whose folder has other splits",
        "mine/train.jsonl",
        {
            "mine/train.jsonl": jsonl(30),
            "mine/dev.jsonl": jsonl(4, first=90),
            "mine/other.jsonl": "",
        },
        [
            "beside it lie 'dev.jsonl': pass the folder to read them too",
            "no validation and no test: cut off train",
        ],
    ),
    (
        "labels alone",
        "mine",
        {"mine/train.csv": csv(40)},
        [
            "mine: read for classification\n",
            "label       column 'Intent', a guess by its name",
            "left out    no column for NER, with a list of tags, one a word; the columns are id, Utterance, lang, Intent; name it with "
            "--data.columns.ner_tags COLUMN, or give a second source that does (`builtin` will do to try)",
            "column 'lang' could be a classification task (2 different in 40 rows): --tasks.lang.kind "
            "classification --tasks.lang.column lang",
            "tasks that are named so replace the others; to keep them: --tasks.classifier.kind classification "
            "--tasks.classifier.column label\n",
            "tasks:\n  classifier:\n    kind: classification\n    column: label\n    title: sentence classification\ndata:\n",
            "# Which parts should I freeze? Five scenarios",
            "  classifier_head_frozen:\n    - {epochs: 80, patience: 5, train: {encoder: 1.0e-4}}\n",
        ],
    ),
    (
        "tags alone",
        "mine",
        {"mine/train.conll": conll(20, "O B-x I-x O")},
        [
            "mine: read for NER\n",
            "left out    no column for classification, with a label a sentence; the columns are tokens, ner_tags; name it with "
            "--data.columns.label COLUMN, or give a second source that does (`builtin` will do to try)",
            "tasks:\n  ner:\n    kind: tagging\n    column: ner_tags\n    title: entity recognition\ndata:\n",
        ],
    ),
    (
        "labels, and columns of other gold",
        "mine",
        {"mine/train.jsonl": gold(40, "text", "label", "tones", "urgency", "topic")},
        [
            "mine: read for classifier (classification), tones (multi-label classification) and urgency (regression)\n",
            "classifier  column 'label'; it might be 'topic' too",
            "tones       column 'tones', a guess by its values (lists of 3 different values)\n",
            "urgency     column 'urgency', a guess by its values (numbers from 0.5 to 5)\n",
            "column 'topic' could be a classification task (5 different in 40 rows)",
            "classifier  labels: 2; in train 'a' 20, 'b' 20\n              imbalance: ",
            "tones       labels: 3; in train 'calm' 20, 'glad' 10, 'sad' 10\n              40 in train; 10 of "
            "40 sentences (25%) have none\n",
            "urgency     numbers: from 0.5 to 5 in train, mean 2.75, standard deviation 1.436; 10 different\n",
            "  tones:  # a guess: lists of 3 different values\n    kind: multilabel\n    column: tones\n",
            "# a guess: numbers from 0.5 to 5\n    kind: regression\n    column: urgency\n",
        ],
    ),
    (
        "numbers alone, in cells of text",
        "mine",
        {
            "mine/train.csv": "text,urgency\n"
            + "".join(f"{' '.join(words(n))},{n % 10 / 2 + 0.5}\n" for n in range(40))
        },
        [
            "mine: read for urgency (regression)\n",
            "left out    no column for classification, with a label a sentence; the columns are text, urgency",
            "              no column for NER, with a list of tags, one a word; the columns are text, urgency",
            "tasks:\n  urgency:  # a guess: numbers from 0.5 to 5\n    kind: regression\n    column: urgency\ndata:\n",
            "  urgency_head_frozen:\n",
        ],
    ),
    (
        "plain tags alone",
        "mine",
        {"mine/train.jsonl": gold(40, "pos", "text", "words")},
        [
            "mine: read for pos (tagging)\n",
            "pos         column 'pos', a guess by its values (as many items as words)\n",
            "tokens      column 'words', a guess by its name and its values (as many words as tags)",
            "pos         tags: 3; in train 'V' 80, 'D' 40, 'N' 40\n              the most frequent one every "
            "time is right for 50.0% of train's words\n",
            "  pos:  # a guess: as many items as words\n    kind: tagging\n    column: pos\n    spans: false\n",
        ],
    ),
    (
        "tasks that are named, beside columns of others",
        "mine --tasks.tone.kind multilabel --tasks.tone.column tones --tasks.part.kind tagging "
        "--tasks.part.column pos --tasks.part.spans false"
        " --data.columns.tones moods",
        {
            "mine/train.jsonl": gold(40, "words", "pos", "tones", "label", "urgency").replace(
                '"tones"', '"moods"'
            )
        },
        [
            "mine: read for tone (multi-label classification) and part (tagging)\n",
            "tone        column 'moods'\n",
            "part        column 'pos'\n",
            "not read    columns 'label', 'urgency'\n",
            "tasks:\n  tone:\n    kind: multilabel\n    column: tones\n  part:\n    kind: tagging\n    column: "
            "pos\n    spans: false\ndata:\n",
            "    tones: moods\n",
        ],
    ),
    (
        "two sources for two tasks that are named, in either order",
        "tagged mine --tasks.urgency.kind regression --tasks.urgency.column urgency --tasks.slots.kind tagging --tasks.slots.column slots",
        {"mine/train.jsonl": gold(40, "text", "urgency"), **IOB1},
        [
            "mine: read for urgency (regression)\n",
            "tagged: read for slots (NER)\n",
            "  urgency:\n    source: mine\n  slots:\n    source: tagged\n",
            "    columns:  # a guess\n      slots: ner_tags\n",
        ],
    ),
    (
        "two tasks, and columns of further ones",
        "mine",
        {
            "mine/train.jsonl": gold(
                40, "tokens", "ner_tags", "label", "pos", "tones", "urgency", "my score"
            )
        },
        [
            "mine: read for classification and NER\n",
            "label       column 'label'\n",
            "column 'pos' could be a tagging task (as many items as words): "
            "--tasks.pos.kind tagging --tasks.pos.column pos --tasks.pos.spans false\n",
            "column 'tones' could be a multi-label classification task (lists of 3 different values): "
            "--tasks.tones.kind multilabel --tasks.tones.column tones\n",
            "column 'urgency' could be a regression task (numbers from 0.5 to 5): "
            "--tasks.urgency.kind regression --tasks.urgency.column urgency\n",
            "column 'my score' could be a regression task (numbers from 0 to 11): "
            "--tasks.my_score.kind regression --tasks.my_score.column 'my score'\n",
            "tasks that are named so replace the others; to keep them: --tasks.classifier.kind classification "
            "--tasks.classifier.column label "
            "--tasks.ner.kind tagging --tasks.ner.column ner_tags\n",
            "encoder: ",
            "\ndata:\n  source: mine\n",
        ],
    ),
    (
        "what is said is not guessed",
        "mine tagged --data.classifier.columns.label lang --data.classifier.splits.train my_train --data.test_fraction 0.25 --max_length 8",
        {**ODD_CSV, **IOB1},
        [
            "label       column 'lang'\n",
            "no test split: 15 of 60 training sentences cut off",
            "reads 8 sub-words (max_length)",
            "label: lang\n",
            "max_length: 8",
        ],
    ),
    (
        "names that do something elsewhere",
        "'h\x1b[31mi' builtin",
        {
            "h\x1b[31mi/\u202etrain.csv": "te\u202ext|,<b>\n"
            + "".join(f"{' '.join(words(n))},{('`x`', '#: [a]')[n % 2]}\n" for n in range(30))
        },
        [
            "h\\x1b[31mi: read for classification",
            "train is '\\u202etrain.csv'",
            "column '<b>', a guess by its values",
            "'`x`' 15, '#: [a]' 15",
        ],
    ),
]


@pytest.mark.parametrize(
    ("given", "files", "said"), [case[1:] for case in SAID], ids=[case[0] for case in SAID]
)
def test_what_is_found_is_said_and_a_run_would_go(
    given: str,
    files: dict[str, str],
    said: list[str],
    check: Check,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    status, told = check(given, files)
    assert status == 0, told
    assert [words for words in said if words not in told] == [], told
    (tmp_path / "exp.yaml").write_text(the_file(told), encoding="utf-8")
    experiment = load(tmp_path / "exp.yaml")
    assert experiment.looks == (2, 3) and experiment.question
    assert len(experiment.scenarios) == 4 + len(experiment.tasks)
    assert main(["plan", str(tmp_path / "exp.yaml")]) == 0
    notes = [
        line.removeprefix("note: ")
        for line in capsys.readouterr().out.split("\n")
        if line.startswith("note: ")
    ]
    assert notes
    for note in notes:  # a plan says of the data what the check said
        assert note.partition(": ")[2] in told or "test sentences." in note


WRONG = [
    (
        "everything that is wrong with a file",
        "mine",
        {
            "mine/train.jsonl": jsonl(10)
            + "{oops\n"
            + '{"tokens": ["x"], "ner_tags": ["O", "O"], "label": ""}\n'
            + '{"tokens": ["x", "y"], "ner_tags": ["O", "I-LOC"], "label": "a"}\n'
            + '{"tokens": ["x", "y"], "ner_tags": ["O", "PER"], "label": "lost"}\n'
            + "[]\n",
            "mine/validation.jsonl": '{"tokens": ["n"], "ner_tags": ["B-LCO"], "label": "c"}\n' * 2,
            "mine/test.jsonl": jsonl(2, first=3)
            + '{"tokens": ["m"], "ner_tags": ["O"], "label": "lost"}\n',
        },
        [
            "mine/train.jsonl:11: not JSON (Expecting property name enclosed in double quotes at column 2); write one JSON object a line",
            'mine/train.jsonl:15: a JSON list, not an object; write {"tokens": [...], "ner_tags": [...], "label": "..."}',
            "mine/train.jsonl:12 ner_tags: 1 tokens but 2 tags; give every token one tag",
            "mine/train.jsonl:12 label: the label is empty; give the sentence a label, or remove it",
            "mine/train.jsonl:14 ner_tags: 'PER' is not a tag (token 2, 'y'); write O, or B- or I- and a type, as in B-person",
            "mine/train.jsonl:13 ner_tags: I-LOC follows O, not B-LOC or I-LOC, in tags that are otherwise IOB2 (token 2, 'y'); begin the "
            "entity with B-LOC",
            "mine/validation.jsonl:1 label: train has no label 'c' (2 times); correct it, or pass --data.unseen_labels count_as_error",
            "mine/validation.jsonl:1 ner_tags: train has no entity type 'LCO' (2 times); did you mean 'LOC'?, or pass "
            "--data.unseen_labels count_as_error",
            "mine/test.jsonl:1: test: 2 of 3 sentences (66.7%) also stand in train, 2 of them exactly; the limit is 5.0%; remove them (the "
            "first also stands at mine/train.jsonl:4), or allow them with --data.max_duplicates 0.68",
        ],
    ),
    (
        "both sources at once",
        "nowhere.csv mine",
        {
            "mine/train.conll": conll(20, "O B-x I-x O") + "alone\n\n" + conll(1, "O I-y O O"),
            "mine/test.conll": conll(3, "O B-z O O", 1100),
        },
        [
            "nowhere.csv: no such file or directory; check the path",
            "mine/train.conll:100 ner_tags: one column ('alone'); a line holds a token and its tag",
            "mine/train.conll:103 ner_tags: I-y follows O, not B-y or I-y, in tags that are otherwise IOB2 (token 2, 'with'); begin the "
            "entity with B-y",
            "mine/test.conll:1 ner_tags: train has no entity type 'z' (3 times); correct it, or pass --data.unseen_labels count_as_error",
        ],
    ),
    (
        "files that are not what they are called",
        "mine builtin",
        {
            "mine/train.csv": csv(30) + "1,2\n" + csv(4).split("\n", 1)[1] + '"open\n',
            "mine/test.csv": csv(32, 30) + '9,"",en,order\n',
        },
        [
            "mine/train.csv:32: 2 cells, the header has 4; put cells that hold commas in double quotes",
            "mine/train.csv:37: not CSV (unexpected end of data); close quotes, and double those inside quoted cells",
            "mine/test.csv:4 Utterance: text is blank; remove the sentence",
        ],
    ),
    (
        "no tags, and annotations of characters",
        "mine",
        {
            "mine/train.jsonl": "".join(
                json.dumps(
                    {"text": " ".join(words(n)), "entities": [{"start": 0}], "label": "ab"[n % 2]}
                )
                + "\n"
                for n in range(20)
            )
        },
        [
            "mine/train.jsonl: no column for NER, with a list of tags, one a word; the columns are text, entities, label; 'entities' holds "
            "objects: write a list of tags, one a word, or give a second source that does (`builtin` will do to try)"
        ],
    ),
    (
        "no labels, which were named",
        "mine --tasks.intent.kind classification --tasks.intent.column intent --tasks.slots.kind tagging --tasks.slots.column slots",
        {"mine/train.conll": conll(20, "O B-x I-x O")},
        [
            "mine/train.conll: no column for intent (classification), with a label a sentence; the columns are tokens, ner_tags; name it "
            "with --data.columns.intent COLUMN"
        ],
    ),
    (
        "neither labels nor tags, nor anything that looks like gold",
        "mine",
        {"mine/train.csv": "id,text\n" + "".join(f"{n},{' '.join(words(n))}\n" for n in range(30))},
        [
            "mine/train.csv: no column for classification, with a label a sentence; the columns are id, text; name it with "
            "--data.columns.label COLUMN, or give a second source that does (`builtin` will do to try)",
            "mine/train.csv: no column for NER, with a list of tags, one a word; the columns are id, text; name it with "
            "--data.columns.ner_tags COLUMN, or give a second source that does (`builtin` will do to try)",
        ],
    ),
    (
        "gold that its kind cannot read",
        "mine --tasks.tone.kind multilabel --tasks.tone.column tones --tasks.urgency.kind regression --tasks.urgency.column urgency",
        {
            "mine/train.jsonl": gold(30)
            + '{"text": "one more", "tones": "calm", "urgency": 1}\n'
            + '{"text": "another", "tones": ["calm", 7], "urgency": "soon"}\n'
        },
        [
            "mine/train.jsonl:31 tones: labels are 'calm', not a list; write a list of labels",
            "mine/train.jsonl:32 tones: label 2 is the number 7, and the source does not say what numbers stand for; write it as text",
            "mine/train.jsonl:32 urgency: 'soon' is not a number; write a number, such as 2.5",
        ],
    ),
    (
        "an empty folder",
        "mine/sub",
        {"mine/sub/note.md": "nothing"},
        [
            "mine/sub: no data files that could be read; name the files train, validation and test (.jsonl .json .csv .parquet .conll), or "
            "lay them out as the hub does"
        ],
    ),
    (
        "two files for one split, and one of no split",
        "mine builtin",
        {"mine/dev.csv": csv(4), "mine/val.csv": csv(4), "mine/train.csv": csv(40)},
        [
            "mine: dev.csv and val.csv are both the validation split; keep one, or name it with "
            "--data.classifier.splits.validation val.csv, or move all of them into a folder validation"
        ],
    ),
    (
        "a column that is not there",
        "mine --data.columns.label topic",
        {"mine/train.jsonl": jsonl(20, "O B-x O O", "tokens", "ner_tags", "topics")},
        [
            "mine/train.jsonl: no column 'topic'; the columns are tokens, ner_tags, topics; did you mean 'topics'? "
            "pass --data.columns.label COLUMN"
        ],
    ),
    (
        "too few",
        "mine",
        {
            "mine/train.jsonl": jsonl(2),
            "mine/validation.jsonl": "",
            "mine/test.jsonl": jsonl(2, first=40),
        },
        ["mine/validation.jsonl: no sentences; the validation split needs some"],
    ),
    (
        "one label",
        "mine",
        {"mine/train.csv": "text,label\n" + "a b c,x\nb c d,x\nc d e,x\n" * 4},
        None,
    ),
    (
        "longer than the encoder takes",
        "mine --max_length 65",
        {"mine/train.jsonl": jsonl(20)},
        ["--max_length: 65 is above the encoder's 64 tokens; give at most 64"],
    ),
]


@pytest.mark.parametrize(
    ("given", "files", "lines"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_everything_that_is_wrong_is_said_a_line_each(
    given: str, files: dict[str, str], lines: list[str] | None, check: Check
) -> None:
    status, told = check(given, files)
    assert status == 2 and "# Which parts" not in told
    mistakes, _, last = told[told.index("Mistakes\n") + 9 :].removesuffix("\n").rpartition("\n")
    found = [line.strip() for line in mistakes.split("\n")]
    assert (
        last
        == f"mtlab: {'1 mistake' if len(found) == 1 else f'{len(found)} mistakes'}, listed above; correct them, then run this again"
    )
    assert lines is None or sorted(found) == sorted(lines), told


@pytest.mark.parametrize(
    ("change", "words"),
    BAD_ROWS,
    ids=lambda value: None if isinstance(value, str) else json.dumps(value),
)
def test_a_wrong_line_among_good_ones_is_said_in_the_words_of_a_run(
    tmp_path: Path,
    encoder: Path,
    change: dict[str, Any],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_source(Path("set"))
    with (source / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(
            "".join(
                json.dumps(row) + "\n"
                for row in ({**sentence("eat some cake", "", "book"), **change}, *TRAIN)
            )
        )
    made = survey(["set"], {"encoder": [str(encoder)]})
    assert [str(mistake) for mistake in made.mistakes] == [f"set/train.jsonl:5 {words}"]
    with pytest.raises(UserError) as error:
        tiny.load(made.experiment.data, 0)
    assert str(error.value) == f"set/train.jsonl:5 {words}"


def test_of_many_mistakes_of_a_kind_the_first_are_said_and_all_are_counted(check: Check) -> None:
    wrong = "".join(
        json.dumps({"tokens": [], "ner_tags": [], "label": "a"}) + "\n" for _ in range(25)
    )
    status, told = check("mine", {"mine/train.jsonl": jsonl(20) + wrong})
    assert (status, told.count("the sentence has no tokens")) == (2, 10)
    assert "… and 15 more like these, the last at mine/train.jsonl:45 tokens" in told
    assert "mtlab: 25 mistakes, listed above" in told
    assert "what follows is of the sentences without mistakes" in told


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            "a b c",
            "3 sources; give one for all tasks, or two, one for each of two tasks",
        ),
        (
            "a --seeds 0 1",
            "--seeds: does not change what is found; set it in the file, or when it runs",
        ),
        ("a --data.colums.label x", "data.colums: unknown key; did you mean 'columns'?"),
        (
            "builtin --data.source a",
            "--data: the sources are named before the settings; take `source` out of these",
        ),
        ("a --data.source", "--data.source: no value; write settings as --key value"),
        (
            "https://user:S3CRET@example.org/x",
            "a source is not a URL; download the data and pass its path",
        ),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(given: str, line: str, check: Check) -> None:
    status, told = check(given)
    assert status == 2 and told.count("\n") == 1 and "S3CRET" not in told
    assert line in told


def test_the_file_that_is_written_trains(
    check: Check, tmp_path: Path, tracking: str, capsys: pytest.CaptureFixture
) -> None:
    for task, columns in (("cls", ("sentence", "intent")), ("ner", ("words", "tags"))):
        for seed, (split, count) in enumerate({"train": 64, "dev": 16, "test": 16}.items()):
            made = tiny.sentences(count, seed)
            as_cls = [
                {columns[0]: " ".join(row["tokens"]), columns[1]: row["label"]} for row in made
            ]
            as_ner = [{columns[0]: row["tokens"], columns[1]: row["ner_tags"]} for row in made]
            write_jsonl(tmp_path / task / f"{split}.jsonl", as_cls if task == "cls" else as_ner)
    status, told = check("ner cls --data.max_duplicates 1 --output mine.yaml", command="init")
    assert status == 0, told
    assert told.endswith(
        "No mistakes. Written: mine.yaml\n\nNext\n  mtlab plan mine.yaml\n  mtlab compare mine.yaml\n"
    )
    once = ["--scenarios", "full_finetune", "--scenarios.full_finetune.0.epochs", "1"]
    assert (
        main(
            [
                "compare",
                "mine.yaml",
                "--seeds",
                "0",
                *once,
                "--batch_size",
                "8",
                "--precision",
                "fp32",
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    assert "full_finetune-seed0: classifier accuracy" in capsys.readouterr().out
    assert (tmp_path / "reports" / "mine" / "report.md").is_file()


def test_a_file_that_is_there_stays(check: Check, tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    files = {"my data/train.jsonl": jsonl(30)}
    status, told = check("'my data'", files, command="init")
    assert status == 0 and "  mtlab compare experiments/my_data.yaml\n" in told
    written = (tmp_path / "experiments" / "my_data.yaml").read_bytes()
    line = "mtlab: experiments/my_data.yaml: is there already, and stays as it is; choose another file with --output FILE\n"
    assert check("'my data'", command="init") == (2, line)
    assert check("'my data' --output experiments/my_data.yaml", command="init") == (2, line)
    (tmp_path / "link.yaml").symlink_to(tmp_path / "nowhere")
    assert check("'my data' --output link.yaml", command="init")[0] == 2
    assert (tmp_path / "experiments" / "my_data.yaml").read_bytes() == written
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            "mine --output 'a b.yaml'",
            "--output: 'a b' cannot be the name of an experiment; use letters, digits, `_`, `-` and `.`, at most 64",
        ),
        (
            "mine --output no/x.yaml",
            "no: no such directory; choose another file with --output FILE",
        ),
        (
            "mine/train.csv --data.columns.label topic",
            "1 mistake, listed above; correct them, then run this again",
        ),
    ],
)
def test_nothing_is_written_where_something_is_wrong(
    given: str, line: str, check: Check, tmp_path: Path
) -> None:
    status, told = check(given, {"mine/train.csv": csv(20)}, command="init")
    assert (status, told.endswith(f"mtlab: {line}\n")) == (2, True), told
    assert [path.name for path in tmp_path.rglob("*.yaml")] == []


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (["path/to/set", "owner/name"], "set_name"),
        (["a.b/train.jsonl"], "train"),
        (["../.."], None),
        (["\u202e\x1b"], "experiment"),
        (["x" * 200], "x" * 64),
        (["$(id)"], "id"),
    ],
)
def test_the_file_is_called_after_the_sources(
    given: list[str], name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = starter.file_for(given, None)
    assert found.parent == Path() and found.suffix == ".yaml"
    assert name is None or found.stem == name


def test_the_protocol_is_the_one_that_ships(tmp_path: Path) -> None:
    ships, made = shipped_and_made(1020, "compare.yaml", tmp_path)
    assert list(made["scenarios"]) == list(ships["scenarios"])
    for key in ("control", "seeds", "optimizer"):
        assert made[key] == ships[key]
    for name in ("fully_frozen", "backbone_frozen", "full_finetune"):
        assert made["scenarios"][name] == ships["scenarios"][name]
    assert without_heads(made) == without_heads(ships), "heads have the rates that a pilot chose"


def without_heads(file: dict) -> dict:
    """The stages of a file without the rates of heads."""
    return {
        name: [
            {
                **stage,
                "train": {
                    part: rate
                    for part, rate in stage["train"].items()
                    if not part.startswith("head")
                },
            }
            for stage in stages
        ]
        for name, stages in file["scenarios"].items()
    }


def test_the_rates_for_more_sentences_are_those_of_snips(tmp_path: Path) -> None:
    ships, made = shipped_and_made(4000, "snips.yaml", tmp_path)
    rates = [
        {name: [stage["train"] for stage in stages] for name, stages in file["scenarios"].items()}
        for file in (ships, made)
    ]
    assert rates[0] == rates[1] and list(rates[0]) == list(rates[1])
    assert made["seeds"] == {"looks": [2, 3]}
    patient = [stages[-1] for name, stages in made["scenarios"].items() if name != "fully_frozen"]
    assert all(stage["patience"] == 5 for stage in patient)


def shipped_and_made(sentences: int, file: str, folder: Path) -> tuple[dict, dict]:
    """A shipped file, and the file for so many sentences."""
    (folder / "x.yaml").write_text(starter.scenarios(sentences))
    return (
        yaml_file.read(ROOT / "experiments" / file).value,
        yaml_file.read(folder / "x.yaml").value,
    )


def test_a_sentence_of_which_the_tokenizer_leaves_nothing_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_source(Path("set"), train=[*TRAIN, sentence("\u200b"), sentence("\u200d")])
    assert [str(mistake) for mistake in survey(["set"], {}).mistakes] == [
        f"set/train.jsonl:{line} the encoder's tokenizer leaves nothing of '\\u200{mark}'; remove the sentence"
        for line, mark in (("5:", "b"), ("6:", "d"))
    ]


def test_what_can_be_read_of_a_split_with_mistakes_is_compared(check: Check) -> None:
    status, told = check(
        "mine",
        {
            "mine/train.jsonl": jsonl(20),
            "mine/test.jsonl": "{\n" + json.dumps({**OTHER["test"][0], "label": "z"}),
        },
    )
    assert status == 2
    assert (
        "mine/test.jsonl:1: not JSON" in told
        and "mine/test.jsonl:2 label: train has no label 'z'" in told
    )


def test_words_without_a_sub_word_are_said_as_a_run_says_them(
    check: Check, tmp_path: Path, encoder: Path
) -> None:
    def blank(count: int, first: int) -> str:
        rows = [json.loads(line) for line in jsonl(count, first=first).splitlines()]
        for row in rows:
            row["tokens"][1:1], row["ner_tags"][1:1] = [" ", "\u200b", ""], ["O"] * 3
        return "".join(json.dumps(row) + "\n" for row in rows)

    files = {
        "mine/train.jsonl": blank(30, 0),
        "mine/validation.jsonl": blank(5, 50),
        "tagged/train.conll": conll(20, "O B-x I-x O"),
    }
    long = json.dumps(
        {"tokens": words(77, 100), "ner_tags": ["O"] * 90 + ["B-LOC"] * 10, "label": "a"}
    )
    for given, more in (
        ("mine", {}),
        ("mine --data.validation_fraction 0.3", {"mine/test.jsonl": blank(3, 90) + long}),
        ("mine --data.train_size 12", {}),
        (
            "tagged mine",
            {"tagged/train.conll": conll(20, "O B-x I-x O").replace("\tI-x", "\tI-x\n \tO")},
        ),
    ):
        status, told = check(given, {**files, **more})
        assert status == 0, told
        (tmp_path / "exp.yaml").write_text(the_file(told), encoding="utf-8")
        experiment = load(tmp_path / "exp.yaml")
        prepared = next(iter(prepare(experiment, resolve(experiment)).values()))
        lost = [note for note in describe_data(prepared)["notes"] if "no sub-word" in note]
        assert lost and [note for note in lost if f": {note}\n" not in told] == [], told
        assert told.count("no sub-word") == len(lost)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_labels_that_look_alike_are_said(check: Check, tmp_path: Path, kind: str) -> None:
    labels = (
        "jard\u00edn",
        "jardi\u0301n",
        "jard\u00edn\u200b",
        "\uff36iaje",
        "viaje",
        "Viaje",
        "a\u00a0b",
        "a b",
        "plain",
    )
    named = [{"text": " ".join(words(n)), "label": labels[n % len(labels)]} for n in range(90)]
    (tmp_path / "mine").mkdir()
    if kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(named), tmp_path / "mine/train.parquet")
    elif kind == "jsonl":
        write_jsonl(tmp_path / "mine/train.jsonl", named)
    else:
        separator = {"csv": ",", "tsv": "\t"}[kind]
        lines = [
            separator.join(("text", "label")),
            *(separator.join(row.values()) for row in named),
        ]
        (tmp_path / f"mine/train.{kind}").write_text("\n".join(lines))
    status, told = check("mine builtin")
    assert status == 0, told
    assert (
        "'jard\u00edn', 'jardi\\u0301n', 'jard\u00edn\\u200b' look alike, and are different labels"
        in told
    )
    assert "'\\uff36iaje', 'viaje', 'Viaje' look alike, and are different labels" in told
    assert "'a\\xa0b', 'a b' differ in case or white space alone, and are different labels" in told
    assert told.count("different labels") == 3 and "entity types" not in told


def test_a_first_line_that_may_be_a_sentence_is_asked_about(check: Check) -> None:
    rows = "".join(f"{'ab'[n % 2]}\t{' '.join(words(n))}\n" for n in range(30))
    status, told = check("mine builtin", {"mine/train.tsv": f"zebra\tsome rain today here\n{rows}"})
    assert (
        status == 0
        and "none of these names is a usual one: if the first line of the file is a sentence, put a line with"
        in told
    )
    assert (
        "a usual one"
        not in check("mine builtin", {"mine/train.tsv": f"intent\tsome rain today here\n{rows}"})[1]
    )


def test_one_mistake_in_the_quotes_of_a_file_is_one_mistake(check: Check) -> None:
    lines = csv(60).split("\n")
    lines[5] = lines[5].replace(',"', ',""', 1)
    status, told = check(
        "mine builtin", {"mine/train.csv": "\n".join(lines), "mine/test.csv": csv(72, 60)}
    )
    assert status == 2 and "mtlab: 1 mistake, listed above" in told
    assert (
        "mine/train.csv:6: not CSV (',' expected after '\"'); close quotes, and double those inside quoted cells"
        in told
    )
    assert "train 59, test 12 sentences" in told


class Stars(Classification):
    """A kind that mtlab does not know."""

    name, title, short = "stars", "stars", "stars"
    gold_title = value_title = "star"
    wants = "a number of stars a sentence"
    usual = ("stars",)


def test_a_kind_of_somebody_else_is_checked_as_any(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, Stars.name, Stars)
    named = "--tasks.liked.kind stars --tasks.liked.column liked"
    rows = gold(40, "text", "topic", "urgency").replace('"topic"', '"stars"')
    status, told = check(f"mine {named}", {"mine/train.jsonl": rows})
    assert status == 0, told
    for line in (
        "mine: read for liked (stars)\n",
        "liked       column 'stars', a guess by its name and its values (5 different in 40 rows)",
        "liked       labels: 5; in train 'v' 8, 'w' 8, 'x' 8, 'y' 8, 'z' 8\n",
        "tasks:\n  liked:\n    kind: stars\n    column: liked\ndata:\n",
        "    liked: stars\n",
    ):
        assert line in told, told
    status, told = check(f"mine {named}", {"mine/train.jsonl": gold(40, "text", "urgency")})
    assert status == 2
    assert "no column for liked (stars), with a number of stars a sentence; the columns are" in told


def test_sentences_that_differ_in_their_gold_alone_are_said(check: Check) -> None:
    named = "--tasks.urgency.kind regression --tasks.urgency.column urgency"
    named += " --tasks.tone.kind multilabel --tasks.tone.column tones"
    again = [
        {"text": GOLD["text"](3), "tones": GOLD["tones"](3), "urgency": GOLD["urgency"](3)},
        {"text": GOLD["text"](4), "tones": GOLD["tones"](4), "urgency": 99},
        {"text": GOLD["text"](5), "tones": ["sad"], "urgency": GOLD["urgency"](5)},
    ]
    rows = gold(40) + "".join(json.dumps(row) + "\n" for row in again)
    status, told = check(f"mine {named}", {"mine/train.jsonl": rows, "mine/test.jsonl": gold(2)})
    assert status == 2  # test sentences stand in train
    assert (
        "3 of 43 sentences of train repeat an earlier one; labelled in two ways: 2 "
        "(the first: mine/train.jsonl:5 and mine/train.jsonl:42)" in told
    )


def test_numbers_that_are_missing_are_counted(check: Check) -> None:
    rows = gold(40, "text", "urgency") + '{"text": "a new one", "urgency": null}\n'
    named = "--tasks.urgency.kind regression --tasks.urgency.column urgency"
    status, told = check(f"mine {named}", {"mine/train.jsonl": rows})
    assert status == 2
    assert "missing in 1 sentence\n" in told
    assert "mine/train.jsonl:41 urgency: the number is missing; write a number" in told


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([["calm"], ["calm", "sad"], [], ["sad"]], "multilabel"),
        ([["calm"], ["calm", "calm"], ["sad", "sad"], ["sad"]], None),  # no sets
        ([[1], [2], [1, 2], []], None),  # nobody says what the numbers are
        ([[f"w{place}" for place in range(6)]] * 2, None),  # as long as sentences
        ([0.5, 2.5, 3.0], "regression"),
        ([0.5, None], None),  # not all of them are numbers
        ([0.5, 1.5], None),  # two numbers may be classes
        (list(range(12)), "regression"),
        (list(range(5)), "classification"),
        ([True, False], None),
        (["yes", "no"], "classification"),
        (["2.5", "1.5", "3.5"], "classification"),  # text, where numbers could be written
        (["train", "test"], None),
        (["one long text", "and another one"], None),
        (["N P", "V D"], None),
    ],
)
def test_tasks_are_guessed_with_care(cells: list[Any], kind: str | None) -> None:
    values = [cells[number % len(cells)] for number in range(60)]
    table = Table(
        "mine",
        ("tokens", "some"),
        [
            Row(
                {"tokens": ["an", "odd", "word", f"w{n}", "is", "here", "too"], "some": value},
                "f",
                n,
            )
            for n, value in enumerate(values)
        ],
    )
    found = guesses.tasks(table, ["tokens"], {})
    assert [task.kind for task, _ in found.values()] == ([] if kind is None else [kind])


def test_numbers_of_the_sentences_are_no_task() -> None:
    values = {
        "id": lambda n: n // 3,
        "number": lambda n: n,
        "text": lambda n: f"a text of {n // 3}",
    }
    rows = [Row({name: value(n) for name, value in values.items()}, "f", n) for n in range(60)]
    assert guesses.tasks(Table("mine", tuple(values), rows), [], {}) == {}
