"""The table of trials, which ``trials.csv`` holds: one row for each trial."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mtlab.plan.scenario import points
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report.tasks import Task, of_experiment

RESULTS = {
    "params_total": "stages.-1.params_total",
    "params_trainable": "stages.-1.params_trainable",
    "params_frozen": "stages.-1.params_frozen",
    "wall_s": "wall_s",
    "wall_plain_s": "wall_plain_s",
    "train_s": "laps.train",
    "eval_s": "laps.eval",
    "cache_s": "laps.cache",
    "setup_s": "laps.setup",
    "peak_memory_mb": "peak_memory_mb",
    "train_flops": "train_flops",
    "train_flops_padding": "train_flops_padding",
    "train_tokens": "train_tokens",
    "tokens_per_s": "tokens_per_s",
    "selected_epoch": "selection.epoch",
}
"""Column of the table to the place of its value in a record, without the columns of scores. Times are
in seconds, memory is in MB."""

COUNTS = (
    "params_total",
    "params_trainable",
    "params_frozen",
    "train_flops",
    "train_flops_padding",
    "train_tokens",
    "selected_epoch",
)
"""The columns that hold whole numbers."""


VALIDATION = "validation_"
"""The prefix of the columns of scores on validation."""

ALSO = "also"
"""The prefix of the columns of scores on test sets out of distribution: ``also.SET.TASK_METRIC``."""

TIMES = ("wall_s", "wall_plain_s", "train_s", "eval_s", "cache_s", "setup_s", "tokens_per_s")
"""The columns that are empty for trials whose times are excluded from comparisons
(``TrialRecord.untimed``)."""


def look_up(value: Any, path: str) -> Any:
    """The value at a dotted ``path`` of a record (attributes, keys, indices); ``None`` if a value on
    the path is ``None``, a key is missing, or a tuple is empty.
    """
    for part in path.split("."):
        if value is None:
            return None
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, tuple):
            value = value[int(part)] if value else None
        else:
            value = getattr(value, part)
    return value


def result(trial: TrialRecord, column: str) -> Any:
    """A trial's value for a column of :data:`RESULTS`, :func:`scores` or :func:`also_scores`; ``None``
    if the value is undefined or excluded from comparisons, or if the trial did not end well.
    """
    if not trial.ok or (column in TIMES and trial.untimed):
        return None
    return look_up(trial, RESULTS[column]) if column in RESULTS else _score(trial, column)


def _score(trial: TrialRecord, column: str) -> float | None:
    also = ((f"{ALSO}.{name}.", tested.metrics) for name, tested in trial.also.items())
    for prefix, metrics in (("", trial.test), (VALIDATION, trial.validation), *also):
        for task, scored in metrics.by_task.items() if metrics is not None else ():
            for metric, value in {**scored.scores, "loss": scored.loss}.items():
                if column == f"{prefix}{task}_{metric}":
                    return value
    return None


def scores(tasks: Sequence[Task]) -> list[str]:
    """The columns of scores: ``TASK_METRIC`` and ``TASK_loss`` on test, and the metric that judges
    each task on validation.
    """
    return [
        *(f"{task.name}_{metric}" for task in tasks for metric in task.kind.metrics),
        *(f"{task.name}_loss" for task in tasks),
        *(f"{VALIDATION}{task.metric}" for task in tasks),
    ]


def also_scores(suite: SuiteRecord, trials: Sequence[TrialRecord]) -> list[str]:
    """The columns of scores on test sets out of distribution: for each set, the metric that judges
    each task for which a trial has a score there; empty without such sets.
    """
    scored = {
        (name, task)
        for trial in trials
        for name, tested in trial.also.items()
        for task in tested.metrics.by_task
    }
    names = dict.fromkeys(
        name for facts in suite.data.values() for name in facts.get("also_test", {})
    )
    return [
        f"{ALSO}.{name}.{task.metric}"
        for name in names
        for task in of_experiment(suite.experiment)
        if (name, task.name) in scored
    ]


def trials_table(suite: SuiteRecord, trials: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row for each trial: its settings, its status, and the columns of :data:`RESULTS`,
    :func:`scores` and :func:`also_scores`.

    A trial that did not end well has a row with its ``status`` and ``reason`` but without numbers,
    so that no average of a column includes half a training run. Times that are excluded from
    comparisons are empty, too; ``untimed`` has the reason, and the record has the times.
    """
    swept = [
        key
        for point in points(suite.experiment.get("sweep", {}), suite.experiment.get("settings", {}))
        for key, _ in point
    ]
    swept += [key for trial in trials for key in trial.point if key not in swept]
    columns: dict[str, Any] = {
        "scenario": [trial.scenario for trial in trials],
        "seed": [trial.seed for trial in trials],
        "status": [trial.status for trial in trials],
        "reason": pd.Series([trial.reason for trial in trials], dtype=object),
        "untimed": pd.Series([trial.untimed for trial in trials], dtype=object),
    }
    for key in dict.fromkeys(swept):
        columns[key] = pd.Series([trial.point.get(key) for trial in trials], dtype=object)
    *costs, last = RESULTS
    score_columns = [*scores(of_experiment(suite.experiment)), *also_scores(suite, trials)]
    for column in (*costs, *score_columns, last):
        columns[column] = _numbers(column, [result(trial, column) for trial in trials])
    columns["key"] = [trial.key for trial in trials]
    return pd.DataFrame(columns)


FORMULA = tuple("=+-@＝＋－＠")
"""The characters that begin a formula in a spreadsheet."""


def to_csv(table: pd.DataFrame) -> str:
    """The table as CSV: floats in their shortest exact form, undefined values as empty cells, and
    lines that end in LF.

    Text is one line in each cell. An apostrophe precedes text that a spreadsheet would treat as a
    formula.
    """
    words = [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]
    inert = {
        column: pd.Series([_inert(value) for value in table[column]], dtype=object)
        for column in words
    }
    return table.assign(**inert).rename(columns=_inert).to_csv(index=False, lineterminator="\n")


def _inert(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    line = "".join(mark if mark.isprintable() else " " for mark in value)
    return f"'{line}" if line.lstrip().startswith(FORMULA) else line


def _numbers(column: str, values: list[Any]) -> pd.Series:
    if column not in COUNTS:
        return pd.Series(values, dtype="float64")
    try:
        return pd.Series(values, dtype="Int64")
    except OverflowError:  # training FLOPs past 9.2e18, which 64 bits do not hold
        return pd.Series(values, dtype=object)
