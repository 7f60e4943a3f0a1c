"""A scenario's model, taken home: what is kept, what is written, and that it says what it said when
it was tested."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow.tracking import MlflowClient
from safetensors.torch import load_file, save_file

from mtlab.cli import main
from mtlab.export.reader import Reader
from mtlab.model import backbone, freezing, lora
from mtlab.model.network import Network
from mtlab.plan.experiment import Encoder, Head, Lora
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord, best_on_validation
from mtlab.tasks.tags import entities
from tests import tiny
from tests.conftest import EXPERIMENT, made_once
from tests.export.test_serving import SLOW

LONE = """
  adapters: [{epochs: 2, train: {lora: 1.0e-2, heads: 1.0e-2}}]
"""

PLAIN = """\
import json, sys

HIDDEN = ("mtlab", "mlflow", "datasets", "pandas", "seqeval", "sklearn", "scipy", "peft", "pydantic", "accelerate")

class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
lines = []
print = lambda line: lines.append(line)
code = compile(open("load.py").read(), "load.py", "exec")
for line in open(sys.argv[1]):
    words = json.loads(line)["tokens"]
    exec(code)
json.dump(lines, open("said.json", "w"))
"""
"""Runs the card's code on every sentence, where nothing but torch, transformers and safetensors can
be imported."""


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, encoder: Path, data: Path, empty_database: Path
) -> Iterator[Path]:
    """A suite that ran once, in a copy of each process that is the working directory."""

    def make(home: Path) -> None:
        shutil.copy(empty_database, home / "mlflow.db")
        (home / "tiny.yaml").write_text(
            EXPERIMENT.format(encoder=encoder, data=data) + LONE + "output: out\n"
        )
        with inside(home):
            assert main(["compare", "tiny.yaml"]) == 0

    made = made_once(tmp_path_factory, "exported_suite", make)
    home = shutil.copytree(made, tmp_path_factory.mktemp("home") / "home")
    with inside(home):
        yield home


@contextmanager
def inside(home: Path) -> Iterator[None]:
    """Within, a folder is the working directory, and has the database of MLflow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
        yield


def trials(home: Path, scenario: str) -> list[TrialRecord]:
    return [trial for trial in Journal(home / "out").read()[1] if trial.scenario == scenario]


def predictions(home: Path, trial: TrialRecord) -> list[tuple[str, list[str]]]:
    lines = Journal(home / "out").predictions_path(trial).read_text().splitlines()
    return [
        (line["predicted"]["classifier"], line["predicted"]["ner"])
        for line in map(json.loads, lines)
    ]


def test_the_weights_of_each_scenarios_best_seed_on_validation_are_kept(home: Path) -> None:
    journal = Journal(home / "out")
    scenarios = ("nothing", "heads", "gradual", "full", "adapters")
    wanted = {journal.weights_path(best_on_validation(trials(home, name))) for name in scenarios}
    assert set((home / "out" / "weights").iterdir()) == wanted
    sizes = {
        name: set(load_file(journal.weights_path(best_on_validation(trials(home, name)))))
        for name in scenarios
    }
    assert {name.partition(".")[0] for name in sizes["heads"]} == {
        "heads"
    }  # the encoder is as it was pretrained
    assert {name.partition(".")[0] for name in sizes["full"]} == {"heads", "encoder"}


def test_a_sweep_keeps_no_weights_unless_asked(home: Path, tmp_path: Path) -> None:
    command = [
        "compare",
        "tiny.yaml",
        "--scenarios",
        "heads",
        "full",
        "--sweep.data.train_size",
        "40",
        "96",
        "--seeds",
        "0",
    ]
    assert main([*command, "--output", str(tmp_path / "none")]) == 0
    assert not (tmp_path / "none" / "weights").exists()
    assert main([*command, "--output", str(tmp_path / "best"), "--keep_weights", "best"]) == 0
    assert len(list((tmp_path / "best" / "weights").iterdir())) == 4
    exported = [
        "export",
        "tiny.yaml",
        "--output",
        str(tmp_path / "best"),
        "--to",
        str(tmp_path / "model"),
        "--scenario",
        "full",
    ]
    assert main([*exported, "--point", "data.train_size = 40"]) == 0
    assert "at data.train_size = 40" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.process
