"""An encoder replayed from the middle is the encoder: bit for bit on the same shapes, for every
family."""

import pytest
import torch
import transformers

from mtlab.model import backbone as backbones
from mtlab.model.backbone import Backbone
from mtlab.model.replay import Tail, watch
from tests import tiny

SENTENCES, TOKENS, BLOCKS = 4, 11, 3


def build(family: str, **settings: object) -> Backbone:
    torch.manual_seed(0)
    config = tiny.CONFIGS[family]()
    model = transformers.AutoModel.from_config(config, **settings)
    return backbones.inspect(model.eval())


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 100, (SENTENCES, TOKENS), generator=generator)
    mask = (torch.arange(TOKENS) < torch.tensor([[11], [7], [4], [9]])).long()
    return ids, mask


def recorded(
    backbone: Backbone, depth: int, ids: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad(), watch(backbone, [depth]) as seen:
        output = backbone.model(input_ids=ids, attention_mask=mask).last_hidden_state
    return seen[depth], output


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_replay_is_bit_equal(family: str, depth: int) -> None:
    backbone = build(family)
    ids, mask = batch()
    states, whole = recorded(backbone, depth, ids, mask)
    with torch.no_grad():
        replayed = Tail(backbone, depth)(states, ids, mask)
    assert torch.equal(replayed, whole)


@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_what_stands_at_padding_is_not_read(family: str) -> None:
    backbone = build(family)
    ids, mask = batch()
    states, whole = recorded(backbone, 2, ids, mask)
    with torch.no_grad():
        replayed = Tail(backbone, 2)(states * mask.unsqueeze(-1), ids, mask)
    assert torch.equal(replayed[mask.bool()], whole[mask.bool()])


@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_gradients_are_bit_equal_and_end_at_the_entry(family: str) -> None:
    """The gradients of the upper blocks with the lower ones frozen, computed both ways."""
    backbone = build(family)
    ids, mask = batch()
    states, _ = recorded(backbone, 2, ids, mask)
    backbone.model.requires_grad_(False)
    top = backbone.model.get_submodule(backbone.blocks[2]).requires_grad_(True)
    found = []
    for compute in (
        lambda: backbone.model(input_ids=ids, attention_mask=mask).last_hidden_state,
        lambda: Tail(backbone, 2)(states, ids, mask),
    ):
        top.zero_grad()
        (compute()[mask.bool()] ** 2).sum().backward()
        found.append(
            {
                name: parameter.grad.clone()
                for name, parameter in top.named_parameters()
                if parameter.grad is not None
            }
        )
    assert found[0] and found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("family", ["bert", "modernbert", "deberta-v2"])
def test_lower_blocks_do_no_work(family: str) -> None:
    backbone = build(family)
    ids, mask = batch()
    states, _ = recorded(backbone, 2, ids, mask)
    tail, ran = Tail(backbone, 2), []
    for name, module in backbone.model.named_modules():
        if name.startswith(tuple(f"{block}." for block in backbone.blocks)):
            module.register_forward_pre_hook(lambda _module, _args, name=name: ran.append(name))
    tail(states, ids, mask)
    assert ran and all(name.startswith(f"{backbone.blocks[2]}.") for name in ran)


@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_a_flipped_bit_of_the_mask_shows(family: str) -> None:
    """The comparison does see a change of one bit of the mask, in what is replayed and in what was
    recorded."""
    backbone = build(family)
    ids, mask = batch()
    states, whole = recorded(backbone, 2, ids, mask)
    flipped = mask.clone()
    flipped[1, 2] ^= 1
    with torch.no_grad():
        assert not torch.equal(
            Tail(backbone, 2)(states, ids, flipped)[mask.bool()], whole[mask.bool()]
        )
    other, _ = recorded(backbone, 2, ids, flipped)
    assert not torch.equal(other[mask.bool()], states[mask.bool()])


def test_a_flipped_bit_below_the_entry_shows_above(recwarn: pytest.WarningsRecorder) -> None:
    """The comparison that the other tests rest on does see a change of one frozen weight."""
    backbone = build("bert")
    ids, mask = batch()
    states, _ = recorded(backbone, 2, ids, mask)
    with torch.no_grad():
        weight = next(backbone.model.get_submodule(backbone.blocks[0]).parameters())
        weight.view(torch.int32).view(-1)[0] ^= 1 << 20
        whole = backbone.model(input_ids=ids, attention_mask=mask).last_hidden_state
        assert not torch.equal(Tail(backbone, 2)(states, ids, mask), whole)
