"""What trials share, and the state of a trial between two steps."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtlab.model.freezing import CertificateError
from mtlab.model.network import Network
from mtlab.plan.scenario import Scenario, Trial, content_key
from mtlab.record import code
from mtlab.record.journal import Journal
from mtlab.record.measure import Clock
from mtlab.record.records import TrialRecord
from mtlab.train.cache.passes import Passes
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.continual.mitigations import Mitigations
from mtlab.train.loop import guidance
from mtlab.train.loop.course import Course
from mtlab.train.loop.guidance import Guide
from mtlab.train.loop.patience import Waiting
from mtlab.train.loop.tally import Tally
from mtlab.train.measure.machine import Machine
from mtlab.train.measure.memory import Memory
from mtlab.train.measure.occupancy import Occupancy
from mtlab.train.measure.uncached import Uncached
from mtlab.train.prepare import Prepared
from mtlab.train.resume.keeper import Keeper, Tensors, above, below
from mtlab.train.runtime import Runtime
from mtlab.train.selection import Best, Choice
from mtlab.train.weights.source_checkpoint import Checkpoint

Advance = Callable[[int], None]
"""Called with the FLOPs of what was just done, for the display of progress."""


@dataclass(frozen=True)
class Setup:
    """What trials that run together share.

    Attributes:
        prepared: what they run on.
        runtime: device, precision and threads.
        journal: where records go.
        prefixes: states of frozen prefixes; None computes everything each time.
        advance: is called with the FLOPs of what was just done.
        memory: measures the peak, which they have in common.
        uncached: times of a loop without a cache.
        keeper: writes resume states.
        machine: takes readings of how busy the machine is.
        occupancy: notes whether another process uses the device at the same time.
    """

    prepared: Prepared
    runtime: Runtime
    journal: Journal
    prefixes: Prefixes | None
    advance: Advance
    memory: Memory
    uncached: Uncached
    keeper: Keeper
    machine: Machine
    occupancy: Occupancy


@dataclass
class Snapshot:
    """The weights that a stage handed on, on disk.

    Attributes:
        stage: number of the stages, with this one, that have trained.
        file: the weights.
    """

    stage: int
    file: Path


@dataclass
class History:
    """What else than its record cannot be computed again when a trial is resumed.

    Attributes:
        before: SHA-256 of each unit when the piece of a stage that trains now began.
        snapshots: what earlier stages of a staged trial handed on.
        scores: of the blocks, which decided what trains in the current piece (``choose``,
            ``freeze_when``).
        norms: of the blocks' gradients at the last look of ``freeze_when``.
        uncached_s: seconds of a loop without a cache that are neither steps nor in its laps: a
            teacher's pass, and evaluation that the cache saved.
    """

    before: dict[str, str] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    norms: dict[str, float] = field(default_factory=dict)
    uncached_s: float = 0.0


class TrialState:
    """The state of a trial between two steps; ``record`` has what was measured so far."""

    network: Network
    passes: Passes
    mitigations: Mitigations
    course: Course

    def __init__(self, trial: Trial, setup: Setup) -> None:
        self.trial, self.setup = trial, setup
        self.clock = Clock(setup.runtime.synchronize)
        self.clock.laps["setup"] = setup.prepared.setup_s
        self.tally, self.choice, self.history = (
            Tally.over(setup.prepared.corpus.tasks),
            Choice(),
            History(),
        )
        self.guide: Guide | None = None
        self.waiting: Waiting | None = None
        self.record = TrialRecord(
            key=setup.prepared.key(trial, setup.runtime),
            code=code.digest(),
            scenario=trial.scenario,
            seed=trial.seed,
            point=dict(trial.point),
            status="running",
            started_at=time.time(),
            attempts=setup.keeper.before + 1,
        )

    @property
    def scenario(self) -> Scenario:
        """What to train, in stages."""
        return self.setup.prepared.experiment.scenario(self.trial.scenario)

    @property
    def source(self) -> Checkpoint | None:
        """The checkpoint that a staged trial starts from."""
        prepared = self.setup.prepared
        return None if prepared.source is None else prepared.checkpoints[self.trial.seed]

    def note(self, **fields: object) -> None:
        """Add to the record."""
        self.record = self.record.model_copy(update=fields)

    def begin(self) -> None:
        """Build the network: a pretrained encoder or the source checkpoint, heads, adapters.

        Raises:
            CertificateError: the source checkpoint is not the one that was trained.
            UserError: it cannot be read.
        """
        prepared, runtime, source = self.setup.prepared, self.setup.runtime, self.source
        with self.clock.lap("setup"):
            self.network = prepared.fresh_network(self.trial.seed, runtime.device)
            if source is not None:
                with runtime.processes.agreeing():
                    source.load_into(self.network)
        prefixes = self.setup.prefixes
        self.passes = Passes(self.network, prepared, runtime, prefixes, self.clock)
        initial = self.passes.hash_units()
        if source is not None and initial != source.digests:
            raise CertificateError(f"{source.file} is not the checkpoint that was trained")
        self.note(initial_digest=content_key(initial))
        if prepared.counter.adapted:
            with self.clock.lap("setup"):
                prepared.adapt(self.network, self.trial.seed)
            self.passes.hash_units()
        self.mitigations = Mitigations(self.network, prepared, runtime, self.scenario.stages)

    def measured(self) -> dict[str, Any]:
        """The fields of the record that are sums or readings, with their current values."""
        tally, laps, setup = self.tally, dict(self.clock.laps), self.setup
        return {
            "step_losses": {name: tuple(values) for name, values in tally.losses.items()},
            "order_digest": tally.order,
            "laps": laps,
            "machine": setup.machine.readings(),
            "untimed": self.record.untimed or setup.occupancy.why(),
            "peak_memory_mb": setup.memory.peak_mb(),
            "train_flops": tally.flops,
            "train_flops_padding": tally.flops - tally.flops_exact,
            "train_tokens": tally.tokens,
            "tokens_per_s": tally.tokens / laps["train"] if tally.tokens else None,
        }

    def state_dict(self) -> tuple[dict[str, Any], Tensors]:
        """What another process needs to continue the trial: the facts that are not tensors, and the
        tensors.
        """
        choice, history = self.choice, self.history
        tensors = above("network", self.network.state_dict())
        for name, best in choice.best.items():
            tensors |= above(f"best/{name}", dict(best.weights))
        tensors |= above("start", dict(choice.start))
        tensors |= above("teacher", self.mitigations.state_dict())
        facts = {
            "record": self.record.model_copy(update=self.measured()).model_dump(mode="json"),
            "tally": self.tally.facts(),
            "best": {
                name: {"score": best.score, "epoch": best.epoch, "piece": best.piece}
                for name, best in choice.best.items()
            },
            "moved": sorted(choice.moved),
            "standing": choice.standing,
            "first": choice.first,
            "guide": None if self.guide is None else self.guide.state_dict(),
            "before": history.before,
            "scores": history.scores,
            "norms": history.norms,
            "snapshots": [(snapshot.stage, snapshot.file.name) for snapshot in history.snapshots],
            "uncached_s": history.uncached_s,
            "skipped_flops": self.passes.skipped_flops,
        }
        return facts, tensors

    def load_state_dict(self, facts: dict[str, Any], tensors: Tensors, stage: int) -> None:
        """Restore what :meth:`state_dict` returned for the same trial, in the stage with this
        index.
        """
        self.network.load_state_dict(below(tensors, "network"))
        self.record = TrialRecord.model_validate(facts["record"])
        self.note(attempts=self.setup.keeper.before + 1)
        self.clock.laps.update(self.record.laps)
        self.tally = Tally.of(facts["tally"], self.setup.runtime.device)
        best = {
            name: Best(**best, weights=below(tensors, f"best/{name}"))
            for name, best in facts["best"].items()
        }
        moved, start = set(facts["moved"]), below(tensors, "start")
        self.choice = Choice(best, moved, facts["standing"], facts["first"], start)
        self.passes.hash_units()
        self.passes.skipped_flops = facts["skipped_flops"]
        self.mitigations.load_state_dict(below(tensors, "teacher"))
        if facts["guide"] is not None:
            self.guide = guidance.resumed(self.scenario.stages, stage, facts["guide"])
        history_facts = {key: facts[key] for key in ("before", "scores", "norms", "uncached_s")}
        self.history = History(**history_facts)
        if self.source is not None:
            folder = self.source.file.parent
            self.history.snapshots = [
                Snapshot(number, folder / Path(name).name) for number, name in facts["snapshots"]
            ]
        self.setup.memory.at_least(self.record.peak_memory_mb)
