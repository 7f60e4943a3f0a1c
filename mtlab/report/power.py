"""Which differences an experiment will be able to show. This is estimated before the experiment runs,
from earlier records of the same data.

Earlier contrasts have variances between seeds and between test sentences. From these follows the
width of an interval with any number of seeds.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtlab.plan.errors import UserError
from mtlab.plan.scenario import points
from mtlab.record.journal import Journal
from mtlab.report.claims.verdicts import PUBLISHED
from mtlab.report.comparison import training_failures
from mtlab.report.comparison.groups import Group, groups
from mtlab.report.statistics import scale
from mtlab.report.statistics.outlook import MOST_SEEDS, Outlook
from mtlab.report.statistics.variances import Spread, estimable
from mtlab.report.tasks import Task, of_experiment

POWER_QUANTILE = 0.8416
"""The 80% quantile of the normal distribution: if a difference exceeds the half-width of the interval
by this many standard errors, four of five suites show it."""


@dataclass(frozen=True)
class Source:
    """Earlier records of the same data and encoder.

    Attributes:
        folder: where the records are.
        group: their results at the point with these data.
    """

    folder: Path
    group: Group


@dataclass(frozen=True)
class Power:
    """Which differences a task's contrasts can show.

    Attributes:
        task: the task whose metric is compared.
        alpha: the error of one interval.
        spread: the variance of one seed's difference (``seeds``) and that from test sentences
            (``sentences``), medians over contrasts.
        sentences: the number of sentences of the test split.
    """

    task: Task
    alpha: float
    spread: Spread
    sentences: int

    def shown(self, seeds: float) -> float:
        """The smallest difference that this number of seeds shows in four of five suites."""
        spread = replace(self.spread, sentences_df=self.sentences - 1)
        outlook = Outlook(0.0, 1, spread, self.sentences, self.alpha, self.task.margin)
        error = math.sqrt(spread.seeds / seeds + spread.sentences)
        return outlook.half(seeds) + POWER_QUANTILE * error

    @property
    def seeds_of_margin(self) -> int | None:
        """The fewest seeds that show a difference as large as the margin; None if
        :data:`MOST_SEEDS` seeds do not show it.
        """
        enough = (n for n in range(2, MOST_SEEDS + 1) if self.shown(n) <= self.task.margin)
        return next(enough, None)

    @property
    def sentences_of_margin(self) -> int | None:
        """The test sentences that are needed to show such a difference with unlimited seeds; None
        if the present test sentences are enough.
        """
        limit = self.shown(math.inf)
        if limit <= self.task.margin:
            return None
        return math.ceil(self.sentences * (limit / self.task.margin) ** 2)


def lines(experiment: Mapping[str, Any], output: Path, fingerprint: str) -> Iterator[str]:
    """What an experiment can show, line by line.

    Args:
        experiment: its settings, as a record has them.
        output: where its records will go; earlier records are looked for there, beside it, and
            among published answers.
        fingerprint: the fingerprint of its data.
    """
    source = find(output, fingerprint, experiment)
    if source is None:
        yield (
            "What it can show is not known: no earlier records of these data and this encoder, with a control and two seeds, are in "
            f"{output.parent}. Run two seeds first, and plan again."
        )
        return
    seeds = len(experiment["seeds"])
    if seeds < 2:
        yield "One seed shows no difference between scenarios, however large; take two seeds or more."
        return
    powers = list(_powers(source.group, experiment, seeds))
    runs = max(len(source.group.of(name)) for name in source.group.scenarios)
    yield (
        f"What it can show, from {source.folder} ({runs} seeds): the smallest difference to the control that {seeds} seeds show in four of "
        "five suites"
    )
    yield from (f"  {_line(power, seeds)}" for power in powers)


def _line(power: Power, seeds: int) -> str:
    task = power.task
    start = f"{task.metric_title}: {power.shown(seeds):.3f}; the margin of {task.margin:g} takes "
    if power.sentences_of_margin is not None:
        needed_sentences = (
            f"about {power.sentences_of_margin:,} test sentences ({power.sentences:,} are there)"
        )
        return f"{start}{needed_sentences}, and no number of seeds is enough"
    needed = power.seeds_of_margin
    return start + (f"{needed} seeds" if needed is not None else f"more than {MOST_SEEDS} seeds")


def find(output: Path, fingerprint: str, experiment: Mapping[str, Any]) -> Source | None:
    """The earlier records in which the control has the most seeds, at least two; None without any.
    If numbers are equal, the experiment's own records come first, then published ones.
    """
    beside = sorted(output.parent.glob("*/suite.json"))
    published = sorted((output.parent / PUBLISHED).glob("*/suite.json"))
    folders = dict.fromkeys([output, *(path.parent for path in (*published, *beside))])
    best: tuple[int, Source] | None = None
    for folder in folders:
        for source in _sources(folder, fingerprint, experiment):
            seeds = len(source.group.of(source.group.control or ""))
            if seeds > max(1, best[0] if best else 0):
                best = seeds, source
    return best[1] if best else None


def _sources(folder: Path, fingerprint: str, experiment: Mapping[str, Any]) -> Iterator[Source]:
    if not (folder / "suite.json").exists():
        return
    try:
        suite, trials = Journal(folder).read()
    except UserError:  # without these records, others may still help
        return
    same = (suite.experiment.get("encoder"), suite.experiment.get("start")) == (
        experiment.get("encoder"),
        experiment.get("start"),
    )
    for group in groups(suite, trials) if same else ():
        data = suite.data.get(group.label, {})
        if data.get("fingerprint") == fingerprint and group.control is not None:
            yield Source(folder, group)


def _powers(group: Group, experiment: Mapping[str, Any], seeds: int) -> Iterator[Power]:
    tasks = {task.name: task for task in of_experiment(experiment)}
    contrasts = (len(experiment["scenarios"]) - 1) * len(tasks)
    together = len(points(experiment.get("sweep") or {}, experiment.get("settings") or {}))
    judged = contrasts * (1 if experiment.get("settings") else together)
    alpha = scale.spending(experiment.get("looks") or [seeds])[-1] / max(1, judged)
    for task in group.tasks:
        spreads = _spreads(group, task)
        if task.name in tasks and spreads:
            middle = Spread(
                float(np.median([spread.seeds for spread, _ in spreads])),
                1,
                float(np.median([spread.sentences for spread, _ in spreads])),
                1,
                0.0,
            )
            yield Power(tasks[task.name], alpha, middle, spreads[0][1])


def _spreads(group: Group, task: Task) -> list[tuple[Spread, int]]:
    """For each contrast that trains something: the variance of one seed's difference, the variance
    from test sentences, and the number of test sentences.
    """
    samples, spreads = group.samples(task), []
    for name in group.scenarios:
        if name == group.control or not training_failures.trains(group, name):
            continue
        shared = samples[name].keys() & samples[group.control or ""].keys()
        if len(shared) < 2:
            continue
        table = np.stack(
            [samples[name][seed] - samples[group.control or ""][seed] for seed in shared]
        )
        spread = estimable(table)
        if spread is not None:
            spreads.append((replace(spread, seeds=spread.seeds * len(table)), table.shape[1]))
    return spreads
