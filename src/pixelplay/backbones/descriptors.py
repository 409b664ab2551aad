"""Local descriptors of crops from the two stages of a backbone: pure functions on tensors."""

from functools import cache

import torch
from torch.nn import functional as F

from pixelplay.errors import ConfigError


def local_maps(first: torch.Tensor, second: torch.Tensor, frames: int, channels: int) -> torch.Tensor:
    """Patch descriptors (K, channels, T, H, W) of K tubes from the stages of their crops, (K * T, Ca, H, W) and
    (K * T, Cb, H', W'), tube by tube.

    Both stages are averaged over 3x3 neighbourhoods (no padding), resized to HxW by adaptive averaging, concatenated,
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
        grouped = [torch.einsum("gc,nchw->nghw", weight, stage) for stage, weight in both]  # a group may span both
        maps = sum(_pooled(x, size) for x in grouped)
        assert isinstance(maps, torch.Tensor)
    return maps.unflatten(1, size).unflatten(0, (-1, frames)).permute(0, 4, 1, 2, 3)  # of (K * T, H * W, channels)


def channel_groups(count: int, groups: int) -> torch.Tensor:
    """The matrix float32 (groups, count) that averages `count` channels in contiguous groups, whose sizes differ by
    one at most. Raises ConfigError for more groups than channels.
    """
    if groups > count:
        raise ConfigError(f"patches.channels={groups} is more than the backbone's {count}: set it to {count} at most")
    group = torch.arange(count) * groups // count  # of each channel
    member = F.one_hot(group, groups).T.float()
    return member / member.sum(dim=1, keepdim=True)


def _pooled(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """(N, H * W, C): 3x3 averages of (N, C, H', W'), resized to `size` (H, W) by adaptive averaging.

    Both are separable averages, so together they are one matrix product, several times faster than two poolings.
    """
    return _pooling(x.shape[-2:], size).to(x) @ x.flatten(2).transpose(1, 2)


@cache
def _pooling(given: torch.Size, wanted: torch.Size) -> torch.Tensor:
    """The matrix float32 (H * W, H' * W') that `_pooled` multiplies by."""
    with torch.inference_mode(False):  # the cached matrix must serve training, too
        return torch.kron(*map(_averages, given, wanted))


def _averages(given: int, wanted: int) -> torch.Tensor:
    """The matrix float32 (wanted, given) of averages over 3 neighbours, no padding, then adaptive ones."""
    three = F.avg_pool1d(torch.eye(given)[None], 3, stride=1)  # (1, given, given - 2)
    return F.adaptive_avg_pool1d(three, wanted)[0].T
