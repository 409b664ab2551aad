"""A detector that learns nothing: what differs from the frame before is unusual."""

import cv2
import numpy as np

from pixelplay.detectors.base import About, Scores, Spec, identity_of, load_about, save_about
from pixelplay.detectors.stream import MomentScores
from pixelplay.errors import ConfigError

SPECS = [Spec("frame_difference", 1, __name__)]


class FrameDifference:
    def __init__(self, name, config, device):
        check(name, config)
        self.name, self._config = name, config

    def fit(self, videos, heldout, run): ...  # nothing to learn

    def score(self, video, causal=False):
        stream = self.stream(None)
        change = [stream.change(frame) for frame in video.frames(self._config.frames)]
        return Scores({self.name: np.array(change, np.float32)}).check(video, self.name)

    def stream(self, footage):
        return FrameDifferences(self.name, self._config)

    def save(self, folder):
        save_about(folder, About(name=self.name, bf16=False, parameters=0), identity_of(self._config))

    def load(self, folder):
        load_about(folder, identity_of(self._config))


class FrameDifferences:
    stride = 1  # every frame has a score of its own

    def __init__(self, name, config):
        self._name, self._config, self._before = name, config, None

    def step(self, moment):
        return MomentScores({self._name: self.change(moment.frames[self._config.frames])})

    def change(self, frame):
        frame = cv2.GaussianBlur(frame, (0, 0), self._config.scoring["blur"]).astype(np.float32)
        before, self._before = (frame if self._before is None else self._before), frame
        return float(np.abs(frame - before).mean())


build = FrameDifference


def check(name, config):
    if config.scoring["blur"] <= 0:
        raise ConfigError(f"detectors.{name}.scoring.blur={config.scoring['blur']}: must be above 0")
