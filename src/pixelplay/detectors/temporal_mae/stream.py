"""What `raw_scores` and `smoothed` give causally, moment by moment."""

from collections import deque

import numpy as np
import torch

from pixelplay.detectors.temporal_mae.network import TemporalMAE
from pixelplay.detectors.temporal_mae.raw_scores import STREAMS, Raw, averaging, window_scores
from pixelplay.detectors.temporal_mae.sequences import read_maps
from pixelplay.objects.features import Features
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import Tracks
from pixelplay.scores.running import RunningSmoother


class RawScores:
    """Of each track it keeps the tokens of the moments that a window reaches back, until it has ended."""

    def __init__(self, model: TemporalMAE):
        self._model = model
        self._length, self._width = model.positions.shape
        self._tokens: dict[int, deque[tuple[int, torch.Tensor]]] = {}  # by track, with their positions

    def at(self, moment: Moment) -> Raw:
        """A score of each stream for each row of the moment's tracks, float64 (n,), NaN where it has none."""
        assert moment.maps is not None, "a detector asks for them with features=True in its Spec"
        for track in moment.ended:
            self._tokens.pop(track, None)
        return self.step(moment.position, moment.tracks.track, moment.maps)

    @torch.inference_mode()
    def step(self, position: int, tracks: np.ndarray, every_map: np.ndarray) -> Raw:
        """As `at`, by ids of tracks (n,), and maps float16 (n, C, S, S), NaN where there is none."""
        model, found = self._model, np.full((len(STREAMS), len(tracks)), np.nan)
        rows = np.flatnonzero(~np.isnan(every_map[:, 0, 0, 0]))
        if len(rows):
            maps = torch.from_numpy(every_map[rows]).to(model.positions.device)
            tokens, valid = self._windows(tracks[rows], position, model.tokens(maps))
            scores = window_scores(model, tokens, model.targets(maps)[:, None], valid, slice(self._length - 1, None))
            found[:, rows] = torch.cat(scores, dim=1).cpu().double().numpy().T
        return dict(zip(STREAMS, found, strict=True))

    def _windows(self, tracks: np.ndarray, position: int, new: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Windows (n, T, d) that end at this position with the new tokens (n, d), and where they have any, (n, T)."""
        windows = new.new_zeros(len(tracks), self._length, self._width)
        valid = torch.zeros(len(tracks), self._length, dtype=torch.bool)
        for row, (track, token) in enumerate(zip(tracks.tolist(), new, strict=True)):
            own = self._tokens.setdefault(track, deque())
            own.append((position, token))
            while own[0][0] <= position - self._length:
                own.popleft()
            steps = [self._length - 1 + at - position for at, _ in own]
            windows[row, steps] = torch.stack([one for _, one in own])
            valid[row, steps] = True
        return windows, valid.to(windows.device)


def causal_scores(model: TemporalMAE, tracks: Tracks, features: Features) -> Raw:
    """As `raw_scores`, of the windows that end at each row of a table of tracks.

    Frame by frame, since rounding depends on the shape of a batch, and 1 - cosine of nearly equal embeddings shows it.
    """
    scores, found = RawScores(model), np.full((len(STREAMS), len(tracks)), np.nan)
    for rows in np.split(np.arange(len(tracks)), np.flatnonzero(np.diff(tracks.position)) + 1):
        if (features.row[rows] >= 0).any():
            maps = read_maps(features, rows)
            maps[features.row[rows] < 0] = np.nan
            of_frame = scores.step(int(tracks.position[rows[0]]), tracks.track[rows], maps)
            found[:, rows] = [of_frame[stream] for stream in STREAMS]
    return dict(zip(STREAMS, found, strict=True))


class Averages:
    """Those of the scores of each track up to now, until it has ended."""

    def __init__(self, decay: float):
        self._config = averaging(decay)
        self._of: dict[int, RunningSmoother] = {}

    def at(self, scores: np.ndarray, moment: Moment) -> np.ndarray:
        """Scores (n,) of the rows of the moment's tracks, averaged along each track."""
        for track in moment.ended:
            self._of.pop(track, None)
        found = np.empty(len(scores))
        for row, track in enumerate(moment.tracks.track.tolist()):
            if track not in self._of:
                self._of[track] = RunningSmoother(self._config)
            found[row] = self._of[track].step(moment.position, scores[row : row + 1])[0]
        return found
