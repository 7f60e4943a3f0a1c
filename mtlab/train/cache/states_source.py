"""What a trial's forward passes begin with: words, or the states of its frozen prefix where those
are at hand.
"""

import torch

from mtlab.data import batches
from mtlab.model import freezing
from mtlab.model.freezing import CertificateError
from mtlab.model.network import Network
from mtlab.model.replay import Tail
from mtlab.record.measure import Clock
from mtlab.train.cache.heads import Readings
from mtlab.train.cache.prefix import Begun, Pass, Prefixes, States
from mtlab.train.loop import step
from mtlab.train.loop.step import Forward
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime

CERTIFIED_SENTENCES = 16
"""About as many sentences' states are computed anew after a stage, to see that those at hand are
right."""


class Ground:
    """The ground that a network stands on.

    Args:
        network: the trial's.
        prepared: its data.
        runtime: device and precision.
        prefixes: states of frozen prefixes; None computes everything each time.
        clock: what it takes to compute states that are used counts in its lap, in full, once a
            trial.
    """

    def __init__(
        self,
        network: Network,
        prepared: Prepared,
        runtime: Runtime,
        prefixes: Prefixes | None,
        clock: Clock,
    ) -> None:
        self.network, self.prepared, self.runtime, self.prefixes, self.clock = (
            network,
            prepared,
            runtime,
            prefixes,
            clock,
        )
        self.digests: dict[str, str] = {}
        """SHA-256 of the units as they were when they were last looked at; those below
        :attr:`depth` are so still."""
        self.trained = False
        """Whether anything may have changed since."""
        self.depth = 0
        self.passes: frozenset[Pass] = frozenset()

    def look(self) -> dict[str, str]:
        """SHA-256 of the network's units as they are now, which are noted.

        Raises:
            CertificateError: another process holds other weights.
        """
        self.digests, self.trained = freezing.digests(self.network), False
        others = self.runtime.processes.gather(self.digests)
        differing = [unit for unit in self.digests if len({one.get(unit) for one in others}) > 1]
        if differing:
            raise CertificateError(f"the processes hold different weights: {', '.join(differing)}")
        return self.digests

    def begin_at(self, depth: int) -> None:
        """From now on, forward passes begin at ``depth``: on states that are at hand, or that are
        computed when first asked for.
        """
        self.depth = depth if self.prefixes is not None else 0
        blocks = len(self.prepared.pristine.blocks)
        self.tail = Tail(self.network.backbone, self.depth) if 0 < self.depth < blocks else None

    def states(self, split: str) -> States:
        """The states of a split that passes begin with."""
        assert self.prefixes is not None
        states = self.prefixes.get(
            self.prepared, self.network, self.digests, self.depth, split, alone=self.trained
        )
        self.passes |= {self.prefixes.spent(self.prepared, self.digests, self.depth, split)}
        self.clock.laps["cache"] = sum(one.seconds for one in self.passes)
        return states

    def forward(self, split: str) -> Forward:
        """How the logits of a batch of ``split`` come about."""
        if not self.depth:
            return step.Whole(self.network)
        return Begun(self.network, self.states(split), self.tail)

    def readings(self) -> Readings:
        """What heads read of the training split, for this trial and all that train with it."""
        assert self.prefixes is not None
        return Readings(
            self.prepared, self.network, self.states("train"), self.runtime, self.prefixes.directory
        )

    @torch.no_grad()
    def certify(self) -> None:
        """States at hand must be what the network computes: some sentences are computed both ways.

        Raises:
            CertificateError: they are not.
        """
        if not self.depth:
            return
        self.network.eval()
        examples = self.prepared.encoded["validation"].examples
        some = range(0, len(examples), max(1, len(examples) // CERTIFIED_SENTENCES))
        batch = batches.collate(examples, some, self.prepared.pad_id).to(self.runtime.device)
        begun = self.forward("validation")
        assert isinstance(begun, Begun)
        with self.runtime.autocast():
            whole = self.network.encoder(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask
            ).last_hidden_state
            other = begun.hidden(batch)
        kept, near = batch.attention_mask.bool(), 0.1 if self.runtime.precision == "bf16" else 1e-3
        if not torch.allclose(whole[kept].float(), other[kept].float(), rtol=near, atol=near):
            raise CertificateError("the cached states are not what the frozen blocks compute")