@pytest.mark.parametrize("scenario", ["nothing", "heads", "gradual", "full", "adapters"])
def test_the_cards_code_says_what_the_record_says(
    scenario: str, home: Path, data: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    assert main(["export", "tiny.yaml", "--scenario", scenario, "--to", str(model)]) == 0
    card = (model / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", card, re.S)
    assert code is not None and len(code[1].splitlines()) <= 15
    (model / "load.py").write_text(code[1])
    (model / "run.py").write_text(PLAIN)
    ran = subprocess.run(
        [sys.executable, "-I", "run.py", str(data / "test.jsonl")],
        cwd=model,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "newly initialized" not in ran.stderr
    said = []
    for line in json.loads((model / "said.json").read_text()):
        tags = {word: tag for word, tag in reversed(line["ner"]) if word is not None}
        said.append((line["classifier"], [tags[word] for word in sorted(tags)]))
    assert said == predictions(home, best_on_validation(trials(home, scenario)))


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=[] if family in SLOW else [pytest.mark.nightly])
        for family in sorted(tiny.CONFIGS)
    ],
)
def test_every_family_comes_back(family: str, tmp_path: Path, data: Path, tracking: str) -> None:
    tiny.write_encoder(tmp_path / "encoder", family)
    (tmp_path / "tiny.yaml").write_text(
        EXPERIMENT.format(encoder=tmp_path / "encoder", data=data) + "output: out\n"
    )
    assert main(["compare", "tiny.yaml", "--scenarios", "full", "--seeds", "0"]) == 0
    assert (
        main(["export", "tiny.yaml", "--scenarios", "full", "--seeds", "0", "--to", "model"]) == 0
    )
    rows = [json.loads(line) for line in (data / "test.jsonl").read_text().splitlines()]
    read = Reader(Path("model"))([row["tokens"] for row in rows])
    journal = Journal(Path("out"))
    lines = [
        json.loads(line)
        for line in journal.predictions_path(journal.read()[1][0]).read_text().splitlines()
    ]
    assert [one["tasks"]["classifier"]["label"] for one in read] == [
        line["predicted"]["classifier"] for line in lines
    ]
    spans = [
        [(entity["type"], entity["text"]) for entity in one["tasks"]["ner"]["entities"]]
        for one in read
    ]
    expected = [
        [
            (kind, " ".join(row["tokens"][begin:end]))
            for kind, begin, end in entities(line["predicted"]["ner"])
        ]
        for row, line in zip(rows, lines, strict=True)
    ]
    assert spans == expected


