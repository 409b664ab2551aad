"""VideoPatchCore frame by frame: each clip ends at a frame that has come, and its objects are those in that frame."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pixelplay.detectors.stream import MomentScores, StreamFormat
from pixelplay.detectors.videopatchcore.clip_features import LOCAL, STREAMS, Clip, Known, PatchFeatures
from pixelplay.detectors.videopatchcore.nearest import largest_distances
from pixelplay.memory.bank import Bank
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import Tracks, in_a_row
from pixelplay.objects.tubes import tubes
from pixelplay.videos.windows import CausalWindow


@dataclass(frozen=True, eq=False)
class Seen:
    """What is kept of a moment while a clip may have its frame."""

    position: int
    number: int
    image: np.ndarray
    clean: bool
    tracks: Tracks


class PatchStream:
    """See `Stream`. A clip's distances are kept until the next one ends, those of a track until it has ended.

    combined: from the distances of clips (C,) by stream of features, their scores (C,) by stream of `Scores`.
    """

    def __init__(
        self,
        name: str,
        features: PatchFeatures,
        banks: Mapping[str, Bank],
        combined: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]],
        window: CausalWindow[Seen],
        footage: StreamFormat,
    ):
        self._name, self._features, self._banks, self._combined = name, features, banks, combined
        self._window, self._footage = window, footage
        self._known = Known()
        self._streams: dict[str, float] = {}
        self._of_tracks: dict[int, dict[str, float]] = {}  # by id, the latest distance in each stream of objects

    @property
    def stride(self) -> int:
        return self._window.stride

    def step(self, moment: Moment) -> MomentScores:
        for track in moment.ended:
            self._of_tracks.pop(track, None)
        clean = bool(self._features.clean(np.array([moment.noise], np.float32))[0])
        clip = self._window.add(Seen(moment.position, moment.number, moment.image, clean, moment.tracks))
        if clip is not None:
            self._score(clip)
        latest = [self._of_tracks.get(track, {}) for track in moment.tracks.track.tolist()]
        objects = {f"{self._name}/{s}": np.array([one.get(s, 0.0) for one in latest], np.float32) for s in LOCAL}
        return MomentScores(self._streams, objects)

    def _score(self, seen: Sequence[Seen]) -> None:
        """Score the clip of these frames, which padding repeats, and its tubes."""
        positions = np.array([one.position for one in seen])
        tracks = in_a_row([one.tracks for one in {one.position: one for one in seen}.values()])
        (own,) = tubes(tracks, positions[None], self._footage.size, self._features.config, causal=True)
        clip = Clip(positions, [one.image for one in seen], np.array([one.clean for one in seen]), own)
        where = f"{self._footage.name}, clip from frame {seen[0].number}".removeprefix(", ")
        largest = largest_distances(self._banks, self._features.vectors(clip, self._known, where))
        for k, track in enumerate(own.track.tolist()):
            self._of_tracks[track] = {stream: float(largest[stream][k]) for stream in LOCAL}
        of_clip = {s: np.array([largest[s].max() if s in largest else np.nan], np.float64) for s in STREAMS}
        self._streams = {stream: float(np.float32(score[0])) for stream, score in self._combined(of_clip).items()}
