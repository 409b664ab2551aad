"""Footage for the tests of pseudo-anomalies: a still ground, and a dark walker whose place in each frame is known."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pixelplay.cli import load_config
from pixelplay.synthetic.pseudo.events import Piece
from pixelplay.synthetic.pseudo.motion_mask import Survey, Usual
from pixelplay.synthetic.pseudo.settings import PseudoConfig
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.settings import CorruptionConfig
from pixelplay.videos.video import Originals, Video

WIDTH, HEIGHT = 120, 80
TOP, TALL, WIDE, SPEED = 44, 20, 8, 2  # of the walker, pixels; to the right per frame
CLEAN = CorruptionConfig(flip=0.0, heavy=0.0, light=0.0, missing=0.0, heavy_sd=0.0, light_sd=0.0)


def ground(scene: int = 0, gray: bool = False) -> np.ndarray:
    """Bright patches, 150 to 230, uint8 (HEIGHT, WIDTH, 3)."""
    patches = np.random.default_rng(scene).normal(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(patches, (0, 0), 4)
    image = np.clip(190 + smooth / smooth.std() * 15, 150, 230).astype(np.uint8)
    return np.repeat(image[..., :1], 3, axis=2) if gray else image


def left_of(t: int) -> int:
    """Left side of the walker; he comes from outside and leaves again."""
    return SPEED * t - WIDE


def walk(count: int, scene: int = 0, top: int = TOP, wide: int = WIDE, gray: bool = False) -> np.ndarray:
    """Footage, uint8 (count, HEIGHT, WIDTH, 3): the walker crosses in 64 frames; his head has another colour."""
    frames = np.repeat(ground(scene, gray)[None], count, axis=0)
    for t, frame in enumerate(frames):
        left, right = max(left_of(t), 0), max(left_of(t) + wide, 0)
        frame[top : top + TALL, left:right] = 40
        frame[top : top + 5, left:right] = (60, 60, 60) if gray else (90, 60, 50)
    return frames


def walker_mask(t: int, top: int = TOP) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + TALL, max(left_of(t), 0) : max(left_of(t) + WIDE, 0)] = True
    return mask


def settings(**changes: object) -> PseudoConfig:
    """The project's, with these changes."""
    return load_config([]).pseudo.model_copy(update=changes)


def piece(
    frames: np.ndarray,
    config: PseudoConfig,
    moved: np.ndarray | None = None,
    steps: Sequence[Sequence[float]] = (),
    stood: Sequence[Sequence[float]] = (),
) -> Piece:
    """Footage around which things are seen to move and to stand as said, by default nowhere."""
    nowhere = np.zeros(frames.shape[1:3], np.float32)
    rows = (np.array(some, np.float64).reshape(-1, count) for some, count in ((steps, 6), (stood, 4)))
    usual = Usual(nowhere if moved is None else moved, *rows)
    return Piece(frames, Survey.of(frames, config.moving), lambda: usual)


def video_of(folder: Path, frames: np.ndarray, split: str = "train", numbers: Sequence[int] | None = None) -> Video:
    """A video with these full-size frames, named like its folder; its frame numbers start at 10."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = list(range(10, 10 + len(frames))) if numbers is None else list(numbers)
    for number, frame in zip(chosen, frames, strict=True):
        cv2.imwrite(str(folder / f"{number:04d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    size = (frames.shape[2], frames.shape[1])
    originals = Originals.of(ImageFolder.scan(folder), size, np.ones(len(frames), bool))
    return Video(folder.name, split, np.array(chosen), size, folder, originals=originals)
