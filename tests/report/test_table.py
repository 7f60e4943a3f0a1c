import csv
import io

import pandas as pd
import pytest

from mtlab.record.records import TrialRecord
from mtlab.report import markdown
from mtlab.report.table import COUNTS, RESULTS, look_up, scores, to_csv, trials_table
from mtlab.report.tasks import of_experiment

from . import factory

COLUMNS = [
    "scenario",
    "seed",
    "status",
    "reason",
    "untimed",
    "params_total",
    "params_trainable",
    "params_frozen",
    "wall_s",
    "wall_plain_s",
    "train_s",
    "eval_s",
    "cache_s",
    "setup_s",
    "peak_memory_mb",
    "train_flops",
    "train_flops_padding",
    "train_tokens",
    "tokens_per_s",
    "classifier_accuracy",
    "classifier_macro_f1",
    *(f"ner_{metric}" for metric in ("f1", "precision", "recall")),
    *(f"ner_{metric}_strict" for metric in ("f1", "precision", "recall")),
    "classifier_loss",
    "ner_loss",
    "validation_classifier_accuracy",
    "validation_ner_f1",
    "selected_epoch",
    "key",
]


SCORES = scores(of_experiment({}))


def rows(suite, trials):
    return list(csv.DictReader(io.StringIO(to_csv(trials_table(suite, trials)))))


def test_columns_stand_in_order_with_swept_keys_after_what_became_of_a_trial(suite, trials):
    assert list(trials_table(suite, trials).columns) == COLUMNS
    swept = factory.all_trials(1, {"data.train_size": 100, "head.pooling": "cls"})
    table = trials_table(
        factory.suite(swept, sweep={"data.train_size": [100], "head.pooling": ["cls"]}), swept
    )
    assert list(table.columns) == [*COLUMNS[:5], "data.train_size", "head.pooling", *COLUMNS[5:]]
    assert set(table["data.train_size"]) == {100} and set(table["head.pooling"]) == {"cls"}


def test_csv_equals_the_records_to_the_last_digit(suite, trials):
    for trial, row in zip(trials, rows(suite, trials), strict=True):
        for column, path in RESULTS.items():
            value = look_up(trial, path)
            if value is None or not trial.ok:
                assert row[column] == "", column
            elif column in COUNTS:
                assert row[column] == str(value)
            else:
                assert float(row[column]) == value and row[column] == repr(float(value)), column
        for column in SCORES:
            value = score(trial, column) if trial.ok else None
            assert row[column] == ("" if value is None else repr(value)), column


def score(trial: TrialRecord, column: str) -> float | None:
    """A score of a record, by a column's name."""
    metrics = trial.validation if column.startswith("validation_") else trial.test
    task, _, metric = column.removeprefix("validation_").partition("_")
    scored = metrics.by_task[task]
    return scored.loss if metric == "loss" else scored.scores[metric]


def test_known_values_stand_under_their_names(suite, trials):
    row = next(
        row
        for row in rows(suite, trials)
        if row["scenario"] == "gradual_unfreeze" and row["seed"] == "0"
    )
    trial = next(
        trial for trial in trials if trial.scenario == "gradual_unfreeze" and trial.seed == 0
    )
    assert (
        row["params_trainable"] == "22599945" and row["params_frozen"] == "0"
    )  # of the last stage
    scores = trial.test.by_task["ner"].scores
    assert row["ner_f1"] == repr(scores["f1"]) and row["ner_f1_strict"] == repr(scores["f1_strict"])
    assert row["validation_ner_f1"] == repr(trial.validation.by_task["ner"].scores["f1"])
    assert row["classifier_loss"] == repr(trial.test.by_task["classifier"].loss)
    assert row["setup_s"] == repr(trial.laps["setup"]) and row["key"] == trial.key


def test_a_failed_trial_is_a_row_with_its_reason_and_no_numbers(suite, trials):
    row = next(
        row
        for row in rows(suite, trials)
        if row["scenario"] == "ner_head_frozen" and row["seed"] == "1"
    )
    assert (row["status"], row["reason"]) == ("diverged", "the loss is inf at step 12")
    assert all(row[column] == "" for column in (*RESULTS, *SCORES))


def test_undefined_values_and_empty_suites_are_no_errors(suite):
    bare = factory.trial("full_finetune", 0).model_copy(
        update={"test": None, "stages": (), "laps": {}, "selection": None}
    )
    row = rows(suite, [bare])[0]
    assert (
        row["ner_f1"] == row["params_total"] == row["train_s"] == row["selected_epoch"] == ""
        and row["wall_s"] != ""
    )
    assert to_csv(trials_table(suite, [])).count("\n") == 1


def test_counts_past_64_bits_are_kept(suite):
    huge = factory.trial("full_finetune", 0).model_copy(update={"train_flops": 2**70})
    assert rows(suite, [huge])[0]["train_flops"] == str(2**70)


def test_columns_are_numbers_for_whoever_reads_the_frame(suite, trials):
    table = trials_table(suite, trials)
    assert all(pd.api.types.is_numeric_dtype(table[column]) for column in (*RESULTS, *SCORES))


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        ((0.89, 0.81, 0.98), "0.89× [0.81, 0.98]"),
        ((0.41, 1e-9, 5e10), "0.41× [<0.01, >100]"),
        ((1.0, 1.0, 1.0), "1.00×"),
        ((2.0, None, None), "2.00×"),
        ((None, None, None), "–"),
    ],
)
def test_a_ratio_has_an_interval_without_long_numbers(
    ratio: tuple[float | None, float | None, float | None], words: str
) -> None:
    assert markdown.times(*ratio) == words
