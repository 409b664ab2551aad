"""VideoPatchCore's features (Ahn et al., ACCV 2024) from the two stages of a backbone: pure functions on tensors.

Local ones describe tubes: the crops of one object's box in all T frames of a clip. Global ones describe whole frames.
"""

from functools import cache

import torch
from torch.nn import functional as F

from pixelplay.errors import ConfigError, DataError


def local_maps(first: torch.Tensor, second: torch.Tensor, frames: int, channels: int) -> torch.Tensor:
    """Patch descriptors (K, channels, T, H, W) of K tubes from the stages of their crops, (K * T, Ca, H, W) and
    (K * T, Cb, H', W'), tube by tube.

    Both stages are averaged over 3x3 neighbourhoods (no padding), brought to HxW by adaptive averaging, concatenated,
    and their Ca + Cb channels averaged in `channels` contiguous groups (Ahn et al.: CNL_POOL, 32). Averages over
    channels and over space commute, so channels come first: 32 maps to pool and resize instead of 1536.
    Raises ConfigError for more groups than channels.
    """
    count, size = first.shape[1] + second.shape[1], first.shape[-2:]
    if channels == count:
        maps = torch.cat([_pooled(stage, size) for stage in (first, second)], dim=2)
    else:
        weights = channel_groups(count, channels).to(first)
        both = zip((first, second), weights.split([first.shape[1], second.shape[1]], dim=1), strict=True)
        grouped = [torch.einsum("gc,nchw->nghw", weight, stage) for stage, weight in both]  # one may lie across both
        maps = sum(_pooled(x, size) for x in grouped)
    return maps.unflatten(1, size).unflatten(0, (-1, frames)).permute(0, 4, 1, 2, 3)  # of (K * T, H * W, channels)


def _pooled(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """(N, H * W, C): 3x3 averages of (N, C, H', W'), brought to `size` (H, W) by adaptive averaging.

    Both are averages over rows and over columns, so both together are one matrix, and a matrix product is several times
    faster than the two poolings, forwards and backwards.
    """
    return _pooling(x.shape[-2:], size).to(x) @ x.flatten(2).transpose(1, 2)


@cache
def _pooling(given: torch.Size, wanted: torch.Size) -> torch.Tensor:
    """The matrix float32 (H * W, H' * W') that `_pooled` multiplies by."""
    with torch.inference_mode(False):  # what is kept must serve training, too
        return torch.kron(*map(_averages, given, wanted))


def _averages(given: int, wanted: int) -> torch.Tensor:
    """The matrix float32 (wanted, given) of averages over 3 neighbours, no padding, then adaptive ones."""
    three = F.avg_pool1d(torch.eye(given)[None], 3, stride=1)  # (1, given, given - 2)
    return F.adaptive_avg_pool1d(three, wanted)[0].T


def channel_groups(count: int, groups: int) -> torch.Tensor:
    """The matrix float32 (groups, count) that averages `count` channels in contiguous groups.

    Where `groups` does not divide `count`, the groups' sizes differ by one at most; each channel is in one group.
    Raises ConfigError for more groups than channels.
    """
    if groups > count:
        raise ConfigError(f"cnl_pool={groups} is more than the backbone's {count} channels: set it to {count} at most")
    group = torch.arange(count) * groups // count  # of each channel
    member = F.one_hot(group, groups).T.float()
    return member / member.sum(dim=1, keepdim=True)


def spatial_vectors(maps: torch.Tensor, grid: int) -> torch.Tensor:
    """What tubes look like: (K, grid * grid, C), row by row, from maps (K, C, T, H, W).

    Mean plus maximum over time, averaged over the cells of a grid x grid raster (7 in Ahn et al.).
    """
    summary = maps.mean(dim=2) + maps.amax(dim=2)  # (K, C, H, W)
    return F.adaptive_avg_pool2d(summary, grid).flatten(2).transpose(1, 2)


def temporal_vectors(maps: torch.Tensor) -> torch.Tensor:
    """How tubes change: (K, T - 1, C) from maps (K, C, T, H, W), the absolute differences of consecutive frames
    averaged over space, in training and in scoring alike.
    """
    return maps.diff(dim=2).abs().mean(dim=(3, 4)).transpose(1, 2)


def frame_vectors(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Whole frames as vectors (N, Ca + Cb) from their stages (N, Ca, H, W) and (N, Cb, H', W').

    Both at H'xW' (14x14), concatenated; global average plus global maximum. A frame's vector depends on no other
    frame: clips that share frames share these, and only `temporal_pyramid` is theirs.
    """
    stages = F.adaptive_avg_pool2d(first, second.shape[-2:]), second
    return torch.cat([x.mean(dim=(2, 3)) + x.amax(dim=(2, 3)) for x in stages], dim=1)


def temporal_pyramid(vectors: torch.Tensor) -> torch.Tensor:
    """Clips' frame vectors (B, T, D) with their surroundings: same shape.

    Max-pooled over time by 2, twice; each level repeated to the length of the finer one and added to it. A last frame
    without a partner is a pool of its own.
    """
    fine = vectors.transpose(1, 2)  # (B, D, T)
    middle = F.max_pool1d(fine, 2, ceil_mode=True)  # (B, D, ceil(T / 2))
    coarse = F.max_pool1d(middle, 2, ceil_mode=True)
    return (fine + _twice(middle + _twice(coarse, middle), fine)).transpose(1, 2)


def require_finite(features: torch.Tensor, where: str) -> torch.Tensor:
    """The features; raises DataError when one is NaN or infinite. `where` names the video and the frames."""
    finite = torch.isfinite(features)
    if not finite.all():
        count = int((~finite).sum())
        raise DataError(
            f"{where}: {count} of {features.numel()} feature values are NaN or infinite; the backbone's weights are "
            "damaged, or too large for bfloat16 (trainer.precision=fp32)"
        )
    return features


def _twice(coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    return coarse.repeat_interleave(2, dim=-1)[..., : fine.shape[-1]]
