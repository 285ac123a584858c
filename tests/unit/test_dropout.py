"""Dropout: the distribution of torch's, by another stream of random numbers."""

import pytest
import torch

from bonegraph.models.dropout import Dropout, keep


@pytest.mark.parametrize("probability", [0.5, 0.9, 1 / 3, 0.001, 255 / 256])
def test_the_probability_is_exact_not_to_a_byte(probability: float) -> None:
    """0.001 lies between 0 and 1/256, where a byte alone would be far off."""
    torch.manual_seed(0)
    count = 4_000_000
    error = (probability * (1 - probability) / count) ** 0.5
    assert abs(keep(count, probability).double().mean().item() - probability) < 4 * error


def test_neighbours_do_not_know_of_each_other() -> None:
    torch.manual_seed(0)
    kept = keep(2**20, 0.5).view(-1, 8).double()
    assert (torch.corrcoef(kept.T) - torch.eye(8)).abs().max() < 0.02
    assert abs((kept[1:] * kept[:-1]).mean().item() - 0.25) < 0.002


@pytest.mark.parametrize("p", [0.5, 0.1])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_what_is_left_is_scaled(p: float, layout: torch.memory_format) -> None:
    x = (torch.rand(3, 4, 5, 7) + 1).contiguous(memory_format=layout).requires_grad_()
    y = Dropout(p)(x)
    assert y.is_contiguous(memory_format=layout)
    left = y != 0
    assert 0 < left.sum() < left.numel()
    torch.testing.assert_close(y[left], x[left] / (1 - p))
    y.sum().backward()
    torch.testing.assert_close(x.grad, left / (1 - p))


def test_as_torch_says() -> None:
    x = torch.randn(2, 3, dtype=torch.bfloat16)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any()
    assert Dropout(0.5)(x).dtype == torch.bfloat16
    assert Dropout(0.5)(torch.empty(0, 3)).shape == (0, 3)
    transposed = torch.ones(50, 40).T[::2]
    assert set(Dropout(0.5)(transposed).unique().tolist()) == {0.0, 2.0}


def test_a_seed_draws_again_what_it_drew() -> None:
    torch.manual_seed(3)
    first = keep(1000, 0.3)
    torch.manual_seed(3)
    assert torch.equal(keep(1000, 0.3), first)
    assert not torch.equal(keep(1000, 0.3), first)
