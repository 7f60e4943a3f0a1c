"""How much a network has forgotten of its first training data: scores, logits and hidden states on
their test split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from mtlab.data.batches import Batch
from mtlab.model import replay
from mtlab.model.losses import LOSSES, Loss
from mtlab.model.network import Network
from mtlab.record.metrics import contributions, score
from mtlab.record.records import DomainScore, Drift, LogitDrift
from mtlab.tasks.kind import IGNORE, Task
from mtlab.train.distributed.processes import ALONE
from mtlab.train.loop import step
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime
from mtlab.train.weights.source_checkpoint import Look

ROWS = 2048
"""About this many sub-words, spread evenly over the split, have their hidden states compared."""


@dataclass
class _Noting:
    """A plain forward pass that stores logits and a sample of hidden states."""

    network: Network
    every: int
    seen: Mapping[int, Tensor]
    logits: dict[str, list[Tensor]] = field(default_factory=dict)
    states: dict[int, list[Tensor]] = field(default_factory=dict)
    passed: int = 0

    def __call__(self, batch: Batch, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Logits by task."""
        top = self.network.encoder(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask
        ).last_hidden_state
        logits = self.network.read(top, batch.attention_mask, tasks)
        kept = batch.attention_mask.bool()
        rows = torch.arange(
            -self.passed % self.every, int(kept.sum()), self.every, device=kept.device
        )
        self.passed += int(kept.sum())
        for depth, states in {**self.seen, len(self.network.backbone.blocks): top}.items():
            self.states.setdefault(depth, []).append(states[kept][rows].float().cpu())
        for task, values in logits.items():
            gold = batch.targets[task]
            counted = values[gold != IGNORE] if task in batch.of_words else values
            self.logits.setdefault(task, []).append(counted.float().cpu())
        return logits


def look(network: Network, prepared: Prepared, runtime: Runtime, stage: int, domain: str) -> Look:
    """Evaluate a network on a test split: one pass in eval mode, without cached states.

    Args:
        network: is left in eval mode.
        prepared: the data.
        runtime: device and precision.
        stage: for the score: number of the stages that have trained the weights.
        domain: for the score: ``source`` or ``target``.
    """
    network.eval()
    encoded, corpus = prepared.encoded["test"], prepared.corpus
    every = max(1, int(encoded.examples.starts[-1]) // ROWS)
    with replay.watch(network.backbone, range(len(network.backbone.blocks))) as seen:
        noting = _Noting(network, every, seen)
        ready, own_runtime = (
            prepared.ready("test", runtime.device),
            replace(runtime, processes=ALONE),
        )  # every process computes and stores the whole split
        predictions, losses = step.evaluate(
            noting, ready, encoded, corpus.splits["test"], corpus.tasks, own_runtime
        )
    scored = DomainScore(
        stage=stage,
        domain=domain,
        metrics=score(corpus.tasks, predictions, losses),
        contributions=contributions(corpus.tasks, predictions),
    )
    return Look(
        scored,
        {task: torch.cat(values) for task, values in noting.logits.items()},
        {depth: torch.cat(values) for depth, values in sorted(noting.states.items())},
    )


def drift(tasks: Mapping[str, Task], before: Look, after: Look) -> Drift:
    """How far the states and logits of a network moved between two looks at the same split."""
    names = {depth: f"layers[{depth - 1}]" if depth else "embeddings" for depth in before.states}
    return Drift(
        cka={name: cka(before.states[depth], after.states[depth]) for depth, name in names.items()},
        logits={
            task: _logit_drift(LOSSES[tasks[task].kind.loss], logits, after.logits[task])
            for task, logits in before.logits.items()
            if len(logits)
        },
    )


def cka(first: Tensor, other: Tensor) -> float:
    """Linear centred kernel alignment of two sets of states (items, hidden) of the same items, 1
    where they are equal.

    ``|Y'X|^2 / (|X'X| |Y'Y|)`` in Frobenius norms, columns centred (Kornblith, Norouzi, Lee and
    Hinton 2019, section 3). It does not change with rotations and scale; a head's output does.
    """
    x, y = (states.double() - states.double().mean(dim=0) for states in (first, other))
    across, of_x, of_y = (torch.linalg.matrix_norm(a.T @ b) for a, b in ((y, x), (x, x), (y, y)))
    return float(across**2 / (of_x * of_y))


def _logit_drift(loss: Loss, before: Tensor, after: Tensor) -> LogitDrift:
    old, new = before.double(), after.double()
    return LogitDrift(
        identical=torch.equal(before, after),
        largest=float((before - after).abs().max()),
        kl=float(loss.apart(old, new).sum(dim=-1).mean()),
        changed=float(_differ(loss.decide(before), loss.decide(after)).double().mean()),
    )


def _differ(before: Tensor, after: Tensor) -> Tensor:
    """(items,): whether the decision about an item changed; with several labels, any of them."""
    different = before != after
    return different if different.dim() == 1 else different.any(dim=-1)
