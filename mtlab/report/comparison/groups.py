"""The trials of a suite, grouped by their point of the sweep: results are compared within a group."""

import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
class OtherSet:
    """A test set out of distribution.

    Attributes:
        name: in records and columns.
        title: words for people.
        changed: whether it has the sentences of the test split, changed; otherwise they come from
            another source.
        sentences: how many it has.
    """

    name: str
    title: str
    changed: bool
    sentences: int


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
    fellows: list["Group"] = field(default_factory=list, repr=False, compare=False)
    """The groups of all points that are judged together, this one among them; empty where it is
    judged alone."""
    looks: tuple[int, ...] = ()
    """Seeds at which verdicts were sought; empty where the number of seeds was fixed."""
    pilot: tuple[TrialRecord, ...] = ()
    """The trials of a pilot seed, which chose on validation what runs with fresh seeds, and whose
    test scores are in no comparison; empty without one. ``trials`` and ``seeds`` lack it."""
    skipped: frozenset[tuple[str, int]] = frozenset()
    """Scenarios and seeds that did not run, because a look had decided."""
    experiment: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The settings of the experiment, as a record has them."""
    also: tuple[OtherSet, ...] = ()
    """The test sets out of distribution."""

    @property
    def label(self) -> str:
        """The point for people, such as ``data.train_size = 100``; empty where nothing is swept."""
        return point_label(self.point.items())

    @property
    def colours(self) -> Mapping[str, str]:
        """Scenario to its colour and marker, for those to which the experiment gives one."""
        return self.experiment.get("colours") or {}

    @property
    def asked(self) -> int:
        """How many trials the experiment asks for at this point, those that were skipped left
        out.
        """
        return sum(len(self.seeds_of(name)) for name in self.scenarios)

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
        """Scenario and seed of the trials that were asked for and left no record; not of those that
        were skipped.
        """
        settled = {(trial.scenario, trial.seed) for trial in self.trials} | self.skipped
        return [
            pair for pair in itertools.product(self.scenarios, self.seeds) if pair not in settled
        ]

    @property
    def complete(self) -> bool:
        """Whether every trial that was asked for ended well."""
        return not self.failed and not self.missing

    @property
    def untimed(self) -> list[TrialRecord]:
        """The trials that ended well and whose times are excluded from comparisons."""
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
        """The tasks that some trial has a test score for; one that nobody trains is left out where
        no answer is right.
        """
        trained = {
            task
            for trial in self.good
            for stage in trial.stages
            if stage.epochs and stage.params_trainable
            for task in stage.losses
        }
        scores = {
            task.name: [
                score for by_seed in self.values(task.metric).values() for score in by_seed.values()
            ]
            for task in self.every
        }
        return [
            task
            for task in self.every
            if scores[task.name] and (task.name in trained or any(scores[task.name]))
        ]

    def on(self, name: str) -> "Group":
        """The group with the scores on a test set out of distribution in place of those on test, so
        that they are compared in the same way; without its pilot, which chose on validation.
        """
        shifted = self._on(name)
        shifted.fellows.extend(fellow._on(name) for fellow in self.fellows)
        return shifted

    def _on(self, name: str) -> "Group":
        trials = tuple(scored_on(trial, name) for trial in self.trials)
        return replace(self, trials=trials, fellows=[], pilot=())

    def reaches(self, scenario: str, look: int) -> bool:
        """Whether a scenario was to run so many seeds, and that look was begun."""
        return look <= len(self.seeds) and not any(
            (scenario, seed) in self.skipped for seed in self.seeds[:look]
        )

    def seeds_of(self, scenario: str) -> list[int]:
        """The seeds that a scenario was to run: all but those that were skipped."""
        return [seed for seed in self.seeds if (scenario, seed) not in self.skipped]

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


def scored_on(trial: TrialRecord, name: str) -> TrialRecord:
    """A trial whose test scores are replaced by its scores on a test set out of distribution, or
    removed if it has none there.
    """
    tested = trial.also.get(name)
    scores = (tested.metrics, tested.contributions) if tested is not None else (None, None)
    return trial.model_copy(update=dict(zip(("test", "contributions"), scores, strict=True)))


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
    looks = tuple(experiment.get("looks") or ())
    pilot = seeds[: experiment.get("pilot") or 0]
    seeds, looks = seeds[len(pilot) :], tuple(look - len(pilot) for look in looks[len(pilot) :])
    skipped: dict[str, set[tuple[str, int]]] = {}
    for skipped_trial in suite.skipped:
        skipped.setdefault(_canonical(skipped_trial.point), set()).add(
            (skipped_trial.scenario, skipped_trial.seed)
        )
    sizes = {label: facts.get("sizes", {}).get("train") for label, facts in suite.data.items()}
    together = [
        Group(
            point,
            _running(scenarios, seeds, skipped.get(key, ())) if pilot else scenarios,
            _looked_at(seeds, looks, [trial for trial in members if trial.seed not in pilot]),
            control,
            tuple(trial for trial in members if trial.seed not in pilot),
            tasks,
            sizes.get(point_label(point.items())),
            looks=looks,
            pilot=tuple(trial for trial in members if trial.seed in pilot),
            skipped=frozenset(skipped.get(key, ())),
            experiment=experiment,
            also=_others(suite.data.get(point_label(point.items()), {})),
        )
        for key, (point, members) in by_point.items()
        if members or point in asked
    ]
    for group in together:
        group.fellows.extend(together)
    return together


def _others(facts: Mapping[str, Any]) -> tuple[OtherSet, ...]:
    """The test sets out of distribution that the facts about a point's data name."""
    return tuple(
        OtherSet(name, set_facts["title"], set_facts["of"] == "test", set_facts["sentences"])
        for name, set_facts in facts.get("also_test", {}).items()
    )


def _running(
    scenarios: Sequence[str], seeds: Sequence[int], skipped: Collection[tuple[str, int]]
) -> tuple[str, ...]:
    """The scenarios that a pilot left to run with fresh seeds."""
    return tuple(name for name in scenarios if not all((name, seed) in skipped for seed in seeds))


def _looked_at(
    seeds: tuple[int, ...], looks: tuple[int, ...], trials: Sequence[TrialRecord]
) -> tuple[int, ...]:
    """The seeds of the largest look that these trials began; all seeds where their number is fixed."""
    run = 1 + max((seeds.index(trial.seed) for trial in trials), default=-1)
    return seeds[: next((look for look in looks if look >= run), len(seeds))]


def _canonical(point: dict[str, Any]) -> str:
    return json.dumps(point, sort_keys=True, default=str)


def _in_order(asked: Any, present: Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys([*asked, *present]))
