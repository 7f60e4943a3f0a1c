"""The cache of frozen prefixes: hidden states that cannot change are computed once, for every
epoch, seed and scenario.

States are stored as they were computed, in their own precision and without padding, by example. One
pass over a split stores the states at every depth that the experiment will need. A key over
everything that determines the states (weights below the depth, encoded sentences, precision,
attention kernel, device) decides which trials share them; no setting declares it. Processes that
work on one experiment share states through files: one process computes them, and the others wait
and read them.
"""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtlab.data import batches
from mtlab.data.batches import EVALUATION_TOKENS, Batch
from mtlab.model import lora, replay
from mtlab.model.network import Network
from mtlab.model.replay import Tail
from mtlab.plan.scenario import content_key
from mtlab.train.cache import spill
from mtlab.train.cache.spill import Pass
from mtlab.train.cache.states import Room, States
from mtlab.train.prepare import Prepared
from mtlab.train.resume import signals, watchdog
from mtlab.train.runtime import Runtime


@dataclass
class CachedForward:
    """A forward pass that begins on cached states.

    Attributes:
        network: whose heads, and upper blocks, compute.
        states: of the split that the batches come from.
        tail: the upper blocks; None where the states are the encoder's output.
    """

    network: Network
    states: States
    tail: Tail | None

    def __call__(self, batch: Batch, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Logits by task."""
        return self.network.read(self.hidden(batch), batch.attention_mask, tasks)

    def hidden(self, batch: Batch) -> Tensor:
        """The encoder's last hidden states (sentences, tokens, hidden)."""
        states = self.states.padded(batch.ids, batch.input_ids.device)
        return (
            states
            if self.tail is None
            else self.tail(states, batch.input_ids, batch.attention_mask)
        )


@dataclass
class Prefixes:
    """The cached states of a suite.

    Attributes:
        runtime: device and precision of the suite.
        limit: bytes of states to keep in memory; states beyond that lie in files, which are mapped
            into memory.
        directory: for those files.
        say: tells the user what happened to a file.
        exchange: whether other processes need the same states: all of them then lie in files.
            Processes that run the suite together compute the states together: each computes its
            share of the batches, and writes it into the file that the first process made.
    """

    runtime: Runtime
    limit: int
    directory: Path
    say: spill.Say
    exchange: bool = False
    wanted: dict[str, set[int]] = field(default_factory=dict)
    """Key of the states at a depth, with the weights that trials begin with, to that depth: the
    states that a pass should store."""
    held: dict[tuple[str, str], States] = field(default_factory=dict)
    """(key, split) to states."""
    passes: dict[tuple[str, str], Pass] = field(default_factory=dict)
    """(key, split) to the pass that computed the states."""

    @cached_property
    def room(self) -> Room:
        """The place for new states."""
        return Room(self.runtime.device, self.limit, self.directory, self.exchange)

    def expect(self, prepared: Prepared, digests: Mapping[str, str]) -> None:
        """Announce that the scenarios of an experiment will begin with weights of these digests."""
        names = [
            name for name in prepared.experiment.scenarios if not prepared.of(name).counter.adapted
        ]  # networks with adapters have other weights
        plans = [plan for name in names for plan in prepared.stage_plans(name)]
        depths = {plan.cached_depth for plan in plans if plan.untouched} - {0}
        self.want(prepared, digests, depths)

    def want(self, prepared: Prepared, digests: Mapping[str, str], depths: Iterable[int]) -> None:
        """Announce that states of weights of these digests will be asked for at these depths."""
        for depth in depths:
            self.wanted.setdefault(self.key(prepared, digests, depth), set()).add(depth)

    def key(self, prepared: Prepared, digests: Mapping[str, str], depth: int) -> str:
        """SHA-256 over everything that determines the states at ``depth`` of a network whose units
        have these digests.
        """
        blocks = len(prepared.pristine.blocks)
        units = [
            "embeddings",
            lora.UNIT,
            *(f"layers[{index}]" for index in range(depth)),
            *(["after"] if depth == blocks else []),
        ]
        weights = {unit: digests[unit] for unit in units if unit in digests}
        facts = self.runtime.describe()
        computing = [
            facts[name]
            for name in (
                "device",
                "device_name",
                "precision",
                "threads",
                "torch",
                "transformers",
                "mtlab",
            )
        ]
        kernel = prepared.pristine.model.config._attn_implementation
        return content_key(
            weights,
            depth,
            prepared.location.config.to_json_string(),
            prepared.encoding_digest,
            computing,
            kernel,
            EVALUATION_TOKENS,
        )

    def get(
        self,
        prepared: Prepared,
        network: Network,
        digests: Mapping[str, str],
        depth: int,
        split: str,
        alone: bool = False,
    ) -> States:
        """States of a split at ``depth``, from memory, from a file, or computed now.

        Args:
            prepared: the encoded split.
            network: whose prefix computes what is not cached.
            digests: of the network's units, as they are now.
            depth: blocks in the prefix.
            split: ``train``, ``validation`` or ``test``.
            alone: compute the states at this depth only, and not at other depths that are wanted
                for these digests: above ``depth`` the network's weights may have changed since.
        """
        key = self.key(prepared, digests, depth)
        if (key, split) not in self.held:
            also = set() if alone else self._also(prepared, digests)
            self._harvest(prepared, network, digests, {depth, *also}, split)
        return self.held[key, split]

    def spent(self, prepared: Prepared, digests: Mapping[str, str], depth: int, split: str) -> Pass:
        """The pass that computed these states; each trial that uses them counts all its seconds."""
        return self.passes[self.key(prepared, digests, depth), split]

    def forget_unwanted(self) -> None:
        """Drop states of weights that only one trial had."""
        for key, split in [place for place in self.held if place[0] not in self.wanted]:
            if self.held.pop((key, split)).file is not None or self.exchange:
                spill.remove(self.directory, f"{key}-{split}")

    def _also(self, prepared: Prepared, digests: Mapping[str, str]) -> set[int]:
        depths = set().union(*self.wanted.values()) if self.wanted else set()
        return {depth for depth in depths if self.key(prepared, digests, depth) in self.wanted}

    def _harvest(
        self,
        prepared: Prepared,
        network: Network,
        digests: Mapping[str, str],
        depths: set[int],
        split: str,
    ) -> None:
        """Make the states of a split at ``depths`` available: from files if these have them, and
        otherwise by one pass.
        """
        starts = prepared.encoded[split].examples.starts
        missing = {
            depth: key
            for depth in depths
            if ((key := self.key(prepared, digests, depth)), split) not in self.held
        }
        names = [f"{key}-{split}" for key in missing.values()]
        processes = self.runtime.processes
        with (
            spill.alone(self.directory, names)
            if self.exchange and not processes.several
            else nullcontext()
        ):
            for key in missing.values():
                self._find(key, split, starts, prepared.pristine.hidden_size)
            for readable in processes.gather(
                [(key, split) in self.held for key in missing.values()]
            ):
                for key in (
                    key
                    for key, can_read in zip(missing.values(), readable, strict=True)
                    if not can_read
                ):
                    self.held.pop((key, split), None)  # if one process cannot read it, all compute
            computed = {
                depth: key for depth, key in missing.items() if (key, split) not in self.held
            }
            if computed:
                self._compute(prepared, network, starts, computed, split)

    def _find(self, key: str, split: str, starts: np.ndarray, hidden: int) -> None:
        """Read states from a file, if there is a valid one."""
        mapped = spill.find(self.directory, f"{key}-{split}", self.say)
        if (
            mapped is not None
            and mapped.made_by is not None
            and mapped.flat.shape == (int(starts[-1]) + 1, hidden)
        ):
            self.held[key, split] = self.room.read(mapped, starts, self.held.values())
            self.passes[key, split] = mapped.made_by

    @torch.no_grad()
    def _compute(
        self,
        prepared: Prepared,
        network: Network,
        starts: np.ndarray,
        keys: Mapping[int, str],
        split: str,
    ) -> None:
        """One forward pass over a split, everything in eval mode, keeping the states at the depths
        of ``keys``.
        """
        began = time.perf_counter()
        modes = {module: module.training for module in network.modules()}
        network.eval()
        encoded, processes = prepared.encoded[split], self.runtime.processes
        blocks, device = len(network.backbone.blocks), self.runtime.device
        stores: dict[int, States] = {}
        with replay.watch(network.backbone, list(keys)) as hidden:
            for ids in processes.share(batches.by_length(encoded, EVALUATION_TOKENS)):
                watchdog.beat()
                signals.leave_if_asked()  # a pass may be long, and an unfinished one is not kept
                batch = batches.collate(encoded.examples, ids, prepared.pad_id).to(device)
                with self.runtime.autocast():
                    hidden[blocks] = network.encoder(
                        input_ids=batch.input_ids, attention_mask=batch.attention_mask
                    ).last_hidden_state
                kept = torch.from_numpy(batch.tokens).to(device, non_blocking=True)
                rows = np.concatenate(
                    [np.arange(starts[index], starts[index + 1]) for index in ids]
                )
                kinds = {depth: (hidden[depth].shape[-1], hidden[depth].dtype) for depth in keys}
                stores = stores or self._stores(keys, split, starts, kinds)
                for depth in keys:
                    stores[depth].put(rows, hidden[depth].flatten(0, 1)[kept])
        stores = stores or self._stores(keys, split, starts, {})  # of a process that had no batch
        for module, training in modes.items():
            module.training = training
        self.runtime.synchronize()
        processes.barrier()
        made_by = processes.once(lambda: Pass(uuid.uuid4().hex, time.perf_counter() - began))
        files = {depth: states.file for depth, states in stores.items() if states.file is not None}
        processes.once(
            lambda: [
                spill.seal(self.directory, f"{keys[depth]}-{split}", file, made_by).place
                for depth, file in files.items()
            ]
        )
        for depth, computed in stores.items():
            states = computed
            if depth in files:
                states = self.room.read(files[depth], starts, self.held.values())
            self.held[keys[depth], split] = states
        self.passes.update(dict.fromkeys(((key, split) for key in keys.values()), made_by))

    def _stores(
        self,
        keys: Mapping[int, str],
        split: str,
        starts: np.ndarray,
        kinds: Mapping[int, tuple[int, torch.dtype]],
    ) -> dict[int, States]:
        """Room for the states of a split at all depths; of several processes the first makes it.

        Args:
            keys: depth to key.
            split: for names of files.
            starts: where each sentence begins.
            kinds: depth to width and precision of its states, as the first process has seen them.
        """
        stores: dict[int, States] = {}

        def make() -> list[tuple[int, spill.Place | None]]:
            for depth, (width, dtype) in kinds.items():
                all_states = [*self.held.values(), *stores.values()]
                shape = (int(starts[-1]) + 1, width)
                zeros = self.room.zeros(f"{keys[depth]}-{split}", shape, dtype, all_states)
                stores[depth] = States(*zeros, starts)
            return [
                (depth, None if states.file is None else states.file.place)
                for depth, states in stores.items()
            ]

        for depth, place in self.runtime.processes.once(make):
            if place is not None and depth not in stores:
                file = spill.open_at(place)
                stores[depth] = States(file.flat, file, starts)
        return stores
