"""Blocks that are drawn anew: as their family initialises them, by seed and block alone."""

import pytest
import torch
import transformers

from mtlab.model import backbone, freezing, reinit
from mtlab.model.freezing import CertificateError
from mtlab.model.network import Network
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Head
from mtlab.plan.scenario import Stage
from tests import tiny

FAMILIES = [
    pytest.param(family, marks=() if family in ("bert", "modernbert") else pytest.mark.nightly)
    for family in tiny.CONFIGS
]


def network(family: str) -> Network:
    """With weights that no initialisation gives."""
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(tiny.CONFIGS[family]())
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    return Network(backbone.inspect(model), tiny.shapes(3, 5), Head())


def drawn(net: Network, *selectors: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """Draw blocks of a network; returns the weights that changed."""
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    resolved = reinit.resolve(Stage(epochs=1, train={"all": 1.0}, reinit=selectors), net)
    digests = freezing.digests(net) | freezing.sub_digests(net, resolved.divided)
    reinit.draw(net, resolved, seed)
    after = freezing.digests(net) | freezing.sub_digests(net, resolved.divided)
    reinit.check(net, resolved, digests, after)
    return {
        name: weight.detach().clone()
        for name, weight in net.named_parameters()
        if not torch.equal(weight, before[name])
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_a_drawn_block_is_as_its_family_initialises_it_and_no_other_moves(family: str) -> None:
    net = network(family)
    changed = drawn(net, "layers[-1:]")
    block = f"encoder.{net.backbone.blocks[-1]}."
    assert changed.keys() == {name for name, _ in net.named_parameters() if name.startswith(block)}
    torch.manual_seed(3)
    fresh = Network(
        backbone.inspect(transformers.AutoModel.from_config(tiny.CONFIGS[family]())),
        tiny.shapes(3, 5),
        Head(),
    )
    for name, weight in fresh.named_parameters():
        if name in changed and weight.dim() == 1:
            assert torch.equal(changed[name], weight), name
        elif name in changed:
            assert changed[name].std() == pytest.approx(weight.std().item(), rel=0.15), name
            assert abs(changed[name].mean()) < 0.1 * weight.std() + 3e-3, name


def test_draws_depend_on_seed_and_block_alone() -> None:
    first = drawn(network("bert"), "layers[1:]")
    torch.manual_seed(9)
    again = network("bert")
    torch.rand(5)
    stream = torch.get_rng_state()
    last = drawn(again, "layers[2]")
    assert torch.equal(torch.get_rng_state(), stream)
    assert last and all(torch.equal(weight, first[name]) for name, weight in last.items())
    other = drawn(network("bert"), "layers[2]", seed=1)
    name = "encoder.encoder.layer.{}.attention.self.query.weight"
    assert not torch.equal(other[name.format(2)], last[name.format(2)])
    assert not torch.equal(first[name.format(1)], first[name.format(2)])


def test_parts_of_blocks_may_be_drawn() -> None:
    changed = drawn(network("bert"), "layers[2].ffn", "layers[1].norms")
    assert changed and all(
        ("layer.1" in name) == ("LayerNorm" in name) and "layer.0" not in name for name in changed
    )


def test_the_certificate_names_what_was_not_drawn_and_what_moved_with_it() -> None:
    net = network("bert")
    resolved = reinit.resolve(Stage(epochs=1, train={"all": 1.0}, reinit="layers[2]"), net)
    before = freezing.digests(net)
    with pytest.raises(CertificateError, match=r"layers\[2\] was not drawn anew"):
        reinit.check(net, resolved, before, before)
    reinit.draw(net, resolved, 0)
    with torch.no_grad():
        net.heads["ner"].linear.bias.add_(1.0)
    with pytest.raises(CertificateError, match=r"head.ner changed while others were drawn anew"):
        reinit.check(net, resolved, before, freezing.digests(net))


def test_a_block_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UserError, match=r"out of range; the encoder has layers\[0:3\]"):
        reinit.resolve(Stage(epochs=1, train={"all": 1.0}, reinit="layers[3]"), network("bert"))
