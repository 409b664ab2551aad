"""Streams of detectors that score objects: what `Calibration.filled` and `highest` give causally, moment by moment."""

from collections.abc import Callable, Mapping

import numpy as np

from pixelplay.detectors.calibration import Calibration
from pixelplay.detectors.stream import MomentScores
from pixelplay.objects.moments import Moment

ByStream = Mapping[str, np.ndarray]  # scores (n,) of the n rows of a moment's tracks


def naming(
    name: str, calibration: Calibration, weights: Mapping[str, float], quantile: float
) -> Callable[[ByStream], dict[str, np.ndarray]]:
    """From raw scores by stream to the detector's own, their `combination`, and to them by their full names."""
    combined = calibration.combination(weights, quantile)
    return lambda scores: {name: combined(scores), **{f"{name}/{s}": scores[s] for s in calibration.streams}}


class ObjectStream:
    """See `Stream` for the contract. Of each track it keeps its latest raw scores, until it has ended."""

    stride = 1

    def __init__(
        self,
        raw: Callable[[Moment], ByStream],
        calibration: Calibration,
        named: Callable[[ByStream], ByStream],
        for_frames: Callable[[ByStream, Moment], ByStream] | None = None,
    ):
        """raw: float64, NaN where a row has none. named: from raw scores without NaN to those of all of the detector's
        streams, by their full names. for_frames: of these what is otherwise for the frame's score, by full name.
        """
        self._raw, self._named, self._for_frames = raw, named, for_frames
        self._streams = calibration.streams
        self._unknown = np.array([calibration.medians[stream] for stream in self._streams])
        self._least = {name: float(lowest[0]) for name, lowest in named(calibration.lowest).items()}
        self._latest: dict[int, np.ndarray] = {}  # by track, (streams,)

    def step(self, moment: Moment) -> MomentScores:
        objects = self._named(self._filled(self._raw(moment), moment))
        frame = {**objects, **(self._for_frames(objects, moment) if self._for_frames else {})}
        highest = {name: scores.max() if len(scores) else self._least[name] for name, scores in frame.items()}
        return MomentScores(
            {name: float(np.float32(score)) for name, score in highest.items()},
            {name: scores.astype(np.float32) for name, scores in objects.items()},
        )

    def _filled(self, raw: ByStream, moment: Moment) -> dict[str, np.ndarray]:
        """Scores without NaN: in its place the latest one of the track, and the normal median where there is none."""
        for track in moment.ended:
            self._latest.pop(track, None)
        found = np.stack([raw[stream] for stream in self._streams], axis=1)  # (n, streams)
        for row, track in enumerate(moment.tracks.track.tolist()):
            known = self._latest.get(track, self._unknown)
            self._latest[track] = found[row] = np.where(np.isnan(found[row]), known, found[row])
        return dict(zip(self._streams, found.T, strict=True))
