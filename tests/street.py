"""Rendered footage for the tests of restoration: a still scene that knows above from below, and somebody who walks."""

import cv2
import numpy as np

from pixelplay.cli import load_config
from pixelplay.restoration.settings import RestoreConfig
from pixelplay.settings import validate
from pixelplay.videos.settings import FrameFormat

SIDE = 32
SMALL = FrameFormat(height=SIDE, width=SIDE, gray=True)


def ground(scene: int) -> np.ndarray:
    """The still scene of this number, float (SIDE, SIDE): patches of grey, 40 to 200, no plain top or bottom."""
    patches = np.random.default_rng(scene).normal(120, 60, (SIDE, SIDE))
    return np.clip(120 + (cv2.GaussianBlur(patches, (0, 0), 3) - 120) * 6, 40, 200)


def street(count: int, scene: int = 0, seed: int = 0) -> np.ndarray:
    """Footage of a scene, uint8 (count, SIDE, SIDE): a dark figure walks through, the light changes, sensor noise."""
    rng = np.random.default_rng([scene, seed])
    frames = np.repeat(ground(scene)[None], count, axis=0)
    row, start, speed = rng.integers(0, SIDE - 10), rng.integers(0, SIDE), rng.choice([-1, 1])
    for t, frame in enumerate(frames):
        column = (start + speed * t) % (SIDE - 4)
        frame[row : row + 10, column : column + 4] = 20
    frames += 12 * np.sin(np.arange(count) / 15 + rng.uniform(0, 6))[:, None, None] + rng.normal(0, 2, frames.shape)
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def turned(frames: np.ndarray, flipped: np.ndarray) -> np.ndarray:
    """Frames with those that `flipped`, bool (T,), marks turned top to bottom."""
    return np.where(flipped[:, None, None], frames[:, ::-1], frames)


def drawn(count: int, share: float, seed: int = 0) -> np.ndarray:
    """Exactly this share of `count` frames, at random places, bool (count,)."""
    return np.random.default_rng(seed).permutation(count) < round(share * count)


def restore_config(**changes: object) -> RestoreConfig:
    """The project's settings for frames of SIDE, with a small network, and with these changes."""
    values = load_config(["restore=default"]).restore.model_dump()
    values["frames"] = SMALL.model_dump()
    values["network"].update(widths=[8, 16, 32], epochs=2)
    return validate(RestoreConfig, values).model_copy(update=changes)
