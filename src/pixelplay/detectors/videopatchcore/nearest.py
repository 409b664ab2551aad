"""Nearest neighbours in the memory banks: distances of clips and objects, and what explains them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pixelplay.detectors.videopatchcore.clip_features import LOCAL, STREAMS, ClipFeatures, PatchFeatures
from pixelplay.memory.bank import Bank
from pixelplay.objects.boxes import COORDINATES, Boxes
from pixelplay.objects.explanation import Finding, Neighbour, Place
from pixelplay.videos.video import Video
from pixelplay.videos.windows import frames_of_clips


def clip_distances(
    name: str,
    features: PatchFeatures,
    banks: Mapping[str, Bank],
    video: Video,
    boxes: Boxes,
    positions: np.ndarray,
    causal: bool,
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """The largest distance in each clip (C, T), float64 (C,) by stream, NaN where a clip has no object; and a row for
    each object, stream of objects and frame, as in `Scores.objects`.

    name: of the detector.
    """
    clips = {stream: np.full(len(positions), np.nan) for stream in STREAMS}
    bounds, none = frames_of_clips(positions, len(video), causal), np.empty(0, np.int64)
    tables = [_object_rows(video, boxes, none, none, f"{name}/{LOCAL[0]}", np.empty(0, np.float32))]
    for one in features.clips(video, boxes, positions, causal):
        for stream, vectors in one.vectors.items():
            distances = banks[stream].nearest(vectors.reshape(-1, vectors.shape[-1]))[0]
            largest = distances.reshape(vectors.shape[:-1]).max(axis=-1)  # (K,) of each tube, or ()
            clips[stream][one.clip] = largest.max()
            if stream in LOCAL:
                frames = np.arange(*bounds[one.clip : one.clip + 2])
                tables.append(_object_rows(video, boxes, one.tubes.box, frames, f"{name}/{stream}", largest))
    return clips, pd.concat(tables, ignore_index=True)


def _object_rows(
    video: Video, boxes: Boxes, rows: np.ndarray, frames: np.ndarray, stream: str, scores: np.ndarray
) -> pd.DataFrame:
    """Scores (K,) of the objects in `rows` (K,) of the boxes, repeated for each of the frames (F,) that their clip
    stands for; track -1 is none.
    """
    rows, scores = np.tile(rows, len(frames)), np.tile(scores, len(frames))
    table = pd.DataFrame({"frame": np.repeat(video.numbers[frames], len(rows) // max(len(frames), 1)), "track": -1})
    table[COORDINATES] = boxes.xyxy[rows]
    table["class"] = pd.Series(boxes.label[rows].tolist(), dtype="str")
    return table.assign(stream=stream, score=scores)


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
    memories: Mapping[str, Memory], grid: int, video: Video, boxes: Boxes, clip: np.ndarray, features: ClipFeatures
) -> list[Finding]:
    """The objects of one clip, in the order of its tubes, and last the whole frame, each with its neighbours.

    memories: by stream; grid: a tube has grid x grid spatial vectors; clip: int (T,), positions of its frames.
    """
    numbers, whole = video.numbers[clip], (0, 0, *video.size)
    found_in = video.numbers[boxes.position[features.tubes.box]]  # another frame than the middle one if that is noisy
    near = {}
    for stream, vectors in features.vectors.items():
        if stream in LOCAL:
            places = found_in, features.tubes.square.tolist(), vectors
        else:
            places = numbers[:1], [whole], vectors[None]
        near[stream] = neighbours(stream, memories[stream], video.id, numbers, *places, grid)
    objects = [
        Finding(
            label=str(boxes.label[row]),
            confidence=float(boxes.confidence[row]),
            box=tuple(boxes.xyxy[row].tolist()),
            neighbours=tuple(near[stream][k] for stream in LOCAL),
        )
        for k, row in enumerate(features.tubes.box)
    ]
    return [*objects, Finding("", 1.0, whole, tuple(near["global"]))]


def neighbours(
    stream: str,
    memory: Memory,
    video: str,
    numbers: np.ndarray,
    found_in: np.ndarray,
    boxes: Sequence[Sequence[int]],
    vectors: np.ndarray,
    grid: int,
) -> list[Neighbour]:
    """For each of K boxes with P vectors, float32 (K, P, C), the vector farthest from the memory and its nearest entry.

    numbers: (T,) of the clip's frames; found_in: (K,) of the frame that each box was found in. Of vectors that are
    equally far, the first is taken.
    """
    distances, entries = memory.bank.nearest(vectors.reshape(-1, vectors.shape[-1]))
    distances, entries = distances.reshape(len(boxes), -1), entries.reshape(len(boxes), -1)
    found = []
    for k, part in enumerate(distances.argmax(axis=1)):
        source = memory.sources.iloc[entries[k, part]]
        square = [int(source[edge]) for edge in COORDINATES]
        distance = float(distances[k, part])
        here = part_of_clip(stream, video, numbers, int(found_in[k]), boxes[k], int(part), grid)
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
