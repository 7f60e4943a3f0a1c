"""Training the words that occur is training the whole table."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from mtlab.data import batches
from mtlab.model import freezing
from mtlab.model.network import Network
from mtlab.plan.experiment import load
from mtlab.train.loop import schedule, step
from mtlab.train.loop.vocabulary import occurring
from mtlab.train.prepare import Prepared, prepare
from mtlab.train.runtime import Runtime, resolve
from tests import tiny

STEPS = 8


@contextmanager
def nothing() -> Iterator[None]:
    yield


def trained(prepared: Prepared, runtime: Runtime, small: bool) -> tuple[Network, list[float]]:
    network = prepared.fresh_network(0, runtime.device)
    stage = prepared.experiment.scenario("full").stages[0]
    partition = freezing.resolve(stage, network)
    freezing.apply(network, partition)
    examples, experiment = prepared.encoded["train"].examples, prepared.experiment
    words = (
        occurring(network, examples, prepared.pad_id, partition.trained_units) if small else None
    )
    learner = step.learner(
        network,
        partition,
        stage,
        STEPS,
        experiment.optimizer,
        experiment.loss_factors,
        prepared.corpus.tasks,
        words,
    )
    assert learner is not None
    losses = []
    with words.in_place() if words else nothing():
        for number, one in enumerate(schedule.epoch(prepared, stage, 0)[:STEPS]):
            torch.manual_seed(number)
            batch = batches.collate(examples, one.ids, prepared.pad_id)
            losses.append(
                float(learner.step(step.FullForward(network), batch, one.tasks, runtime).loss)
            )
    return network, losses


@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_every_weight_ends_where_it_would(
    tmp_path: Path, experiment_file: Path, family: str
) -> None:
    """Words that do not occur are decayed, those that do are trained; strong decay and a falling
    rate make both visible."""
    encoder = tiny.write_encoder(tmp_path / "encoder", family)
    settings = {
        "optimizer.weight_decay": ["0.5"],
        "optimizer.schedule": ["linear"],
        "encoder": [str(encoder)],
        "optimizer.warmup": ["0.2"],
    }
    experiment = load(experiment_file, settings)
    runtime = resolve(experiment)
    prepared = prepare(experiment, runtime)[()]
    (whole, plain_losses), (small, small_losses) = (
        trained(prepared, runtime, False),
        trained(prepared, runtime, True),
    )
    assert small_losses == pytest.approx(plain_losses, rel=1e-5)
    start = prepared.fresh_network(0, runtime.device).encoder.get_input_embeddings().weight
    table = whole.encoder.get_input_embeddings().weight
    occurs = torch.zeros(len(table), dtype=torch.bool)
    for example in prepared.encoded["train"].examples:
        occurs[torch.from_numpy(example.input_ids)] = True
    assert int((~occurs).sum()) > 0 and not torch.allclose(
        start[~occurs], table[~occurs], rtol=1e-4
    )
    for (name, one), other in zip(whole.named_parameters(), small.parameters(), strict=True):
        torch.testing.assert_close(
            other, one, rtol=1e-4, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_a_frozen_table_is_left_alone(experiment_file: Path) -> None:
    experiment = load(experiment_file)
    runtime = resolve(experiment)
    prepared = prepare(experiment, runtime)[()]
    network = prepared.fresh_network(0, runtime.device)
    assert (
        occurring(
            network, prepared.encoded["train"].examples, prepared.pad_id, frozenset({"layers[0]"})
        )
        is None
    )


def test_the_network_is_its_own_again_afterwards(experiment_file: Path) -> None:
    experiment = load(experiment_file)
    runtime = resolve(experiment)
    network, _ = trained(prepare(experiment, runtime)[()], runtime, True)
    table = network.encoder.get_input_embeddings()
    assert "forward" not in table.__dict__
    assert torch.equal(table(torch.tensor([3])), table.weight[[3]])
