"""Groups of trials whose results on one task are given, seed by seed and sentence by sentence."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from mtlab.record.quality import Contributions, Metrics, TaskMetrics
from mtlab.record.records import Skipped, Status, SuiteRecord, TrialRecord
from mtlab.report.comparison.groups import Group, groups
from mtlab.tasks.registry import USUAL

from . import factory

CONTROL = "full_finetune"
RIVALS = ("backbone_frozen", "top_1", "top_2", "top_3", "top_4", "top_5")
"""They train something, each more than the one before it."""
NOTHING = "fully_frozen"
"""It trains nothing."""
LEVEL = 0.9
"""What the control scores at every sentence, where nothing else is said."""
UNTRAINED = 0.2
"""What every network scores on validation before training."""
MARGIN = 0.02

Tables = Mapping[str, np.ndarray]
"""Scenario to (seeds, sentences): what each sentence adds to the score."""


def trial(
    name: str,
    seed: int,
    values: np.ndarray,
    point: dict[str, Any] | None = None,
    status: Status = "ok",
    constant: float | None = None,
) -> TrialRecord:
    """A trial with results on one task.

    Args:
        name: of the scenario.
        seed: of the trial.
        values: (sentences,).
        point: of a sweep.
        status: how it ended.
        constant: the score of the best constant answer.
    """
    made = factory.trial(name, seed, status, point=point)
    if status != "ok":
        return made
    score = float(values.mean())
    scored = TaskMetrics(
        scores={"accuracy": score, "macro_f1": score},
        loss=0.1,
        sentences=len(values),
        constant=constant,
    )
    found = Contributions(by_task={"classifier": {"right": tuple(values.tolist())}})
    return made.model_copy(
        update={"test": Metrics(by_task={"classifier": scored}), "contributions": found}
    )


def ran(
    tables: Tables,
    *,
    points: Collection[dict[str, Any]] = ({},),
    failed: Collection[tuple[str, int]] = (),
    skipped: Collection[tuple[str, int]] = (),
    planned: int = 0,
    constant: float | None = None,
    **changes: Any,
) -> tuple[SuiteRecord, list[TrialRecord]]:
    """A suite of one task, with :data:`CONTROL` as the control, at every point the same.

    Args:
        tables: the scenarios' results.
        points: of a sweep.
        failed: scenarios and seeds that diverged.
        skipped: scenarios and seeds that did not run, because a look had decided.
        planned: seeds, where more were planned than ran.
        constant: the score of the best constant answer.
        changes: of the experiment.
    """
    trials = [
        trial(
            name,
            seed,
            values,
            dict(point),
            "diverged" if (name, seed) in failed else "ok",
            constant,
        )
        for point in points
        for name, table in tables.items()
        for seed, values in enumerate(table)
        if (name, seed) not in skipped
    ]
    seeds = planned or max(len(table) for table in tables.values())
    left_out = tuple(
        Skipped(scenario=name, seed=seed, point=dict(point))
        for point in points
        for name, seed in skipped
    )
    suite = factory.suite(
        trials,
        seeds,
        tasks={"classifier": USUAL["classifier"]},
        scenarios={name: [] for name in tables},
        skipped=left_out,
        **changes,
    )
    return suite, trials


def group(tables: Tables, **changes: Any) -> Group:
    """The one group of what :func:`ran`."""
    (made,) = groups(*ran(tables, **changes))
    return made


def control(seeds: int, sentences: int, level: float = LEVEL) -> np.ndarray:
    """A control that scores the same everywhere, so that a rival's results less it are the
    differences.
    """
    return np.full((seeds, sentences), level)


def noisy(
    mean: float, seeds: int, spread: float = 0.004, sentences: int = 300, draw: int = 0
) -> np.ndarray:
    """Results of a rival that is better than :func:`control` by ``mean`` in the mean over all there
    are, with seeds that differ by ``spread`` and sentences that differ by 0.02.
    """
    random = np.random.default_rng(draw)
    rest = random.normal(0, 0.02, (seeds, sentences)) + random.normal(0, 0.02, sentences)
    return LEVEL + mean + random.normal(0, spread, (seeds, 1)) + rest
