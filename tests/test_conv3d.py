"""3-D convolutions over two frames: the values of PyTorch's own, and gradients that are right in bf16."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pixelplay.detectors.autoencoder.network import Conv3d, ConvTranspose3d

STRIDES = [(1, 1, 1), (1, 2, 2), (2, 2, 2)]


def pair(stride, transposed, bias=True):
    """Ours and PyTorch's layer with the same weights."""
    growth = {"output_padding": tuple(s - 1 for s in stride)} if transposed else {}
    ours, peer = (ConvTranspose3d, nn.ConvTranspose3d) if transposed else (Conv3d, nn.Conv3d)
    torch.manual_seed(0)
    layer = ours(5, 7, 3, stride, padding=1, bias=bias, **growth)
    reference = peer(5, 7, 3, stride, padding=1, bias=bias, **growth)
    reference.load_state_dict(layer.state_dict())
    return layer, reference


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_outputs_and_gradients_are_those_of_pytorch(frames, stride, transposed, bias):
    layer, reference = pair(stride, transposed, bias)
    x = torch.randn(2, 5, frames, 6, 8)
    fed = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [layer(fed[0]), reference(fed[1])]
    for output in outputs:
        output.square().sum().backward()
    assert torch.allclose(*outputs, atol=1e-5)
    assert torch.allclose(fed[0].grad, fed[1].grad, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(layer.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-4, atol=1e-3)


def test_an_asked_for_output_size_is_kept():
    layer, reference = pair((1, 2, 2), transposed=True)
    x = torch.randn(1, 5, 2, 4, 4)
    assert torch.allclose(layer(x, [2, 7, 8]), reference(x, [2, 7, 8]), atol=1e-5)
    assert layer(x, [2, 7, 8]).shape == (1, 7, 2, 7, 8)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("frames", [2, 4])
def test_weight_gradients_in_bf16_are_those_of_fp32_on_used_memory(frames, stride, transposed):
    layer, _ = pair(stride, transposed)
    layer.to(memory_format=torch.channels_last_3d)
    x = torch.randn(4, 5, frames, 8, 8)
    gradients = []
    for bf16 in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = layer(x).float().square().mean()
        used = [torch.full((n,), float("nan")) for n in (100, 1000, 10_000, 100_000)]
        del used  # what a convolution reads unwritten is now NaN
        gradients.append(torch.autograd.grad(loss, layer.weight)[0].flatten())
    assert float(F.cosine_similarity(*gradients, dim=0)) > 0.999
