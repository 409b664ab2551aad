"""Restoration while footage comes: as `restore(…, causal=True)`, flips are judged and noise is measured by frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pixelplay.restoration.restore import FrameJudge, put_right_small, removed
from pixelplay.restoration.settings import RestoreConfig
from pixelplay.videos.corruption import noise_level
from pixelplay.videos.decoded import resized
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import put_right


@dataclass(frozen=True, eq=False)
class Restored:
    """One frame, put right."""

    image: np.ndarray  # uint8 (H, W, 3) RGB, original size
    frames: Mapping[FrameFormat, np.ndarray]  # in working sizes, uint8 (h, w) or (h, w, 3)
    noise: float  # before restoration, grey levels of 255
    flipped: bool  # turned upright


def restore_frame(
    image: np.ndarray,
    gray: np.ndarray | None,
    judge: FrameJudge | None,
    config: RestoreConfig,
    formats: Sequence[FrameFormat],
) -> Restored:
    """A frame, uint8 (H, W, 3) RGB, and in grey, (H, W), if it is decoded so, restored in its size and in `formats`.

    judge: of flips, in `config.frames`, which is one of the formats then; None: no frame is flipped.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if gray is None else gray
    size, denoiser = (image.shape[1], image.shape[0]), config.denoise.method
    frames = {f: resized(gray if f.gray else image, f) for f in formats}
    level = np.round(noise_level(gray), 2)  # as tables have it
    noise = float(removed(np.array([level], np.float32), config)[0])
    flipped = judge is not None and judge.flipped(frames[config.frames])
    return Restored(
        image=put_right(image, flipped, noise, denoiser),
        frames={f: put_right_small(one, flipped, noise, denoiser, size, f) for f, one in frames.items()},
        noise=float(np.float32(level)),
        flipped=flipped,
    )
