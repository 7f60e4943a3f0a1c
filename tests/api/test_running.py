"""Running from Python: mistakes, failures, interruptions, threads, recommendations."""

import os
import pkgutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import mtlab
from mtlab import api
from mtlab.comparison import Comparison
from mtlab.plan import given
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment, load
from mtlab.record.journal import Journal
from mtlab.train.resume import signals
from tests import tiny

ALONE = pytest.mark.usefixtures("tracking", "no_figures")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"bach_size": 3}, "--bach_size: unknown key; did you mean 'batch_size'?"),
        ({"seeds": [0, "x"]}, "--seeds.1: 'x' is not a number"),
        ({"batch_size": [8]}, "--batch_size: [8] is not a whole number"),
        ({"scenarios": ["hads"]}, "--scenarios: no scenario is called 'hads'; did you mean"),
        ({"seeds": 3}, "seeds: 3 cannot be set; write `[...]`"),
        ({"seeds": {0, 1}}, "seeds: the value is of type set, which has no place in an experiment"),
        ({"data.source": "nowhere.jsonl"}, "nowhere.jsonl"),
    ],
)
@ALONE
def test_a_mistake_is_raised_as_one_line(
    experiment: dict[str, Any], changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError) as error:
        api.compare(experiment, **changes)
    assert line in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("nowhere.yaml", "there is no file nowhere.yaml"),
        (5, "5 is not an experiment; give the path of a file, or a mapping of keys to values"),
        ({"data": {"source": "builtin"}}, "name: missing; add it"),
        ({"name": "x", "extends": "none.yaml"}, "extends: there is no file none.yaml"),
        ({"name": "x", "scenarios": {}, "data": {"source": "builtin"}}, "there is no scenario"),
    ],
)
@ALONE
def test_what_is_no_experiment_is_one_line(source: Any, line: str) -> None:
    for function in (api.compare, api.dry_run, api.load, api.export_model):
        with pytest.raises(UserError) as error:
            function(source)
        assert line in str(error.value) and "\n" not in str(error.value)


@ALONE
def test_records_that_are_not_there_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing was run here yet"):
        api.load(tmp_path)
    with pytest.raises(UserError, match="this is a folder of records"):
        api.load(tmp_path, seeds=[0])


VALUES = {
    "seeds": [0, 1, 2],
    "seeds.looks": (3,),
    "batch_size": 8,
    "optimizer.clip_norm": 1e-05,
    "question": "a # b: 'c'\nd",
    "name": "1e-3",
    "data.source": Path("a b"),
    "data.labels": ["--x", "null"],
    "max_length": None,
    "tasks": {"ner": {"kind": "entities", "column": "1"}},
}


@pytest.mark.parametrize(("key", "value"), VALUES.items())
def test_settings_mean_on_the_command_line_what_they_mean_here(key: str, value: Any) -> None:
    located = given.Located({}, {(): ""})
    for name, words in given.words({key: value}).items():
        given.yaml_file.override(located, name, words)
        assert not any(word.startswith("--") for word in words)
    for part in key.split("."):
        located.value = located.value[part]
    assert located.value == given.plain(value)


@ALONE
def test_settings_over_a_file_are_in_the_command(experiment: dict[str, Any]) -> None:
    Path("mine.yaml").write_text(given.dumped(given.plain(experiment)))
    more = {"heads_longer": [{"epochs": 3, "train": {"heads": 1e-2}}]}
    asked = given.of("mine.yaml", given.words({"seeds": [0, 1, 2], "scenarios": more}))
    assert asked.command("compare") == (
        "mtlab compare mine.yaml --seeds 0 1 2 --scenarios.heads_longer "
        """'[{"epochs": 3, "train": {"heads": 0.01}}]'"""
    )
    assert list(asked.experiment.scenarios) == ["nothing", "heads", "full", "heads_longer"]
    assert not asked.text


def test_an_experiment_with_looks_is_written_as_a_file_would_be(
    experiment: dict[str, Any], tmp_path: Path
) -> None:
    for stop in ("decided", "recommended"):
        rule = {"looks": [2, 3], "stop": stop}
        first = given.of({**experiment, "seeds": rule}, {}).experiment
        asked = given.of(first, given.words({"batch_size": 4}))
        assert (asked.experiment.looks, asked.experiment.pilot) == (first.looks, first.pilot)
        (tmp_path / "again.yaml").write_text(given.of(first, {}).text)
        assert load(tmp_path / "again.yaml").model_dump() == first.model_dump()
        assert given.of(first, {}).experiment is first


