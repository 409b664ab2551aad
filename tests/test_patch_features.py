"""VideoPatchCore's features: against their definition written out, and numbers worked out by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from pixelplay.backbones.frozen import channel_groups, local_maps
from pixelplay.detectors.videopatchcore.descriptors import (
    frame_vectors,
    require_finite,
    spatial_vectors,
    temporal_pyramid,
    temporal_vectors,
)
from pixelplay.errors import ConfigError, DataError


def stages(count: int, first: int, second: int, size: int = 28) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = (count, first, size, size), (count, second, size // 2, size // 2)
    return tuple(torch.rand(shape, generator=generator) for shape in shapes)


def literal_maps(first: torch.Tensor, second: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """As it stands in the paper: pool, resize and concatenate all channels, then average groups of these sizes."""
    both = [F.adaptive_avg_pool2d(F.avg_pool2d(x, 3, stride=1), first.shape[-2:]) for x in (first, second)]
    groups = torch.cat(both, dim=1).split(sizes, dim=1)
    return torch.stack([group.mean(dim=1) for group in groups], dim=1)  # (N, C, H, W)


@pytest.mark.parametrize(
    ("first", "second", "sizes"),
    [
        (512, 1024, [48] * 32),  # CLIP's RN101: the eleventh group has channels of both stages
        (128, 256, [12] * 32),  # ResNet-18: so has the eleventh here
        (8, 16, [8, 8, 8]),  # groups end where the stage does
        (7, 12, [5, 5, 5, 4]),  # 19 channels in 4 groups
    ],
)
def test_local_maps_are_those_of_the_definition(first, second, sizes):
    a, b = stages(4, first, second)
    maps = local_maps(a, b, channels=len(sizes))
    assert maps.shape == (4, len(sizes), 28, 28)
    torch.testing.assert_close(maps, literal_maps(a, b, sizes))


def test_with_as_many_groups_as_channels_nothing_is_averaged():
    first, second = stages(4, 5, 7)
    assert torch.allclose(local_maps(first, second, 12), literal_maps(first, second, [1] * 12), atol=1e-6)


def test_what_was_first_computed_for_scoring_can_be_trained_through():
    first, second = stages(2, 3, 5, size=22)  # a size that no other test has
    with torch.inference_mode():
        local_maps(first, second, 4)
    first.requires_grad_()
    local_maps(first, second, 4).sum().backward()
    assert first.grad is not None and first.grad.abs().sum() > 0


@given(count=st.integers(1, 200), groups=st.integers(1, 200))
def test_channel_groups_are_contiguous_nearly_equal_and_have_each_channel_once(count, groups):
    if groups > count:
        with pytest.raises(
            ConfigError,
            match=rf"patches\.channels={groups} is more than the backbone's {count}: ",
        ):
            channel_groups(count, groups)
        return
    weights = channel_groups(count, groups)
    sizes = (weights > 0).sum(dim=1)
    assert int(sizes.max() - sizes.min()) <= 1
    owners = weights.argmax(dim=0)
    assert torch.equal((weights > 0).sum(dim=0), torch.ones(count, dtype=torch.int64))
    assert torch.equal(owners, torch.arange(groups).repeat_interleave(sizes))  # in order, without gaps
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(groups))


def test_spatial_vectors_are_mean_plus_maximum_over_time():
    maps = torch.tensor([1.0, 3.0, 8.0]).view(1, 1, 3, 1, 1).expand(1, 1, 3, 28, 28)
    assert torch.equal(spatial_vectors(maps, 7), torch.full((1, 49, 1), 4.0 + 8.0))


def test_spatial_vectors_are_means_of_4x4_cells_row_by_row():
    cells = torch.arange(49.0).view(7, 7)
    maps = cells.repeat_interleave(4, 0).repeat_interleave(4, 1)  # (28, 28)
    maps = torch.stack([maps, -maps])[None, :, None]  # one tube, two channels, one frame
    vectors = spatial_vectors(maps, 7)  # mean and maximum over one frame: twice the value
    torch.testing.assert_close(vectors, torch.stack([2 * torch.arange(49.0), -2 * torch.arange(49.0)], dim=1)[None])


def test_temporal_vectors_are_absolute_differences_of_consecutive_frames():
    maps = torch.tensor([[1.0, 4.0, 2.0], [0.0, 0.0, 5.0]]).view(1, 2, 3, 1, 1).expand(1, 2, 3, 28, 28)
    assert torch.equal(temporal_vectors(maps), torch.tensor([[[3.0, 0.0], [2.0, 5.0]]]))


def test_what_gets_brighter_does_not_make_up_for_what_gets_darker():
    before, after = torch.zeros(28, 28), torch.ones(28, 28)
    after[:7] = -3  # a quarter of the area
    vectors = temporal_vectors(torch.stack([before, after])[None, None])
    torch.testing.assert_close(vectors, torch.full((1, 1, 1), (3 + 1 + 1 + 1) / 4))


def test_frame_vectors_are_average_plus_maximum_at_the_second_stage_s_size():
    first, second = torch.zeros(1, 1, 28, 28), torch.zeros(1, 2, 14, 14)
    first[0, 0, 2, 3] = 8.0  # a quarter of a cell at 14x14
    second[0, 1, 5, 6] = 6.0
    expected = torch.tensor([[8 / 784 + 8 / 4, 0.0, 6 / 196 + 6]])
    torch.testing.assert_close(frame_vectors(first, second), expected)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([2.0], [6.0]),
        ([1.0, 5.0, 2.0, 0.0], [1 + 5 + 5, 5 + 5 + 5, 2 + 2 + 5, 0 + 2 + 5]),
        ([1.0, 5.0, 2.0, 0.0, 3.0], [1 + 5 + 5, 5 + 5 + 5, 2 + 2 + 5, 0 + 2 + 5, 3 + 3 + 3]),  # 3 levels: 5, 3, 2
    ],
)
def test_temporal_pyramid_adds_maxima_of_2_and_of_4_frames(levels, expected):
    vectors = torch.tensor([levels, [-10.0] * len(levels)]).T[None]  # (1, T, 2)
    result = temporal_pyramid(vectors)
    assert torch.equal(result, torch.tensor([expected, [-30.0] * len(levels)]).T[None])


def test_ten_frames_of_rn101_give_vectors_of_the_papers_shapes():
    first, second = stages(20, 512, 1024)
    maps = local_maps(first, second, channels=32).unflatten(0, (2, 10)).transpose(1, 2)  # (K, C, T, H, W)
    assert spatial_vectors(maps, 7).shape == (2, 49, 32)
    assert temporal_vectors(maps).shape == (2, 9, 32)
    vectors = frame_vectors(first, second)
    assert vectors.shape == (20, 1536)
    assert temporal_pyramid(vectors.view(2, 10, 1536)).shape == (2, 10, 1536)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_refused_with_where_they_came_from(value):
    features = torch.zeros(3, 4)
    assert require_finite(features, "video 07") is features
    features[1, 2] = value
    with pytest.raises(DataError, match="video 07, frames 10 to 19: 1 of 12 feature values are NaN or infinite"):
        require_finite(features, "video 07, frames 10 to 19")
