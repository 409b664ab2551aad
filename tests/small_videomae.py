"""What the tests of VideoMAEs share: a small one with random weights in a folder, as the hub has them, and footage."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEImageProcessor

from pixelplay.detectors.videomae.model import keep_quiet
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video, format_name

SIDE, FRAMES = 32, 4  # tokens of 2 frames and 8x8 pixels: a grid of 2 x 4 x 4
COLOUR = FrameFormat(height=SIDE, width=SIDE, gray=False)
SIZES: dict[str, Any] = {
    "image_size": SIDE,
    "patch_size": 8,
    "num_frames": FRAMES,
    "tubelet_size": 2,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "decoder_hidden_size": 16,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 32,
    "initializer_range": 0.3,  # so that what it predicts differs from token to token
}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def small_model(seed: int = 0, **changes: Any) -> VideoMAEForPreTraining:
    torch.manual_seed(seed)
    model = VideoMAEForPreTraining(VideoMAEConfig(**SIZES | changes))
    torch.nn.init.normal_(model.mask_token, std=0.3)
    return model.eval()


def small_processor(side: int = SIDE, **changes: Any) -> VideoMAEImageProcessor:
    sizes = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    return VideoMAEImageProcessor(**sizes | IMAGENET | changes)


def saved_videomae(folder: Path, seed: int = 0, image_settings: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Folder with the files of a small VideoMAE."""
    keep_quiet()
    small_model(seed, **changes).save_pretrained(folder)
    small_processor(changes.get("image_size", SIDE), **image_settings or {}).save_pretrained(folder)
    return folder


def random_clips(count: int, seed: int = 0, height: int = SIDE, width: int = SIDE, frames: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, frames, height, width, 3), dtype=np.uint8)


def walking_square(count: int, seed: int) -> np.ndarray:
    """Normal footage: an orange square that walks to and fro before a patterned wall, uint8 (count, SIDE, SIDE, 3)."""
    wall = np.random.default_rng(99).integers(40, 90, (SIDE // 4, SIDE // 4, 3), dtype=np.uint8)
    frames = np.repeat(wall.repeat(4, 0).repeat(4, 1)[None], count, axis=0)
    row, phase = np.random.default_rng(seed).integers(0, 24, 2)
    for t in range(count):
        column = 24 - abs((t + phase) % 48 - 24)
        frames[t, row : row + 8, column : column + 8] = (220, 140, 60)
    return frames


def colour_video(folder: Path, name: str, frames: np.ndarray, split: str = "train") -> Video:
    """A video whose frames, uint8 (T, H, W, 3), lie in the frame cache; its frame numbers start at 10."""
    height, width = frames.shape[1:3]
    place = folder / split / name
    place.mkdir(parents=True, exist_ok=True)
    np.save(place / f"{format_name(FrameFormat(height=height, width=width, gray=False))}.npy", frames)
    return Video(name, split, np.arange(10, 10 + len(frames)), (width, height), place)
