"""RoI maps of an Ultralytics network's feature pyramid: what its head saw, pooled by RoIAlign (He et al., ICCV 2017) to
a small map for each detected box, in the forward pass that found the boxes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from pixelplay.errors import ConfigError, DataError

STRIDES = (8, 16, 32)  # of P3, P4 and P5


class Pyramid:
    """P3-P5 of the newest forward pass of `network`; `weights` is its name in messages.

    It watches the network from now on, and copies that are made of it. Raises ConfigError, when the maps are asked for,
    where the network's head has none at one of the STRIDES.
    """

    def __init__(self, network: nn.Module, weights: str):
        self._weights = weights
        self._size = (0, 0)  # height and width of the network's input
        self._maps: list[torch.Tensor] = []
        layers: Any = network.model
        # Functions are shared with copies of a network; bound methods would be copied with the object.
        layers[0].register_forward_pre_hook(lambda _, given: self._begin(given[0]))
        layers[-1].register_forward_pre_hook(lambda _, given: self._end(given[0]))

    def _begin(self, images: torch.Tensor) -> None:
        self._size = (images.shape[2], images.shape[3])

    def _end(self, maps: Sequence[torch.Tensor]) -> None:
        self._maps = list(maps)

    @property
    def levels(self) -> list[torch.Tensor]:
        """The maps (B, C, H, W) at STRIDES, of B images."""
        by_stride = {round(self._size[0] / one.shape[2]): one for one in self._maps}
        if not set(STRIDES) <= set(by_stride):
            raise ConfigError(
                f"weights.yolo={self._weights}: its head sees maps at strides {sorted(by_stride)}, and those at "
                f"{', '.join(map(str, STRIDES))} are pooled: name others, or set objects.features.source=backbone"
            )
        return [by_stride[stride] for stride in STRIDES]

    @property
    def channels(self) -> int:
        """Of all three levels."""
        return sum(level.shape[1] for level in self.levels)

    def pooled(self, xyxy: np.ndarray, image: np.ndarray, size: tuple[int, int], cells: int) -> np.ndarray:
        """Maps float16 [N, C, cells, cells] of N boxes, float [N, 4], in pixels of frames of `size` (width, height).

        image: int [N], which image of the batch each box is in. Raises DataError for values that are not finite.
        """
        levels = self.levels
        inside = torch.from_numpy(letterboxed(xyxy, size, (self._size[1], self._size[0])))
        maps = roi_maps(levels, inside.to(levels[0].device), torch.from_numpy(image).to(levels[0].device), cells)
        return as_stored(maps)


def roi_maps(levels: Sequence[torch.Tensor], xyxy: torch.Tensor, image: torch.Tensor, cells: int) -> torch.Tensor:
    """Float32 (N, C, cells, cells) of N boxes, the channels of the `levels` (B, C_i, H_i, W_i) at STRIDES in turn.

    xyxy: float32 (N, 4), pixels of the network's input; image: int (N,), in 0..B-1. Each output cell averages the
    part of the map that it covers, sampled about once per cell of the map.
    """
    from torchvision.ops import roi_align  # importing torchvision takes seconds

    rois = torch.cat([image[:, None].to(xyxy), xyxy], dim=1)  # (N, 5)
    pooled = [
        roi_align(level.float(), rois, cells, 1 / stride, sampling_ratio=-1, aligned=True)
        for level, stride in zip(levels, STRIDES, strict=True)
    ]
    return torch.cat(pooled, dim=1)


def letterboxed(xyxy: np.ndarray, size: tuple[int, int], seen: tuple[int, int]) -> np.ndarray:
    """Boxes, float [N, 4], of a frame of `size` (width, height) where Ultralytics' letterbox puts them: float32 [N, 4]
    in an input of the size `seen`.
    """
    gain = min(of / side for of, side in zip(seen, size, strict=True))
    resized = [max(round(side * gain), 1) for side in size]
    scale = np.array([new / side for new, side in zip(resized, size, strict=True)] * 2)
    padding = np.array([round((of - new) / 2 - 0.1) for of, new in zip(seen, resized, strict=True)] * 2)
    return (xyxy * scale + padding).astype(np.float32)


def as_stored(maps: torch.Tensor) -> np.ndarray:
    """Maps as float16 on the CPU; raises DataError for values that are not finite or too large for float16."""
    stored = maps.to(torch.float16)
    if not torch.isfinite(stored).all():
        raise DataError(
            "feature maps are not finite, or too large for float16: the network's weights are damaged, or too large "
            "for bfloat16 (precision=fp32)"
        )
    return stored.cpu().numpy()
