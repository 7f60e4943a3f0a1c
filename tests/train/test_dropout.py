"""Cheap masks are masks: the right share, independent, the mean kept, the same for the same seed."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from mtlab.train import dropout

CPU = torch.device("cpu")


@pytest.mark.parametrize("p", [0.0, 0.1, 0.25, 0.5, 0.9])
def test_share_scale_and_mean(p: float) -> None:
    torch.manual_seed(0)
    drawn = dropout.mask(torch.Size((1001, 999)), p, torch.float32, CPU)
    zero = float((drawn == 0).float().mean())
    assert zero == pytest.approx(p, abs=3 * (p * (1 - p) / drawn.numel()) ** 0.5 + 1e-5)
    assert drawn.unique().numel() == (2 if p else 1)
    assert float(drawn.mean()) == pytest.approx(1.0, abs=0.01)
    assert float(drawn.max()) * (1 - round(p * dropout.LEVELS) / dropout.LEVELS) == pytest.approx(1.0, rel=1e-6)


def test_neighbours_are_independent() -> None:
    """Four elements come from one draw; none tells of the others."""
    torch.manual_seed(0)
    zero = (dropout.mask(torch.Size((400_000,)), 0.3, torch.float32, CPU) == 0).float()
    for distance in (1, 2, 3, 4, 5):
        together = float((zero[:-distance] * zero[distance:]).mean())
        assert together == pytest.approx(0.09, abs=0.003), distance


def test_seeds_decide_and_generators_are_apart() -> None:
    def draw(generator: torch.Generator | None = None) -> torch.Tensor:
        return dropout.mask(torch.Size((64, 7)), 0.5, torch.float32, CPU, generator)

    torch.manual_seed(3)
    first = draw()
    torch.manual_seed(3)
    assert torch.equal(draw(torch.Generator().manual_seed(9)), draw(torch.Generator().manual_seed(9)))
    assert torch.equal(draw(), first), "a generator of its own leaves the global one alone"
    assert not torch.equal(draw(), first)


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
