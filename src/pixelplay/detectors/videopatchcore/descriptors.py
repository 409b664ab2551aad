"""VideoPatchCore's vectors of tubes and frames (Ahn et al., ACCV 2024): pure functions on tensors.

Local ones describe tubes, the crops of one object's box in all T frames of a clip; global ones describe whole frames.
"""

import torch
from torch.nn import functional as F

from pixelplay.errors import DataError


def spatial_vectors(maps: torch.Tensor, grid: int) -> torch.Tensor:
    """Appearance of tubes: (K, grid * grid, C), row by row, from maps (K, C, T, H, W).

    Mean plus maximum over time, averaged over the cells of a grid x grid raster (7 in Ahn et al.).
    """
    summary = maps.mean(dim=2) + maps.amax(dim=2)  # (K, C, H, W)
    return F.adaptive_avg_pool2d(summary, grid).flatten(2).transpose(1, 2)


def temporal_vectors(maps: torch.Tensor) -> torch.Tensor:
    """Motion of tubes: (K, T - 1, C) from maps (K, C, T, H, W), absolute differences of consecutive frames averaged
    over space.
    """
    return maps.diff(dim=2).abs().mean(dim=(3, 4)).transpose(1, 2)


def frame_vectors(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Vectors of whole frames (N, Ca + Cb) from their stages (N, Ca, H, W) and (N, Cb, H', W').

    Both at H'xW' (14x14), concatenated; global average plus global maximum. Clips that share frames share these.
    """
    stages = F.adaptive_avg_pool2d(first, (second.shape[-2], second.shape[-1])), second
    return torch.cat([x.mean(dim=(2, 3)) + x.amax(dim=(2, 3)) for x in stages], dim=1)


def temporal_pyramid(vectors: torch.Tensor) -> torch.Tensor:
    """Frame vectors of clips (B, T, D) with temporal context: same shape.

    Max-pooled over time by 2, twice; each level repeated to the length of the finer one and added to it. An odd last
    frame is pooled alone.
    """
    fine = vectors.transpose(1, 2)  # (B, D, T)
    middle = F.max_pool1d(fine, 2, ceil_mode=True)  # (B, D, ceil(T / 2))
    coarse = F.max_pool1d(middle, 2, ceil_mode=True)
    return (fine + _twice(middle + _twice(coarse, middle), fine)).transpose(1, 2)


def require_finite(features: torch.Tensor, where: str) -> torch.Tensor:
    """Return the features; raises DataError when one is NaN or infinite. `where` names the video and the frames."""
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
