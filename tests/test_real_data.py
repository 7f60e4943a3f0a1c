"""Real data, where it lies beside the checkout: what the main job promises on SNIPS, and two
sources at once."""

from pathlib import Path

import numpy as np
import pytest

from mtlab.cli import main
from mtlab.record.journal import Journal
from tests.conftest import SHARED_DATA

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def source(name: str) -> str:
    if not (SHARED_DATA / name).is_dir():
        pytest.skip(f"no data set {name} beside the checkout")
    return str(SHARED_DATA / name)


@pytest.mark.nightly
def test_snips_reaches_what_a_plain_trainer_reaches(tmp_path: Path, tracking: str) -> None:
    scenarios = ["fully_frozen", "backbone_frozen", "gradual_unfreeze", "full_finetune"]
    arguments = [
        "--data.source",
        source("snips"),
        "--seeds",
        "0",
        "--output",
        str(tmp_path / "report"),
        "--scenarios",
        *scenarios,
    ]
    assert main(["compare", str(EXPERIMENTS / "snips.yaml"), *arguments]) == 0
    scores = {
        trial.scenario: (trial.test.primary("classifier"), trial.test.primary("ner"))
        for trial in Journal(tmp_path / "report").read()[1]
    }
    assert scores["fully_frozen"][0] <= 0.35
    assert scores["fully_frozen"][1] <= 0.05
    assert scores["backbone_frozen"][0] >= 0.93
    assert scores["backbone_frozen"][1] >= 0.53
    assert scores["full_finetune"][0] >= 0.97
    assert scores["full_finetune"][1] >= 0.87
    assert scores["gradual_unfreeze"][1] >= scores["backbone_frozen"][1] + 0.25


@pytest.mark.nightly
def test_the_cache_changes_less_than_another_seed_does(tmp_path: Path, tracking: str) -> None:
    """With dropout on: means over three seeds, cached and not, differ by less than the seeds do."""
    scenarios = ["backbone_frozen", "gradual_unfreeze"]
    arguments = [
        "--data.source",
        source("snips"),
        "--data.train_size",
        "1000",
        "--scenarios",
        *scenarios,
    ]
    found: dict[str, list] = {}
    for mode in ("auto", "off"):
        output = ["--cache", mode, "--output", str(tmp_path / mode)]
        assert main(["compare", str(EXPERIMENTS / "snips.yaml"), *arguments, *output]) == 0
        for trial in Journal(tmp_path / mode).read()[1]:
            scores = [trial.test.primary("classifier"), trial.test.primary("ner")]
            found.setdefault(f"{mode} {trial.scenario}", []).append(scores)
    for scenario in scenarios:
        cached, plain = (np.array(found[f"{mode} {scenario}"]) for mode in ("auto", "off"))
        assert cached.shape == (3, 2)
        spread = np.maximum(np.ptp(plain, axis=0), np.ptp(cached, axis=0))
        assert (abs(cached.mean(axis=0) - plain.mean(axis=0)) <= spread).all(), (
            scenario,
            cached,
            plain,
        )


@pytest.mark.nightly
def test_two_sources_train_both_tasks(tmp_path: Path, tracking: str) -> None:
    arguments = [
        "--data.classifier.source",
        source("banking77"),
        "--data.ner.source",
        source("wnut17"),
        "--data.train_size",
        "1000",
    ]
    chosen = [
        "--seeds",
        "0",
        "--scenarios",
        "backbone_frozen",
        "--output",
        str(tmp_path / "report"),
    ]
    assert main(["compare", str(EXPERIMENTS / "two_sources.yaml"), *arguments, *chosen]) == 0
    suite, (trial,) = Journal(tmp_path / "report").read()
    assert suite.data[""]["sizes"] == {
        "train": 2000,
        "validation": 1000 + 1009,
        "test": 3080 + 1287,
    }
    assert trial.test.by_task["classifier"].sentences == 3080
    assert trial.test.by_task["ner"].sentences == 1287
    losses = trial.step_losses
    assert all(
        (one is None) != (other is None)
        for one, other in zip(losses["classifier"], losses["ner"], strict=True)
    )
    assert trial.test.primary("classifier") > 10 / 77


def test_plans_of_the_files_that_ship_hold_exact_counts(capsys: pytest.CaptureFixture) -> None:
    assert main(["plan", str(EXPERIMENTS / "snips.yaml"), "--data.source", source("snips")]) == 0
    shown = capsys.readouterr().out
    assert "classifier 7 labels, ner 72 tags" in shown
    assert "trains       30,415  at 0.001: head.classifier 2,695, head.ner 27,720" in shown
    assert "gradual_unfreeze" in shown
