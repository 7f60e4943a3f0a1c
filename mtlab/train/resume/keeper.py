"""Keeping trials as they stand between two steps, and taking them up again: weights, moments,
rates, position, and what was measured.

What a position decides is not kept but made again: the order of the sentences, the masks of
dropout, what is frozen.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Checkpoints
from mtlab.record.records import TrialRecord
from mtlab.train.cache.heads import Heads
from mtlab.train.distributed.processes import ALONE, Processes
from mtlab.train.loop.step import Learner
from mtlab.train.measure.memory import Memory
from mtlab.train.resume import signals, watchdog
from mtlab.train.resume.unfinished import Saved, Unfinished, read

Tensors = dict[str, Tensor]


class Kept(Protocol):
    """A trial as its keeper knows it."""

    record: TrialRecord
    learner: Learner | None

    @property
    def memory(self) -> Memory:
        """Watches the peak."""
        ...

    def state(self) -> tuple[dict[str, Any], Tensors]:
        """What another process needs to go on from here, but for what the position decides."""
        ...

    def go_on(self, facts: dict[str, Any], tensors: Tensors) -> None:
        """Take up what :meth:`state` told of the same trial; a learner's state is left to it."""
        ...


@dataclass
class Keeper:
    """Writes the checkpoints of trials that run together, and gives them back the last one.

    Of several processes the first writes: it holds what all of them hold.

    Attributes:
        folder: where checkpoints lie.
        often: how often they are written.
        say: tells the user what went wrong.
        processes: that run the trials.
        saved: the checkpoint that the trials go on from; None where they begin.
        before: how often the trials had begun before.
    """

    folder: Unfinished
    often: Checkpoints
    say: Callable[[str], None]
    processes: Processes = ALONE
    saved: Saved | None = None
    before: int = 0
    _last: float = field(default_factory=time.monotonic)
    _steps: int = 0
    _told: bool = False

    def begin(self) -> None:
        """Find what the trials can go on from."""
        self.before = self.processes.once(self.folder.begin)
        saved = self.folder.read() if self.before and self.processes.leads else None
        manifest = self.processes.once(lambda: None if saved is None else saved.manifest)
        self.saved = read(manifest) if saved is None and manifest is not None else saved
        self.processes.barrier()  # the next checkpoints may take its place

    def left(self, reason: str = "") -> bool:
        """Note that this process leaves the others in the middle of the trials, and why; returns
        whether it is the first that does.
        """
        return self.processes.several and self.folder.left(self.before + 1, reason)

    def watched(self) -> AbstractContextManager[None]:
        """Within, the process ends when it hangs."""
        return watchdog.watched(self.folder.folder, self.often.stall_s)

    def stepped(self) -> bool:
        """Count a step; returns whether a checkpoint is to be written after it, by this process."""
        self._steps += 1
        watchdog.beat()
        return self._due()

    def _due(self) -> bool:
        if not self.processes.leads:
            return False
        late = time.monotonic() - self._last >= self.often.every_s
        return (
            late
            or signals.asked()
            or bool(self.often.every_steps and self._steps >= self.often.every_steps)
        )

    def keep_if_due(self, runs: Sequence[Kept], heads: Heads | None = None) -> None:
        """Write a checkpoint of the trials, where it is time; outside every lap, and its memory is
        not counted.

        Raises:
            Stopped: that is what it was written for.
        """
        if not self._due():
            return
        try:
            if runs:
                with runs[0].memory.uncounted(collect=False):
                    self._keep(runs, heads)
        except UserError as error:
            if not self._told:
                self.say(f"no checkpoint: {error}")
            self._told = True
        self._last, self._steps = time.monotonic(), 0
        signals.leave_if_asked()

    def _keep(self, runs: Sequence[Kept], heads: Heads | None) -> None:
        facts: dict[str, Any] = {"runs": {}, "heads": None}
        tensors: Tensors = {}
        for run in runs:
            facts["runs"][run.record.key], own = run.state()
            tensors |= {f"{run.record.key}/{name}": tensor for name, tensor in own.items()}
        if heads is not None:
            facts["heads"], own = heads.state()
            tensors |= {f"heads/{name}": tensor for name, tensor in own.items()}
        self.folder.save(facts, tensors)

    def restore(self, run: Kept) -> bool:
        """Give a run that has its network the state that was kept of it; False where none was."""
        kept = self.saved is not None and run.record.key in self.saved.facts["runs"]
        if kept and self.saved is not None:
            run.go_on(
                self.saved.facts["runs"][run.record.key], below(self.saved.tensors, run.record.key)
            )
        run.record = run.record.model_copy(update={"attempts": self.before + 1})
        return kept

    def restore_learner(self, run: Kept) -> None:
        """Give a run that has the learner of its stage, for the first time since :meth:`restore`,
        the learner's state.
        """
        kept = (
            self.saved.facts["runs"].pop(run.record.key, None) if self.saved is not None else None
        )
        if kept is not None and self.saved is not None and run.learner is not None:
            run.learner.go_on(
                kept["learner"], below(self.saved.tensors, f"{run.record.key}/learner")
            )

    def restore_heads(self, heads: Heads) -> None:
        """Give heads that were just stacked the state that was kept of them, if any was; once."""
        if self.saved is not None and self.saved.facts["heads"] is not None:
            heads.go_on(self.saved.facts["heads"], below(self.saved.tensors, "heads"))
            self.saved.facts["heads"] = None

    def end(self) -> None:
        """The trials have ended, and their records are written."""
        self.saved = None
        if self.processes.leads:
            self.folder.end()


def below(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors whose names begin with a prefix, by what follows it."""
    return {
        name.removeprefix(f"{prefix}/"): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{prefix}/")
    }
