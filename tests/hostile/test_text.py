"""Labels, entity types, words, names and questions of strangers, wherever they are shown: text, and
nothing else."""

import csv
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from matplotlib import image
from mlflow.tracking import MlflowClient

from mtlab.cli import main
from mtlab.plan.errors import UserError, printable, without_secrets
from mtlab.plan.experiment import Data
from mtlab.record.quality import Metrics
from mtlab.report import document, table
from mtlab.report.figures import curves, scores, staged_plots
from tests import figures, tiny
from tests.hostile.conftest import Run
from tests.report import factory
from tests.report.html_page import check_inert, of_markdown
from tests.tiny import load

TEXTS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![i](http://evil.example/i.png)",
    "[l](javascript:alert(1))",
    "a|b|c",
    "`code` ```fence``` ~~~",
    "\x1b[31mred\x1b[2J\x07\x9b1m",
    "\u202eright\u2066to\u200fleft",
    "=cmd|' /C calc'!A0",
    "@SUM(1)",
    "+1",
    "-1",
    r"$\frac{1}{2}$ \textbf{x}",
    "</title><b>&lt;&amp; --> ]]>",
    "www.evil.example http://evil.example a@evil.example",
    "# h * b _ i ** b ** - l 1. n",
    "../../x",
    "a\0b",
    "%s {0} ${x} {{x}}",
    ":bomb: [bold red]x[/]",
    "[link=http://evil.example]x[/link]",
]
BROKEN = ["two\nlines", "# h\r\n\r\n---\n<b>", "tab\tbed", "\u2028\u2029\x85"]
"""What holds ends of lines."""

FORMULA = re.compile(r"\s*[=+\-@]")
CANARY = "CANARY-4711"
SECRETS = {
    "HF_TOKEN": f"hf_{CANARY}",
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "MLFLOW_TRACKING_PASSWORD": CANARY,
    "OPENAI_API_KEY": CANARY,
}


def html_of(report: str) -> str:
    """A report as a page."""
    return (
        MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(report)
    )


def check_report(report: str) -> str:
    """Hold a report, or the page of claims, against what may be in it; gives its text."""
    html = html_of(report)
    allowed = {
        "h1",
        "h2",
        "h3",
        "p",
        "strong",
        "em",
        "code",
        "pre",
        "ul",
        "li",
        "ol",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "br",
    }
    allowed |= {"a", "img", "blockquote", "details", "summary"}
    assert {tag.lower() for tag in re.findall(r"<(?:/)?([A-Za-z!?][^\s>/]*)", html)} <= allowed
    assert not re.findall(r"<[^>]*\son\w+\s*=", re.sub(r'"[^"]*"', '""', html))
    for address in re.findall(r'(?:href|src)="([^"]*)"', html):
        assert not re.match(r"[a-zA-Z][\w+.-]*:|//|/", unescape(address)), address
    assert html.count("<h1>") == 1
    assert all(mark.isprintable() or mark == "\n" for mark in report)
    return " ".join(unescape(re.sub("<[^>]*>", "", html)).split())


def check_svg(path: Path) -> str:
    """Hold a figure against what may be in it; gives the words that it draws, which stand in
    comments."""
    builder = ElementTree.TreeBuilder(insert_comments=True)
    root = ElementTree.fromstring(
        path.read_text(encoding="utf-8"), ElementTree.XMLParser(target=builder)
    )
    said = []
    for element in root.iter():
        if element.tag is ElementTree.Comment:
            said.append(element.text or "")
            continue
        tag = str(element.tag).rpartition("}")[2]
        assert tag not in (
            "script",
            "a",
            "image",
            "foreignObject",
            "iframe",
            "text",
            "animate",
            "set",
            "handler",
        )
        assert not any(name.lower().startswith("on") for name in element.attrib)
        links = [
            value
            for name, value in element.attrib.items()
            if name.rpartition("}")[2] in ("href", "src")
        ]
        assert all(link.startswith("#") for link in links)
    return "\n".join(said)


