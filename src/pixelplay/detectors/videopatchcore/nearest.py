"""Nearest neighbours in the memory banks: distances of clips and objects, and what explains them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pixelplay.detectors.videopatchcore.clip_features import LOCAL, STREAMS, ClipFeatures, PatchFeatures
from pixelplay.memory.bank import Bank
from pixelplay.objects.boxes import COORDINATES
from pixelplay.objects.explanation import Finding, Neighbour, Place
from pixelplay.objects.tracks import Tracks, fill, object_rows
from pixelplay.videos.video import Video
from pixelplay.videos.windows import frames_of_clips


def clip_distances(
    name: str,
    features: PatchFeatures,
    banks: Mapping[str, Bank],
    video: Video,
    tracks: Tracks,
    positions: np.ndarray,
    causal: bool,
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """The largest distance in each clip (C, T), float64 (C,) by stream, NaN where a clip has no object; and a row for
    each row of the tracks and each stream of objects, as in `Scores.objects`.

    A row has the mean distance of its track's tubes in the clips with its frame, causally that in the latest clip that
    has ended. Rows without such a tube have the distance of the track's nearest row with one; causally of the latest
    before, or 0 before the track's first. name: of the detector.
    """
    clips = {stream: np.full(len(positions), np.nan) for stream in STREAMS}
    bounds = frames_of_clips(positions, len(video), causal)
    sums, counts = {stream: np.zeros(len(tracks)) for stream in LOCAL}, np.zeros(len(tracks), np.int64)
    for one in features.clips(video, tracks, positions, causal):
        largest = largest_distances(banks, one.vectors)
        for stream, of_tubes in largest.items():
            clips[stream][one.clip] = of_tubes.max()
        clip = positions[one.clip]
        first, last = bounds[one.clip : one.clip + 2] if causal else (clip[0], clip[-1] + 1)
        start, stop = np.searchsorted(tracks.position, [first, last])
        for k, track in enumerate(one.tubes.track):
            rows = start + np.flatnonzero(tracks.track[start:stop] == track)
            counts[rows] += 1
            for stream in LOCAL:
                sums[stream][rows] += largest[stream][k]
    tables = []
    for stream in LOCAL:
        means = np.divide(sums[stream], counts, out=np.full(len(tracks), np.nan), where=counts > 0)
        tables.append(object_rows(video, tracks, f"{name}/{stream}", fill(means, tracks, 0.0, causal)))
    return clips, pd.concat(tables, ignore_index=True)


def largest_distances(banks: Mapping[str, Bank], vectors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By stream the largest distance of a clip's vectors: float32 (K,) of each tube, of whole frames ()."""
    found = {}
    for stream, of_clip in vectors.items():
        distances = banks[stream].nearest(of_clip.reshape(-1, of_clip.shape[-1]))[0]
        found[stream] = distances.reshape(of_clip.shape[:-1]).max(axis=-1)
    return found


@dataclass(frozen=True)
class Memory:
    """The memory bank of one stream, with its sources."""

    name: str  # of the detector's stream
    bank: Bank
    sources: pd.DataFrame  # of each entry: video, clip (numbers of its frames), x1, y1, x2, y2, part
    scale: float  # the distance that counts as 1


def centred(positions: np.ndarray, length: int, frames: int) -> np.ndarray:
    """Clips int64 (N, length) with each of the positions (N,) at index length // 2, padded with copies of the video's
    first and last frame.
    """
    return (np.asarray(positions)[:, None] + np.arange(length) - length // 2).clip(0, frames - 1)


def findings(
    memories: Mapping[str, Memory], grid: int, video: Video, tracks: Tracks, clip: np.ndarray, features: ClipFeatures
) -> list[Finding]:
    """The objects of one clip, in the order of its tubes, and last the whole frame, each with its neighbours.

    memories: by stream; grid: a tube has grid x grid spatial vectors; clip: int (T,), positions of its frames.
    """
    numbers, whole, shown = video.numbers[clip], (0, 0, *video.size), features.shown
    near = {}
    for stream, vectors in features.vectors.items():
        boxes = features.tubes.square[:, shown].tolist() if stream in LOCAL else [whole]
        vectors = vectors if stream in LOCAL else vectors[None]
        near[stream] = neighbours(stream, memories[stream], video.id, numbers, shown, boxes, vectors, grid)
    objects = []
    for k, track in enumerate(features.tubes.track):
        own = np.flatnonzero(tracks.track == track)
        row = own[np.abs(tracks.position[own] - clip[shown]).argmin()]
        label, confidence, box = str(tracks.label[row]), float(tracks.confidence[row]), tuple(tracks.xyxy[row].tolist())
        objects.append(Finding(label, confidence, box, tuple(near[stream][k] for stream in LOCAL)))
    return [*objects, Finding("", 1.0, whole, tuple(near["global"]))]


def neighbours(
    stream: str,
    memory: Memory,
    video: str,
    numbers: np.ndarray,
    shown: int,
    boxes: Sequence[Sequence[int]],
    vectors: np.ndarray,
    grid: int,
) -> list[Neighbour]:
    """For each of K boxes with P vectors, float32 (K, P, C), the vector farthest from the memory and its nearest entry.

    numbers: (T,) of the clip's frames; shown: the index of the one that stands for it, which the boxes are of. Of
    vectors that are equally far, the first is taken.
    """
    distances, entries = memory.bank.nearest(vectors.reshape(-1, vectors.shape[-1]))
    distances, entries = distances.reshape(len(boxes), -1), entries.reshape(len(boxes), -1)
    found = []
    for k, part in enumerate(distances.argmax(axis=1)):
        source = memory.sources.iloc[entries[k, part]]
        square = [int(source[edge]) for edge in COORDINATES]
        distance = float(distances[k, part])
        here = part_of_clip(stream, video, numbers, int(numbers[shown]), boxes[k], int(part), grid)
        origin = source["video"], source["clip"], int(source["frame"])
        there = part_of_clip(stream, *origin, square, int(source["part"]), grid)
        found.append(Neighbour(memory.name, here, there, distance, distance / memory.scale))
    return found


def part_of_clip(
    stream: str, video: str, numbers: np.ndarray, found_in: int, box: Sequence[int], part: int, grid: int
) -> Place:
    """Where vector number `part` of a stream comes from.

    numbers: (T,) of the clip's frames; found_in: of the frame that the object was found in; box: of the tube.
    """
    x1, y1, x2, y2 = box
    if stream == "temporal":  # differences of consecutive frames
        before, after = int(numbers[part]), int(numbers[part + 1])
        return Place(video, (before, after), (x1, y1, x2, y2), f"frames {before} to {after}")
    if stream == "global":  # frames
        return Place(video, (int(numbers[part]),), (x1, y1, x2, y2), f"frame {int(numbers[part])}")
    row, column = divmod(part, grid)  # cells of all frames together, shown in one of them
    width, height = (x2 - x1) / grid, (y2 - y1) / grid
    left, top = x1 + column * width, y1 + row * height
    words = f"row {row + 1}, column {column + 1} of {grid} x {grid}"
    return Place(video, (found_in,), (x1, y1, x2, y2), words, (left, top, left + width, top + height))