def test_without_a_name_it_is_the_scenario_of_the_report(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = (home / "out" / "report.md").read_text()
    picked = re.search(r"## The recommended model\n\n`(\w+)`", report)
    assert picked is not None and "mtlab export tiny.yaml" in report
    assert main(["export", "tiny.yaml"]) == 0
    folder = home / "models" / f"tiny-{picked[1]}"
    assert f"model: {folder.relative_to(home)}" in capsys.readouterr().out
    assert "Among the scenarios compared it is" in (folder / "README.md").read_text()
    before = sorted((path.name, path.read_bytes()) for path in folder.iterdir())
    assert main(["export", "tiny.yaml"]) == 2  # and nothing is written over
    assert "is there already" in capsys.readouterr().err
    shutil.rmtree(folder)
    assert main(["export", "tiny.yaml"]) == 0
    assert sorted((path.name, path.read_bytes()) for path in folder.iterdir()) == before


def test_the_cards_numbers_are_the_records(home: Path, tmp_path: Path) -> None:
    assert main(["export", "tiny.yaml", "--scenario", "full", "--to", str(tmp_path / "model")]) == 0
    card = (tmp_path / "model" / "README.md").read_text()
    trial = best_on_validation(trials(home, "full"))
    assert trial.test is not None
    scored = {name: of_task.scores for name, of_task in trial.test.by_task.items()}
    assert f"| accuracy | {scored['classifier']['accuracy']:.3f} |" in card
    assert f"| entity F1 | {scored['ner']['f1']:.3f} |" in card
    assert f"| entity precision, strict IOB2 | {scored['ner']['precision_strict']:.3f} |" in card
    for part, scores in trial.test.by_task["ner"].by_name.items():
        assert f"| entity F1 of {part} ({scores['support']} in test) | {scores['f1']:.3f} |" in card
    assert f"seed {trial.seed}" in card
    assert "CC BY asks you to name the authors" in card and "Apache-2.0" in card


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--scenario", "nowhere"], "no scenario 'nowhere'"),
        (["--point", "data.train_size = 3"], "no point 'data.train_size = 3'"),
        (["--output", "empty"], "nothing was run here yet"),
    ],
)
def test_what_cannot_be_exported_is_said(
    words: list[str], line: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "tiny.yaml", "--to", str(tmp_path / "model"), *words]) == 2
    told = capsys.readouterr().err
    assert line in told and told.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_weights_of_each_task_are_no_one_model(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "tiny.yaml",
        "--scenarios",
        "full",
        "--seeds",
        "0",
        "--select",
        "each",
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(["compare", *command]) == 0
    assert "there is no one model to write" in (tmp_path / "out" / "report.md").read_text()
    assert not (tmp_path / "out" / "weights").exists()
    assert main(["export", *command]) == 2
    assert "weights of its own for each task" in capsys.readouterr().err


@pytest.mark.process
def test_mlflow_has_the_model_and_loads_it_without_pickle(
    home: Path, data: Path, tmp_path: Path
) -> None:
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    suite, _ = Journal(home / "out").read()
    experiment = client.get_experiment_by_name(suite.experiment["name"]).experiment_id
    ours = f"tags.suite_run = '{suite.tracking['run']}'"
    (logged,) = client.search_logged_models([experiment], ours)
    assert main(["sync", "tiny.yaml"]) == 0  # and it is there once
    assert [one.model_id for one in client.search_logged_models([experiment], ours)] == [
        logged.model_id
    ]
    run = client.get_run(logged.source_run_id)
    trial = next(
        trial
        for trial in trials(home, logged.params["scenario"])
        if trial.key == run.data.tags["key"]
    )
    assert [one.model_id for one in run.outputs.model_outputs] == [logged.model_id]
    sentences = [
        " ".join(json.loads(line)["tokens"])
        for line in (data / "test.jsonl").read_text().splitlines()
    ]
    (tmp_path / "given.json").write_text(json.dumps(sentences))
    code = (
        "import json, sys, mlflow\n"
        f"model = mlflow.pyfunc.load_model('models:/{logged.model_id}')\n"
        f"print(json.dumps(model.predict(json.load(open({str(tmp_path / 'given.json')!r})))))"
    )
    environment = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout.splitlines()[-1])
    assert [one["tasks"]["classifier"]["label"] for one in said] == [
        label for label, _ in predictions(home, trial)
    ]
    stored = list(Path(logged.artifact_location.removeprefix("file://")).rglob("*"))
    assert stored and not [
        path for path in stored if path.suffix in (".pkl", ".pickle", ".bin", ".pt")
    ]


def test_the_suites_page_tells_the_answer_and_leads_to_every_run(home: Path) -> None:
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    suite, trials = Journal(home / "out").read()
    experiment = client.get_experiment_by_name(suite.experiment["name"]).experiment_id
    told = client.get_run(suite.tracking["run"]).data.tags["mlflow.note.content"]
    assert "**Do this:**" in told and "| scenario |" in told
    assert "**The recommended model:**" in told
    children = [
        run.info.run_id
        for run in client.search_runs([experiment])
        if run.data.tags.get("mlflow.parentRunId") == suite.tracking["run"]
    ]
    assert len(children) == len(trials)
    assert all(f"(#/experiments/{experiment}/runs/{run})" in told for run in children)


