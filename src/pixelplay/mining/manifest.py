"""step=manifest: list the clips of a collection, from a NuScenes data set or from any folder of footage.

In a folder of footage every video file and every folder with images, at any depth, is a scene; nothing is decoded.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelplay import requirements
from pixelplay.errors import DataError
from pixelplay.mining import nuscenes
from pixelplay.mining.clips import SECOND, Clip, matching, read_clips, write_clips
from pixelplay.mining.files import MiningFiles
from pixelplay.mining.settings import MineConfig
from pixelplay.run.artifacts import csv_text, write_text
from pixelplay.videos.image_folder import IMAGE_SUFFIXES, ImageFolder
from pixelplay.videos.sources import VIDEO_SUFFIXES, natural_key
from pixelplay.videos.windows import windows

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)


def run(config: "Config", files: MiningFiles) -> None:
    """Write the scene manifest and, cut from it, the clip manifest. Raises DataError if there are no clips."""
    mine, problems = config.mine, []
    scenes = write_clips(files.scenes, _scenes(mine, problems))
    files.problems.unlink(missing_ok=True)
    if problems:
        write_text(files.problems, csv_text([("path", "problem"), *problems]))
        example = f"such as {problems[0][0]}: see {files.problems}"
        log.warning(f"manifest: {len(problems)} folders or videos left out, {example}")
    if not scenes:
        raise DataError(f"mine.source={mine.source}: no frames of the scenes and cameras that were asked for")
    short = sum(_is_short(scene, mine) for scene in read_clips(files.scenes, None))
    clips = write_clips(files.made_clips, (c for scene in read_clips(files.scenes, None) for c in cut(scene, mine)))
    if short:
        done = "padded with their last frame" if mine.short_scenes == "pad" else "left out"
        log.info(f"manifest: {short} of {scenes} scenes are shorter than a clip of {mine.frames} frames: {done}")
    if not clips:
        raise DataError(
            f"mine.source={mine.source}: all {scenes} scenes are shorter than a clip; mine.short_scenes=pad keeps them"
        )
    log.info(f"manifest: {clips} clips of {scenes} scenes and cameras: {files.made_clips}, {files.scenes}")


def cut(scene: Clip, config: MineConfig) -> Iterator[Clip]:
    """Clips of every `frame_step`-th frame, one per `stride` of these; the last clip ends with the scene.

    A scene shorter than a clip is padded with its last frame, or skipped: `config.short_scenes`.
    """
    if _is_short(scene, config) and config.short_scenes == "skip":
        return
    frames = scene.frames[:: config.frame_step]
    times = None if scene.timestamps is None else scene.timestamps[:: config.frame_step]
    for at in windows(len(frames), config.frames, config.stride).tolist():
        of_clip = None if times is None else tuple(times[t] for t in at)
        yield Clip(scene.scene, scene.camera, tuple(frames[t] for t in at), of_clip, scene.start)


def _is_short(scene: Clip, config: MineConfig) -> bool:
    """Whether it has fewer used frames than a clip."""
    return len(scene.frames[:: config.frame_step]) < config.frames


def _scenes(mine: MineConfig, problems: list[tuple[str, str]]) -> Iterator[Clip]:
    """The scenes in `mine.source`; unusable footage is appended to `problems`: path, and what is wrong with it."""
    assert mine.source is not None, "see pixelplay.mining.preconditions"
    source, tables = mine.source.absolute(), None
    if mine.layout in ("auto", "nuscenes") and source.is_dir():
        tables = nuscenes.find_tables(source, mine.nuscenes.version)
    if tables is not None:
        return nuscenes.read_scenes(tables, mine)
    if mine.layout == "nuscenes":
        raise DataError(f"mine.source={mine.source}: no scene.json in it or one folder below, as NuScenes has")
    return _scenes_of_folder(source, mine, problems)


def _scenes_of_folder(source: Path, mine: MineConfig, problems: list[tuple[str, str]]) -> Iterator[Clip]:
    """In natural order of their paths below `source`, which name them.

    The camera is the folder that the video or the folder of frames lies in; with layout=cameras the last part of the
    path, with layout=scenes there is none.
    """
    places, ignored = _footage(source)
    if not places:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        raise DataError(f"mine.source={source}: no images or videos in it or below ({kinds})")
    found = [(place, *_names(place, source, mine.layout)) for place in places]
    scenes = matching("scenes", mine.scenes, [name for _, name, _ in found])
    cameras = matching("cameras", mine.cameras, [camera for _, _, camera in found])
    for place, name, camera in found:
        if name in scenes and camera in cameras:
            try:
                frames, times = _frames(place, mine.fps)
                yield Clip(name, camera, frames, times, times[0] if times else None)
            except DataError as error:
                problems.append((str(place), str(error)))
    problems += ignored


def _names(place: Path, source: Path, layout: str) -> tuple[str, str]:
    """Scene and camera of a video or a folder of frames."""
    inner = place.relative_to(source)
    inner = inner.with_suffix("") if place.is_file() and inner.name else inner
    *folders, last = inner.parts or (place.stem or place.name,)
    if layout == "cameras" and folders:
        return "/".join(folders), last
    in_folder = "/".join(folders) or (source.parent.name if place == source else source.name)
    return "/".join([*folders, last]), in_folder if layout == "auto" else ""


def _footage(source: Path) -> tuple[list[Path], list[tuple[str, str]]]:
    """Video files and folders with images in natural order, none of them hidden; folders with other files."""
    if source.is_file():
        return [source], []
    found, visited, ignored = [], set(), []
    for folder, inner, files in os.walk(source, followlinks=True):
        if (real := os.path.realpath(folder)) in visited:  # a link to a parent folder, or two links to one folder
            inner.clear()
            continue
        visited.add(real)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        suffixes = [(Path(name).suffix.lower(), name) for name in files if not name.startswith(".")]
        found += [Path(folder, name) for suffix, name in suffixes if suffix in VIDEO_SUFFIXES]
        if any(suffix in IMAGE_SUFFIXES for suffix, _ in suffixes):
            found.append(Path(folder))
        others = sorted(name for suffix, name in suffixes if suffix not in IMAGE_SUFFIXES | VIDEO_SUFFIXES)
        if others:
            ignored.append((folder, f"{len(others)} files ignored, neither images nor videos, such as {others[0]}"))
    return sorted(found, key=lambda path: [natural_key(part) for part in path.parts]), sorted(ignored)


def _frames(place: Path, fps: float) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
    """Names and, if known, times of the frames of a folder of images, taken at `fps`, or of a video's packets."""
    if place.is_dir():
        images = ImageFolder.scan(place)
        if images.pages:
            raise DataError("multi-page TIFFs: write each page to a file of its own")
        return tuple(map(str, images.files())), tuple(round(SECOND * number / fps) for number in images.numbers)
    requirements.require(["video"])
    from pixelplay.videos.packets import scan  # image folders need no PyAV

    found = scan(place)
    if not found.count:
        raise DataError(f"no frames in it ({place.stat().st_size} bytes)")
    times = None
    if found.ticks is not None:
        seconds = (found.ticks - found.ticks[0]) * float(found.time_base)
        times = tuple(np.rint(SECOND * seconds).astype(int).tolist())
    return tuple(f"{place}#{at}" for at in range(found.count)), times
