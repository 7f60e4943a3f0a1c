"""Test sets out of distribution: scored once, at the end, with the selected weights; nothing else
sees them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mtlab.plan.experiment import load
from mtlab.plan.scenario import Trial
from mtlab.record.changes import changes
from mtlab.record.journal import Journal
from mtlab.record.metrics import Prediction, contributions, score
from mtlab.record.mlflow.runs import metrics_of
from mtlab.record.quality import Metrics
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.train.loop import step
from mtlab.train.measure import dry_run, facts, forecast
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import Runtime, resolve
from mtlab.train.source_trials import Starts
from mtlab.train.trial import run_trials
from tests import tiny
from tests.conftest import EXPERIMENT
from tests.train.test_staged import EXPERIMENT as STAGED
from tests.train.test_staged import write_target
from tests.train.test_trial import Setting, run, setting

SETS = """\
also_test:
  there: {{source: {there}, rename: {{GPE: LOC}}, unseen_labels: count_as_error}}
  typos: {{of: test, change: typos, rate: 0.5}}
  same: {{of: test, change: lowercase}}
"""
"""The words of the tiny data are in lower case: one of the sets is the test split."""


def write_there(directory: Path) -> Path:
    """Other sentences, without labels, one type by another name, and a type that train lacks."""
    directory.mkdir()
    rows = [{**row, "label": None} for row in tiny.sentences(20, 70)]
    for number, row in enumerate(rows):
        del row["label"]
        tags = (tag.replace("LOC", "GPE") for tag in row["ner_tags"])
        row["ner_tags"] = ["B-odd" if number == 3 and tag == "B-GPE" else tag for tag in tags]
    (directory / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return directory


@pytest.fixture
def file(experiment_file: Path, tmp_path: Path) -> Path:
    """The tiny experiment with sets."""
    sets = SETS.format(there=write_there(tmp_path / "there"))
    experiment_file.write_text(experiment_file.read_text() + sets)
    return experiment_file


@pytest.fixture(scope="module")
def ran(
    tmp_path_factory: pytest.TempPathFactory, encoder: Path, data: Path
) -> dict[tuple[str, bool], tuple[Setting, TrialRecord]]:
    """Scenarios, with sets and without, of which none of the tests changes anything."""
    home, found = tmp_path_factory.mktemp("also"), {}
    there = write_there(home / "there")
    for sets in (True, False):
        path = home / f"{sets}.yaml"
        text = EXPERIMENT.format(encoder=encoder, data=data) + f"output: {home / str(sets)}\n"
        path.write_text(text + (SETS.format(there=there) if sets else ""))
        made = setting(path)
        found |= {(name, sets): (made, run(made, name)) for name in ("heads", "full", "gradual")}
    return found


@pytest.mark.parametrize("scenario", ["heads", "full"])
def test_scores_are_those_of_the_predictions_on_disk(
    ran: dict[tuple[str, bool], tuple[Setting, TrialRecord]], scenario: str
) -> None:
    (prepared, _, journal), record = ran[scenario, True]
    tasks = prepared.corpus.tasks
    assert list(record.also) == ["there", "typos", "same"]
    for name, tested in record.also.items():
        lines = journal.predictions_path(record, name).read_text().splitlines()
        predictions = [Prediction(**json.loads(line)) for line in lines]
        gold = [sentence.gold for sentence in prepared.also[name].corpus.splits["test"]]
        assert json.loads(json.dumps([dict(one.gold) for one in predictions])) == json.loads(
            json.dumps(list(map(dict, gold)))
        )
        again = score(tasks, predictions)
        assert again.by_task.keys() == tested.metrics.by_task.keys()
        for task, scored in again.by_task.items():
            assert scored.scores == tested.metrics.by_task[task].scores
            assert tested.metrics.by_task[task].loss is not None
        assert contributions(tasks, predictions) == tested.contributions


def test_a_set_has_its_own_sentences_types_and_tasks(
    ran: dict[tuple[str, bool], tuple[Setting, TrialRecord]],
) -> None:
    _, record = ran["full", True]
    assert record.test is not None
    there = record.also["there"].metrics
    assert there.by_task.keys() == {"ner"}
    assert there.by_task["ner"].sentences == 20
    assert there.by_task["ner"].by_name["odd"] == {
        "f1": 0.0,
        "precision": 0.0,
        "recall": 0.0,
        "support": 1,
    }
    assert there.by_task["ner"].by_name["LOC"]["f1"] > 0.5, (
        "a name of another source is the experiment's"
    )
    assert record.also["typos"].metrics.primary("ner") < record.test.primary("ner")
    assert record.also["same"].metrics == record.test


@pytest.mark.parametrize("scenario", ["heads", "full", "gradual"])
def test_everything_else_is_the_same_with_sets_and_without(
    ran: dict[tuple[str, bool], tuple[Setting, TrialRecord]], scenario: str
) -> None:
    records = [ran[scenario, sets][1] for sets in (True, False)]
    kept = ("epochs", "stages", "step_losses", "order_digest", "initial_digest", "final_digest")
    kept += ("selection", "validation", "test", "contributions", "train_flops", "train_tokens")
    of_the_run = {"elapsed_s", "ended_at", "step_s"}
    with_sets, without = (
        json.loads(
            record.model_dump_json(include=set(kept)),
            object_hook=lambda found: {k: v for k, v in found.items() if k not in of_the_run},
        )
        for record in records
    )
    assert with_sets == without
    assert records[0].key != records[1].key
    assert not records[1].also


def test_a_key_has_the_content_of_sets_and_nothing_where_there_are_none(
    ran: dict[tuple[str, bool], tuple[Setting, TrialRecord]], file: Path
) -> None:
    (prepared, runtime, _), record = ran["heads", True]
    plain, without = ran["heads", False]
    trial = Trial("heads", 0)
    assert replace(prepared, also={}).key(trial, runtime) == without.key
    assert prepared.corpus.fingerprint == plain[0].corpus.fingerprint
    assert prepared.encoding_digest == plain[0].encoding_digest

    def key(**overrides: list[str]) -> str:
        return setting(file, **overrides)[0].key(trial, runtime)

    assert key() == record.key, "where a set lies does not matter"
    rows = (file.parent / "there/test.jsonl").read_text()
    (file.parent / "there/test.jsonl").write_text(rows.replace("GPE", "PER", 1))
    others = [
        key(),
        key(also_test__typos__rate=["0.4"]),
        key(also_test__there__tasks=["[ner]"], also_test__there__unseen_labels=["leave_out"]),
        key(also_test__more=["{of: test, change: shortened, words: 2}"]),
    ]
    assert len({record.key, without.key, *others}) == 6


def test_sets_are_read_once_when_the_test_split_is_scored(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = setting(file)
    prepared, _, journal = made
    honest, seen = step.evaluate, list[tuple[str, list[str]]]()

    def watching(forward: Any, ready: Any, encoded: Any, *rest: Any) -> Any:
        for name, of in prepared.also.items():
            if encoded is of.encoded["test"]:
                there = (journal.directory / "records").glob("*")
                seen.append((name, [path.read_text() for path in there]))
        return honest(forward, ready, encoded, *rest)

    monkeypatch.setattr(step, "evaluate", watching)
    record = run(made, "full")
    assert [name for name, _ in seen] == ["there", "typos", "same"]
    for _, (text,) in seen:
        waiting = TrialRecord.model_validate_json(text)
        assert (waiting.status, waiting.selection) == ("selected", record.selection)


def test_where_each_task_has_its_own_weights_sets_are_scored_with_those(file: Path) -> None:
    long = {"scenarios__full__0__epochs": ["5"], "scenarios__full__0__train__heads": ["0.03"]}
    record = run(setting(file, **long, select=["each"]), "full")
    assert len(set(record.selection.by_task.values())) == 2
    assert record.also["same"].metrics == record.test
    assert record.also["same"].contributions == record.contributions


@pytest.mark.parametrize("scenario", ["heads", "gradual"])
def test_a_cache_of_what_is_frozen_changes_no_score_of_a_set(
    ran: dict[tuple[str, bool], tuple[Setting, TrialRecord]], scenario: str
) -> None:
    """A set is computed from the words up, and the test split on the states in the cache."""
    _, record = ran[scenario, True]
    assert record.also["same"].contributions == record.contributions


def test_a_staged_trial_is_scored_on_sets_and_its_checkpoint_is_not(
    tmp_path: Path, encoder: Path, data: Path
) -> None:
    target = write_target(tmp_path / "target")
    text = STAGED.format(encoder=encoder, source=data, target=target)
    sets = "also_test: {before: {source: %s}, same: {of: test, change: lowercase}}\n"
    path = tmp_path / "staged.yaml"
    path.write_text(text + sets % data + f"output: {tmp_path / 'out'}\n")
    experiment = load(path)
    runtime = resolve(experiment)
    prepared: Prepared = prepare(experiment, runtime)[()]
    assert prepared.source is not None
    assert not prepared.source.also
    journal = Journal(experiment.output)
    record = _staged(prepared, runtime, journal)
    assert record.also["same"].metrics == record.test
    source = record.matrix[-1]
    assert source.domain == "source"
    assert record.also["before"].contributions == source.contributions, "the source's test split"


def _staged(prepared: Prepared, runtime: Runtime, journal: Journal) -> TrialRecord:
    trial = Trial("around", 0)
    starts = Starts(runtime, journal, None, lambda _: None, print, lambda _: None)
    assert starts.make_ready(prepared, 0) is None
    return run_trials(prepared, [trial], runtime, journal, None, lambda _: None)[0].record


def test_facts_and_metrics_name_the_sets(
    ran: dict[tuple[str, bool], tuple[Setting, TrialRecord]],
) -> None:
    (prepared, _, _), record = ran["full", True]
    told = facts.describe_data(prepared)
    kept = ("of", "title", "sentences")
    assert {name: tuple(of[key] for key in kept) for name, of in told["also_test"].items()} == {
        "there": ("", "there", 20),
        "typos": ("test", "typos in 50% of the words", 24),
        "same": ("test", "lower case", 24),
    }
    notes = [note for note in told["notes"] if note.startswith("same: this encoder reads the same")]
    assert len(notes) == 1
    assert "also_test" not in facts.describe_data(ran["full", False][0][0])
    logged = {name: value for name, value, _, _ in metrics_of(record) if name.startswith("also/")}
    assert logged["also/there/ner/f1"] == record.also["there"].metrics.primary("ner")
    assert logged["also/same/classifier/accuracy"] == record.test.primary("classifier")
    assert "also/there/classifier/accuracy" not in logged


def test_a_plan_lists_sets_with_their_sentences_and_notes(file: Path) -> None:
    lines = list(dry_run.lines(load(file)))
    assert "also tested, at the end: there, 20 sentences" in lines
    assert "also tested, at the end: typos (typos in 50% of the words), 24 sentences" in lines
    assert any(line.startswith("note: typos: typos in 50% of the words: ") for line in lines)


def test_a_trial_whose_predictions_on_a_set_are_gone_runs_again(file: Path) -> None:
    made = setting(file)
    record = run(made, "heads")
    journal, keys = made[2], [record.key]
    suite = _suite(made)
    journal.write_suite(suite)
    assert journal.finished(keys, suite.environment).keys() == {record.key}
    journal.predictions_path(record, "typos").unlink()
    assert not journal.finished(keys, suite.environment)


def _suite(made: Setting) -> SuiteRecord:
    data = {"": facts.describe_data(made[0])}
    return SuiteRecord(
        experiment=made[0].experiment.model_dump(mode="json"),
        command="",
        started_at=0.0,
        environment={},
        encoder={},
        data=data,
        trials=(),
    )


def test_what_changed_in_a_set_is_told(file: Path) -> None:
    before = _suite(setting(file))
    rows = file.parent / "there/test.jsonl"
    rows.write_text(rows.read_text().replace("GPE", "PER", 1))
    now = _suite(setting(file, also_test__typos__rate=["0.4"]))
    told = [line.partition(":")[0] for line in changes(before, now)]
    assert told == ["also_test.typos.rate", "data.also_test.there", "data.also_test.typos"]


def test_work_on_sets_is_told_beforehand_and_decides_nothing(
    ran: dict[tuple[str, bool], tuple[Setting, TrialRecord]], file: Path
) -> None:
    trial, done = Trial("full", 0), list[int]()
    prepared, runtime, journal = setting(file, cache=["off"])
    run_trials(prepared, [trial], runtime, journal, None, done.append)
    assert sum(done) == forecast.work(prepared, trial) + forecast.of_sets(prepared)
    assert forecast.work(prepared, trial) == forecast.work(ran["full", False][0][0], trial)


def test_without_sets_records_are_as_they_were(
    ran: dict[tuple[str, bool], tuple[Setting, TrialRecord]],
) -> None:
    (prepared, _, _), record = ran["full", False]
    assert '"also"' not in record.model_dump_json()
    assert "also_test" not in prepared.experiment.model_dump(mode="json")
    assert isinstance(record.test, Metrics)


def test_scenarios_with_adapters_have_the_sets_too(file: Path) -> None:
    more = "  adapters: [{epochs: 1, train: {lora: 1.0e-2, heads: 1.0e-2}}]\n"
    text = file.read_text()
    file.write_text(text.replace("scenarios:\n", f"scenarios:\n{more}"))
    experiment = load(file)
    runtime = resolve(experiment)
    (prepared,) = prepare(experiment, runtime).values()
    trial = Trial("adapters", 0)
    of = prepared.of("adapters")
    assert of.counter.adapted and of.also == prepared.also
    assert of.key(trial, runtime) == prepared.key(trial, runtime)
