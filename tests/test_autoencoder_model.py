"""The convolutional autoencoder: shapes, range, number format, size, and that all passes through the bottleneck."""

import pytest
import torch

from pixelplay.commands import load_config
from pixelplay.models.autoencoder import ConvAutoencoder


def clips(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("frames", "widths", "size"),
    [(16, [8, 16, 16, 32], (32, 32)), (3, [5], (2, 6)), (4, [8, 4, 16], (48, 80)), (1, [2, 2], (12, 4))],
)
def test_reconstructions_have_the_shape_of_the_clips_and_lie_between_0_and_1(frames, widths, size):
    model = ConvAutoencoder(frames, widths, dropout=0.2).eval()
    output = model(clips(2, frames, *size))
    assert output.shape == (2, frames, *size)
    assert 0 <= output.min() <= output.max() <= 1


def test_each_width_halves_height_and_width():
    model = ConvAutoencoder(16, [64, 128, 256, 512], dropout=0.2).eval()
    assert model.encoder(clips(1, 16, 128, 128)).shape == (1, 512, 8, 8)


def test_nothing_reaches_the_output_but_through_the_bottleneck():
    model = ConvAutoencoder(4, [8, 16], dropout=0.0).eval()
    first, second = clips(1, 4, 16, 16, seed=1), clips(1, 4, 16, 16, seed=2)
    assert not torch.equal(model(first), model(second))
    model.encoder.register_forward_hook(lambda module, inputs, output: torch.ones_like(output))
    assert torch.equal(model(first), model(second))


def test_the_default_network_has_as_many_parameters_as_counted_by_hand():
    settings = load_config(["experiment=pixelplay26"]).detectors["conv_ae"].settings
    model = ConvAutoencoder(settings["window"], settings["widths"], settings["dropout"])
    kernels = 9 * (16 * 64 + 64 * 128 + 128 * 256 + 256 * 512)  # 3x3; the decoder has the same ones backwards
    norms = 2 * (64 + 128 + 256 + 512) + 2 * (256 + 128 + 64)  # a scale and a shift for each channel
    assert 2 * kernels + norms + 16 == 3_117_840  # 16 biases in the last layer
    assert sum(p.numel() for p in model.parameters()) == 3_117_840


def test_output_is_full_float32_under_bf16_autocast():
    model = ConvAutoencoder(4, [8, 16], dropout=0.0).eval()
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        assert model.encoder(clips(1, 4, 16, 16)).dtype == torch.bfloat16
        output = model(clips(1, 4, 16, 16))
    assert output.dtype == torch.float32
    assert not torch.equal(output, output.bfloat16().float())  # the sigmoid too


def test_dropout_is_in_every_encoder_stage_but_the_bottleneck():
    model = ConvAutoencoder(4, [8, 16, 32], dropout=0.35)
    assert [layer.p for layer in model.modules() if isinstance(layer, torch.nn.Dropout)] == [0.35, 0.35]
    assert not isinstance(list(model.encoder)[-1], torch.nn.Dropout)
