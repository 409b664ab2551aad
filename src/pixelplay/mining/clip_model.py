"""A clip's score, embedding and reconstruction by VideoMAE, for both engines.

The score is the mean squared error of the hidden tokens, VideoMAE's training loss (reference solution: the harder a
clip is to fill in, the more unusual it is). Clips go through the network one by one, each on a single thread: matrix
products of another size or on more threads round differently, and a score must not depend on the rest of its batch.
Several clips at once keep the cores busy instead; `python -m benchmarks mining` compares the two.
"""

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from pixelplay.detectors.settings import MaskConfig
from pixelplay.detectors.videomae.model import VideoMAE
from pixelplay.detectors.videomae.tokens import random_masks, rotating_masks
from pixelplay.errors import ConfigError, DataError
from pixelplay.mining.clips import Clip, ClipReader
from pixelplay.mining.score_file import Scored
from pixelplay.training.device import find_device

DECIMALS = 6  # of a score, about 0.01 to 2: the precision of float32 sums


@dataclass(frozen=True)
class ModelSettings:
    """What a process needs to score clips as every other does; sent to Ray's workers."""

    weights: str  # folder, or hub name
    device: str
    bf16: bool
    mask: MaskConfig
    seed: int
    root: Path | None  # where relative paths of frames start


class Reconstructed(NamedTuple):
    """The middle frame of a clip, and its reconstruction under the clip's first mask."""

    frame: np.ndarray  # uint8 (H, W, 3) RGB, as decoded
    filled: np.ndarray  # float32 (side, side, 3) in [0, 1]: hidden tokens as predicted, visible ones as given
    hidden: np.ndarray  # bool (rows, columns) of tokens
    errors: np.ndarray  # float32 (rows, columns): squared errors of the hidden tokens, 0 where visible


class ClipModel:
    """A VideoMAE with the masks of a run. Threads may share it; each has its own reader."""

    def __init__(self, settings: ModelSettings, frames: int):
        """Raises WeightsError or ConfigError if the weights are not available, or not for clips of `frames` frames."""
        device = find_device(settings.device)
        self.model = VideoMAE.load(settings.weights, device, bf16=settings.bf16)
        if self.model.frames != frames:
            raise ConfigError(
                f"mine.frames={frames}: weights.videomae={settings.weights} takes clips of {self.model.frames}; set "
                f"mine.frames={self.model.frames} and run step=manifest again"
            )
        self._settings = settings
        self.masks(Clip("", "", ("",), None))  # raises ConfigError if ratio or count don't fit the tokens
        self._of_thread = threading.local()

    @property
    def identity(self) -> dict[str, Any]:
        """What a score depends on, apart from the clip."""
        mask = self._settings.mask.model_dump()
        return {"model": self.model.identity, "bf16": self.model.bf16, "mask": mask, "seed": self._settings.seed}

    def score(self, clip: Clip) -> Scored:
        """Mean squared error of the hidden tokens over all masks; an unreadable clip gives an error, no exception."""
        try:
            inputs = self.model.inputs(self._frames(clip)[None])
        except (DataError, OSError, cv2.error) as error:
            return Scored(None, str(error))
        total, hidden = 0.0, 0
        for mask in self.masks(clip):
            errors, _ = self.model.errors(inputs, mask[None])
            total += float(errors.sum(dtype=torch.float64))
            hidden += int(mask.sum())
        if not math.isfinite(total):
            return Scored(None, f"its error is {total}: are the weights damaged?")
        return Scored(round(total / hidden, DECIMALS), None)

    def embed(self, clip: Clip) -> np.ndarray:
        """The encoder's tokens of the whole clip, averaged, float32 (d,). Raises DataError."""
        inputs = self.model.inputs(self._frames(clip)[None])
        return self.model.embed(inputs)[0].mean(dim=0).cpu().numpy()

    def reconstruct(self, clip: Clip) -> Reconstructed:
        """The clip's middle frame, its hidden tokens filled in under the first mask. Raises DataError."""
        frames = self._frames(clip)
        inputs, mask = self.model.inputs(frames[None]), self.masks(clip)[:1]
        middle = len(frames) // 2
        errors, _ = self.model.errors(inputs, mask)
        filled = self.model.reconstruct(inputs, mask)[0, middle].permute(1, 2, 0)
        at = middle // self.model.tubelet
        of_middle = (values.cpu().reshape(self.model.grid)[at].numpy() for values in (mask[0], errors[0]))
        return Reconstructed(frames[middle], filled.cpu().numpy(), *of_middle)

    def masks(self, clip: Clip) -> torch.Tensor:
        """The clip's masks, bool (mask.count, tokens), True where a token is hidden."""
        mask, seed, grid = self._settings.mask, self._settings.seed, self.model.grid
        if mask.kind == "rotating":
            return rotating_masks(seed, grid, mask.count, mask.tube)
        keys = [f"{number} {clip.key}" for number in range(mask.count)]
        return random_masks(seed, keys, grid, mask.ratio, mask.tube)

    def _frames(self, clip: Clip) -> np.ndarray:
        if not hasattr(self._of_thread, "reader"):
            self._of_thread.reader = ClipReader(self._settings.root)
            torch.set_num_threads(1)  # for this thread's matrix products
        return self._of_thread.reader.read(clip)
