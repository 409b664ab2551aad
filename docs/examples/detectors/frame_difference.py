"""A detector that learns nothing: what differs from the frame before is unusual."""

import cv2
import numpy as np

from pixelplay.detectors.base import About, Scores, Spec, identity_of, load_about, save_about
from pixelplay.errors import ConfigError

SPECS = [Spec("frame_difference", 1, __name__)]


class FrameDifference:
    def __init__(self, name, config, device):
        check(name, config)
        self.name, self._config = name, config

    def fit(self, videos, heldout, run): ...  # nothing to learn

    def score(self, video, causal=False):
        blur, frames = self._config.scoring["blur"], video.frames(self._config.frames)
        frames = np.stack([cv2.GaussianBlur(frame, (0, 0), blur) for frame in frames], dtype=np.float32)
        change = np.abs(np.diff(frames, axis=0, prepend=frames[:1])).mean(axis=(1, 2))
        return Scores({self.name: change}).check(video, self.name)

    def save(self, folder):
        save_about(folder, About(name=self.name, bf16=False, parameters=0), identity_of(self._config))

    def load(self, folder):
        load_about(folder, identity_of(self._config))


build = FrameDifference


def check(name, config):
    if config.scoring["blur"] <= 0:
        raise ConfigError(f"detectors.{name}.scoring.blur={config.scoring['blur']}: must be above 0")
