import pytest
import torch
import transformers

from mtlab.model import backbone, freezing
from mtlab.model.freezing import CertificateError
from mtlab.model.network import Network
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Head
from mtlab.plan.scenario import Stage
from tests import tiny


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(tiny.CONFIGS["bert"]())
    return Network(backbone.inspect(model), tiny.shapes(3, 5), Head())


def test_first_match_wins_and_the_rest_is_frozen(network: Network) -> None:
    partition = freezing.resolve(
        Stage(epochs=1, train={"layers[-1]": 1e-3, "encoder": 1e-4}), network
    )
    assert [(group.rate, group.units) for group in partition.trainable] == [
        (1e-3, ("layers[2]",)),
        (1e-4, ("embeddings", "layers[0]", "layers[1]")),
    ]
    assert partition.frozen == ("head.classifier", "head.ner")


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"layers[0:9]": 1.0}, r"out of range; the encoder has layers\[0:3\]"),
        ({"layers[2:1]": 1.0}, "matches no block"),
        ({"all": 1.0, "heads": 1.0}, "after others that match all it names; put it first"),
    ],
)
def test_selectors_that_match_nothing_say_what_there_is(
    network: Network, train: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        freezing.resolve(Stage(epochs=1, train=train), network)


def test_what_was_trained_before_has_no_gradients_when_it_is_frozen(network: Network) -> None:
    ids = torch.arange(4, 16).reshape(2, 6)
    freezing.apply(network, freezing.resolve(Stage(epochs=1, train={"all": 1.0}), network))
    network(ids, torch.ones_like(ids), ("ner",))["ner"].sum().backward()
    freezing.apply(
        network,
        freezing.resolve(Stage(epochs=1, train={"layers[-1]": 1.0, "head.ner": 1.0}), network),
    )
    for name, unit in freezing.units(network).items():
        assert {parameter.requires_grad for parameter in unit.parameters.values()} == {
            name in {"layers[2]", "head.ner"}
        }, name
        assert all(parameter.grad is None for parameter in unit.parameters.values()), name


@pytest.mark.parametrize(
    ("train", "depth"),
    [
        ({"heads": 1.0}, 3),
        ({"layers[-1]": 1.0, "heads": 1.0}, 2),
        ({"layers[0]": 1.0, "layers[-1]": 1.0}, 0),
        ({"embeddings": 1.0, "heads": 1.0}, 0),
        ({"embeddings": 1.0, "layers[-1]": 1.0}, 0),
    ],
)
def test_the_frozen_prefix_ends_below_what_trains(
    network: Network, train: dict, depth: int
) -> None:
    assert freezing.resolve(Stage(epochs=1, train=train), network).prefix_depth == depth


def test_frozen_units_are_in_eval_mode_after_every_set_modes(network: Network) -> None:
    partition = freezing.resolve(
        Stage(epochs=1, train={"layers[-1]": 1.0, "head.ner": 1.0}), network
    )
    network.train()
    freezing.set_modes(network, partition)
    for name, unit in freezing.units(network).items():
        assert {module.training for module in unit.modules} == {name in {"layers[2]", "head.ner"}}


def test_frozen_prefix_draws_no_dropout(network: Network) -> None:
    freezing.apply(network, freezing.resolve(Stage(epochs=1, train={"layers[-1]": 1.0}), network))
    states: list[torch.Tensor] = []
    network.encoder.encoder.layer[2].register_forward_pre_hook(
        lambda _module, inputs: states.append(inputs[0])
    )
    ids = torch.arange(4, 16).reshape(2, 6)
    outputs = [network(ids, torch.ones_like(ids), ("ner",))["ner"] for _ in range(2)]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(outputs[0], outputs[1])


def test_certificate_of_modes_breaks_both_ways(network: Network) -> None:
    partition = freezing.resolve(Stage(epochs=1, train={"heads": 1.0}), network)
    freezing.apply(network, partition)
    freezing.check_modes(network, partition)
    network.encoder.encoder.layer[1].train()
    with pytest.raises(CertificateError, match=r"frozen unit layers\[1\] was in train mode"):
        freezing.check_modes(network, partition)
    freezing.set_modes(network, partition)
    network.heads["ner"].eval()
    with pytest.raises(CertificateError, match=r"trained unit head\.ner was in eval mode"):
        freezing.check_modes(network, partition)


@pytest.mark.parametrize("fault", ["weight", "buffer", "gradient", "idle"])
def test_certificate_breaks_on_every_fault(network: Network, fault: str) -> None:
    partition = freezing.resolve(Stage(epochs=1, train={"heads": 1.0}), network)
    freezing.apply(network, partition)
    freezing.set_modes(network, partition)
    before = freezing.digests(network)
    for name in ("classifier", "ner") if fault != "idle" else ("ner",):
        with torch.no_grad():
            network.heads[name].linear.weight.add_(1.0)
    frozen = network.encoder.embeddings
    if fault == "weight":
        frozen.word_embeddings.weight.data[3, 5] += 1e-6
    elif fault == "buffer":
        frozen.position_ids[0, 0] += 1
    elif fault == "gradient":
        frozen.word_embeddings.weight.requires_grad_(True)
    after = freezing.digests(network)
    expected = {
        "weight": "embeddings changed",
        "buffer": "embeddings changed",
        "gradient": "embeddings has gradients",
        "idle": "head.classifier did not change",
    }
    with pytest.raises(CertificateError, match=expected[fault]):
        freezing.check(network, partition, before, after, partition.trained_units)


def test_parameters_shared_between_units_are_refused(network: Network) -> None:
    layers = network.encoder.encoder.layer
    layers[2].output.dense = layers[1].output.dense
    with pytest.raises(UserError, match=r"layers\[2\] and layers\[1\] share"):
        freezing.units(network)
