"""The looks of an experiment, one after another: which trials each runs, and which never run."""

from collections.abc import Callable, Collection, Mapping, Sequence

from mtlab.plan.experiment import Experiment
from mtlab.plan.scenario import Pair, Point, Trial, point_label
from mtlab.plan.words import counted
from mtlab.record.records import Skipped, SuiteRecord, TrialRecord

Wanted = Callable[[SuiteRecord, Sequence[TrialRecord], int], Collection[Pair]]
"""Decides after a look which scenarios run with more seeds, at which points: given the suite, the
records of its trials so far and the look's number of seeds. The control is among them as long as
other scenarios are compared with it."""


class Looks:
    """Which trials of an experiment run at each look; where the number of seeds is fixed, there is
    one look.

    Args:
        experiment: whose trials run.
        there: trials that an earlier run finished, to their records; a look uses those that it
            needs.
    """

    def __init__(self, experiment: Experiment, there: Mapping[Trial, TrialRecord]) -> None:
        self.experiment, self.there = experiment, there
        self.trials = experiment.trials()
        self.numbers = experiment.looks or (len(experiment.seeds),)
        """The number of seeds at each look."""
        self.records: dict[Trial, TrialRecord] = {}
        """The records of the trials that ended, in this run or in an earlier one."""
        self.wanted: set[Pair] = {(trial.point, trial.scenario) for trial in self.trials}
        """Points and scenarios that run with the seeds of the next look."""

    def due(self, number: int) -> list[Trial]:
        """The trials without a record that a look at ``number`` seeds needs, in order."""
        seeds = self.experiment.seeds[:number]
        return [
            trial
            for trial in self.trials
            if trial.seed in seeds
            and trial not in self.records
            and (trial.point, trial.scenario) in self.wanted
        ]

    def take(self, number: int) -> list[TrialRecord]:
        """Take the records of an earlier run that a look at ``number`` seeds needs."""
        records = {trial: self.there[trial] for trial in self.due(number) if trial in self.there}
        self.records |= records
        return list(records.values())

    def rounds(self) -> list[list[Trial]]:
        """The trials that an earlier run did not finish, look by look, as if no look ever stopped a
        scenario.
        """
        before, rounds = 0, []
        for number in self.numbers:
            seeds = self.experiment.seeds[before:number]
            rounds.append(
                [trial for trial in self.trials if trial.seed in seeds and trial not in self.there]
            )
            before = number
        return rounds

    def may_run(self, flops: Mapping[Trial, int]) -> list[Trial]:
        """The trials that may run: all, or after a pilot those of the control and of one other
        scenario.

        Args:
            flops: trial to its FLOPs, for the trials that an earlier run did not finish. As the
                other scenario, the one with the most FLOPs is taken.
        """
        if not self.experiment.pilot:
            return list(flops)
        first = set(self.due(self.numbers[0]))
        costliest: dict[tuple[Point, int], Trial] = {}
        wanted = [trial for trial in flops if (trial.point, trial.scenario) in self.wanted]
        for trial in wanted:
            place = trial.point, trial.seed
            if trial.scenario != self.experiment.control and trial not in first:
                costliest[place] = max(
                    costliest.get(place, trial), trial, key=lambda one: flops[one]
                )
        others = set(costliest.values())
        return [
            trial
            for trial in wanted
            if trial in first or trial.scenario == self.experiment.control or trial in others
        ]

    def decide(self, wanted: Collection[Pair]) -> dict[Point, list[str]]:
        """Continue with these points and scenarios alone.

        Returns:
            The scenarios besides the control that stop now, by point.
        """
        stopped: dict[Point, list[str]] = {}
        for point in self.experiment.points:
            for name in self.experiment.scenarios:
                stops = (point, name) in self.wanted and (point, name) not in wanted
                if stops and name != self.experiment.control:
                    stopped.setdefault(point, []).append(name)
        every = {(trial.point, trial.scenario) for trial in self.trials}
        self.wanted = every.intersection(wanted)
        return stopped

    def expected(self) -> list[Trial]:
        """The trials that ended, and those that may still run."""
        possible = set(self.due(self.numbers[-1]))
        return [trial for trial in self.trials if trial in self.records or trial in possible]

    def so_far(self) -> list[TrialRecord]:
        """The records of the trials that ended, in the order of the experiment."""
        return [self.records[trial] for trial in self.trials if trial in self.records]

    def noted(self, suite: SuiteRecord) -> SuiteRecord:
        """The suite with the trials that were read back, and those that are skipped."""
        keys = dict(zip(self.trials, suite.trials, strict=True))
        back = [trial for trial in self.trials if self._is_read_back(trial)]
        expected = set(self.expected())
        skipped = [trial for trial in self.trials if trial not in expected]
        return suite.model_copy(
            update={
                "read_back": tuple(keys[trial] for trial in back),
                "skipped": tuple(
                    Skipped(scenario=skip.scenario, seed=skip.seed, point=dict(skip.point))
                    for skip in skipped
                ),
            }
        )

    def _is_read_back(self, trial: Trial) -> bool:
        return trial in self.there and self.records.get(trial) is self.there[trial]


def stopped_lines(stopped: Mapping[Point, Sequence[str]], number: int) -> list[str]:
    """Lines for the user, one for each point: the scenarios that stop at a look, and the number of
    seeds that they have.
    """
    return [
        f"{f'{point_label(point)}: ' if point else ''}{', '.join(names)}: no more after {counted(number, 'seed')}"
        for point, names in stopped.items()
    ]
