"""A detector of the tests that asks for tracks: the longer an object was seen, the more usual it is."""

import numpy as np
import pandas as pd

from pixelplay.detectors.base import Scores, Spec
from pixelplay.objects.boxes import COORDINATES, boxes_of
from pixelplay.objects.tracks import tracks_of
from pixelplay.run.artifacts import read_json, write_json

SPECS = [Spec("following", 1, __name__, tracks=True)]


class Following:
    def __init__(self, name, config, device):
        self.name = name
        self._longest = 0

    def fit(self, videos, heldout, run):
        self._longest = max(int(np.bincount(tracks_of(video).track).max()) for video in videos)

    def score(self, video, causal=False):
        tracks, boxes = tracks_of(video), boxes_of(video)
        assert len(boxes) >= (~tracks.interpolated).sum()
        objects = pd.DataFrame(tracks.xyxy, columns=COORDINATES)
        objects = objects.assign(frame=video.numbers[tracks.position], track=tracks.track, stream=self.name)
        objects["score"] = self._longest - np.bincount(tracks.track)[tracks.track].astype(float)
        frames = np.bincount(tracks.position, minlength=len(video)).astype(np.float32)
        return Scores({self.name: frames}, objects.assign(**{"class": tracks.label})).check(video, self.name)

    def save(self, folder):
        write_json(folder / "detector.json", {"longest": self._longest})

    def load(self, folder):
        self._longest = read_json(folder / "detector.json", made_by="train")["longest"]


build = Following


def check(name, config): ...
