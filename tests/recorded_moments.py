"""The moments of a prepared video by its tables: what a camera would have given, and online ones must be."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from pixelplay.objects.boxes import all_boxes
from pixelplay.objects.features import crop_vectors, features_of, flow_of
from pixelplay.objects.labels import tracks_so_far
from pixelplay.objects.moments import Moment
from pixelplay.objects.tables import Need
from pixelplay.objects.tracks import Tracks, cropped, frame_times
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video


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
    last = {int(track): int(position) for track, position in zip(tracks.track, tracks.position, strict=True)}
    ending: dict[int, list[int]] = {}
    for track, position in last.items():
        ending.setdefault(position + 1, []).append(track)
    for t, (image, here) in enumerate(zip(video.full_size(), tracks.by_frame(len(video)), strict=True)):
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
        return Tracks.none(), np.empty(0, np.str_), {}
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
    return tracks, all_boxes(video).label[tracks.box], found
