"""The run of everything that needs a GPU: its parts go on without each other, and its page is made
of its numbers alone."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mtlab.bench.gpu import __main__ as gpu
from mtlab.bench.gpu import page, parts
from mtlab.bench.gpu.setting import Failed, Setting
from mtlab.record.journal import Journal
from tests.report import factory

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "reports" / "gpu"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict]]:
    """The command with parts of our own; its status, and what is in ``gpu.json``."""

    def go(*words: str, **own: Callable[[Setting], dict]) -> tuple[int, dict]:
        monkeypatch.setattr(gpu, "PARTS", own)
        monkeypatch.setattr(
            sys, "argv", ["gpu", "--dry-run", "--out", str(tmp_path / "gpu"), *words]
        )
        status = gpu.main()
        return status, json.loads((tmp_path / "gpu" / "gpu.json").read_text())["parts"]

    return go


def speed(setting: Setting) -> dict:
    return dict(json.loads((PUBLISHED / "gpu.json").read_text())["parts"]["speed"])


def broken(setting: Setting) -> dict:
    raise Failed("nothing came of it")


def test_a_part_that_fails_is_told_and_the_others_go_on(run: Callable, tmp_path: Path) -> None:
    status, found = run(compare=broken, speed=speed, trainer=lambda setting: {}["mistake"])
    assert status == 1
    assert (
        found["compare"]["failed"] == "nothing came of it"
        and found["trainer"]["failed"] == "KeyError: 'mistake'"
    )
    text = (tmp_path / "gpu" / "gpu.md").read_text()
    assert "Failed: nothing came of it." in text and "| 32x128 |" in text


def test_parts_that_ran_before_stay_and_none_begins_when_time_is_up(run: Callable) -> None:
    assert run(speed=speed)[0] == 0
    status, found = run("--minutes", "0", compare=speed)
    assert status == 1 and found["compare"]["failed"] == "was not begun, for time ran out"
    assert found["speed"]["shapes"] == speed(None)["shapes"]


def test_a_program_that_runs_too_long_is_ended(tmp_path: Path) -> None:
    setting = Setting(tmp_path, True, None, time.monotonic() + 1)
    with pytest.raises(Failed, match=r"was ended because time ran out \(.*slow.log\)"):
        setting.run(
            "timeit", "-n", "1", "-r", "1", "-s", "import time", "time.sleep(60)", name="slow"
        )
    with pytest.raises(Failed, match=r"ended with status 1: .*No module named nonsense \(.*log\)"):
        Setting(tmp_path, True, None, time.monotonic() + 60).run("nonsense", name="wrong")


@pytest.mark.process
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mtlab.bench.gpu", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    said = (
        "mtlab: device: torch finds no GPU here; `make gpu ARGS=--dry-run` rehearses on the CPU\n"
    )
    assert (done.returncode, done.stderr) == (2, said)


def test_differences_of_two_runs_are_told() -> None:
    one = factory.trial("full_finetune", 0).model_copy(
        update={"step_losses": {"total": (1.0, 0.5)}, "final_digest": "a"}
    )
    other = one.model_copy(update={"step_losses": {"total": (1.0, 0.75)}, "final_digest": "b"})
    assert parts.differences(one, one) == {
        "steps": 2, "same_weights": True, "largest_difference_of_a_loss": 0.0, "same_scores": True,
    }  # fmt: skip
    found = parts.differences(one, other)
    assert (found["same_weights"], found["largest_difference_of_a_loss"]) == (False, 0.25)


def test_the_published_page_is_what_its_numbers_and_records_say(tmp_path: Path) -> None:
    shutil.copy(PUBLISHED / "gpu.json", tmp_path)
    assert page.write(tmp_path).read_text() == (PUBLISHED / "gpu.md").read_text()
    trials = Journal(PUBLISHED / "compare").read()[1]
    told = json.loads((PUBLISHED / "gpu.json").read_text())["parts"]["compare"]["scenarios"]
    assert parts.summary(trials)["scenarios"] == told and len(trials) == 30


@pytest.mark.nightly
def test_every_part_goes_through_on_a_cpu(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mtlab.bench.gpu", "--dry-run", "--out", str(tmp_path / "gpu")]
    snips = ROOT.parent / "shared" / "data" / "snips"
    command += ["--snips", str(snips)] if snips.exists() else []
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found = json.loads((tmp_path / "gpu" / "gpu.json").read_text())["parts"]
    failed = {name for name, part in found.items() if "failed" in json.dumps(part)}
    assert set(found) == set(parts.PARTS) and failed == (set() if snips.exists() else {"snips"}), (
        done.stdout
    )
    assert (
        found["checks"]["resume"]["same_weights"]
        and found["checks"]["processes"]["largest_difference_of_a_loss"] < 1e-4
    )
