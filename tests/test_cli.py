import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from mtlab.cli import main, parse_overrides
from mtlab.plan.errors import UserError
from mtlab.record.journal import Journal


def one_line(capsys: pytest.CaptureFixture) -> str:
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1, captured.err
    assert "Traceback" not in captured.err
    return captured.err


def test_overrides_are_keys_with_their_values() -> None:
    words = ["--data.source", "a b", "--seeds", "0", "1", "--x=-1", "--optimizer.clip_norm", "-5"]
    assert parse_overrides(words) == {
        "data.source": ["a b"],
        "seeds": ["0", "1"],
        "x": ["-1"],
        "optimizer.clip_norm": ["-5"],
    }
    for bad in (["value"], ["--seeds"], ["--seeds", "--name", "x"]):
        with pytest.raises(UserError, match="write settings as --key value"):
            parse_overrides(bad)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "nowhere.yaml"], "there is no file nowhere.yaml"),
        (["compare", "FILE", "--bach_size", "3"], "did you mean 'batch_size'?"),
        (["compare", "FILE", "--scenarios", "hads"], "did you mean 'heads'?"),
        (["compare", "FILE", "--control", "fall"], "did you mean 'full'?"),
        (["compare", "FILE", "--data.source", "nowhere.jsonl"], "nowhere.jsonl"),
        (["compare", "FILE", "--encoder", "./nowhere"], "no encoder in nowhere"),
        (["compare", "FILE", "--max_length", "9999"], "above the encoder's 64 tokens"),
        (
            ["compare", "FILE", "--output", "FILE"],
            "cannot be written (File exists); choose another --output",
        ),
        (
            ["report", "FILE", "--output", "nothing"],
            "nothing was run here yet; run `mtlab compare` first, or pass the --output it had",
        ),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    arguments: list[str],
    message: str,
    experiment_file: Path,
    tracking: str,
    capsys: pytest.CaptureFixture,
) -> None:
    assert main([str(experiment_file) if word == "FILE" else word for word in arguments]) == 2
    assert message in one_line(capsys)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_asked_for_and_absent_is_an_error(
    experiment_file: Path, tracking: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["compare", str(experiment_file), "--device", "cuda"]) == 2
    assert "cuda was asked for, none found; use `--device auto` or `--device cpu`" in one_line(
        capsys
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_comparison_runs_on_a_gpu_from_the_weights_of_the_cpu(
    experiment_file: Path, tracking: str
) -> None:
    starts = []
    for device in ("cuda", "cpu"):
        assert (
            main(
                [
                    "compare",
                    str(experiment_file),
                    "--device",
                    device,
                    "--precision",
                    "auto",
                    "--output",
                    device,
                ]
            )
            == 0
        )
        starts.append(
            {trial.seed: trial.initial_digest for trial in Journal(Path(device)).read()[1]}
        )
    assert starts[0] == starts[1]


def test_a_failed_trial_is_told_and_is_the_exit_status(
    experiment_file: Path, tracking: str, capsys: pytest.CaptureFixture
) -> None:
    arguments = [
        "compare",
        str(experiment_file),
        "--seeds",
        "0",
        "--scenarios.full.0.train.encoder",
        "1.0e+30",
    ]
    assert main(arguments) == 1
    shown = capsys.readouterr().out
    assert "full-seed0: FAILED, diverged: the " in shown
    assert "heads-seed0: classifier accuracy" in shown


@pytest.mark.process
def test_help_and_wrong_words_need_no_traceback() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "mtlab.cli", *arguments]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "100"},
        )

    assert "compare" in run("--help").stdout
    assert run("help").stdout == run("--help").stdout
    assert "--data.source" in run("compare", "--help").stdout
    assert (
        run("help", "compare").stdout
        == run("compare", "some.yaml", "--help").stdout
        == run("compare", "--help").stdout
    )
    nothing = run()
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (2, "", run("--help").stdout)
    assert run("--version").stdout == f"mtlab {version('mtlab')}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("compaer", "there is no command 'compaer'; did you mean 'compare'?"),
        ("help compaer", "there is no command 'compaer'; did you mean 'compare'?"),
        (
            "compare --seeds 0 exp.yaml",
            "--seeds stands before the file; write `mtlab compare FILE`, then settings",
        ),
        (
            "doctor --device=cpu",
            "--device=cpu stands before the file; write `mtlab doctor FILE`, then settings",
        ),
        ("doctor exp.yaml cpu", "'cpu' belongs to no key; write settings as --key value"),
    ],
)
def test_words_in_a_wrong_place_are_told_in_one_line(
    arguments: str, message: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(arguments.split()) == 2
    assert one_line(capsys) == f"mtlab: {message}\n"


@pytest.mark.parametrize(
    "arguments", ["compare", "--nonsense", "ui --port x", "completion fish", "claims"]
)
def test_what_argparse_finds_is_one_line_too(arguments: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    assert one_line(capsys).startswith("mtlab")
