"""A detector of the tests that asks for objects: the more of them in a frame than is usual, the stranger it is."""

import numpy as np

from pixelplay.detectors.base import Scores, Spec
from pixelplay.objects.boxes import boxes_of
from pixelplay.objects.settings import TubeConfig
from pixelplay.run.artifacts import read_json, write_json
from pixelplay.settings import validate

SPECS = [Spec("counting", 1, __name__, boxes=True)]


class Counting:
    def __init__(self, name, config, device):
        self.name = name
        check(name, config)
        self._usual = 0.0

    def fit(self, videos, heldout, run):
        self._usual = float(np.mean([self._count(video).mean() for video in videos]))

    def score(self, video, causal=False):
        return Scores({self.name: (self._count(video) - self._usual).astype(np.float32)}).check(video, self.name)

    def save(self, folder):
        write_json(folder / "detector.json", {"usual": self._usual})

    def load(self, folder):
        self._usual = read_json(folder / "detector.json", made_by="train")["usual"]

    def _count(self, video):
        return np.bincount(boxes_of(video).position, minlength=len(video))


build = Counting


def check(name, config):
    return validate(TubeConfig, config.training["tubes"], f"detectors.{name}.training.tubes")
