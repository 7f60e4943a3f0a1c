"""The journal: what was written is what is read, a file is old or new and never half, and damage is
told in a line."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Experiment
from mtlab.record import archive
from mtlab.record.files import write_atomically
from mtlab.record.journal import Journal
from mtlab.record.quality import Metrics, TaskMetrics
from mtlab.record.records import (
    EpochRecord,
    Selection,
    StageRecord,
    SuiteRecord,
    TrialRecord,
    Units,
)

METRICS = Metrics(
    by_task={
        "classifier": TaskMetrics(
            scores={"accuracy": 0.1 + 0.2, "macro_f1": None}, loss=1e-300, sentences=3
        ),
        "ner": TaskMetrics(
            scores={"f1": None, "precision": 1 / 3, "recall": 0.1},
            by_name={"Ort🧊": {"f1": 1 / 7, "support": 4}},
            loss=None,
            sentences=3,
        ),
    }
)
STAGE = StageRecord(
    name="heads",
    epochs=1,
    steps=2,
    train={"layers[-1/3:]": 5e-5, "heads": 1e-3},
    losses=("classifier", "ner"),
    prefix_depth=4,
    parameters={"head.ner": Units(trainable=3, frozen=0)},
    params_total=10,
    params_trainable=3,
    params_frozen=7,
    digests_before={"head.ner": "aa"},
    digests_after={"head.ner": "bb"},
    step_s=0.25,
)


def trial(
    scenario: str = "heads", seed: int = 0, key: str = "a" * 64, **changes: Any
) -> TrialRecord:
    return TrialRecord(key=key, scenario=scenario, seed=seed, started_at=1.5, **changes)


def full_trial() -> TrialRecord:
    return trial(
        point={"data.train_size": 100, "encoder": {"name": "x"}},
        ended_at=2.5,
        stages=(STAGE,),
        epochs=(
            EpochRecord(
                stage=0,
                epoch=0,
                step=0,
                elapsed_s=0,
                ended_at=2.0,
                train_loss={"ner": 1 / 3},
                validation=METRICS,
            ),
        ),
        step_losses={"total": (1.0, None), "ner": (None, 0.1)},
        selection=Selection(rule="best", epoch=1, score=None),
        validation=METRICS,
        test=METRICS,
        laps={"train": 0.1},
        train_flops=2**60,
    )


def suite(*keys: str) -> SuiteRecord:
    return SuiteRecord(
        experiment={"name": "exp", "seeds": [0]},
        command="mtlab compare exp.yaml",
        started_at=1.0,
        environment={"device": "cpu", "threads": 2, "bf16": False},
        encoder={"": {"name": "minilm", "revision": None}},
        data={"": {"notes": ["Größe"]}},
        trials=keys,
    )


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    journal, record = Journal(tmp_path), full_trial()
    journal.write_suite(suite(record.key))
    journal.write_trial(record)
    assert journal.read() == (suite(record.key), [record])


def test_a_second_reading_and_writing_changes_no_byte(tmp_path: Path) -> None:
    path = Journal(tmp_path).write_trial(full_trial())
    before = path.read_bytes()
    assert (
        Journal(tmp_path).write_trial(TrialRecord.model_validate_json(before)).read_bytes()
        == before
    )
    assert before.endswith(b"}\n")
    assert "Ort🧊".encode() in before


def test_trials_come_in_the_order_of_the_suite_and_those_without_a_record_are_left_out(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    keys = ["b" * 64, "a" * 64, "d" * 64, "c" * 64]
    journal.write_suite(suite(*keys))
    for key in sorted(keys)[:3]:
        journal.write_trial(trial(key=key))
    assert [record.key[0] for record in journal.read()[1]] == ["b", "a", "c"]


def test_records_of_an_earlier_suite_are_not_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write_trial(trial(key="0" * 64))
    (tmp_path / "records" / "heads-seed0-000000000000.json").write_text(
        "damaged, but of no concern"
    )
    journal.write_trial(trial(key="1" * 64))
    journal.write_suite(suite("1" * 64))
    assert [record.key[0] for record in journal.read()[1]] == ["1"]


def test_a_trial_is_replaced_as_it_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    paths = {journal.write_trial(trial(status=status)) for status in ("running", "diverged", "ok")}
    assert paths == {tmp_path / "records" / f"heads-seed0-{'a' * 12}.json"}
    journal.write_suite(suite("a" * 64))
    assert [record.status for record in journal.read()[1]] == ["ok"]


def test_predictions_are_a_line_a_sentence(tmp_path: Path) -> None:
    journal, lines = (
        Journal(tmp_path),
        [{"id": 0, "tokens": ["café", "a\nb"]}, {"id": 1, "tokens": []}],
    )
    path = journal.write_predictions(trial(), lines)
    assert (
        path
        == journal.predictions_path(trial())
        == tmp_path / "predictions" / f"heads-seed0-{'a' * 12}.jsonl"
    )
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]] == lines


# writing


def test_writing_leaves_no_temporary_file(tmp_path: Path) -> None:
    for text in ("first", "second"):
        write_atomically(tmp_path / "new" / "file.json", text)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.json"]
    assert (tmp_path / "new" / "file.json").read_text() == "second"
    assert (tmp_path / "new" / "file.json").stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        UserError, match=r"file\.json: cannot be written \(No space left on device\)"
    ):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_whole_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen, sync = tmp_path / "file.json", [], os.fsync

    def look(handle: int) -> None:
        seen.append((path.exists(), os.fstat(handle).st_size))
        sync(handle)

    monkeypatch.setattr(os, "fsync", look)
    write_atomically(path, "x" * 100_000)
    assert seen[0] == (False, 100_000)


def test_a_file_that_a_killed_run_left_half_written_is_not_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write_suite(suite("a" * 64))
    journal.write_trial(trial())
    (tmp_path / "records" / f".heads-seed0-{'a' * 12}.json.x1y2").write_text("{")
    assert len(journal.read()[1]) == 1


# damage

REMEDY = "run the experiment again"
DAMAGED = f"damaged, or not a record of mtlab's; {REMEDY}"


def complaint(journal: Journal) -> str:
    with pytest.raises(UserError) as error:
        journal.read()
    return str(error.value).replace(f"{journal.directory}/", "")


def test_an_empty_directory_says_what_to_run(tmp_path: Path) -> None:
    assert (
        complaint(Journal(tmp_path))
        == f"{tmp_path}: nothing was run here yet; run `mtlab compare` first, or pass the --output it had"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", DAMAGED),
        (b"{", DAMAGED),
        (b"[]", DAMAGED),
        (b"null", DAMAGED),
        (b'{"format": 2}', DAMAGED),
        (b"\xff\xfe", DAMAGED),
        (b"{}", f"a record of format None, not 2; {REMEDY}"),
        (b'{"format": 99}', f"a record of format 99, not 2; {REMEDY}"),
    ],
)
@pytest.mark.parametrize("name", ["suite.json", f"records/heads-seed0-{'a' * 12}.json"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    journal = Journal(tmp_path)
    journal.write_suite(suite("a" * 64))
    journal.write_trial(trial())
    (tmp_path / name).write_bytes(content)
    assert complaint(journal) == f"{name}: {problem}"


def test_an_unknown_field_is_not_dropped_silently(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write_suite(suite("a" * 64))
    path = journal.write_trial(trial())
    path.write_text(json.dumps({**json.loads(path.read_text()), "extra": 1}))
    assert complaint(journal) == f"records/{path.name}: {DAMAGED}"


def test_the_suite_of_a_published_run_can_still_be_run() -> None:
    read, _ = Journal(Path(__file__).parents[2] / "reports" / "gpu" / "compare").read()
    assert Experiment.model_validate(read.experiment).at(()).batch_size == 32


def test_a_record_that_cannot_be_opened_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "suite.json").mkdir()
    assert complaint(Journal(tmp_path)) == "suite.json: cannot be read (Is a directory)"


# the archive


def archived(directory: Path, *trials: TrialRecord) -> Journal:
    journal = Journal(directory)
    journal.write_suite(suite(*(trial.key for trial in trials)))
    archive.write(directory, trials)
    return journal


def test_an_archive_holds_records_whole_but_for_the_losses_of_steps(tmp_path: Path) -> None:
    trials = [full_trial(), trial(key="b" * 64)]
    journal = archived(tmp_path, *trials)
    assert trials[0].step_losses and trials[0].epochs[-1].train_loss
    assert journal.read()[1] == [one.model_copy(update={"step_losses": {}}) for one in trials]
    assert journal.records([trials[1].key, "c" * 64]) == [trials[1]]


def test_the_same_trials_make_the_same_archive_that_any_reader_of_gzip_reads(
    tmp_path: Path,
) -> None:
    first = (archived(tmp_path / "first", full_trial()).directory / archive.NAME).read_bytes()
    path = archive.write(
        archived(tmp_path / "second", full_trial()).directory, Journal(tmp_path / "first").read()[1]
    )
    assert path.read_bytes() == first
    assert first[3] == 0 and first[4:8] == bytes(4), "neither a name nor a time in its header"
    assert [json.loads(line)["key"] for line in gzip.decompress(first).splitlines()] == [
        full_trial().key
    ]


def test_a_trial_in_an_archive_is_not_finished_here(tmp_path: Path) -> None:
    journal = archived(tmp_path, trial())
    journal.write_predictions(trial(), [])
    assert journal.read()[1] == [trial()]
    assert (
        journal.finished([trial().key], suite().environment) == {}
        and journal.find(trial().key) is None
    )


def test_records_of_a_run_count_and_not_the_archive_beside_them(tmp_path: Path) -> None:
    journal = archived(tmp_path, trial())
    journal.write_trial(trial(status="diverged", reason="at step 3"))
    assert [record.ending for record in journal.read()[1]] == ["diverged: at step 3"]


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


LINE = b'{"format": 2, "key": "k", "scenario": "heads", "seed": 0, "started_at": 0.0}\n'


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"", archive.NAME),
        (packed(b""), archive.NAME),
        (b"not gzip at all", archive.NAME),
        (packed(LINE)[:-12], archive.NAME),
        (packed(LINE)[:-8] + b"x" * 8, archive.NAME),
        (packed(LINE + b"{\n"), f"{archive.NAME}:2"),
        (packed(LINE + b"\xff\xfe\n"), f"{archive.NAME}:2"),
        (packed(LINE + LINE.replace(b'"seed"', b'"sead"')), f"{archive.NAME}:2"),
        (packed(LINE + b"[" * 100_000 + b"\n"), f"{archive.NAME}:2"),
    ],
    ids=[
        "nothing",
        "no line",
        "no archive",
        "cut",
        "another sum",
        "half an object",
        "not UTF-8",
        "unknown field",
        "too deep",
    ],
)
def test_a_damaged_archive_is_named_with_its_line(
    tmp_path: Path, content: bytes, where: str
) -> None:
    journal = archived(tmp_path, trial())
    (tmp_path / archive.NAME).write_bytes(content)
    assert complaint(journal) == f"{where}: {DAMAGED}"


def test_an_archive_that_cannot_be_opened_is_told_in_a_line(tmp_path: Path) -> None:
    archived(tmp_path, trial())
    (tmp_path / archive.NAME).unlink()
    (tmp_path / archive.NAME).mkdir()
    assert complaint(Journal(tmp_path)) == f"{archive.NAME}: cannot be read (Is a directory)"
