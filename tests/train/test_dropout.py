"""Cheap masks are masks: the right share, independent, the mean kept, the same for the same
seed."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from mtlab.train.loop import dropout

CPU = torch.device("cpu")


@pytest.mark.parametrize("p", [0.0, 0.1, 0.25, 0.5, 0.9])
def test_share_scale_and_mean(p: float) -> None:
    drawn = dropout.Draws(CPU, 0).mask(torch.Size((1001, 999)), p, torch.float32)
    zero = float((drawn == 0).float().mean())
    assert zero == pytest.approx(p, abs=3 * (p * (1 - p) / drawn.numel()) ** 0.5 + 1e-5)
    assert drawn.unique().numel() == (2 if p else 1)
    assert float(drawn.mean()) == pytest.approx(1.0, abs=0.01)
    assert float(drawn.max()) * (1 - round(p * dropout.LEVELS) / dropout.LEVELS) == pytest.approx(
        1.0, rel=1e-6
    )


def test_neighbours_are_independent() -> None:
    """Four elements come from one draw; none tells of the others."""
    zero = (dropout.Draws(CPU, 0).mask(torch.Size((400_000,)), 0.3, torch.float32) == 0).float()
    for distance in (1, 2, 3, 4, 5):
        together = float((zero[:-distance] * zero[distance:]).mean())
        assert together == pytest.approx(0.09, abs=0.003), distance


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_have_the_same_mask_and_their_own_scale(dtype: torch.dtype) -> None:
    """The scale is put in as bits, which is worth a test for every type."""
    shape = torch.Size((33, 7))
    drawn, known = (dropout.Draws(CPU, 5).mask(shape, 0.25, one) for one in (dtype, torch.float32))
    assert drawn.dtype == dtype and torch.equal(drawn == 0, known == 0)
    assert torch.equal(drawn, known.to(dtype)) or dtype == torch.float64
    assert torch.allclose(drawn.double(), known.double(), rtol=1e-2)


def test_seeds_decide() -> None:
    shape = torch.Size((64, 7))
    first = dropout.Draws(CPU, 3)
    drawn = first.mask(shape, 0.5, torch.float32)
    assert torch.equal(dropout.Draws(CPU, 3).mask(shape, 0.5, torch.float32), drawn)
    assert not torch.equal(dropout.Draws(CPU, 4).mask(shape, 0.5, torch.float32), drawn)
    assert not torch.equal(first.mask(shape, 0.5, torch.float32), drawn)


def test_torchs_seed_decides_within_the_context() -> None:
    def twice(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        with dropout.quick(CPU):
            return torch.stack(
                [
                    functional.dropout(torch.ones(64, 7), 0.5),
                    functional.dropout(torch.ones(64, 7), 0.5),
                ]
            )

    drawn = twice(3)
    assert torch.equal(twice(3), drawn) and not torch.equal(twice(4), drawn)
    assert not torch.equal(drawn[0], drawn[1])


def test_modules_and_functions_use_it_within_the_context_alone() -> None:
    values = torch.ones(50, 50, requires_grad=True)
    module = nn.Dropout(0.1)
    scale = dropout.LEVELS / (dropout.LEVELS - round(0.1 * dropout.LEVELS))
    with dropout.quick(CPU):
        inside, called = module(values), functional.dropout(values, 0.1, training=True)
        assert torch.equal(module.eval()(values), values)
        assert torch.equal(functional.dropout(values, 0.1, training=False), values)
    for result in (inside, called):
        assert result.max().item() == pytest.approx(scale, rel=1e-6)
    outside = module.train()(values)
    assert outside.max().item() == pytest.approx(1 / 0.9, rel=1e-7)
    inside.sum().backward()
    assert torch.equal(values.grad, inside.detach())
