"""The trials of a suite, grouped by their point of the sweep: results are compared within a group."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlab.plan.scenario import point_label, points
from mtlab.record.records import SuiteRecord, TrialRecord
from mtlab.report.table import result
from mtlab.report.tasks import Task, of_experiment
from mtlab.tasks.kind import Score

ENOUGH = 20
"""How many of a part there must be for its score to say something."""


@dataclass(frozen=True)
class Group:
    """The scenarios and seeds asked for at one point of the sweep, and the trials that left a
    record there.
    """

    point: dict[str, Any]
    scenarios: tuple[str, ...]
    """In the order of the experiment."""
    seeds: tuple[int, ...]
    control: str | None
    trials: tuple[TrialRecord, ...]
    every: tuple[Task, ...]
    """The experiment's tasks."""
    sentences: int | None = None
    """Training sentences."""

    @property
    def label(self) -> str:
        """The point for people, such as ``data.train_size = 100``; empty where nothing is swept."""
        return point_label(self.point.items())

    @property
    def asked(self) -> int:
        """How many trials the experiment asks for at this point."""
        return len(self.scenarios) * len(self.seeds)

    @property
    def good(self) -> list[TrialRecord]:
        """The trials that ended well."""
        return [trial for trial in self.trials if trial.ok]

    @property
    def failed(self) -> list[TrialRecord]:
        """The trials that left a record and did not end well."""
        return [trial for trial in self.trials if not trial.ok]

    @property
    def missing(self) -> list[tuple[str, int]]:
        """Scenario and seed of the trials that were asked for and left no record."""
        there = {(trial.scenario, trial.seed) for trial in self.trials}
        return [pair for pair in itertools.product(self.scenarios, self.seeds) if pair not in there]

    @property
    def complete(self) -> bool:
        """Whether every trial that was asked for ended well."""
        return not self.failed and not self.missing

    @property
    def untimed(self) -> list[TrialRecord]:
        """The trials that ended well and whose times are not excluded from comparisons."""
        return [trial for trial in self.good if trial.untimed]

    @property
    def cost(self) -> str:
        """The column of costs: uncached time, or training FLOPs where a scenario has no comparable
        time.
        """
        times = self.values("wall_plain_s")
        return (
            "wall_plain_s"
            if all(times[name] for name in self.scenarios if self.of(name))
            else "train_flops"
        )

    @property
    def tasks(self) -> list[Task]:
        """The tasks that at least one trial has a test score for."""
        return [task for task in self.every if any(self.values(task.metric).values())]

    def of(self, scenario: str) -> list[TrialRecord]:
        """The trials of a scenario that ended well, by seed."""
        return sorted(
            (trial for trial in self.good if trial.scenario == scenario),
            key=lambda trial: trial.seed,
        )

    def samples(self, task: Task) -> dict[str, dict[int, np.ndarray]]:
        """Scenario to seed to what each test sentence adds to the task's metric; failed trials are
        left out.
        """
        by_scenario: dict[str, dict[int, np.ndarray]] = {}
        for name in self.scenarios:
            pairs = (
                (trial.seed, task.contributed(trial.contributions))
                for trial in self.of(name)
                if trial.contributions is not None
            )
            by_scenario[name] = {seed: values for seed, values in pairs if values is not None}
        return by_scenario

    def values(self, column: str) -> dict[str, dict[int, float]]:
        """Scenario to seed to value of a column of the table; undefined values and failed trials
        are left out.
        """
        by_scenario: dict[str, dict[int, float]] = {name: {} for name in self.scenarios}
        for name in self.scenarios:
            pairs = ((trial.seed, result(trial, column)) for trial in self.of(name))
            by_scenario[name] = {seed: value for seed, value in pairs if value is not None}
        return by_scenario

    def parts(self, task: Task) -> dict[str, int]:
        """Parts of a task that are scored by themselves, such as entity types, to how many of them
        test has, the most frequent first.
        """
        support: dict[str, int] = {}
        for trial in self.good:
            for part, scores in _by_name(trial, task).items():
                support[part] = max(support.get(part, 0), int(scores.get("support") or 0))
        return dict(sorted(support.items(), key=lambda pair: (-pair[1], pair[0])))

    def part_score(self, scenario: str, task: Task, part: str) -> float | None:
        """Mean over a scenario's seeds of the first test score of a part of a task; ``None`` where no
        seed has one.
        """
        values = [
            value
            for trial in self.of(scenario)
            if (scores := _by_name(trial, task).get(part))
            and (value := next(iter(scores.values()))) is not None
        ]
        return sum(values) / len(values) if values else None


def _by_name(trial: TrialRecord, task: Task) -> dict[str, dict[str, Score]]:
    scored = trial.test.by_task.get(task.name) if trial.test else None
    return scored.by_name if scored is not None else {}


def groups(suite: SuiteRecord, trials: Sequence[TrialRecord]) -> list[Group]:
    """The suite's trials by point, in the order of the sweep; one group where nothing is swept."""
    experiment = suite.experiment
    scenarios = _in_order(experiment.get("scenarios", {}), (trial.scenario for trial in trials))
    seeds = _in_order(experiment.get("seeds", ()), (trial.seed for trial in trials))
    asked = [
        dict(point) for point in points(experiment.get("sweep", {}), experiment.get("settings", {}))
    ]
    by_point: dict[str, tuple[dict[str, Any], list[TrialRecord]]] = {
        _canonical(point): (point, []) for point in asked
    }
    for trial in trials:
        by_point.setdefault(_canonical(trial.point), (trial.point, []))[1].append(trial)
    control, tasks = experiment.get("control"), of_experiment(experiment)
    sizes = {label: facts.get("sizes", {}).get("train") for label, facts in suite.data.items()}
    return [
        Group(
            point,
            scenarios,
            seeds,
            control,
            tuple(members),
            tasks,
            sizes.get(point_label(point.items())),
        )
        for point, members in by_point.values()
        if members or point in asked
    ]


def _canonical(point: dict[str, Any]) -> str:
    return json.dumps(point, sort_keys=True, default=str)


def _in_order(asked: Any, present: Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys([*asked, *present]))
