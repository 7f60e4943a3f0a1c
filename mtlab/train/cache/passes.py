"""A trial's forward passes: from the token ids, or from the cached states of its frozen prefix."""

import torch

from mtlab.data import batches
from mtlab.model import freezing
from mtlab.model.freezing import CertificateError
from mtlab.model.network import Network
from mtlab.model.replay import Tail
from mtlab.record.measure import Clock
from mtlab.train.cache.heads import Readings
from mtlab.train.cache.prefix import CachedForward, Pass, Prefixes, States
from mtlab.train.loop import schedule
from mtlab.train.loop.forward import Forward
from mtlab.train.loop.step import FullForward
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime

CERTIFIED_SENTENCES = 16
"""About this many sentences have their states computed again after a stage, to check the cached
ones."""


class Passes:
    """How a trial's network reads a split.

    Args:
        network: the trial's.
        prepared: its data.
        runtime: device and precision.
        prefixes: states of frozen prefixes; None computes everything each time.
        clock: of the trial; each pass whose states the trial uses counts in its ``cache`` lap, in
            full and once.
    """

    def __init__(
        self,
        network: Network,
        prepared: Prepared,
        runtime: Runtime,
        prefixes: Prefixes | None,
        clock: Clock,
    ) -> None:
        self.network, self.prepared, self.runtime = network, prepared, runtime
        self.prefixes, self.clock = prefixes, clock
        self.digests: dict[str, str] = {}
        """SHA-256 of the units when they were last hashed; the units below :attr:`depth` have not
        changed since."""
        self.trained = False
        """Whether other units may have changed since."""
        self.depth = 0
        """Blocks whose output is read from the cache."""
        self.skipped_flops = 0
        """FLOPs of evaluation that the cache saved."""
        self.used: frozenset[Pass] = frozenset()

    def hash_units(self) -> dict[str, str]:
        """SHA-256 of the network's units as they are now; stored in :attr:`digests` as well.

        Raises:
            CertificateError: another process holds other weights.
        """
        self.digests, self.trained = freezing.digests(self.network), False
        others = self.runtime.processes.gather(self.digests)
        differing = [
            unit for unit in self.digests if len({digests.get(unit) for digests in others}) > 1
        ]
        if differing:
            raise CertificateError(f"the processes hold different weights: {', '.join(differing)}")
        return self.digests

    def begin_at(self, depth: int) -> None:
        """From now on, forward passes begin at block ``depth``, on cached states."""
        self.depth = depth
        blocks = len(self.prepared.pristine.blocks)
        self.tail = Tail(self.network.backbone, depth) if 0 < depth < blocks else None

    def states(self, split: str) -> States:
        """The cached states of a split, computed now if no trial has done so yet."""
        assert self.prefixes is not None
        states = self.prefixes.get(
            self.prepared, self.network, self.digests, self.depth, split, alone=self.trained
        )
        self.used |= {self.prefixes.spent(self.prepared, self.digests, self.depth, split)}
        self.clock.laps["cache"] = sum(used.seconds for used in self.used)
        return states

    def forward(self, split: str) -> Forward:
        """The forward pass for batches of ``split``."""
        if not self.depth:
            return FullForward(self.network)
        return CachedForward(self.network, self.states(split), self.tail)

    def count_evaluation(self, split: str) -> int:
        """Count an evaluation pass; returns its FLOPs, padding not counted."""
        flops = schedule.evaluation_flops(self.prepared, split, self.depth)
        self.skipped_flops += schedule.evaluation_flops(self.prepared, split) - flops
        return flops

    def readings(self) -> Readings:
        """What heads read of the training split, for this trial and all that train with it."""
        assert self.prefixes is not None
        return Readings(
            self.prepared,
            self.network,
            self.states("train"),
            self.runtime,
            self.prefixes.directory,
        )

    @torch.no_grad()
    def certify(self) -> None:
        """Check that cached states are what the network computes: some sentences are computed both
        ways.

        Raises:
            CertificateError: the results differ.
        """
        if not self.depth:
            return
        self.network.eval()
        examples = self.prepared.encoded["validation"].examples
        sentence_ids = range(0, len(examples), max(1, len(examples) // CERTIFIED_SENTENCES))
        batch = batches.collate(examples, sentence_ids, self.prepared.pad_id).to(
            self.runtime.device
        )
        cached = self.forward("validation")
        assert isinstance(cached, CachedForward)
        with self.runtime.autocast():
            full = self.network.encoder(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask
            ).last_hidden_state
            from_cache = cached.hidden(batch)
        kept = batch.attention_mask.bool()
        tolerance = 0.1 if self.runtime.precision == "bf16" else 1e-3
        if not torch.allclose(
            full[kept].float(), from_cache[kept].float(), rtol=tolerance, atol=tolerance
        ):
            raise CertificateError("the cached states are not what the frozen blocks compute")
