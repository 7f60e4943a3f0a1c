"""Writing the resume state of trials between two steps, and reading it back: weights, moments,
rates, position, and what was measured.

What follows from the position is computed again instead of stored: the order of the sentences, the
masks of dropout, what is frozen.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Checkpoints
from mtlab.train.distributed.processes import ALONE, Processes
from mtlab.train.resume import signals, watchdog
from mtlab.train.resume.unfinished import Saved, Unfinished, read

Tensors = dict[str, Tensor]


class Resumable(Protocol):
    """Trials whose state can be written between two steps."""

    def state_dict(self) -> tuple[dict[str, Any], Tensors] | None:
        """What another process needs to continue from here, except what follows from the position:
        the facts that are not tensors, and the tensors. None where trials cannot continue together.
        """
        ...


@dataclass
class Keeper:
    """Writes the resume state of trials that run together, and finds the last one.

    Of several processes only the first writes: all of them hold the same state.

    Attributes:
        folder: where resume states lie.
        settings: how often they are written.
        say: tells the user what went wrong.
        uncounted: gives a context in which memory does not count as the trials'.
        processes: the processes that run the trials.
        saved: the state that the trials continue from; None if they start from the beginning.
        before: how often the trials had begun before.
    """

    folder: Unfinished
    settings: Checkpoints
    say: Callable[[str], None]
    uncounted: Callable[[], AbstractContextManager[None]]
    processes: Processes = ALONE
    saved: Saved | None = None
    before: int = 0
    _last: float = field(default_factory=time.monotonic)
    _steps: int = 0
    _warned: bool = False

    def begin(self) -> None:
        """Find what the trials can continue from."""
        self.before = self.processes.once(self.folder.begin)
        saved = self.folder.read() if self.before and self.processes.leads else None
        manifest = self.processes.once(lambda: None if saved is None else saved.manifest)
        self.saved = read(manifest) if saved is None and manifest is not None else saved
        self.processes.barrier()  # after this, new states may replace the one that was read

    def left(self, reason: str = "") -> bool:
        """Note that this process leaves the others in the middle of the trials, and why; returns
        whether it is the first that does.
        """
        return self.processes.several and self.folder.left(self.before + 1, reason)

    def watched(self) -> AbstractContextManager[None]:
        """Within, the process ends when it hangs."""
        return watchdog.watched(self.folder.folder, self.settings.stall_s)

    def stepped(self) -> bool:
        """Count a step; returns whether a state is to be written after it, by this process."""
        self._steps += 1
        watchdog.beat()
        return self._due()

    def _due(self) -> bool:
        if not self.processes.leads:
            return False
        often = self.settings.every_steps
        late = time.monotonic() - self._last >= self.settings.every_s
        return late or signals.asked() or bool(often and self._steps >= often)

    def keep_if_due(self, trials: Resumable) -> None:
        """Write the state of the trials, if it is due. To be called outside every lap; the memory
        that it uses is not counted.

        Raises:
            Stopped: the process was asked to stop.
        """
        if not self._due():
            return
        try:
            with self.uncounted():
                state = trials.state_dict()
                if state is not None:
                    self.folder.save(*state)
        except UserError as error:
            if not self._warned:
                self.say(f"no checkpoint: {error}")
            self._warned = True
        self._last, self._steps = time.monotonic(), 0
        signals.leave_if_asked()

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


def above(prefix: str, tensors: Tensors) -> Tensors:
    """The opposite of :func:`below`: the tensors under names that begin with a prefix."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}
