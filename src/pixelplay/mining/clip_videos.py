"""mine.select.mp4=true: each selected clip as an MP4 that a browser plays, with the footage around it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pixelplay.drawing.annotate import write_clip
from pixelplay.errors import DataError
from pixelplay.mining.clips import SECOND, Clip, ClipReader, read_clips
from pixelplay.mining.files import MiningFiles, of_clip
from pixelplay.mining.settings import MineConfig


def write_clip_videos(
    files: MiningFiles, clips: Sequence[Clip], rows: pd.DataFrame, mine: MineConfig
) -> dict[int, str]:
    """Write the clips; returns the path of each, by its rank, relative to the folder of the run.

    rows: of each clip, its rank and its step. Raises DataError for frames that can't be read.
    """
    wanted = {(clip.scene, clip.camera) for clip in clips}
    scenes = read_clips(files.scenes, None) if files.scenes.exists() else ()
    known = {(one.scene, one.camera): one for one in scenes if (one.scene, one.camera) in wanted}
    reader, written = ClipReader(mine.root), {}
    for clip, row in sorted(zip(clips, rows.itertuples(), strict=True), key=lambda pair: pair[1].step):
        whole = with_context(clip, known.get((clip.scene, clip.camera)), mine.select.context)
        path = files.clip_videos / f"{of_clip(row.rank, row.step, clip)}.mp4"
        write_clip(path, _images(reader, whole, row), frame_rate(whole, mine.fps))
        written[row.rank] = f"{path.parent.name}/{path.name}"
    return written


def with_context(clip: Clip, scene: Clip | None, seconds: float) -> Clip:
    """The clip with every frame of its scene from `seconds` before its first to `seconds` after its last one.

    The clip itself where the scene is unknown, is another one of the same name, or has no times.
    """
    if scene is None or scene.timestamps is None or clip.timestamps is None or clip.frames[0] not in scene.frames:
        return clip
    first, last = clip.timestamps[0] - SECOND * seconds, clip.timestamps[-1] + SECOND * seconds
    at = [i for i, time in enumerate(scene.timestamps) if first <= time <= last]
    times = tuple(scene.timestamps[i] for i in at)
    return Clip(clip.scene, clip.camera, tuple(scene.frames[i] for i in at), times, clip.start)


def frame_rate(clip: Clip, default: float) -> float:
    """Frames per second by the median step of its times; `default` if these are unknown or all the same."""
    step = float(np.median(np.diff(clip.timestamps))) if clip.timestamps and len(clip.timestamps) > 1 else 0.0
    return SECOND / step if step > 0 else default


def _images(reader: ClipReader, clip: Clip, row: Any) -> Iterator[np.ndarray]:
    """Its frames one by one, uint8 (H, W, 3) RGB, all of the size of the first."""
    size = None
    for name in clip.frames:
        try:
            image = reader.read(Clip("", "", (name,), None))[0]
        except DataError as error:
            raise DataError(f"clip {row.step} as a video: {error}: set mine.select.context=0 or mp4=false") from None
        size = size or image.shape
        if image.shape != size:
            raise DataError(f"clip {row.step} as a video: {name} has another size than {clip.frames[0]}")
        yield image
