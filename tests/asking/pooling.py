"""A detector of the tests that asks for feature maps: the farther from the usual mean map, the stranger it is."""

import numpy as np

from pixelplay.detectors.base import Scores, Spec
from pixelplay.objects.features import features_of
from pixelplay.objects.tracks import tracks_of
from pixelplay.run.artifacts import read_json, write_json

SPECS = [Spec("pooling", 1, __name__, features=True)]


class Pooling:
    def __init__(self, name, config, device):
        self.name = name
        self._usual = 0.0

    def fit(self, videos, heldout, run):
        self._usual = float(np.mean(np.concatenate([self._means(video)[1] for video in videos])))

    def score(self, video, causal=False):
        position, means = self._means(video)
        scores = np.zeros(len(video), np.float32)
        np.maximum.at(scores, position, np.abs(means - self._usual))
        return Scores({self.name: scores}).check(video, self.name)

    def save(self, folder):
        write_json(folder / "detector.json", {"usual": self._usual})

    def load(self, folder):
        self._usual = read_json(folder / "detector.json", made_by="train")["usual"]

    def _means(self, video):
        features, tracks = features_of(video), tracks_of(video)
        there = features.row >= 0
        means = features.maps[features.row[there]].astype(np.float32).mean(axis=(1, 2, 3))
        return tracks.position[there], means


build = Pooling


def check(name, config):
    return config
