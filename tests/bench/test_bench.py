"""The benchmark on a tiny encoder: everybody trains the same thing, and the page says what was
measured."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

from mtlab.bench import __main__ as bench
from mtlab.bench import engines_page, floor, page, peer
from mtlab.model import freezing
from mtlab.plan.errors import UserError
from mtlab.plan.scenario import Stage


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, encoder: Path, data: Path) -> Path:
    from tests.conftest import EXPERIMENT

    home = tmp_path_factory.mktemp("bench")
    path = home / "tiny.yaml"
    path.write_text(EXPERIMENT.format(encoder=encoder, data=data) + f"output: {home / 'out'}\n")
    return path


def test_every_scenario_is_timed_by_everybody(file: Path) -> None:
    directory = bench.run(str(file), True, {}, times=1)
    result = json.loads((directory / "bench.json").read_text())
    rows = [row for scenario in result["scenarios"].values() for row in scenario["rows"]]
    who = {(row["scenario"], row["seeds"]): set(row["seconds"]) for row in rows}
    everybody = {"mtlab", peer.DEFAULTS.name, peer.tuned("fp32").name}
    assert who == {
        **{(scenario, 1): everybody for scenario in ("nothing", "full")},
        **{(scenario, 1): {*everybody, "mtlab, cache off"} for scenario in ("heads", "gradual")},
        **{(scenario, 2): {"mtlab"} for scenario in ("nothing", "heads", "whole suite")},
    }
    trained = next(row for row in rows if row["scenario"] == "full" and row["seeds"] == 1)[
        "metrics"
    ]
    assert all(metrics["ner f1"] > 0.5 for metrics in trained.values()), (
        trained
    )  # entities are what two epochs suffice for
    text = page.write(directory).read_text()
    for scenario in ("nothing", "heads", "gradual", "full"):
        assert f"| `{scenario}` | 1 |" in text
    assert (
        "| `heads` | 2 |" in text
        and "whole suite" in text
        and imread(directory / "speed.png").shape[1] == 800
    )


def test_one_task_alone_is_scored(file: Path) -> None:
    alone = file.with_name("alone.yaml")
    tasks = "tasks: {ner: {kind: tagging, column: ner_tags}}\n"
    alone.write_text(file.read_text() + tasks)
    chosen = {"scenarios": ["full"], "output": [str(file.parent / "alone")]}
    directory = bench.run(str(alone), True, chosen, times=1)
    scenarios = json.loads((directory / "bench.json").read_text())["scenarios"]
    scores = scenarios["full"]["rows"][0]["metrics"]
    assert len(scores) == 3 and all(score["ner f1"] > 0.5 for score in scores.values())


@pytest.mark.nightly
def test_a_run_that_was_cut_off_goes_on(file: Path, capsys: pytest.CaptureFixture) -> None:
    chosen = {"scenarios": ["nothing", "heads"], "output": [str(file.parent / "again")]}
    place = bench.run(str(file), False, chosen, times=1) / "bench.json"
    first = json.loads(place.read_text())
    kept = first["scenarios"]["nothing"]
    place.write_text(json.dumps({**first, "scenarios": {"nothing": kept}, "reach": [7]}))
    bench.run(str(file), False, chosen, times=1)
    assert json.loads(place.read_text())["scenarios"]["nothing"] == kept
    assert "already has nothing;" in capsys.readouterr().out
    place.write_text(
        json.dumps(
            {**json.loads(place.read_text()), "environment": {}, "scenarios": {"nothing": kept}}
        )
    )
    bench.run(str(file), False, chosen, times=1)
    assert json.loads(place.read_text())["scenarios"]["nothing"] != kept
    assert json.loads(place.read_text())["reach"] == [7], "what another program measured stays"


def test_a_tuned_trainer_keeps_frozen_units_in_eval_mode_and_the_default_one_does_not(
    file: Path,
) -> None:
    made = bench.Bench(str(file), {})
    stage = made.experiment.scenario("heads").stages[0]
    for tuning, frozen_dropout in ((peer.DEFAULTS, True), (peer.tuned("bf16"), False)):
        network = peer.network(made.prepared, made.pretrained, 0, made.runtime.device)
        partition = freezing.resolve(stage, network)
        freezing.apply(network, partition)
        joint = peer.Joint(
            network, partition, tuning.frozen_in_eval, made.prepared.corpus.tasks
        ).train()
        assert network.encoder.embeddings.training is frozen_dropout
        assert network.heads["ner"].training
        assert joint.training


def test_the_floor_grows_with_what_is_trained(file: Path) -> None:
    made = bench.Bench(str(file), {})
    machine = floor.measure(32, 64, 128, torch.device("cpu"), lambda: None)
    assert machine.bandwidth > 0 and set(machine.gemm) == {"fp32", "bf16"}
    times = {
        name: floor.seconds(made.prepared, name, machine, made.runtime)
        for name in made.experiment.scenarios
    }
    assert times["nothing"] == 0 < times["heads"] < times["full"]


def test_the_page_of_engines_is_made_of_ratios_within_one_run() -> None:
    def runs(workers: int, *seconds: float) -> dict:
        facts = {"trials": 8, "shared": 4 * (workers > 1), "device": "cpu, fp32"}
        return {
            "workers": workers,
            "laps": [
                {"seconds": one + 9, "suite_s": one + 2, "trials_s": one, **facts}
                for one in seconds
            ],
        }

    found = {
        "command": ["mtlab", "compare", "x.yaml"],
        "cores": 2,
        "runs": {
            engines_page.ALONE: runs(0, 40.0, 41.0, 90.0),
            "Ray, 1 worker": runs(1, 57.0),
            "Ray, 2 workers": runs(2, 30.0),
        },
    }
    page = engines_page.lines(found)
    assert "| this process | 50.0 | 43.0 | 41.0 | – | – | 0 of 8 |" in page
    assert "| Ray, 1 worker | 66.0 | 59.0 | 57.0 | 2.00 | 1.00 | 0 of 8 |" in page
    assert "| Ray, 2 workers | 39.0 | 32.0 | 30.0 | – | 1.90 | 4 of 8 |" in page


def test_the_committed_page_is_what_the_committed_numbers_say(tmp_path: Path) -> None:
    committed = Path(__file__).parents[2] / "reports" / "bench"
    shutil.copy(committed / "bench.json", tmp_path)
    assert page.write(tmp_path).read_text() == (committed / "bench.md").read_text()


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"reinit": "layers[-1:]"}, "reinit"),
        ({"rotate": {"blocks": 1}}, "rotate"),
        ({"patience": 1}, "patience"),
        ({"losses": ["ner"]}, "losses"),
    ],
)
def test_a_trainer_is_not_timed_at_other_work(file: Path, more: dict, key: str) -> None:
    made = bench.Bench(str(file), {})
    stage = Stage.model_validate({"epochs": 2, "train": {"encoder": 1e-3}, **more})
    network = peer.network(made.prepared, made.pretrained, 0, made.runtime.device)
    with pytest.raises(UserError, match=f"stages.0.{key}: a Trainer has no {key}"):
        peer.run(made.prepared, network, (stage,), peer.DEFAULTS)
