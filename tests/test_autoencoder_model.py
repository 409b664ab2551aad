"""The autoencoders: shapes, range, number format, size, and that all passes through the bottleneck."""

import pytest
import torch
from torch.nn import functional as F

from pixelplay.cli import load_config
from pixelplay.detectors.autoencoder.detector import AutoencoderDetector
from pixelplay.detectors.autoencoder.network import ConvAutoencoder, SpatioTemporalAutoencoder


def clips(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


NETWORKS = [ConvAutoencoder, SpatioTemporalAutoencoder]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("frames", "widths", "size"),
    [(16, [8, 16, 16, 32], (32, 32)), (4, [5], (2, 6)), (4, [8, 4, 16], (48, 80)), (2, [2, 2], (12, 4))],
)
def test_reconstructions_have_the_shape_of_the_clips_and_lie_between_0_and_1(network, frames, widths, size):
    output = network(frames, widths, dropout=0.2).eval()(clips(2, frames, *size))
    assert output.shape == (2, frames, *size)
    assert 0 <= output.min() <= output.max() <= 1


def test_each_width_halves_height_and_width():
    model = ConvAutoencoder(16, [64, 128, 256, 512], dropout=0.2).eval()
    assert model.encoder(clips(1, 16, 128, 128)).shape == (1, 512, 8, 8)


def test_the_spatio_temporal_bottleneck_is_512_channels_of_2_8_8():
    model = SpatioTemporalAutoencoder(16, [64, 128, 256, 512], dropout=0.0).eval()
    shapes = []
    for layer in model.encoder:
        layer.register_forward_hook(lambda layer, inputs, output: shapes.append(tuple(output.shape[1:])))
    model(clips(1, 16, 128, 128))
    assert list(dict.fromkeys(shapes)) == [(64, 8, 64, 64), (128, 4, 32, 32), (256, 2, 16, 16), (512, 2, 8, 8)]


@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_reaches_the_output_but_through_the_bottleneck(network):
    model = network(4, [8, 16], dropout=0.0).eval()
    first, second = clips(1, 4, 16, 16, seed=1), clips(1, 4, 16, 16, seed=2)
    assert not torch.equal(model(first), model(second))
    model.encoder.register_forward_hook(lambda module, inputs, output: torch.ones_like(output))
    assert torch.equal(model(first), model(second))


def parameters(detector: str) -> int:
    config = load_config(["experiment=pixelplay26", "detector=[source]"]).detectors[detector]
    model = AutoencoderDetector(detector, config, torch.device("cpu"))._new_model()
    return sum(p.numel() for p in model.parameters())


def test_the_default_networks_have_as_many_parameters_as_counted_by_hand():
    norms = 2 * (64 + 128 + 256 + 512) + 2 * (256 + 128 + 64)  # a scale and a shift for each channel
    kernels = 9 * (16 * 64 + 64 * 128 + 128 * 256 + 256 * 512)  # 3x3; the decoder has the same ones backwards
    assert 2 * kernels + norms + 16 == 3_117_840  # 16 biases in the last layer
    assert parameters("conv_ae") == parameters("denoising_ae") == 3_117_840
    kernels = 27 * (1 * 64 + 64 * 128 + 128 * 256 + 256 * 512)  # 3x3x3
    assert 2 * kernels + norms + 1 == 9_296_001
    assert parameters("st_ae") == 9_296_001


@pytest.mark.parametrize("network", NETWORKS)
def test_output_is_full_float32_under_bf16_autocast(network):
    model = network(4, [8, 16], dropout=0.0).eval()
    kinds = []
    model.encoder.register_forward_hook(lambda module, inputs, output: kinds.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        output = model(clips(1, 4, 16, 16))
    assert kinds == [torch.bfloat16]
    assert output.dtype == torch.float32
    assert not torch.equal(output, output.bfloat16().float())  # the sigmoid too


@pytest.mark.parametrize(
    ("network", "frames"), [(ConvAutoencoder, 16), (SpatioTemporalAutoencoder, 16), (SpatioTemporalAutoencoder, 8)]
)
def test_gradients_under_bf16_autocast_are_those_of_fp32(network, frames):
    """They were not: see conv3d.py. In eval mode, where batch norm does not blow up rounding."""
    torch.manual_seed(0)
    model = network(frames, [4, 8, 8, 16], dropout=0.0).eval()
    x = clips(8, frames, 32, 32).contiguous(memory_format=model.memory_format)
    gradients = []
    for bf16 in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.mse_loss(model(x), torch.zeros_like(x))
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))
    for (name, _), *pair in zip(model.named_parameters(), *gradients, strict=True):
        assert float(F.cosine_similarity(*(g.flatten() for g in pair), dim=0)) > 0.999, name


@pytest.mark.parametrize("network", NETWORKS)
def test_dropout_is_in_every_encoder_stage_but_the_bottleneck(network):
    model = network(4, [8, 16, 32], dropout=0.35)
    assert [layer.p for layer in model.modules() if isinstance(layer, torch.nn.Dropout)] == [0.35, 0.35]
    assert not isinstance(list(model.encoder)[-1], torch.nn.Dropout)
