"""The network that tells flipped frames: its shapes, its size, and that it sees where things stand."""

import pytest
import torch

from pixelplay.restoration.flip_classifier import FlipClassifier


@pytest.mark.parametrize(("height", "width"), [(64, 64), (36, 64), (8, 8), (17, 33)])
def test_one_logit_per_frame_of_any_size(height: int, width: int):
    logits = FlipClassifier([4, 8, 16], pool=4)(torch.rand(5, 1, height, width))
    assert logits.shape == (5,)
    assert logits.dtype == torch.float32


def test_parameters_by_hand():
    model = FlipClassifier([4, 8], pool=3)
    convolutions = (1 * 9 + 1) * 4 + (4 * 9 + 1) * 8
    assert sum(p.numel() for p in model.parameters()) == convolutions + (8 * 3 * 3 + 1)


def test_each_convolution_halves_the_frame():
    model = FlipClassifier([4, 8, 16], pool=2)
    x = torch.rand(1, 1, 64, 32)
    sizes = []
    for layer in model.features:
        x = layer(x)
        if isinstance(layer, torch.nn.Conv2d):
            sizes.append(tuple(x.shape[1:]))
    assert sizes == [(4, 32, 16), (8, 16, 8), (16, 8, 4)]


def test_logits_are_not_confined_to_probabilities_and_frames_do_not_mix():
    torch.manual_seed(0)
    model = FlipClassifier([4, 8, 16], pool=4)
    with torch.no_grad():
        model.output.weight.mul_(100)
    frames = torch.rand(6, 1, 32, 32)
    together = model(frames)
    assert together.min() < 0 or together.max() > 1
    alone = torch.cat([model(frame[None]) for frame in frames])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def weigh(model: FlipClassifier, output: list[float]) -> FlipClassifier:
    """Convolutions that only smear brightness, and an output that adds the grid's cells with these weights."""
    with torch.no_grad():
        for layer in model.features:
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.fill_(1.0)
                layer.bias.zero_()
        model.output.weight.copy_(torch.tensor([output]))
        model.output.bias.zero_()
    return model


def test_the_grid_tells_above_from_below_and_a_single_mean_cannot():
    frames = torch.zeros(2, 1, 32, 32)
    frames[0, 0, 4:8, 4:8] = 1
    frames[1, 0, 20:24, 4:8] = 1  # the same square in the lower half
    above, below = weigh(FlipClassifier([1, 1], pool=2), [1.0, 1.0, -1.0, -1.0])(frames)
    assert above > 0
    assert below == -above
    above, below = weigh(FlipClassifier([1, 1], pool=1), [1.0])(frames)
    assert above == below > 0
