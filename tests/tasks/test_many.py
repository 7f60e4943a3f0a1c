"""Five heads of every kind on one encoder: what holds for two tasks holds for any."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtlab.cli import main
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import load
from mtlab.plan.scenario import Trial
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.tasks.kind import Codes
from mtlab.tasks.registry import KINDS
from mtlab.tasks.tagging import Tagging
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.prepare import prepare
from mtlab.train.runtime import resolve
from mtlab.train.trial import run_trials
from tests.conftest import made_once
from tests.export.test_tasks import TASKS, Level, write_data
from tests.train.test_resume import Bench, check, stop_after  # noqa: F401

FILE = """
encoder: {encoder}
tasks: {tasks}
data: {{source: words, max_duplicates: 1.0}}
batch_size: 8
precision: fp32
seeds: [0, 1]
output: out
control: full
scenarios:
  heads: [{{epochs: 2, train: {{heads: 1.0e-2}}}}]
  top: [{{epochs: 1, train: {{"layers[-1:]": 1.0e-3, heads: 1.0e-2}}}}]
  full: [{{epochs: 2, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
  one: [{{epochs: 1, losses: [share], train: {{encoder: 1.0e-3, head.share: 1.0e-2}}}}]
"""


@pytest.fixture
def file(
    tmp_path_factory: pytest.TempPathFactory, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An experiment, in the working directory."""

    def make(home: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(home)
            write_data()

    made = made_once(tmp_path_factory, "many", make)
    home = tmp_path_factory.mktemp("many")
    (home / "words").symlink_to(made / "words")
    (home / "many.yaml").write_text(FILE.format(encoder=encoder, tasks=json.dumps(TASKS)))
    monkeypatch.chdir(home)
    return home / "many.yaml"


def ran(file: Path, *trials: tuple[str, int], **changes: list[str]) -> list[TrialRecord]:
    """The records of trials that run together."""
    experiment = load(file, {key.replace("__", "."): value for key, value in changes.items()})
    runtime, journal = resolve(experiment), Journal(experiment.output)
    prefixes = Prefixes(runtime, 10**9, journal.directory / "cache", print)
    kept = prefixes if experiment.cache.mode != "off" else None
    prepared = prepare(experiment, runtime)[()]
    asked = [Trial(*trial) for trial in trials]
    runs = run_trials(prepared, asked, runtime, journal, kept, lambda _: None)
    assert [run.record.ending for run in runs] == ["ok"] * len(runs)
    return [run.record for run in runs]


def alike(one: TrialRecord, other: TrialRecord, tolerance: float) -> None:
    assert one.step_losses.keys() == other.step_losses.keys() == {"total", *TASKS}
    for name, losses in one.step_losses.items():
        np.testing.assert_allclose(losses, other.step_losses[name], rtol=tolerance, atol=tolerance)
    assert one.test is not None and other.test is not None
    for task, scored in one.test.by_task.items():
        assert scored.scores == pytest.approx(other.test.by_task[task].scores, abs=tolerance)


def test_gold_is_that_of_each_tasks_own_column(file: Path) -> None:
    experiment = load(file)
    corpus = prepare(experiment, resolve(experiment))[()].corpus
    rows = [json.loads(line) for line in Path("words/test.jsonl").read_text().splitlines()]
    for sentence, row in zip(corpus.splits["test"], rows, strict=True):
        wanted = {task: row[settings["column"]] for task, settings in TASKS.items()}
        lists = {
            task: list(one) if isinstance(one, tuple) else one
            for task, one in sentence.gold.items()
        }
        assert lists == wanted and [*lists] == [*TASKS]


@pytest.mark.parametrize("scenario", ["heads", "top"])
def test_a_cached_step_is_the_plain_one(file: Path, scenario: str) -> None:
    still = {"head__dropout": ["0"]}  # heads that are stacked draw masks of another shape
    (cached,) = ran(file, (scenario, 0), **still)
    (plain,) = ran(file, (scenario, 0), cache=["off"], **still)
    alike(cached, plain, 1e-4)


def test_seeds_that_train_their_heads_together_are_as_each_alone(file: Path) -> None:
    together = ran(file, ("heads", 0), ("heads", 1))
    for seed, record in enumerate(together):
        alike(record, *ran(file, ("heads", seed)), 1e-4)


def test_everything_learns(file: Path) -> None:
    (record,) = ran(file, ("full", 0), scenarios__full__0__epochs=["40"])
    first, last = record.epochs[1].train_loss, record.epochs[-1].train_loss
    assert {task: last[task] < first[task] / 2 for task in TASKS} == dict.fromkeys(TASKS, True)
    assert record.test is not None
    scores = {task: record.test.primary(task) or 0.0 for task in ("types", "share", "ner", "pos")}
    assert min(scores.values()) > 0.4, scores


def test_what_no_loss_names_stays_as_it_was(file: Path) -> None:
    (record,) = ran(file, ("one", 0))
    (stage,) = record.stages
    moved = {
        unit
        for unit in stage.digests_before
        if stage.digests_before[unit] != stage.digests_after[unit]
    }
    assert {unit for unit in moved if unit.startswith("head.")} == {"head.share"}
    assert all(value is None for value in record.step_losses["topic"])
    assert record.test is not None and record.test.by_task.keys() == TASKS.keys()


def test_the_epoch_is_chosen_by_the_tasks_that_are_named(file: Path) -> None:
    long = {"scenarios__full__0__epochs": ["4"], "scenarios__full__0__train__heads": ["0.3"]}
    for named in (["share"], ["types", "pos"]):
        (record,) = ran(file, ("full", 0), **long, select_on=named)
        scores = [
            sum(epoch.validation.primary(task) or 0.0 for task in named) / len(named)
            for epoch in record.epochs
        ]
        assert record.selection is not None
        assert record.selection.score == pytest.approx(max(scores[1:]))
        assert scores[record.selection.epoch] == max(scores[1:])


def test_gold_can_be_hidden_and_made_wrong_task_by_task(file: Path) -> None:
    def train(**changes: list[str]) -> Any:
        experiment = load(file, {key.replace("__", "."): value for key, value in changes.items()})
        return prepare(experiment, resolve(experiment))[()].corpus.splits["train"]

    whole = train()
    hidden = train(data__labelled__types=["0.25"], data__labelled__share=["0.5"])
    for task, share in {"types": 0.25, "share": 0.5, "topic": 1.0}.items():
        assert sum(task in one.gold for one in hidden) == round(share * len(whole))
    noisy = train(data__label_noise__types=["0.5"], data__label_noise__pos=["0.5"])
    for task in ("types", "pos"):
        pairs = [
            (one.gold[task], other.gold[task]) for one, other in zip(whole, noisy, strict=True)
        ]
        assert np.mean([one != other for one, other in pairs]) > 0.3
        assert all(len(one) == len(other) for one, other in pairs)
    assert all(
        one.gold["topic"] == other.gold["topic"] for one, other in zip(whole, noisy, strict=True)
    )
    with pytest.raises(UserError, match="there is no wrong number to give"):
        train(data__label_noise__share=["0.5"])


def test_a_tag_is_read_where_its_word_begins() -> None:
    kind, codes = Tagging(spans=False), Codes(("n", "v"))
    raw = np.array([1, 0, 1, 1, 0])  # a special token, the words "a" and "b c", a special token
    assert kind.predicted(raw, codes, np.array([1, 2, -1])) == ["n", "v", ""]


@pytest.mark.usefixtures("no_figures")
def test_a_kind_that_is_added_here_alone_runs_through_check_compare_and_report(
    file: Path, tracking_of_its_own: None, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(KINDS, Level.name, Level)
    words = ("words", "--data.max_duplicates", "1.0")
    assert (
        main(["check", *words, "--tasks.level.kind", "level", "--tasks.level.column", "topic"]) == 0
    )
    assert "level" in capsys.readouterr().out
    tasks = {"level": {"kind": "level", "column": "topic"}, "pos": TASKS["pos"]}
    text = FILE.replace("[share]", "[level]").replace("head.share", "head.level")
    encoder = load(file).encoder.name
    Path("own.yaml").write_text(text.format(encoder=encoder, tasks=json.dumps(tasks)))
    assert main(["compare", "own.yaml", "--scenarios", "heads", "full"]) == 0
    report = Path("out/report.md").read_text()
    assert "level" in report and "accuracy" in report
    assert "level_accuracy" in Path("out/trials.csv").read_text().splitlines()[0]


@pytest.fixture
def tracking_of_its_own(file: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's records go into the working directory."""
    import shutil

    shutil.copy(empty_database, "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{Path('mlflow.db').absolute()}")


STAGED = """
  loose: [{{epochs: 2, losses: [topic, pos], train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
  taught: [{{epochs: 2, losses: [topic, pos], distillation: 1.0, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
  again: [{{epochs: 2, losses: [topic], rehearsal: 0.5, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
  watched:
    - epochs: 4
      train: {{encoder: 1.0e-3, heads: 1.0e-2}}
      guidance: {{patience: 1, min_change: 0.5, hold: 1.0}}
start:
  data: {{source: words, max_duplicates: 1.0}}
  stages: [{{epochs: 3, train: {{encoder: 1.0e-3, heads: 1.0e-2}}}}]
"""


@pytest.mark.usefixtures("no_figures", "tracking_of_its_own")
def test_what_a_checkpoint_knew_of_every_task_is_kept_and_told(file: Path) -> None:
    encoder = load(file).encoder.name
    Path("staged.yaml").write_text((FILE + STAGED).format(encoder=encoder, tasks=json.dumps(TASKS)))
    chosen = ["loose", "taught", "again", "watched"]
    assert main(["compare", "staged.yaml", "--seeds", "0", "--scenarios", *chosen]) == 0
    trials = {trial.scenario: trial for trial in Journal(Path("out")).read()[1]}
    for trial in trials.values():
        assert {task for score in trial.matrix for task in score.metrics.by_task} == {*TASKS}
        assert trial.drift is not None and trial.drift.logits.keys() == TASKS.keys()
    loose, taught, again = (trials[name] for name in ("loose", "taught", "again"))
    for task in ("types", "share", "ner"):
        assert taught.drift.logits[task].kl < loose.drift.logits[task].kl, task
        assert not taught.drift.logits[task].identical
    rehearsed = [value is not None for value in again.step_losses["types"]]
    assert 0 < sum(rehearsed) < len(rehearsed)
    assert {decision.task for decision in trials["watched"].ledger} >= {*TASKS}
    report = Path("out/report.md").read_text().lower()
    assert all(settings.get("title", task) in report for task, settings in TASKS.items())


def test_an_interrupted_trial_goes_on_with_the_tasks_it_has(
    file: Path,
    tmp_path: Path,
    stop_after: Any,  # noqa: F811
) -> None:
    bench = Bench(file)
    for scenario, steps in (("full", (2,)), ("one", (1,))):
        home = tmp_path / scenario
        check(bench, bench.run(home / "whole", scenario, (0,)), home, stop_after, steps)
