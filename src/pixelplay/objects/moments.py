"""Footage frame by frame: a frame, and what is known of its objects when no later frame has been seen.

Online, moments come from a camera (`pixelplay.online`). Those of a prepared video come from its tables: they are what
the camera would have given, and what online scores are compared with.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pixelplay.objects.boxes import join, load
from pixelplay.objects.features import crop_vectors, features_of, flow_of
from pixelplay.objects.labels import tracks_so_far
from pixelplay.objects.tables import Need
from pixelplay.objects.tracks import Tracks, cropped, frame_times
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame, restored, and the n objects that were detected in it and are followed. No array is changed later.

    What a detector did not ask for in its `Spec` is None, or of n = 0 objects.
    """

    position: int  # 0, 1, 2, … of the frames that are scored
    number: int  # of the frame, as its source counts: numbers of frames that were lost or dropped are missing
    seconds: float  # since the source's first frame
    image: np.ndarray  # uint8 (H, W, 3) RGB, original size
    noise: float  # before restoration, grey levels of 255
    frames: Mapping[FrameFormat, np.ndarray]  # in working sizes, uint8 (h, w) or (h, w, 3)
    tracks: Tracks  # n rows with this position, none interpolated; labels are those of the boxes so far
    labels: np.ndarray  # str (n,), class of the box detected here, which `tracks.confidence` is of
    flow: np.ndarray | None = None  # float32 (n, 1 + bins), as `flow_of`; NaN in the first frame
    crops: np.ndarray | None = None  # float32 (n, C), as `crop_vectors`; NaN where no crop was taken
    maps: np.ndarray | None = None  # float16 (n, C, S, S), as `features_of`; NaN where there is none
    ended: tuple[int, ...] = ()  # ids of tracks that will have no further row: what is kept of them can go
    flipped: bool = False  # whether restoration turned it upright


def no_tracks() -> Tracks:
    """The tracks of a frame in which nothing is followed."""
    none = np.empty(0, np.int64)
    floats = np.empty((0, 4), np.float32)
    return Tracks(none, floats, np.empty(0, np.str_), floats[:, 0], none, np.empty(0, bool), none)


def moments_of(
    video: Video,
    formats: Sequence[FrameFormat] = (),
    needs: Collection[Need] = (),
    fps: float = 25.0,
) -> Iterator[Moment]:
    """The moments of a prepared video, or of a block of it, with what `needs` names (see `Spec.needs`).

    fps: frame rate of footage that does not say. Raises MissingArtifactError where the video comes without what is
    needed.
    """
    seconds, frames = frame_times(video, fps), {one: video.frames(one) for one in formats}
    noise = np.zeros(len(video), np.float32) if video.noise is None else video.noise
    tracks, labels, values = _objects(video, needs)
    bounds = np.searchsorted(tracks.position, np.arange(len(video) + 1))
    last = {int(track): int(position) for track, position in zip(tracks.track, tracks.position, strict=True)}
    ending: dict[int, list[int]] = {}
    for track, position in last.items():
        ending.setdefault(position + 1, []).append(track)
    for t, image in enumerate(video.full_size()):
        here = slice(bounds[t], bounds[t + 1])
        yield Moment(
            position=t,
            number=int(video.numbers[t]),
            seconds=float(seconds[t]),
            image=image,
            noise=float(noise[t]),
            frames={one: np.asarray(array[t]) for one, array in frames.items()},
            tracks=tracks[here],
            labels=labels[here],
            ended=tuple(ending.get(t, ())),
            flipped=video.originals is not None and bool(video.originals.flipped[t]),
            **{name: array[here] for name, array in values.items()},
        )


def _objects(video: Video, needs: Collection[Need]) -> tuple[Tracks, np.ndarray, dict[str, np.ndarray]]:
    """Detected rows of tracks, the classes of their boxes, and arrays of them by the name of `Moment`'s field."""
    if "tracks" not in needs:
        return no_tracks(), np.empty(0, np.str_), {}
    tracks, detected = tracks_so_far(video)
    found: dict[str, np.ndarray] = {}
    if "flow" in needs:
        found["flow"] = flow_of(video)[detected]
    if "crops" in needs:
        vectors = crop_vectors(video)
        assert video.crops is not None, "see crop_vectors"
        taken = cropped(video, video.crops.every, video.crops.noise_above, causal=True)
        found["crops"] = np.where(taken[:, None], vectors, np.float32(np.nan))[detected]
    if "features" in needs:
        features = features_of(video, causal=True)
        rows = features.row[detected]
        maps = np.array(features.maps[rows.clip(min=0)])
        maps[rows < 0] = np.nan
        found["maps"] = maps
    return tracks, join(load(path) for path in video.objects).label[tracks.box], found