@ALONE
def test_a_failed_trial_is_in_the_failures(experiment: dict[str, Any]) -> None:
    changes = {"scenarios.full.0.train.encoder": 1e30, "seeds": [0]}
    compared = api.compare(experiment, scenarios=["heads", "full"], **changes)
    ((trial, why),) = compared.failures.items()
    assert trial == "full-seed0" and why.startswith("diverged: the ")
    assert compared.trials.set_index("scenario").loc["full", "status"] == "diverged"
    assert "diverged" in compared._repr_html_()


def interrupted_once_there_is(pattern: str, folder: Path) -> threading.Thread:
    """A thread that sends SIGINT to this process as soon as a file is there."""

    def wait() -> None:
        for _ in range(6000):
            if list(folder.glob(pattern)):
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@ALONE
def test_an_interrupted_comparison_continues_with_the_next_call(
    experiment: dict[str, Any], tmp_path: Path
) -> None:
    experiment |= {"seeds": [0], "checkpoints": {"every_steps": 1}}
    experiment["scenarios"]["full"][0]["epochs"] = 60
    del experiment["scenarios"]["heads"]
    output = tmp_path / "reports" / "mine"
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    thread = interrupted_once_there_is("unfinished/*/0*.json", output)
    with pytest.raises(
        KeyboardInterrupt, match=r"the same call continues from here, and mtlab\.load"
    ):
        api.compare(experiment)
    thread.join()
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before
    there = api.load(output)
    assert list(there.trials["scenario"]) == ["nothing"], "the other has not ended"
    assert there.failures == {} and there.decision.scenario is None
    assert "left no record" in there._repr_html_() and there.report.exists()
    again = api.compare(experiment)
    assert set(again.trials["status"]) == {"ok"}
    assert [one.attempts for one in again.records if one.scenario == "full"] == [2]
    kept = {one.label: one.started_at for one in there.records if one.ok}
    assert kept and all(
        kept[one.label] == one.started_at for one in again.records if one.label in kept
    )


def test_in_a_notebook_a_second_interruption_leaves_the_process_alive() -> None:
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    with signals.handled(program=False):
        assert signal.getsignal(signal.SIGTERM) == before[1], "it is the notebook's own"
        with pytest.raises(KeyboardInterrupt), signals.deferred():
            signal.raise_signal(signal.SIGINT)
            assert signals.asked()
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before
    assert not signals.asked()


@ALONE
def test_a_thread_of_its_own_may_compare(experiment: dict[str, Any]) -> None:
    results: list[Comparison] = []
    arguments = {"scenarios": ["nothing", "heads"], "seeds": [0], "control": "nothing"}
    thread = threading.Thread(target=lambda: results.append(api.compare(experiment, **arguments)))
    thread.start()
    thread.join()
    assert list(results[0].table.index) == ["nothing", "heads"]


@ALONE
@pytest.mark.nightly
def test_a_recommendation_is_a_comparison(
    experiment: dict[str, Any], capsys: pytest.CaptureFixture
) -> None:
    compared = api.recommend(experiment, looks=2, margin=1.5, tasks="ner")
    asked = Experiment.model_validate(compared.suite.experiment)
    assert (asked.pilot, asked.looks) == (1, (1, 3))
    assert asked.margins == {"classifier": 1.0, "ner": 1.5}
    assert "pilot: best on validation is " in capsys.readouterr().out
    assert compared.decision.scenario in experiment["scenarios"]
    again = api.recommend(compared.output / "experiment.yaml", looks=[2], margin=1.5, tasks=["ner"])
    assert again.suite.trials == compared.suite.trials
    with pytest.raises(UserError, match="a budget chooses the number of fresh seeds"):
        api.recommend(experiment, looks=2, budget=60)


@ALONE
@pytest.mark.nightly
def test_ones_own_data_are_recommended_on_without_a_file(
    tmp_path: Path, encoder: Path, capsys: pytest.CaptureFixture
) -> None:
    tiny.write_data(tmp_path / "texts", train=24, validation=16, test=16)
    names = ["backbone_frozen", "full_finetune"]
    more: dict[str, Any] = {"encoder": encoder, "data.max_duplicates": 1.0, "scenarios": names}
    compared = api.recommend(Path("texts"), looks=2, margin=1.5, budget=None, **more)
    assert "No mistakes. Written: texts.yaml" in capsys.readouterr().out
    assert compared.suite.command.startswith("mtlab compare texts.yaml --scenarios backbone_frozen")
    assert Journal(compared.output).read()[0] == compared.suite


def test_no_function_has_the_name_of_a_module() -> None:
    """The import of ``mtlab.plan.errors`` would put the package in the place of a function."""
    modules = {module.name for module in pkgutil.iter_modules(mtlab.__path__)}
    assert not modules & {*api.__all__, "Comparison"}


@pytest.mark.process
def test_importing_loads_neither_torch_nor_pandas() -> None:
    script = "import sys, mtlab.api; print(*sorted({'torch', 'pandas', 'mlflow', 'matplotlib'} & set(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == []
