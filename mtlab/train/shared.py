"""What trials that run together share, what each asks the others for, and where it stands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtlab.model.freezing import Partition
from mtlab.plan.scenario import Stage
from mtlab.record.journal import Journal
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.loop.schedule import Step
from mtlab.train.measure.machine import Machine
from mtlab.train.measure.memory import Memory
from mtlab.train.measure.occupancy import Occupancy
from mtlab.train.measure.uncached import Plain
from mtlab.train.prepare import Prepared
from mtlab.train.resume.keeper import Keeper
from mtlab.train.runtime import Runtime

Advance = Callable[[int], None]
"""Called with the FLOPs of what was just done, for whoever shows progress."""


@dataclass(frozen=True)
class HeadsEpoch:
    """What a trial asks for: an epoch in which only heads train, on states that are at hand. Others
    may ask for the same.
    """

    piece: int
    partition: Partition
    plan: Stage
    total: int
    """Steps of the whole stage."""
    steps: Sequence[Step]


@dataclass(frozen=True)
class Shared:
    """What trials that run together share.

    Attributes:
        prepared: what they run on.
        runtime: device, precision and threads.
        journal: where records go.
        prefixes: states of frozen prefixes; None computes everything each time.
        advance: is told what was done.
        memory: watches the peak, which is theirs together.
        plain: times of plain work.
        keeper: writes checkpoints.
        machine: takes readings of how busy it is.
        occupancy: knows whether others used the device meanwhile.
    """

    prepared: Prepared
    runtime: Runtime
    journal: Journal
    prefixes: Prefixes | None
    advance: Advance
    memory: Memory
    plain: Plain
    keeper: Keeper
    machine: Machine
    occupancy: Occupancy


@dataclass
class Position:
    """Where a trial stands.

    Attributes:
        stage: of the scenario, that is trained.
        piece: what is left of it to be trained at one go: all of it, unless guidance changed
            something; None when it is done.
        epoch: of the piece, so many are done.
        step: of the epoch that runs, so many are done.
        timed: seconds and number of the piece's steps whose time counts.
    """

    stage: int
    piece: Stage | None
    epoch: int = 0
    step: int = 0
    timed: tuple[float, int] = (0.0, 0)
