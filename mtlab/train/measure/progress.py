"""Showing how far a suite is: one live display on a terminal, plain lines elsewhere."""

import sys
import time
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mtlab.plan.words import counted
from mtlab.record.records import TrialRecord

SHORT_S = 20.0
"""Below this number of seconds, most of a suite's time is not arithmetic, and cannot be
estimated."""

WIDE = 1.5
"""From this ratio of the longest likely time to the shortest on, both are shown."""


@dataclass(frozen=True)
class Pace:
    """Seconds that a FLOP takes: usually, and the least and the most that is likely.

    ``at_most`` says that there may be less work than planned, for patience may end a stage.
    """

    usual: float
    low: float
    high: float
    at_most: bool = False


class PlainProgress:
    """Shows a line for each event, for logs and pipes."""

    def __init__(self) -> None:
        self.trials = self.number = self.work = self.done = 0
        self.label = ""
        self.pace: float | None = None
        self.began = time.perf_counter()

    def say(self, line: str) -> None:
        """Show a line that stays."""
        print(line, flush=True)

    def begin(self, trials: int, work: int, pace: Pace | None, at_most: bool = False) -> None:
        """Start to show a suite.

        Args:
            trials: their number in all.
            work: FLOPs in all.
            pace: at which the work is done; None where it is not known.
            at_most: whether there may be fewer trials.
        """
        self.trials, self.work, self.began = trials, work, time.perf_counter()
        self.pace = None if pace is None else pace.usual
        if pace is not None:
            most = "up to " if at_most else ""
            self.say(f"{most}{counted(trials, 'trial')}, {_expected(work, pace)}")

    def resize(self, trials: int, work: int) -> None:
        """Change the suite's numbers of trials and of FLOPs; both include what has ended."""
        self.trials, self.work = trials, work

    def trial(self, number: int, label: str) -> None:
        """Trial ``number`` begins."""
        self.number, self.label = number, label

    def advance(self, work: int) -> None:
        """So much work was done."""
        self.done += work

    def ended(self, record: TrialRecord) -> None:
        """A trial ended."""
        left = f"  ({self.left()})" if self.number < self.trials else ""
        self.say(f"[{self.number:>{len(str(self.trials))}}/{self.trials}] {summary(record)}{left}")

    def close(self) -> None:
        """Nothing more is shown."""

    def left(self) -> str:
        """Time left, in words."""
        seconds = self.seconds_left(time.perf_counter() - self.began)
        return "time left: not known yet" if seconds is None else f"about {duration(seconds)} left"

    def seconds_left(self, spent: float) -> float | None:
        """Seconds that the remaining work takes; None where that is not known yet.

        The pace is a weighted mean of the pace that was measured before the suite and the pace of
        the suite so far. The weight of the second grows, and is 1 from half of the work on.

        Early work is often that of heads, which takes longer than its FLOPs suggest, so the pace of
        the suite is unreliable at first. But if it is far from the measured pace, as on a machine
        that was busy during the measurement, it alone counts after a tenth of the work.

        Args:
            spent: seconds so far.
        """
        left, share = max(0, self.work - self.done), self.done / self.work if self.work else 0.0
        if self.pace is None and share < 0.1:
            return None  # so little work does not predict the rest
        if not self.done:
            return None if self.pace is None else left * self.pace
        pace = spent / self.done
        if self.pace is None or (share > 0.1 and not 2 / 3 < pace / self.pace < 3 / 2):
            return left * pace
        weight = min(1.0, 2 * share)
        return left * (weight * pace + (1 - weight) * self.pace)


class Silent(PlainProgress):
    """Nothing is shown: of several processes one speaks."""

    def say(self, line: str) -> None:
        """Say nothing."""


class LiveProgress(PlainProgress):
    """One line that moves, with the time left; lines that stay scroll above it."""

    def __init__(self) -> None:
        super().__init__()
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
        )
        self.bar = Progress(*columns, console=Console(), refresh_per_second=2)
        self.task = self.bar.add_task("reading data and encoder", total=None, left="")
        self.bar.start()

    def say(self, line: str) -> None:
        """Show a line that stays."""
        self.bar.console.print(line, markup=False, highlight=False, emoji=False)

    def begin(self, trials: int, work: int, pace: Pace | None, at_most: bool = False) -> None:
        """See :meth:`PlainProgress.begin`."""
        super().begin(trials, work, pace, at_most)
        self.bar.reset(self.task, total=work, left=self.left())

    def resize(self, trials: int, work: int) -> None:
        """See :meth:`PlainProgress.resize`."""
        super().resize(trials, work)
        self.bar.update(self.task, total=work, description=self._description(), left=self.left())

    def trial(self, number: int, label: str) -> None:
        """Trial ``number`` begins."""
        super().trial(number, label)
        self.bar.update(self.task, description=self._description())

    def advance(self, work: int) -> None:
        """So much work was done."""
        super().advance(work)
        self.bar.update(self.task, completed=self.done, left=self.left())

    def close(self) -> None:
        """Nothing more is shown."""
        self.bar.stop()

    def _description(self) -> str:
        return f"[{self.number}/{self.trials}] {self.label}"


def progress() -> PlainProgress:
    """The display that suits where output goes."""
    return LiveProgress() if sys.stdout.isatty() else PlainProgress()


def summary(record: TrialRecord) -> str:
    """A trial in a line: what it scored, or why it failed."""
    if not record.ok or record.test is None:
        return f"{record.label}: FAILED, {record.ending}"
    parts = [
        f"{task} {next(iter(scored.scores))} {_figure(scored.primary)}"
        for task, scored in record.test.by_task.items()
    ]
    return f"{record.label}: {', '.join(parts)}, {duration(record.wall_s or 0.0)}"


def _expected(work: int, pace: Pace) -> str:
    """How long the work takes, in words: a range where the pace varies much."""
    if work * pace.high < SHORT_S:
        return "less than half a minute of computing on this machine"
    low, high = duration(work * pace.low), duration(work * pace.high)
    if pace.at_most:
        return f"up to about {high} on this machine, less where patience ends a stage early"
    if pace.high <= WIDE * pace.low or low == high:
        return f"about {duration(work * pace.usual)} on this machine"
    number, _, unit = low.partition(" ")
    least = number if high.split(" ")[1:] == [unit] else low
    return f"about {least} to {high} on this machine, where steps take now longer, now shorter"


def duration(seconds: float) -> str:
    """Seconds in words, such as ``5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
