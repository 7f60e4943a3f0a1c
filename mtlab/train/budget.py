"""The work of a suite: how much there is at most, and how much of it is done."""

from collections.abc import Collection, Iterable, Sequence

from mtlab.plan.experiment import START
from mtlab.plan.looks import SAVES
from mtlab.plan.scenario import Pair, Trial
from mtlab.train.measure import forecast
from mtlab.train.worker import Work, groups, starts


class Budget:
    """FLOPs of trials, with what each computes for other trials, and of the checkpoints that trials
    start from.

    Args:
        work: the experiment, ready to run.
        rounds: the trials that are not read back, look by look.
    """

    def __init__(self, work: Work, rounds: Sequence[Sequence[Trial]]) -> None:
        self.work = work
        left = [trial for round_trials in rounds for trial in round_trials]
        together = [group for round_trials in rounds for group in groups(round_trials, work)]
        self.trials = {
            trial: forecast.work(work.of(trial), trial) + forecast.of_sets(work.of(trial))
            for trial in left
        }
        """Trial to FLOPs, in the order they run."""
        for trial, flops in forecast.common(work.of, together).items():
            self.trials[trial] += flops
        self.starts = {key: self._start(trial) for key, trial in starts(work, left).items()}
        """Key of the trial that trains a checkpoint to FLOPs."""

    def of(self, trials: Iterable[Trial]) -> int:
        """FLOPs of some trials, with the checkpoints that they start from; 0 for those that are
        read back.
        """
        to_run = [trial for trial in trials if trial in self.trials]
        needed = starts(self.work, to_run)
        return sum(self.trials[trial] for trial in to_run) + sum(self.starts[key] for key in needed)

    def done(self, ended: Iterable[Trial], ready: Collection[str]) -> int:
        """FLOPs that are done when these trials ended and these checkpoints are ready.

        A trial that failed counts as whole.
        """
        of_trials = sum(self.trials[trial] for trial in ended if trial in self.trials)
        return of_trials + sum(flops for key, flops in self.starts.items() if key in ready)

    def _start(self, trial: Trial) -> int:
        source = self.work.prepared[trial.point].source
        return 0 if source is None else forecast.work(source, Trial(START, trial.seed))


def not_tried(work: Work) -> set[Pair]:
    """Points and scenarios that a pilot leaves out: this engine would compute nearly as much for
    them as for the control, so that they cannot save enough. A scenario that chooses blocks while
    it trains is never left out, because its FLOPs are not known before.
    """
    experiment = work.experiment
    if not experiment.pilot or experiment.control is None:
        return set()
    flops = {
        (trial.point, trial.scenario): forecast.work(work.of(trial), trial)
        for trial in experiment.trials()
        if trial.seed == experiment.seeds[0]
    }
    return {
        (point, name)
        for (point, name), spent in flops.items()
        if name != experiment.control
        and not experiment.scenario(name).decides
        and spent >= (1 - SAVES) * flops[point, experiment.control]
    }
