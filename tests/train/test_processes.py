"""One trial over several processes: what two of them measure is what one does, and when one of them
fails all go on later."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from tests import tiny
from tests.programs import finish, start, wait_until
from tests.programs import run as run_program
from tests.train.several import run
from tests.train.test_resume import essence
from tests.train.test_staged import write_target

pytestmark = pytest.mark.process


ROOT = Path(__file__).parents[2]

COMMON = """\
batch_size: 9
precision: fp32
device: cpu
head: {{dropout: 0.0}}
"""

EXPERIMENT = """\
encoder: {encoder}
data: {{source: {data}, max_duplicates: 1.0}}
seeds: [0, 1]
also_test: {{typos: {{of: test, change: typos, rate: 0.5}}}}
control: nothing
scenarios:
  nothing: [{{epochs: 0}}]
  heads: [{{epochs: 2, train: {{heads: 1.0e-2}}}}]
  gradual:
    - {{name: heads, epochs: 1, train: {{heads: 1.0e-2}}}}
    - {{name: top, epochs: 1, train: {{"layers[-1/3:]": 1.0e-3, heads: 1.0e-2}}, schedule: linear, warmup: 0.2}}
    - {{name: all, epochs: 1, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}
"""

STAGED = """\
encoder: {encoder}
start:
  data: {{source: {source}, max_duplicates: 1.0}}
  stages: [{{epochs: 1, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
data: {{source: {data}, max_duplicates: 1.0}}
seeds: [0]
scenarios:
  held:
    - {{name: first, epochs: 1, losses: [ner], train: {{encoder: 1.0e-3, head.ner: 1.0e-2}}, distillation: 1.0, rehearsal: 0.5}}
    - {{name: second, epochs: 1, losses: [ner], train: {{encoder: 1.0e-3, head.ner: 1.0e-2}}, l2_sp: 10.0}}
  adapters: [{{epochs: 2, losses: [ner], train: {{lora: 1.0e-2, head.ner: 1.0e-2}}}}]
"""

CHOOSING = """\
encoder: {encoder}
data: {{source: {data}, max_duplicates: 1.0}}
seeds: [0]
scenarios:
  chosen: [{{epochs: 2, train: {{encoder: 1.0e-3, heads: 1.0e-2}}, choose: {{blocks: 1, batches: 4}}}}]
  turning: [{{epochs: 3, train: {{encoder: 1.0e-3, heads: 1.0e-2}}, rotate: {{blocks: 1}}}}]
  freezing: [{{epochs: 5, train: {{encoder: 1.0e-3, heads: 1.0e-2}}, freeze_when: {{percentile: 75}}}}]
"""

SIZES = {"train": 299, "validation": 401, "test": 603}
"""None of them, nor the batch, divides by two; each split makes several batches."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("several")
    encoder = tiny.write_encoder(
        home / "encoder", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    path = home / "tiny.yaml"
    path.write_text(
        (COMMON + EXPERIMENT).format(encoder=encoder, data=tiny.write_data(home / "data", **SIZES))
    )
    return path


PATH = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


def launched(
    *words: str, restarts: int = 0, folder: Path = ROOT, **environment: str
) -> "subprocess.Popen[str]":
    """Two processes, by torchrun."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "--max-restarts",
        str(restarts),
    ]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    variables = {**clean, "OMP_NUM_THREADS": "1", "PYTHONPATH": PATH, **environment}
    return start([*command, "-m", *words], env=variables, cwd=folder)


def trials(output: Path) -> dict[tuple[str, int], TrialRecord]:
    return {(trial.scenario, trial.seed): trial for trial in Journal(output).read()[1]}


@pytest.fixture(scope="module")
def home(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of suites that one process ran, and that two did."""
    home = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        run(str(file), home / "one")
        run(str(file), home / "one-plain", {"cache": ["off"]})
    variants = ("two", "two-plain:plain", "once:wrapped_once,plain", "means:mean_of_means,plain")
    status, out, err = finish(
        launched("tests.train.several", str(file), *(str(home / name) for name in variants))
    )
    assert status == 0, out + err
    return home


def same(one: TrialRecord, other: TrialRecord, exactly: bool) -> None:
    """The same steps on the same sentences came to the same losses, and to the same scores."""
    assert one.status == other.status == "ok"
    assert one.order_digest == other.order_digest
    assert one.key != other.key or one is other
    for task, losses in one.step_losses.items():
        found = other.step_losses[task]
        assert [value is None for value in losses] == [value is None for value in found]
        given = [
            np.array([value for value in values if value is not None]) for values in (losses, found)
        ]
        np.testing.assert_allclose(given[1], given[0], rtol=0 if exactly else 1e-4)
    sets = zip(one.also.values(), other.also.values(), strict=True)
    pairs = [(mine.metrics, theirs.metrics) for mine, theirs in sets]
    for mine, theirs in (*pairs, (one.validation, other.validation), (one.test, other.test)):
        assert (
            mine is not None
            and theirs is not None
            and mine.by_task.keys() == theirs.by_task.keys() == {"classifier", "ner"}
        )
        assert mine.primary("classifier") == theirs.primary("classifier")
        assert mine.primary("ner") == theirs.primary("ner")
    if exactly:
        assert [epoch.validation for epoch in one.epochs] == [
            epoch.validation for epoch in other.epochs
        ]
        assert (one.test, one.contributions, one.final_digest, one.also) == (
            other.test,
            other.contributions,
            other.final_digest,
            other.also,
        )


@pytest.mark.parametrize("pair", [("one", "two"), ("one-plain", "two-plain")])
def test_two_processes_measure_what_one_does_through_a_gradual_unfreeze(
    home: Path, pair: tuple[str, str]
) -> None:
    alone, together = (trials(home / name) for name in pair)
    assert len(alone) == 6 and alone.keys() == together.keys()
    for place, one in alone.items():
        scenario, _ = place
        exactly = scenario == "nothing" or (
            scenario == "heads" and pair[0] == "one"
        )  # no gradient is added up in another order
        same(one, together[place], exactly)
    first = [len(stage.parameters) and stage.steps for stage in together["gradual", 0].stages]
    assert together["gradual", 0].epochs[0].validation == alone["gradual", 0].epochs[0].validation
    if pair[0] == "one":  # heads on cached states, before a block thaws
        assert (
            together["gradual", 0].step_losses["total"][: first[0]]
            == alone["gradual", 0].step_losses["total"][: first[0]]
        )
        assert (
            together["gradual", 0].epochs[1].validation == alone["gradual", 0].epochs[1].validation
        )


def test_a_wrapper_from_before_the_thaw_is_caught(home: Path) -> None:
    found = trials(home / "once")
    assert found["heads", 0].ok, "as long as nothing thaws there is nothing to miss"
    assert found["gradual", 0].ending.startswith(
        "certificate broken: the processes hold different weights: layers[2]"
    )
    assert len(found["gradual", 0].stages) == 1, "after the first stage in which a block thaws"


def test_means_over_processes_are_not_means_over_batches(home: Path) -> None:
    one, other = (
        trials(home / name)["heads", 0].step_losses["total"] for name in ("one-plain", "means")
    )
    assert not np.allclose(one, other, rtol=1e-4), "or the tests above would see no wrong scale"


def test_every_sentence_is_counted_once(home: Path, file: Path) -> None:
    wanted = [
        json.loads(line) for line in (file.parent / "data" / "test.jsonl").read_text().splitlines()
    ]
    for record in trials(home / "two").values():
        read = [
            json.loads(line)
            for line in Journal(home / "two").predictions_path(record).read_text().splitlines()
        ]
        assert [(line["gold"]["classifier"], line["gold"]["ner"]) for line in read] == [
            (line["label"], line["ner_tags"]) for line in wanted
        ]
        right = sum(line["gold"]["classifier"] == line["predicted"]["classifier"] for line in read)
        assert record.test is not None and record.test.by_task.get("classifier") is not None
        assert record.test.primary("classifier") == pytest.approx(right / len(wanted))


def test_states_are_computed_together(home: Path) -> None:
    sealed = [json.loads(path.read_text()) for path in (home / "two" / "cache").glob("*.json")]
    assert len(sealed) == 6, "two depths of three splits"
    assert len({facts["pass"] for facts in sealed}) == 3


def test_records_say_how_many_processes_there_were(home: Path) -> None:
    assert Journal(home / "two").read()[0].environment["processes"] == 2
    assert "processes" not in Journal(home / "one").read()[0].environment
    assert not any(record.untimed for record in trials(home / "two").values()), (
        "they are no strangers on their device"
    )


@pytest.mark.nightly
def test_so_do_trials_that_start_from_a_checkpoint_and_are_kept_from_forgetting(
    file: Path, tmp_path: Path
) -> None:
    data = {
        "source": file.parent / "data",
        "data": write_target(tmp_path / "target"),
        "encoder": file.parent / "encoder",
    }
    (tmp_path / "staged.yaml").write_text((COMMON + STAGED).format(**data))
    run(str(tmp_path / "staged.yaml"), tmp_path / "one")
    status, out, err = finish(
        launched("tests.train.several", str(tmp_path / "staged.yaml"), str(tmp_path / "two"))
    )
    assert status == 0, out + err
    together = trials(tmp_path / "two")
    for place, one in trials(tmp_path / "one").items():
        same(one, together[place], exactly=False)
        assert any("classifier" in score.metrics.by_task for score in one.matrix)
        assert len(one.matrix) == len(together[place].matrix)


@pytest.mark.nightly
def test_they_choose_the_same_blocks(file: Path, tmp_path: Path) -> None:
    """The scores and gradients that decide are added up over processes, to nearly the same sums."""
    choosing = tmp_path / "choosing.yaml"
    choosing.write_text(
        (COMMON + CHOOSING).format(encoder=file.parent / "encoder", data=file.parent / "data")
    )
    run(str(choosing), tmp_path / "one")
    status, out, err = finish(launched("tests.train.several", str(choosing), str(tmp_path / "two")))
    assert status == 0, out + err
    together = trials(tmp_path / "two")
    for place, alone in trials(tmp_path / "one").items():
        same(alone, together[place], exactly=False)
        pieces = [
            [stage.parameters for stage in trial.stages] for trial in (alone, together[place])
        ]
        assert pieces[0] == pieces[1]
    assert len(together["freezing", 0].stages) > 1, "blocks were frozen on the way"
    assert len(together["turning", 0].stages) == 3


ONE_TRIAL = ("--scenarios", "gradual", "--seeds", "0", "--checkpoints.every_steps", "3")


@pytest.mark.parametrize(
    "variant",
    [*(pytest.param(how, marks=pytest.mark.nightly) for how in ("raises", "killed")), "hangs"],
)
def test_one_that_fails_ends_the_others_and_all_go_on_from_the_last_checkpoint(
    variant: str, home: Path, file: Path, tmp_path: Path
) -> None:
    words = ("tests.train.several", str(file), f"{tmp_path / 'again'}:{variant}", *ONE_TRIAL)
    status, out, err = finish(launched(*words, restarts=1))
    assert status == 0, out + err
    (record,) = trials(tmp_path / "again").values()
    assert record.attempts == 2
    assert essence(record) == essence(trials(home / "two")["gradual", 0])
    assert not list((tmp_path / "again" / "unfinished").glob("*"))
    written = [file.read_text() for file in (tmp_path / "again" / "failures").glob("hung-*.txt")]
    assert len(written) == (variant == "hangs") and all(
        "stalled-1" in text and "in hanging" in text for text in written
    )


def test_a_trial_in_which_that_happens_twice_is_a_row(file: Path, tmp_path: Path) -> None:
    words = ("tests.train.several", str(file), f"{tmp_path / 'again'}:raises_always", *ONE_TRIAL)
    status, out, err = finish(launched(*words, restarts=1))
    assert status != 0 and "the device is gone" in err
    assert not [record for record in trials(tmp_path / "again").values() if record.ended_at], (
        "none is said to have failed yet"
    )
    status, out, err = finish(launched(*words))  # the command again, by hand
    assert status == 0, out + err
    (record,) = trials(tmp_path / "again").values()
    reason = "crashed: RuntimeError: the device is gone (failures/gradual-seed0-"
    assert record.reason.startswith(
        f"the processes ended 2 times while the trial ran, at last: {reason}"
    )
    assert "the device is gone" in next((tmp_path / "again" / "failures").glob("*.txt")).read_text()


def test_the_command_by_launchers(file: Path, tmp_path: Path, tracking: str) -> None:
    """Asked to stop, started again, with a mistake: as one process, but for the words of the
    launcher."""
    shutil.copy(file, tmp_path / "tiny.yaml")
    output = tmp_path / "out"
    longer = ("--scenarios.gradual.2.epochs", "20", "--output", str(output))
    command = ("mtlab", "compare", str(tmp_path / "tiny.yaml"), *ONE_TRIAL, *longer)
    place = {"MLFLOW_TRACKING_URI": tracking}
    process = launched(*command, folder=tmp_path, **place)
    wait_until(lambda: list((output / "unfinished").glob("*/00*.json")), process)
    process.send_signal(signal.SIGTERM)
    _, _, err = finish(process, 60)
    assert "stopping after this step" in err
    assert (
        f"mtlab: interrupted; `torchrun --standalone --nproc-per-node 2 -m mtlab compare {tmp_path / 'tiny.yaml'}"
        in err
    )
    suite = Journal(output).read()[0]
    client = MlflowClient(tracking)
    assert client.get_run(suite.tracking["run"]).info.status == "KILLED"

    accelerate = [
        str(Path(sys.executable).with_name("accelerate")),
        "launch",
        "--multi_gpu",
        "--num_processes",
        "2",
        "-m",
    ]
    environment = {**os.environ, **place, "OMP_NUM_THREADS": "1", "PYTHONPATH": PATH}
    line = [*accelerate, *command]
    status, out, err = run_program(line, cwd=tmp_path, env=environment)
    assert status == 0, out + err
    assert out.count("continuing from the last checkpoint") == 1, "one process speaks"
    assert "2 processes, each with 1 thread" in out
    suite, (record,) = Journal(output).read()
    assert record.ok and record.attempts == 2, "being asked to stop is no failure"
    assert suite.command.startswith("torchrun --standalone --nproc-per-node 2 -m mtlab compare")
    assert (output / "report.md").exists() and not (output / "running.json").exists()
    children = client.search_runs([client.get_run(suite.tracking["run"]).info.experiment_id])
    assert len([run for run in children if run.info.status == "FINISHED"]) == 2, (
        "the suite's and the trial's"
    )

    status, _, err = finish(launched(*command, "--batch_size", "1", folder=tmp_path, **place))
    assert status != 0
    assert (
        err.count("mtlab: ") == 1
        and "--batch_size: 1 sentences are fewer than 2 processes; start fewer" in err
    )
