"""Clip manifests: JSON lines `{scene, camera, frames, timestamps}`, a clip in each; scene manifests have whole scenes.

A frame is the path of an image file, or `video.mp4#12`: the frame at position 12 of a video file.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelplay.errors import DataError, MissingArtifactError
from pixelplay.run.atomic import atomic

TOLD = 5  # wrong lines of a manifest that an error lists


@dataclass(frozen=True)
class Clip:
    """Frames of one camera in chronological order: a clip's, or a whole scene's.

    timestamps: microseconds, one a frame; None where nobody knows them.
    """

    scene: str
    camera: str
    frames: tuple[str, ...]
    timestamps: tuple[int, ...] | None

    def as_json(self) -> str:
        values = {"scene": self.scene, "camera": self.camera, "frames": self.frames, "timestamps": self.timestamps}
        return json.dumps(values)

    @property
    def key(self) -> str:
        """What its masks are drawn by: the same wherever the data set lies, and whatever other clips there are."""
        return json.dumps([self.scene, self.camera, *Path(self.frames[0]).parts[-1:]])


def write_clips(path: Path, clips: Iterable[Clip]) -> int:
    """Write a manifest as the clips come, atomically; how many there were."""
    count = 0
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        for clip in clips:
            file.write(clip.as_json() + "\n")
            count += 1
    return count


def read_clips(path: Path, frames: int | None) -> Iterator[Clip]:
    """The clips of a manifest, line by line; `frames` is how many each must have, None for any number above 0.

    Raises DataError with its number for the first line that is no clip, MissingArtifactError when there is no file.
    """
    for number, line in _lines(path):
        try:
            yield parse_clip(line, frames)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}") from None


def count_clips(path: Path, frames: int) -> int:
    """Number of clips; raises DataError that lists the lines which are none, before anything else begins."""
    wrong, clips = [], 0
    for number, line in _lines(path):
        try:
            parse_clip(line, frames)
            clips += 1
        except ValueError as error:
            wrong.append(f"  line {number}: {error}")
    if wrong:
        more = f"\n  and {len(wrong) - TOLD} more" if len(wrong) > TOLD else ""
        raise DataError(f"{path}: {len(wrong)} lines are no clips:\n" + "\n".join(wrong[:TOLD]) + more)
    if not clips:
        raise DataError(f"{path}: no clips in it")
    return clips


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers, from 1, and text of the lines that are not blank."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from ((number, line) for number, line in enumerate(file, start=1) if line.strip())
    except FileNotFoundError:
        raise MissingArtifactError(
            f"{path} is missing: run `python src/mine.py step=manifest mine.source=FOLDER`, or name a manifest with "
            "mine.manifest=FILE"
        ) from None


def parse_clip(line: str, frames: int | None) -> Clip:
    """The clip of one line of a manifest; raises ValueError that says what is wrong with it."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__}, not an object with the key frames")
    names = _frames(value)
    if frames is not None and len(names) != frames:
        raise ValueError(f"{len(names)} frames; a clip has exactly {frames} (mine.frames)")
    return Clip(_text(value, "scene"), _text(value, "camera"), names, _timestamps(value, len(names)))


def _frames(value: dict[str, Any]) -> tuple[str, ...]:
    named = [key for key in ("frames", "frame_paths") if value.get(key) is not None]
    if len(named) != 1:
        raise ValueError(f"{' and '.join(named) or 'neither frames nor frame_paths'}: a clip has one of the two")
    names = value[named[0]]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{named[0]} is {json.dumps(names):.60}: must be a list of paths")
    if any("\0" in name for name in names):
        raise ValueError(f"{named[0]} has a path with a zero byte")
    return tuple(names)


def _text(value: dict[str, Any], key: str) -> str:
    text = value.get(key)
    if text is not None and not isinstance(text, str):
        raise ValueError(f"{key} is {json.dumps(text):.60}: must be text")
    return text or ""


def _timestamps(value: dict[str, Any], count: int) -> tuple[int, ...] | None:
    times = value.get("timestamps")
    if times is None:
        return None
    if not isinstance(times, list) or not all(type(time) in (int, float) for time in times):
        raise ValueError(f"timestamps is {json.dumps(times):.60}: must be a list of numbers")
    if len(times) != count:
        raise ValueError(f"{len(times)} timestamps for {count} frames")
    back = next((i for i in range(1, count) if not times[i - 1] <= times[i]), None)
    if back is not None:
        raise ValueError(f"timestamps are not in order: {times[back]} after {times[back - 1]}")
    return tuple(times)
