"""The processes that run one suite together, mostly each on its own device, as ``torchrun`` or
``accelerate launch`` starts them.

All of them run the whole suite (SPMD): they read the same data, take the same decisions and hold
the same weights. They divide among them the sentences of a batch, and the batches of an evaluation
or of a pass over a split. Only the first process writes results.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed

from mtlab import launch
from mtlab.plan.errors import UserError
from mtlab.record.journal import Journal
from mtlab.record.records import SuiteRecord, TrialRecord

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes of a suite, as one of them sees them; a single process waits for no other.

    All processes must call these methods, in the same order.

    Attributes:
        number: of processes.
        rank: of this process, from 0 on.
        group: the process group that sends Python objects, on the host, so that no device waits.
    """

    number: int = 1
    rank: int = 0
    group: Any = None

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.number > 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """The share of this process in the items: every :attr:`number`-th one. All shares together
        have each item once.
        """
        return items[self.rank :: self.number]

    def gather(self, value: T) -> list[T]:
        """The values of all processes, ordered by rank; every process gets them all.

        Raises:
            Lost: another process is gone.
        """
        values: list[Any] = [value] * self.number
        if self.several:
            with _others():
                distributed.all_gather_object(values, value, group=self.group)
        return values

    def rejoin(self, mine: Sequence[T]) -> list[T]:
        """The results for all items, in their order.

        Args:
            mine: this process's results for the items of its :meth:`share`.
        """
        parts = self.gather(list(mine))
        return [
            parts[place % self.number][place // self.number]
            for place in range(sum(map(len, parts)))
        ]

    def once(self, action: Callable[[], T]) -> T:
        """Run ``action`` in the first process alone; its result or error is that of all processes.

        Raises:
            Lost: another process is gone.
        """
        if not self.several:
            return action()
        outcome: list[Any] = [None, None]
        if self.leads:
            try:
                outcome[0] = action()
            except Exception as error:
                outcome[1] = error
        with _others():
            distributed.broadcast_object_list(outcome, src=0, group=self.group)
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def barrier(self) -> None:
        """Wait until all processes are here.

        Raises:
            Lost: another process is gone.
        """
        if self.several:
            with _others():
                distributed.barrier(group=self.group)

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """Within, a :class:`UserError` in one process is raised by all processes, at the end."""
        mistake: UserError | None = None
        try:
            yield
        except UserError as error:
            mistake = error
        for other_mistake in self.gather(mistake):
            if other_mistake is not None:
                raise other_mistake

    def agree(self, facts: Mapping[str, object], remedy: str) -> None:
        """Check that all processes have the same facts.

        Raises:
            UserError: the facts differ.
        """
        for rank, other in enumerate(of_each := self.gather(dict(facts))):
            for name, value in other.items():
                if value != of_each[0].get(name):
                    raise UserError(
                        f"process {rank} has {name} {value}, and process 0 has {of_each[0].get(name)}",
                        remedy,
                        code="processes-differ",
                    )

    def close(self) -> None:
        """Leave the process group, at the end."""
        if self.several:
            distributed.destroy_process_group()


ALONE = Processes()
"""A process that runs a suite alone."""


@contextmanager
def _others() -> Iterator[None]:
    """Within, this process only communicates with the others: an error there means that one of them
    is gone.
    """
    try:
        yield
    except RuntimeError as error:
        raise launch.Lost(
            f"another process is gone ({str(error).partition(chr(10))[0][:200]})"
        ) from error


def join(device: torch.device) -> tuple[Processes, torch.device]:
    """Connect to the other processes that the launcher started; returns all of them, and the device
    of this one.

    Args:
        device: the kind of device to run on; with an index, the device that all processes share.

    Raises:
        UserError: this number of processes cannot run here.
    """
    number, remedy = (
        launch.number(),
        "start one process for each, pass --device cuda:0 to share one, or --device cpu",
    )
    if launch.here() != number:
        raise UserError(
            f"{number} processes on several machines",
            "start all of them on one",
            where="the launcher",
            code="several-machines",
        )
    if device.type == "cuda" and device.index is None and torch.cuda.device_count() < number:
        raise UserError(
            f"{number} processes were started, and there are {torch.cuda.device_count()} GPUs",
            remedy,
            where="device",
            code="no-device",
        )
    return _join(device.type, device if device.index is not None else None)


@cache
def _join(kind: str, device: torch.device | None) -> tuple[Processes, torch.device]:
    from accelerate import PartialState

    # a launcher that restarts its processes keeps the addresses that the earlier ones exchanged
    # (pytorch issue 135712)
    store, rank, number = next(distributed.rendezvous("env://"))
    options = {
        "store": distributed.PrefixStore(f"mtlab-{launch.restarts()}", store),
        "rank": rank,
        "world_size": number,
    }
    if device is not None:  # nccl refuses two processes on one GPU
        torch.cuda.set_device(device)
        distributed.init_process_group("gloo", **options)
        return Processes(number, rank), device
    state = PartialState(cpu=kind == "cpu", backend="gloo" if kind == "cpu" else None, **options)
    group = None if kind == "cpu" else distributed.new_group(backend="gloo")
    return Processes(state.num_processes, state.process_index, group), state.device


class CommonJournal(Journal):
    """The journal of several processes: the first writes and reads, and all get the results.

    Args:
        directory: of the experiment.
        processes: the processes that share the journal.
    """

    def __init__(self, directory: Path, processes: Processes) -> None:
        super().__init__(directory)
        self.processes = processes

    @contextmanager
    def held(self, command: str) -> Iterator[None]:
        """Within the block, the directory belongs to these processes alone. No process leaves
        before all are done, because a launcher may end the others when one has left.
        """
        with ExitStack() as mine:
            context = super().held(command)
            self.processes.once(lambda: mine.enter_context(context))
            yield
            self.processes.barrier()

    def write_suite(self, suite: SuiteRecord) -> None:
        """Write what the trials share."""
        self.processes.once(lambda: Journal.write_suite(self, suite))

    def write_trial(self, trial: TrialRecord) -> Path:
        """Write a trial's record."""
        return self.processes.once(lambda: Journal.write_trial(self, trial))

    def write_predictions(
        self, trial: TrialRecord, lines: list[dict[str, object]], also: str = ""
    ) -> Path:
        """Write the predictions of a trial for a test split or set."""
        return self.processes.once(lambda: Journal.write_predictions(self, trial, lines, also))

    def find(self, key: str) -> TrialRecord | None:
        """The record of a trial by its key."""
        return self.processes.once(lambda: Journal.find(self, key))