def check_csv(text: str) -> list[list[str]]:
    """Hold a table against what a spreadsheet would run; gives its rows."""
    rows = list(csv.reader(text.splitlines()))
    assert len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row if FORMULA.match(cell)):
        float(cell)
    assert all(mark.isprintable() or mark == "\n" for mark in text)
    return rows


# Records in which everything is hostile.


def hostile_records(folder: Path) -> Path:
    trials = []
    for trial in factory.all_trials(2):
        stages = tuple(
            stage.model_copy(
                update={"name": TEXTS[at % len(TEXTS)], "train": dict.fromkeys(TEXTS, 0.1)}
            )
            for at, stage in enumerate(trial.stages, start=trial.seed * 7 + len(trials))
        )
        parts = {text: {"f1": 0.5, "support": 30 + at} for at, text in enumerate(TEXTS)}
        ner = trial.test.by_task["ner"].model_copy(update={"by_name": parts})
        test = Metrics(by_task={**trial.test.by_task, "ner": ner})
        point = {"data.source": TEXTS[8], "encoder": TEXTS[0]}
        trials.append(trial.model_copy(update={"stages": stages, "test": test, "point": point}))
    for trial, text in zip(trials[:6], [*BROKEN, TEXTS[8], TEXTS[9]], strict=True):
        trials[trials.index(trial)] = trial.model_copy(update={"status": "crashed", "reason": text})
    notes = [*TEXTS, *BROKEN]
    facts = {
        text: {
            text: [text],
            "notes": notes,
            "sizes": {"train": 10},
            "sources": notes,
            "labels": notes,
        }
        for text in TEXTS
    }
    suite = factory.suite(
        trials,
        seeds=2,
        name=TEXTS[0],
        question=" ".join(notes),
        command="\n".join(notes),
        data=facts,
        environment=dict.fromkeys(notes, TEXTS[2]),
        encoder={text: {"name": text, text: text} for text in TEXTS},
        tracking={text: text for text in TEXTS},
        sweep={"data.source": [TEXTS[8]], "encoder": [TEXTS[0]]},
    )
    return factory.journal(folder, suite, trials)


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that draw words of strangers."""
    monkeypatch.setattr(scores, "FIGURES", {"decision": scores.FIGURES["decision"]})
    monkeypatch.setattr(curves, "FIGURES", {})
    monkeypatch.setattr(staged_plots, "FIGURES", {})


def test_a_report_of_hostile_records_is_inert(
    tmp_path: Path, few_figures: None, drawn_figures: None
) -> None:
    folder = hostile_records(tmp_path / "out")
    shown = check_report(document.write(folder).read_text(encoding="utf-8"))
    for text in (*TEXTS[:6], *TEXTS[8:14], *TEXTS[18:]):
        assert shown.count(" ".join(text.split())) >= 3, text
    page = check_inert((folder / "report.html").read_text(encoding="utf-8"))
    assert page.one("main").words == of_markdown(folder / "report.md").one("main").words
    rows = check_csv((folder / "trials.csv").read_text(encoding="utf-8"))
    assert {row[rows[0].index("data.source")] for row in rows[1:]} == {"'" + TEXTS[8]}
    assert "'@SUM(1)" in {row[rows[0].index("reason")] for row in rows[1:]}
    drawn = check_svg(folder / "plots" / "decision.svg") + check_svg(
        folder / "plots" / "parts_ner.svg"
    )
    assert r"$\frac{1}{2}$" in drawn, "a dollar is a dollar"
    for path in (folder / "plots").glob("*.png"):
        assert image.imread(path).shape[1] == 1500
        assert set(re.findall(rb"(?:tEXt|zTXt|iTXt)(\w+)", path.read_bytes())) == {b"Software"}


def test_a_page_of_claims_over_hostile_folders_is_inert(
    tmp_path: Path, no_figures: None, run: Run
) -> None:
    trials = factory.all_trials(2)
    names = [text.replace("/", "_").replace("\0", "") for text in TEXTS] + ["two words", "a)b", "ü"]
    for name in names:
        factory.journal(tmp_path / "reports" / name, factory.suite(trials, seeds=2), trials)
    assert run("claims", tmp_path / "reports")[0] == 0
    page = (tmp_path / "reports" / "claims.md").read_text(encoding="utf-8")
    check_report(page)
    linked = {
        unquote(unescape(address)) for address in re.findall(r'href="([^"]*)"', html_of(page))
    }
    assert linked == {f"{name}/report.md" for name in names}


# A whole suite on hostile data.


def hostile_rows(count: int, seed: int) -> list[dict[str, Any]]:
    rows = tiny.sentences(count, seed)
    for number, row in enumerate(rows):
        label, word = TEXTS[number % len(TEXTS)], TEXTS[(number + 3) % len(TEXTS)]
        row["label"] = label + BROKEN[number % len(BROKEN)] if number % 2 else label
        row["tokens"] = [*row["tokens"], word, word + "x"]
        row["ner_tags"] = [*row["ner_tags"], f"B-{word}", f"I-{word}"]
    return rows


@pytest.fixture(scope="module")
def suite(
    tmp_path_factory: pytest.TempPathFactory, encoder: Path, empty_database: Path
) -> Iterator[tuple[Path, str]]:
    """A folder in which a suite ran on hostile data with secrets in its environment, and what it
    said."""
    home = tmp_path_factory.mktemp("suite")
    shutil.copy(empty_database, home / "mlflow.db")
    shutil.copytree(encoder, home / TEXTS[1])
    source = home / TEXTS[8].replace("/", "_")
    source.mkdir()
    for seed, split in enumerate(("train", "validation", "test")):
        rows = hostile_rows(2 * len(TEXTS) * len(BROKEN), seed)
        (source / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    experiment = {
        "question": " ".join(TEXTS + BROKEN),
        "encoder": TEXTS[1],
        "data": {
            "max_duplicates": 1.0,
            "source": source.name,
            "labels": sorted({row["label"] for row in rows}),
        },
        "batch_size": 32,
        "precision": "fp32",
        "device": "cpu",
        "control": "heads",
        "scenarios": {
            "nothing": [{"epochs": 0, "name": TEXTS[8]}],
            "heads": [
                {"epochs": 1, "train": {"head.ner": 0.01}, "name": TEXTS[0]},
                {"epochs": 1, "train": {"heads": 0.01}, "name": TEXTS[2]},
            ],
        },
        "sweep": {"data.source": [source.name]},
    }
    (home / "exp.yaml").write_text(json.dumps(experiment))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home / 'mlflow.db'}")
        for name, secret in SECRETS.items():
            patch.setenv(name, secret)
        for module in (scores, curves, staged_plots):
            patch.setattr(
                module,
                "FIGURES",
                {"decision": scores.FIGURES["decision"]} if module is scores else {},
            )
        out = home / "said"
        with out.open("w") as said:
            patch.setattr("sys.stdout", said)
            with figures.saved(figures.drawn):
                assert main(["compare", "exp.yaml", "--output", "out"]) == 0
    yield home, out.read_text()


def test_a_suite_on_hostile_data_writes_where_it_should_and_nothing_else(
    suite: tuple[Path, str],
) -> None:
    home, _ = suite
    assert {path.name for path in home.iterdir()} == {
        "exp.yaml",
        TEXTS[1],
        TEXTS[8].replace("/", "_"),
        "mlflow.db",
        "mlruns",
        "out",
        "said",
    }
    assert {path.name for path in (home / "out").iterdir()} == {
        ".lock", "suite.json", "records", "predictions", "report.md", "report.html", "trials.csv", "plots",
    }  # fmt: skip


def test_a_suite_on_hostile_data_says_printable_lines(suite: tuple[Path, str]) -> None:
    assert all(line.isprintable() for line in suite[1].split("\n"))
    assert "MLflow was lost" not in suite[1]
    assert "sentences have the labels" in suite[1]


def test_a_report_on_hostile_data_is_inert(suite: tuple[Path, str]) -> None:
    home, _ = suite
    shown = check_report((home / "out" / "report.md").read_text(encoding="utf-8"))
    for text in (*TEXTS[:6], *TEXTS[8:14], *TEXTS[18:]):
        assert " ".join(text.split()) in shown, text
    page = check_inert((home / "out" / "report.html").read_text(encoding="utf-8"))
    assert page.one("main").words == of_markdown(home / "out" / "report.md").one("main").words
    rows = check_csv((home / "out" / "trials.csv").read_text(encoding="utf-8"))
    assert {row[5] for row in rows[1:]} == {"'" + TEXTS[8].replace("/", "_")}
    check_svg(home / "out" / "plots" / "decision.svg")  # its names are the next test's


def test_mlflow_holds_hostile_text_as_values_and_tame_names(suite: tuple[Path, str]) -> None:
    home, _ = suite
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("exp").experiment_id])
    assert len(runs) == 3 and {run.info.status for run in runs} == {"FINISHED"}
    tame = re.compile(r"[\w. :/-]+")
    for run in runs:
        names = [*run.data.metrics, *run.data.params, *run.data.tags]
        assert all(tame.fullmatch(name) and ".." not in name.split("/") for name in names)
    types = {
        name for run in runs for name in run.data.metrics if name.startswith("test/ner/by_name/")
    }
    assert len(types) == len({*TEXTS, "LOC", "PER"}), "no two became one"
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert parent.data.params["experiment.data.source"] == TEXTS[8].replace("/", "_")
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} >= {
        "report.md",
        "report.html",
        "trials.csv",
    }


def test_secrets_of_the_environment_are_nowhere(suite: tuple[Path, str]) -> None:
    home, said = suite
    assert CANARY not in said
    for path in home.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("text", [*TEXTS, *BROKEN], ids=ascii)
def test_an_error_about_hostile_text_is_one_printable_line(text: str, tmp_path: Path) -> None:
    rows = hostile_rows(len(TEXTS), 0)
    for field, value in (
        ("label", f"new {text}"),
        ("ner_tags", [f"B-new {text}"]),
        ("tokens", [text, "more"]),
    ):
        for split in ("train", "validation", "test"):
            bad = (
                [{**rows[0], "tokens": ["a"], "ner_tags": ["O"], field: value}]
                if split == "test"
                else rows
            )
            (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bad))
        with pytest.raises(UserError) as error:
            load(Data(source=str(tmp_path), max_duplicates=1.0), 0)
        assert str(error.value).isprintable()


def test_cells_are_inert_and_ordinary_ones_as_they_are() -> None:
    trials = [
        factory.trial("full_finetune", 0, point={"a": value})
        for value in ["=1", " =1", "\t=1", "＝1", "-x", -1, 1e-9, None, True, "x"]
    ]
    made = table.to_csv(table.trials_table(factory.suite(trials), trials))
    column = [row[5] for row in check_csv(made)[1:]]
    assert column == ["'=1", "' =1", "' =1", "'＝1", "'-x", "-1", "1e-09", "", "True", "x"]


def test_what_is_told_is_printable_and_has_no_secrets() -> None:
    assert printable("a\x1b[2J\u202eb é名") == "a\\x1b[2J\\u202eb é名"
    for address, told in {
        "http://user:S3CRET@host:1/x;": "http://host:1/x;",
        "'https://host/x?token=S3CRET', 2": "'https://host/x', 2",
        "mysql+pymysql://u:a/S3CRET@host/db.": "mysql+pymysql://....",
        "(http://host#S3CRET)": "(http://host)",
        "sqlite:////home/me@work/mlflow.db": "sqlite:////home/me@work/mlflow.db",
        "http://host?mail=a@b&token=S3CRET": "http://...",
        "postgresql://... and a@b": "postgresql://... and a@b",
        "://:;,": "://:;,",
    }.items():
        assert without_secrets(address) == told
        assert str(UserError(address, code="any")) == told
