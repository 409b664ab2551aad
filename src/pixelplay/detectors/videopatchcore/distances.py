"""Distances of a video's clips, and of the objects in them, to the memory banks."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pixelplay.detectors.videopatchcore.clip_features import LOCAL, STREAMS, PatchFeatures
from pixelplay.memory.bank import Bank
from pixelplay.objects.boxes import COORDINATES, Boxes
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