def test_a_model_is_exported_as_it_was_run_or_not_at_all(
    tmp_path: Path, data: Path, tracking: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write_encoder(tmp_path / "encoder")
    (tmp_path / "tiny.yaml").write_text(
        EXPERIMENT.format(encoder=tmp_path / "encoder", data=data) + "name: tiny.v2\noutput: out\n"
    )
    assert (
        main(
            [
                "compare",
                "tiny.yaml",
                "--scenarios",
                "heads",
                "--seeds",
                "0",
                "--head.pooling",
                "cls",
                "--max_length",
                "20",
            ]
        )
        == 0
    )
    assert (
        "cannot be reached" not in capsys.readouterr().out
    )  # MLflow takes no dot in the name of a model
    assert main(["export", "tiny.yaml", "--to", "model"]) == 0  # whatever the file says now
    facts = json.loads(Path("model/heads.json").read_text())
    assert (facts["pooling"], facts["max_length"]) == ("cls", 20)
    assert "was not trained" not in Path("model/README.md").read_text()
    tiny.write_encoder(tmp_path / "encoder", initializer_range=0.1)
    assert main(["export", "tiny.yaml", "--to", "again"]) == 2
    assert "these are not the weights that were tested" in capsys.readouterr().err


def test_a_run_of_some_scenarios_leaves_the_weights_of_others(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "out", tmp_path / "out")
    before = set((tmp_path / "out" / "weights").iterdir())
    assert (
        main(
            [
                "compare",
                "tiny.yaml",
                "--scenarios",
                "heads",
                "--seeds",
                "7",
                "--output",
                str(tmp_path / "out"),
            ]
        )
        == 0
    )
    assert before < set((tmp_path / "out" / "weights").iterdir())


def test_a_card_says_of_a_head_that_it_was_not_trained(home: Path, tmp_path: Path) -> None:
    assert (
        main(["export", "tiny.yaml", "--scenario", "nothing", "--to", str(tmp_path / "model")]) == 0
    )
    card = (tmp_path / "model" / "README.md").read_text()
    assert (
        "Its head for sentence classification was not trained" in card
        and "Its head for entity recognition was not trained" in card
    )


def test_weights_that_are_not_those_that_were_tested_are_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(home / "out", tmp_path / "out")
    (file,) = (tmp_path / "out" / "weights").glob("full-*")
    tensors = load_file(file)
    tensors["heads.ner.linear.bias"][0] += 1e-3
    save_file(tensors, file)
    command = [
        "export",
        "tiny.yaml",
        "--scenario",
        "full",
        "--output",
        str(tmp_path / "out"),
        "--to",
        str(tmp_path / "model"),
    ]
    assert main(command) == 2
    assert "these are not the weights that were tested" in capsys.readouterr().err
    file.unlink()
    assert main(command) == 2
    assert "were not kept; run the experiment with `--keep_weights best`" in capsys.readouterr().err


def test_merged_adapters_compute_what_they_did(encoder: Path) -> None:
    made = backbone.load(backbone.find(Encoder(name=str(encoder))))
    network = Network(made, tiny.shapes(3, 5), Head())
    lora.inject(network, Lora(), 1)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    network.eval()
    ids = torch.arange(4, 24).view(2, 10)
    before = network(ids, torch.ones_like(ids), ("classifier", "ner"))
    lora.merge(network)
    assert lora.UNIT not in freezing.units(network)
    after = network(ids, torch.ones_like(ids), ("classifier", "ner"))
    for task in before:
        torch.testing.assert_close(before[task], after[task], rtol=1e-4, atol=1e-5)


def test_hostile_labels_are_inert_on_the_card(
    tmp_path: Path, encoder: Path, tracking: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = {
        "weather": "<script>alert(1)</script>",
        "sport": "a|b ```\n# c",
        "food": "[x](https://evil.example) \x1b[31m",
    }
    (tmp_path / "evil").mkdir()
    for seed, (split, count) in enumerate({"train": 48, "validation": 16, "test": 16}.items()):
        rows = [{**row, "label": evil[row["label"]]} for row in tiny.sentences(count, seed)]
        (tmp_path / "evil" / f"{split}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows)
        )
    (tmp_path / "tiny.yaml").write_text(
        EXPERIMENT.format(encoder=encoder, data=tmp_path / "evil") + "output: out\n"
    )
    chosen = ["--scenarios", "full", "--seeds", "0"]
    assert main(["compare", "tiny.yaml", *chosen]) == 0
    assert main(["export", "tiny.yaml", *chosen, "--to", "model"]) == 0
    card = Path("model/README.md").read_text()
    assert (
        "<script>" not in card
        and "](https:" not in card
        and "\x1b" not in card
        and "\n# c" not in card
    )
    facts = json.loads(Path("model/heads.json").read_text())
    assert set(facts["tasks"]["classifier"]["names"]) == set(evil.values())
    (found,) = predict(Path("model"), b"the rain", tmp_path, capsys)
    assert found["tasks"]["classifier"]["label"] in evil.values()


@pytest.fixture(scope="module")
def model(home: Path) -> Path:
    assert main(["export", "tiny.yaml", "--scenario", "full", "--to", "tried"]) == 0
    return home / "tried"


def predict(
    model: Path, given: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, Any]]:
    (tmp_path / "given.txt").write_bytes(given)
    capsys.readouterr()
    assert main(["predict", str(model), str(tmp_path / "given.txt")]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_predict_reads_text_and_tokens(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = b'{"text": "the rain near  oslo, ada ivo"}\n\n{"tokens": ["the", "rain", "near", "oslo"]}\n{"text": "the rain near oslo"}\n'
    first, *others = predict(model, given, tmp_path, capsys)
    assert others[0] == others[1]
    assert predict(
        model, b"the rain near  oslo, ada ivo\n\nthe rain near oslo\n", tmp_path, capsys
    ) == [first, others[0]]
    answer, entities = first["tasks"]["classifier"], first["tasks"]["ner"]["entities"]
    assert answer["label"] in tiny.TOPICS and 0 < answer["score"] <= 1
    assert first["text"] == "the rain near  oslo, ada ivo"
    assert {"LOC": "oslo"}.items() <= {one["type"]: one["text"] for one in entities}.items()
    for entity in entities:
        assert first["text"][entity["start"] : entity["end"]] == entity["text"]
    assert first["cut"] is False
    (long,) = predict(model, b"rain " * 70, tmp_path, capsys)
    assert long["cut"] is True


def test_predict_prints_nothing_that_a_terminal_obeys(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = "rain \x1b[31m \x9b2J \u202e near \u200b oslo"
    (tmp_path / "given.txt").write_text(odd + "\n")
    capsys.readouterr()
    assert main(["predict", str(model), str(tmp_path / "given.txt")]) == 0
    shown = capsys.readouterr().out
    assert not {"\x1b", "\x9b", "\u202e", "\u200b"} & set(shown)
    assert json.loads(shown)["text"] == odd


def test_predict_gives_the_same_alone_and_among_many(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["the rain", "a goal near turin ada ivo again some more the", "soup"] * 20
    found = predict(model, "\n".join(lines).encode(), tmp_path, capsys)
    assert [one["text"] for one in found] == lines
    for line, one in zip(lines[:3], found, strict=False):
        (alone,) = predict(model, line.encode(), tmp_path, capsys)
        lone, among = (answer["tasks"]["classifier"] for answer in (alone, one))
        assert lone["label"] == among["label"]
        assert lone["score"] == pytest.approx(among["score"], abs=1e-4)


@pytest.mark.parametrize(
    "settings",
    [{"trust_remote_code": True, "subfolder": "sub"}, {"attn_implementation": "owner/kernel"}, {}],
)
def test_a_model_that_asks_to_run_code_is_refused(
    settings: dict[str, Any], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = shutil.copytree(model, tmp_path / "evil")
    facts = json.loads((evil / "heads.json").read_text())
    (evil / "heads.json").write_text(json.dumps({**facts, "encoder": settings}))
    shutil.copytree(model, evil / "sub")
    config = json.loads((model / "config.json").read_text())
    (evil / "sub" / "config.json").write_text(
        json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}})
    )
    (evil / "sub" / "evil.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Model: pass\n"
    )
    assert main(["predict", str(evil)]) == 2
    assert "not all can be granted" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            b'{"text": "half \\ud800"}\n',
            "given.txt:1 text: 'half \\ud800' holds half of a surrogate pair",
        ),
        (b"good\n\xff\xfe\n", "given.txt:2: not UTF-8 at byte 5"),
        (b'{"tokens": []}\n', "given.txt:1 tokens: the sentence has no tokens"),
        (b'{"text": 3}\n', "given.txt:1 text: text is 3, not text"),
        (b'{"label": "rain"}\n', "given.txt:1: neither `tokens`"),
    ],
)
def test_predict_says_what_it_cannot_read(
    given: bytes, line: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "given.txt").write_bytes(given)
    assert main(["predict", str(model), str(tmp_path / "given.txt")]) == 2
    assert line in capsys.readouterr().err


def test_predict_refuses_what_is_no_model(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(folder: Path, *words: str) -> str:
        assert main(["predict", str(folder), *words]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    assert "no heads.json there" in told(tmp_path)
    assert "cannot be read" in told(model, str(tmp_path / "nothing.txt"))
    assert "choose another --device" in told(model, "--device", "toaster")
    shutil.copytree(model, tmp_path / "broken")
    config = json.loads((model / "config.json").read_text())
    (tmp_path / "broken" / "config.json").write_text(
        json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}})
    )
    assert "comes with code of its own" in told(tmp_path / "broken")
    (tmp_path / "broken" / "config.json").write_text(json.dumps(config))
    (tmp_path / "broken" / "heads.safetensors").write_bytes(b"\x00" * 64)
    assert "cannot be loaded" in told(tmp_path / "broken")
    (tmp_path / "broken" / "heads.json").write_text("{}")
    assert "has format null, not 3" in told(tmp_path / "broken")
