"""Parts of blocks: which parameters norms, biases, attention and ffn are in each family, and that
only these train.
"""

from typing import Any

import pytest
import torch
import transformers
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mtlab.model import backbone, freezing, sub_units
from mtlab.model.flops import Counter
from mtlab.model.freezing import CertificateError
from mtlab.model.network import Network
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Head
from mtlab.plan.scenario import Stage
from tests import tiny

SHAPES = tiny.shapes(3, 5)
TASKS = tuple(SHAPES)

QUICK = ("bert", "modernbert")
FAMILIES = [
    pytest.param(family, marks=() if family in QUICK else pytest.mark.nightly)
    for family in tiny.CONFIGS
]

WORDS = {
    "norms": ("norm",),
    "attention": (".attention.", ".attn."),
    "ffn": (".intermediate.", ".output.dense", ".ffn.", ".mlp."),
}
"""What the names of parameters of blocks hold, in all families. The product does not look."""


def network(family: str) -> Network:
    torch.manual_seed(0)
    config = tiny.CONFIGS[family]()
    model = transformers.AutoModel.from_config(config, attn_implementation="eager")
    return Network(backbone.inspect(model), SHAPES, Head())


def trained(network: Network, **train: Any) -> set[str]:
    """The parameters that train under these selectors."""
    freezing.apply(network, freezing.resolve(Stage(epochs=1, train=train), network))
    return {name for name, weight in network.named_parameters() if weight.requires_grad}


def meant(name: str, part: str) -> bool:
    """Whether a parameter of a block is a part, by its name."""
    name = name.lower()
    norm = any(word in name.replace("mlp_norm", "norm") for word in WORDS["norms"])
    attention = any(word in name for word in WORDS["attention"])
    return {
        "norms": norm,
        "biases": name.endswith("bias"),
        "attention": attention and not norm,
        "ffn": not attention and not norm and any(word in name for word in WORDS["ffn"]),
    }[part]


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_of_blocks_are_what_their_names_say_and_cover_the_blocks(family: str) -> None:
    net = network(family)
    for blocks, names in (
        ("layers[:]", net.backbone.blocks),
        ("layers[-1]", net.backbone.blocks[-1:]),
    ):
        inside = {
            name
            for name, _ in net.named_parameters()
            if name.startswith(tuple(f"encoder.{block}." for block in names))
        }
        for part in ("norms", "attention", "ffn", "biases"):
            expected = {name for name in inside if meant(name, part)}
            if expected:
                assert trained(net, **{f"{blocks}.{part}": 1.0}) == expected, part
        three = {f"{blocks}.{part}": 1.0 for part in ("norms", "attention", "ffn")}
        assert trained(net, **three) == inside


