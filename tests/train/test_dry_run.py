import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import transformers

from mtlab.cli import main
from mtlab.doctor import examine
from mtlab.plan.experiment import load
from mtlab.record.journal import Journal
from mtlab.train.measure import dry_run
from tests import tiny


def test_plan_says_what_trains_what_is_frozen_and_what_it_costs(
    experiment_file: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["plan", str(experiment_file)]) == 0
    shown = capsys.readouterr().out
    assert "4 scenarios × 2 seeds = 8 trials" in shown
    assert "trains          231  at 0.01: head.classifier 99, head.ner 132" in shown
    assert "trains        8,544  at 0.001: layers[2] 8,544" in shown
    assert "embeddings 6,016, layers[0:3] 3 × 8,544" in shown
    assert "frozen prefix: 2 of 3 blocks" in shown


def test_plan_of_looks_says_what_is_spent_at_least_and_at_most(
    experiment_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "TERA", 1e6)  # figures of a tiny encoder
    asked = {"scenarios": ["heads", "full"], "seeds": ["{looks: [2, 3, 5, 8]}"]}
    lines = list(dry_run.lines(load(experiment_file, asked)))
    assert lines[0].endswith("2 scenarios × 2 to 8 seeds = 4 to 16 trials; nothing is trained here")
    assert "\nTraining FLOPs of up to 8 seeds, in 10^12" in lines
    *_, full, together, first = [line for line in lines if "  plain " in line]
    assert all(line.count("up to") == 2 for line in (full, together))
    assert first.startswith("  first look, 2 seeds  plain ") and "up to" not in first
    assert figure(together) == pytest.approx(4 * figure(first), abs=0.01)
    found = next(examine.findings(str(experiment_file), asked))
    assert "tiny.yaml: 4 to 16 trials; `mtlab plan`" in str(found)


def figure(line: str) -> float:
    """The plain FLOPs of a line of costs."""
    return float(re.findall(r"\d+\.\d+", line)[0])


def test_planned_flops_are_those_the_run_counts(tiny_suite: Path) -> None:
    experiment = load(tiny_suite / "tiny.yaml")
    prepared, _ = dry_run.sketch(experiment)
    for scenario in experiment.scenarios:
        planned = dry_run._planned(prepared, scenario)
        records = [
            trial for trial in Journal(tiny_suite / "out").read()[1] if trial.scenario == scenario
        ]
        assert dry_run.plain(prepared, planned) == sum(trial.train_flops for trial in records)


def test_floor_computes_the_frozen_prefix_once_for_all_epochs_and_seeds(
    experiment_file: Path,
) -> None:
    prepared, _ = dry_run.sketch(load(experiment_file))
    floors = {
        name: dry_run.floor(prepared, dry_run._planned(prepared, name))
        for name in ("nothing", "heads", "gradual", "full")
    }
    lengths = [len(example) for example in prepared.encoded["train"].examples]
    once = prepared.counter.prefix(3).exact(lengths)
    assert floors["nothing"] == 0
    assert once < floors["heads"] < 1.2 * once
    assert floors["heads"] < floors["gradual"] < floors["full"]
    together = [one for name in floors for one in dry_run._planned(prepared, name)]
    shared = dry_run.floor(prepared, together)
    assert shared == sum(floors.values()) - once, "one pass harvests the prefixes of both"


def test_plan_of_bert_base_needs_a_configuration_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    transformers.BertConfig().save_pretrained(tmp_path / "bert-base")
    lines = [
        f'{{"tokens": ["a", "b"], "ner_tags": ["B-{kind}", "I-{kind}"], "label": "class {index}"}}'
        for index, kind in enumerate("WXYZWXYZWX")
    ]
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    file = tmp_path / "plan.yaml"
    file.write_text(
        f"encoder: {tmp_path / 'bert-base'}\ndata: {{source: {tmp_path}, max_duplicates: 1.0}}\n"
        "scenarios:\n  heads: [{epochs: 1, train: {heads: 1.0e-3}}]\n"
    )
    assert main(["plan", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "parameters in all: 108,906,259" in shown
    assert "trains       14,611  at 0.001: head.classifier 7,690, head.ner 6,921" in shown
    assert "no tokenizer there: FLOPs take a word for one token" in shown


def test_selectors_that_do_not_fit_the_encoder_are_one_line(
    experiment_file: Path, capsys: pytest.CaptureFixture
) -> None:
    assert (
        main(["plan", str(experiment_file), "--scenarios.full.0.train", "{'layers[0:9]': 1.0e-3}"])
        == 2
    )
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert (
        "scenarios.full.0.train.layers[0:9]: selector 'layers[0:9]' is out of range; the encoder has layers[0:3]"
        in error
    )


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=() if family == "modernbert" else pytest.mark.nightly)
        for family in tiny.CONFIGS
    ],
)
def test_a_gradual_experiment_runs_on_every_family(
    family: str, experiment_file: Path, tmp_path: Path, tracking: str
) -> None:
    directory = tiny.write_encoder(tmp_path / family, family)
    arguments = [
        "compare",
        str(experiment_file),
        "--encoder",
        str(directory),
        "--seeds",
        "0",
        "--scenarios",
        "gradual",
        "full",
    ]
    assert main(arguments) == 0
    gradual, full = Journal(load(experiment_file).output).read()[1]
    assert [stage.prefix_depth for stage in gradual.stages] == [3, 2]
    assert gradual.ok
    assert full.stages[0].params_frozen == 0


@pytest.mark.process
def test_help_needs_neither_torch_nor_pydantic() -> None:
    code = (
        "import sys; import mtlab.cli; from mtlab.parser import build; build().format_help(); "
        "print([module for module in ('torch', 'pydantic', 'mlflow') if module in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert ran.stdout.strip() == "[]"
