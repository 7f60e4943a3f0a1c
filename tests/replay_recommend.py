"""``python -m tests.replay_recommend``: what ``mtlab recommend`` would have said of the published runs.

Each seed of a run is the pilot once, and the others are the fresh seeds. Decisions are made on every
other test sentence, and the truth is the mean of all seeds on the rest, so that sentences are disjoint and
seeds are not: a replay may show that the procedure fails, and cannot show that it does not.

Beside it: always the control, and the cheapest that one seed puts within the margin on validation. A
choice is *wrong* if it loses more than 1.5 margins at a task, or misses a scenario that costs less and
loses less than half a margin at every task.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from mtlab.plan.looks import SAVES
from mtlab.record.journal import Journal
from mtlab.record.quality import Contributions
from mtlab.record.records import TrialRecord
from mtlab.report.comparison import choice, forgetting
from mtlab.report.comparison.groups import Group, groups

SEEDS = 5
"""Of the comparison whose cost is the measure."""

PUBLISHED = Path(__file__).parents[1] / "reports" / "published"
LOST, MISSED = 1.5, 0.5
"""Margins that a wrong choice loses, and that a scenario which should have been chosen does not."""


def every(group: Group, start: int) -> Group:
    """The group as every second test sentence has it."""
    return replace(group, trials=tuple(_halved(trial, start) for trial in group.trials), fellows=[])


def _halved(trial: TrialRecord, start: int) -> TrialRecord:
    if trial.contributions is None:
        return trial
    by_task = {
        task: {name: values[start::2] for name, values in columns.items()}
        for task, columns in trial.contributions.by_task.items()
    }
    return trial.model_copy(update={"contributions": Contributions(by_task=by_task)})


def truths(group: Group) -> dict[str, dict[str, float]]:
    """Scenario to task to the mean over seeds and sentences."""
    known: dict[str, dict[str, float]] = defaultdict(dict)
    for task in group.tasks:
        for name, sample in group.samples(task).items():
            if sample:
                known[name][task.name] = float(
                    np.mean([values.mean() for values in sample.values()])
                )
    return known


class Replay:
    """One run with one of its seeds as the pilot."""

    def __init__(self, group: Group, pilot: int) -> None:
        self.whole, self.pilot = group, pilot
        fresh = tuple(seed for seed in group.seeds if seed != pilot)
        half = every(group, 0)
        self.looks = (len(fresh),)
        first = [trial for trial in half.trials if trial.seed == pilot]
        flops = {trial.scenario: trial.train_flops or 0 for trial in first}
        most = (1 - SAVES) * flops[group.control or ""]
        tried = [name for name, own in flops.items() if own < most or name == group.control]
        self.group = replace(
            half,
            seeds=fresh,
            pilot=tuple(trial for trial in first if trial.scenario in tried),
            trials=tuple(trial for trial in half.trials if trial.seed != pilot),
        )
        self.truth = truths(every(group, 1))
        self.flops = flops

    @property
    def control(self) -> str:
        return self.whole.control or ""

    def recommended(self) -> tuple[str, float]:
        """The choice, and the FLOPs that it took."""
        cost = float(sum(trial.train_flops or 0 for trial in self.group.pilot))
        candidate, references = choice.candidate(self.group), choice.references(self.group)
        if candidate is None:
            first = choice.best(self.group)
            return first.scenario if first else self.control, cost
        each = sum(self.flops[name] for name in {candidate, *references})
        for look in self.looks:
            state = choice.judged(self.group, candidate, look)
            if state != "open":
                break
        ran = {candidate, *references}
        known = [pilot for pilot in choice.pilots(self.group) if pilot.scenario in ran]
        best = max(known, key=lambda pilot: (pilot.mean, pilot.scenario == self.control))
        chosen = candidate if state == "accepted" else best.scenario
        return chosen, cost + each * look

    def one_seed(self) -> tuple[str, float]:
        best = choice.best(self.group)
        name = choice.candidate(self.group) or (best.scenario if best else self.control)
        return name, float(sum(self.flops.values()))

    def shortfall(self, name: str) -> float:
        """What a scenario loses against the control, in margins, at the task where that is most."""
        return max(
            (self.truth[self.control][task.name] - self.truth[name][task.name]) / task.margin
            for task in self.group.tasks
        )

    def wrong(self, name: str) -> bool:
        better = any(
            self.flops[other] < self.flops[name] and self.shortfall(other) < MISSED
            for other in self.flops
            if other != name
        )
        return self.shortfall(name) > LOST or better


def replays() -> Iterator[tuple[str, Replay]]:
    for folder in sorted(path.parent for path in PUBLISHED.glob("*/suite.json")):
        suite, trials = Journal(folder).read()
        for group in groups(suite, trials):
            whole = group.complete and len({len(group.of(name)) for name in group.scenarios}) == 1
            if whole and group.control and len(group.seeds) > 2 and not forgetting.staged(group):
                yield from ((folder.name, Replay(group, seed)) for seed in group.seeds)


def replayed() -> dict[tuple[str, str], list[tuple[bool, float, float]]]:
    """Run and rule to the choices: whether each is wrong, its shortfall in margins, and its cost beside
    that of all scenarios with :data:`SEEDS` seeds."""
    rules = {
        "recommend": lambda replay: replay.recommended(),
        "one seed of each": lambda replay: replay.one_seed(),
        "the control": lambda replay: (replay.control, 0.0),
    }
    rows: dict[tuple[str, str], list[tuple[bool, float, float]]] = defaultdict(list)
    for folder, replay in replays():
        grid = sum(replay.flops.values()) * SEEDS
        for rule, choose in rules.items():
            name, cost = choose(replay)
            row = (replay.wrong(name), replay.shortfall(name), cost / grid)
            rows[folder, rule].append(row)
            rows["all", rule].append(row)
    return rows


def main() -> None:
    """Print a row a run and rule."""
    rows = replayed()
    print(
        f"run | rule | wrong | mean shortfall, margins | largest | share of the FLOPs of {SEEDS} seeds"
    )
    for (folder, rule), some in rows.items():
        wrong, shortfalls, costs = (
            np.array(column, dtype=float) for column in zip(*some, strict=True)
        )
        print(
            f"{folder} | {rule} | {wrong.sum():.0f} of {len(some)} | {shortfalls.mean():+.2f} | "
            f"{shortfalls.max():+.2f} | {costs.mean():.0%}"
        )


if __name__ == "__main__":
    main()