@pytest.mark.parametrize("family", FAMILIES)
def test_norms_and_biases_alone_are_those_of_the_whole_encoder_and_no_heads(family: str) -> None:
    net = network(family)
    vectors = {
        name for name, weight in net.encoder.named_parameters(prefix="encoder") if weight.dim() == 1
    }
    norms = trained(net, norms=1.0)
    assert norms <= vectors and norms >= {name for name in vectors if "norm" in name.lower()}
    if family == "modernbert":
        with pytest.raises(
            UserError, match="'biases' matches nothing; these blocks have no biases"
        ):
            trained(net, biases=1.0)
        return
    biases = trained(net, biases=1.0)
    assert biases == {name for name in vectors if name.endswith("bias")}
    assert norms | biases == vectors
    assert trained(net, biases=1.0, heads=1.0) == biases | {
        name for name, _ in net.named_parameters() if name.startswith("heads.")
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_flops_count_gradients_of_weights_only_where_matrices_train(family: str) -> None:
    """Norms of all blocks need every gradient of states and none of matrices; those of the attention
    in two blocks are two FLOPs a weight and token more.
    """
    config, net = tiny.CONFIGS[family](), network(family)
    counter = Counter(config, SHAPES, Head())
    costs = []
    norms = {"layers[:].norms": 1.0, "heads": 1.0}
    for train in (norms, {**norms, "layers[-2:].attention": 1.0}):
        partition = freezing.resolve(Stage(epochs=1, train=train), net)
        assert partition.prefix_depth == 0
        freezing.apply(net, partition)
        ids = torch.randint(4, 100, (5, 17))
        with FlopCounterMode(display=False) as counted:
            sum(
                logits.sum() for logits in net(ids, torch.ones_like(ids), TASKS).values()
            ).backward()
        assert counter.step(partition, TASKS).padded(5, 17) == counted.get_total_flops()
        costs.append(counted.get_total_flops())
    weights = sum(
        weight.numel()
        for name, weight in net.named_parameters()
        if weight.requires_grad and weight.dim() == 2 and name.startswith("encoder.")
    )
    more, expected = costs[1] - costs[0], 2 * 5 * 17 * weights
    # the attention of DeBERTa also projects relative positions
    assert more > expected if family == "deberta-v2" else more == expected


def test_an_earlier_selector_takes_a_part_and_a_later_one_the_rest() -> None:
    net = network("bert")
    stage = Stage(epochs=1, train={"layers[-1].norms": 3.0, "biases": 2.0, "layers[-1]": 1.0})
    partition = freezing.resolve(stage, net)
    rates = {unit: group.rate for group in partition.trainable for unit in group.units}
    last = {name: rate for name, rate in rates.items() if name.startswith("layers[2]")}
    assert last == {
        "layers[2].norms.weights": 3.0,
        "layers[2].norms.biases": 3.0,
        "layers[2].attention.biases": 2.0,
        "layers[2].ffn.biases": 2.0,
        "layers[2].attention.weights": 1.0,
        "layers[2].ffn.weights": 1.0,
    }
    assert partition.prefix_depth == 0 and "head.ner" in partition.frozen
    with pytest.raises(UserError, match="'norms' comes after others that match all it names"):
        freezing.resolve(Stage(epochs=1, train={"encoder": 1.0, "norms": 1.0}), net)


def test_units_of_which_all_trains_alike_stay_whole() -> None:
    net = network("bert")
    parts = {f"layers[-1].{part}": 1.0 for part in ("norms", "attention", "ffn")}
    apart = freezing.resolve(Stage(epochs=1, train=parts), net)
    assert apart.divided == {"layers[2]"}  # three selectors, three groups
    whole = freezing.resolve(
        Stage(epochs=1, train={"layers[0].norms": 1.0, "layers[-1]": 1.0}), net
    )
    assert whole.divided == {"layers[0]"}
    assert whole.trainable[1].units == ("layers[2]",)
    assert "layers[1]" in whole.frozen and "layers[0].ffn.weights" in whole.frozen
    assert freezing.resolve(Stage(epochs=1, train={"encoder": 1.0}), net).divided == frozenset()


def test_a_block_of_which_anything_trains_is_in_train_mode() -> None:
    net = network("bert")
    partition = freezing.resolve(Stage(epochs=1, train={"layers[-1].biases": 1.0}), net)
    freezing.apply(net, partition)
    assert {module.training for module in net.encoder.encoder.layer[2].modules()} == {True}
    assert not any(module.training for module in net.encoder.encoder.layer[1].modules())
    freezing.check_modes(net, partition)
    net.encoder.encoder.layer[2].eval()
    with pytest.raises(CertificateError, match=r"trained unit layers\[2\] was in eval mode"):
        freezing.check_modes(net, partition)


@pytest.mark.parametrize(
    ("moved", "message"),
    [
        (
            ("layers[2].norms.weights", "layers[2].norms.biases", "layers[2].ffn.weights"),
            r"frozen unit layers\[2\].ffn.weights changed",
        ),
        (("layers[2].norms.weights",), r"trained unit layers\[2\].norms.biases did not change"),
        (("layers[2].norms.weights", "layers[2].norms.biases"), ""),
    ],
)
def test_the_certificate_goes_part_by_part(moved: tuple[str, ...], message: str) -> None:
    net = network("bert")
    partition = freezing.resolve(Stage(epochs=1, train={"layers[-1].norms": 1.0}), net)
    freezing.apply(net, partition)
    before = freezing.digests(net) | freezing.sub_digests(net, partition.divided)
    for name in moved:
        with torch.no_grad():
            next(iter(freezing.units(net, partition.divided)[name].parameters.values())).add_(1.0)
    after = freezing.digests(net) | freezing.sub_digests(net, partition.divided)
    if not message:
        freezing.check(net, partition, before, after, partition.trained_units)
        return
    with pytest.raises(CertificateError, match=message):
        freezing.check(net, partition, before, after, partition.trained_units)


def test_a_block_without_one_attention_is_not_divided() -> None:
    net = network("bert")
    net.encoder.encoder.layer[1].attention = nn.Sequential(nn.Linear(32, 32))
    with pytest.raises(
        UserError, match=r"layers of layers\[1\] cannot be told apart; select whole"
    ):
        freezing.resolve(Stage(epochs=1, train={"layers[1].ffn": 1.0}), net)


@pytest.mark.parametrize("family", FAMILIES)
def test_rates_fall_from_the_top_block_down_to_the_embeddings(family: str) -> None:
    net = network(family)
    train = {"encoder": {"rate": 1.0, "decay": 0.5}, "heads": 7.0}
    partition = freezing.resolve(Stage(epochs=1, train=train), net)
    rates = {unit: group.rate for group in partition.trainable for unit in group.units}
    expected = {"embeddings": 0.125, "layers[0]": 0.25, "layers[1]": 0.5, "layers[2]": 1.0}
    after = {"after": 1.0} if "after" in freezing.units(net) else {}
    assert rates == {**expected, **after, "head.classifier": 7.0, "head.ner": 7.0}
    assert partition.divided == frozenset() and partition.frozen == ()


def test_rates_of_parts_fall_too_and_a_decay_of_1_changes_nothing() -> None:
    net = network("bert")
    train = {"layers[-2:].norms": {"rate": 1.0, "decay": 0.5}}
    rates = [group.rate for group in freezing.resolve(Stage(epochs=1, train=train), net).trainable]
    assert rates == [0.5, 1.0]
    even = {"encoder": {"rate": 0.3, "decay": 1}}
    flat, plain = (
        freezing.resolve(Stage(epochs=1, train=train), net) for train in (even, {"encoder": 0.3})
    )
    assert flat == plain


def test_the_owner_of_a_sub_unit_is_its_unit_and_of_a_unit_itself() -> None:
    assert sub_units.owner("layers[12].norms.weights") == "layers[12]"
    assert sub_units.owner("head.norms") == "head.norms"
