"""Without a GPU, for one: on torch's meta device an operation that mixes in a tensor of the CPU
raises, and so does reading a value. So neither a wrong device nor a hidden wait for the device
stays unseen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import masking_utils

from mtlab.data import batches
from mtlab.data.batches import Batch
from mtlab.model import freezing
from mtlab.model.freezing import Partition
from mtlab.model.network import Network
from mtlab.model.replay import Tail
from mtlab.plan.scenario import Stage
from mtlab.train.cache.heads import Heads, Readings
from mtlab.train.cache.prefix import CachedForward, Prefixes
from mtlab.train.loop import dropout, schedule, step
from mtlab.train.loop.step import FullForward, Learner
from mtlab.train.loop.vocabulary import occurring
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime, leave_masks_unread
from tests import tiny
from tests.conftest import EXPERIMENT
from tests.train.test_trial import setting

META = torch.device("meta")
TASKS = ("classifier", "ner")


@dataclass
class OnMeta:
    """An encoder of a family on the meta device, with real sentences."""

    prepared: Prepared
    runtime: Runtime
    network: Network
    directory: Path

    @property
    def batch(self) -> Batch:
        """Sentences of different lengths."""
        return self.collated(range(8))

    def collated(self, ids: Any) -> Batch:
        """Training sentences as a batch."""
        examples = self.prepared.encoded["train"].examples
        return batches.collate(examples, tuple(ids), self.prepared.pad_id).to(META)

    def partition(self, **train: float) -> tuple[Stage, Partition]:
        """A stage, which the network is made ready for."""
        selectors = {name.replace("top", "layers[2:]"): rate for name, rate in train.items()}
        stage = Stage(epochs=1, train=selectors, schedule="linear", warmup=0.1)
        partition = freezing.resolve(stage, self.network)
        freezing.apply(self.network, partition)
        freezing.set_modes(self.network, partition)
        return stage, partition

    def learner(self, stage: Stage, partition: Partition) -> Learner:
        """Of a stage, with the small table of words where the embeddings train."""
        examples, pad_id = self.prepared.encoded["train"].examples, self.prepared.pad_id
        words = occurring(self.network, examples, pad_id, partition.trained_units)
        experiment = self.prepared.experiment
        return step.learner(
            self.network,
            partition,
            stage,
            10,
            experiment.optimizer,
            experiment.loss_factors,
            self.prepared.corpus.tasks,
            words,
        )

    def states(self, depth: int) -> Any:
        """What a pass over the training split keeps at a depth. Hashes would be read, so they are
        names here."""
        prefixes = Prefixes(self.runtime, 10**9, self.directory, print)
        digests = {unit: unit for unit in freezing.units(self.network)}
        return prefixes.get(self.prepared, self.network, digests, depth, "train")


@pytest.fixture(scope="module", params=tiny.CONFIGS)
def on_meta(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, data: Path
) -> Iterator[OnMeta]:
    tmp_path = tmp_path_factory.mktemp(request.param)
    encoder = tiny.write_encoder(tmp_path / "encoder", request.param)
    file = tmp_path / "tiny.yaml"
    file.write_text(
        EXPERIMENT.format(encoder=encoder, data=data) + f"output: {tmp_path / 'report'}\n"
    )
    prepared, runtime, _ = setting(file)
    network = prepared.fresh_network(0, torch.device("cpu")).to(META)
    with pytest.MonkeyPatch.context() as patch:
        as_on_a_gpu(patch)
        yield OnMeta(prepared, replace(runtime, device=META), network, tmp_path / "cache")


def as_on_a_gpu(patch: pytest.MonkeyPatch) -> None:
    """What a GPU has and the meta device lacks: fused AdamW, and generators."""
    honest, generator = torch.optim.AdamW, torch.Generator
    patch.setattr(
        torch.optim, "AdamW", lambda *args, fused, **rest: honest(*args, foreach=True, **rest)
    )
    patch.setattr(dropout.torch, "Generator", lambda *of: generator() if of != (META,) else Seed())
    of_transformers = masking_utils._ignore_bidirectional_mask_sdpa
    patch.setattr(masking_utils, "_ignore_bidirectional_mask_sdpa", of_transformers)  # put back
    leave_masks_unread()


class Seed:
    """A generator of the meta device, which draws nothing."""

    def manual_seed(self, seed: int) -> None:
        """Draw from no generator at all."""


def full_step(at: OnMeta) -> None:
    learner = at.learner(*at.partition(all=1e-3))
    with learner.in_place():
        learner.step(FullForward(at.network), at.batch, TASKS, at.runtime)


def cached_step(at: OnMeta) -> None:
    learner = at.learner(*at.partition(top=1e-3, heads=1e-3))
    forward = CachedForward(at.network, at.states(2), Tail(at.network.backbone, 2))
    learner.step(forward, at.batch, TASKS, at.runtime)


def heads_step(at: OnMeta) -> None:
    stage, partition = at.partition(heads=1e-2)
    readings = Readings(at.prepared, at.network, at.states(3), at.runtime, at.directory)
    networks, seeds = [at.network, at.network], [0, 1]
    heads = Heads(networks, seeds, partition, stage, 10, at.prepared, readings, at.runtime)
    planned = schedule.epoch(at.prepared, stage, 0)[:2]
    assert len(heads.train(planned, 0, lambda: False)) == 2


def evaluation(at: OnMeta) -> None:
    at.network.eval()
    step.scored(FullForward(at.network), at.batch, at.prepared.corpus.tasks, at.runtime)


def prefix_pass(at: OnMeta) -> None:
    at.network.eval()
    for depth in (1, 3):
        assert at.states(depth).flat.device == META


KINDS: list[Callable[[OnMeta], None]] = [
    full_step,
    cached_step,
    heads_step,
    evaluation,
    prefix_pass,
]


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_on_one_device_and_nothing_is_read(
    on_meta: OnMeta, kind: Callable[[OnMeta], None]
) -> None:
    try:
        kind(on_meta)
    except RuntimeError as error:
        pytest.fail(f"on a GPU this would fail, or wait: {error}")


@pytest.mark.parametrize("on_meta", ["bert"], indirect=True)
@pytest.mark.parametrize("kind", [full_step, cached_step, evaluation])
def test_a_tensor_that_stayed_on_the_cpu_is_caught(
    on_meta: OnMeta, kind: Callable[[OnMeta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Network.pool
    left_behind = torch.ones(8, 32)
    monkeypatch.setattr(Network, "pool", lambda *given: honest(*given) * left_behind)
    with pytest.raises(RuntimeError, match="device"):
        kind(on_meta)


@pytest.mark.parametrize("on_meta", ["bert"], indirect=True)
@pytest.mark.parametrize(
    ("kind", "place"),
    [(full_step, "recorded"), (cached_step, "mean_loss"), (heads_step, "recorded")],
)
def test_a_value_that_is_read_in_a_step_is_caught(
    on_meta: OnMeta,
    kind: Callable[[OnMeta], None],
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = getattr(step, place)

    def reads(*given: Any) -> torch.Tensor:
        value = honest(*given)
        value.flatten()[0].item()
        return value

    monkeypatch.setattr(step, place, reads)
    with pytest.raises(RuntimeError, match="item"):
        kind(on_meta)


@pytest.mark.parametrize("on_meta", ["bert"], indirect=True)
def test_masks_would_be_read_by_transformers_itself(
    on_meta: OnMeta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        masking_utils, "_ignore_bidirectional_mask_sdpa", lambda mask, *_: bool(mask.all())
    )
    with pytest.raises(RuntimeError, match="item"):
        evaluation(on_meta)
