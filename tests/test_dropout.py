"""Dropout with cheap masks does what PyTorch's does: shares, scale, gradients, and when it does nothing."""

import math

import pytest
import torch

from pixelplay.detectors.autoencoder.network import Dropout

FORMATS = [((7, 3, 5, 9), torch.channels_last), ((4, 3, 2, 5, 6), torch.channels_last_3d), ((1001,), None)]


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_a_share_p_is_dropped_and_the_rest_grows_so_that_the_mean_stays(p):
    torch.manual_seed(0)
    x = torch.full((400, 1000), 3.0)
    y = Dropout(p)(x)
    dropped = float((y == 0).float().mean())
    assert dropped == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / x.numel()) + 1 / 2**17)
    assert torch.allclose(y[y != 0], torch.tensor(3.0 / (1 - p)))


def test_elements_are_dropped_independently():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(100_000)) != 0).double()
    kept -= kept.mean()
    for lag in (1, 2, 3, 4, 8, 64):  # four neighbours come from one draw
        assert abs(float((kept[lag:] * kept[:-lag]).mean()) / 0.25) < 4 / math.sqrt(len(kept))


@pytest.mark.parametrize(("shape", "memory_format"), FORMATS)
def test_memory_layout_and_number_format_stay(shape, memory_format):
    x = torch.rand(shape, dtype=torch.bfloat16)
    x = x.contiguous(memory_format=memory_format) if memory_format else x
    y = Dropout(0.3)(x)
    assert (y.shape, y.dtype, y.stride()) == (x.shape, x.dtype, x.stride())
    assert Dropout(0.3)(x[..., ::2]).shape == x[..., ::2].shape


def test_the_gradient_passes_where_the_value_did():
    torch.manual_seed(0)
    x = torch.ones(50, 20, requires_grad=True)
    y = Dropout(0.4)(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_the_seed_decides_the_mask():
    x = torch.ones(1000)
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(Dropout(0.5)(x))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_nothing_is_dropped_outside_training_or_at_a_share_of_0():
    x = torch.rand(100)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
