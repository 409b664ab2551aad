"""Scenes of any footage: every video file and every folder with images, at any depth below a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pixelplay import requirements
from pixelplay.errors import DataError
from pixelplay.mining.clips import Clip, matching
from pixelplay.mining.settings import MineConfig
from pixelplay.videos.image_folder import IMAGE_SUFFIXES, ImageFolder
from pixelplay.videos.sources import VIDEO_SUFFIXES, natural_key

SECOND = 1_000_000  # microseconds


def read_scenes(source: Path, config: MineConfig, problems: list[tuple[str, str]]) -> Iterator[Clip]:
    """A scene for each video and each folder with images, in natural order of their paths; nothing is decoded.

    A scene is named after its path below `source`; with `config.layout=cameras` the last part is the camera's name.
    Unusable footage is appended to `problems`: path, and what is wrong. Raises DataError if there is no footage.
    """
    places, ignored = _footage(source)
    found = [(place, *_names(source, place, config)) for place in places]
    if not found:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        raise DataError(f"mine.source={source}: no images or videos in it or below ({kinds})")
    scenes = matching("scenes", config.scenes, [name for _, name, _ in found])
    cameras = matching("cameras", config.cameras, [camera for _, _, camera in found])
    for place, name, camera in found:
        if name in scenes and camera in cameras:
            try:
                yield _of_images(place, name, camera, config) if place.is_dir() else _of_video(place, name, camera)
            except DataError as error:
                problems.append((str(place), str(error)))
    problems += ignored


def _footage(source: Path) -> tuple[list[Path], list[tuple[str, str]]]:
    """Video files and folders with images in natural order, and the folders with other files, with an example.

    Hidden files and folders are ignored; links are followed.
    """
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


def _names(source: Path, place: Path, config: MineConfig) -> tuple[str, str]:
    """Scene and camera; '' for an unnamed camera."""
    inner = place.relative_to(source)
    parts = (inner.with_suffix("") if place.is_file() and inner.name else inner).parts or (place.stem or place.name,)
    if config.layout == "cameras" and len(parts) > 1:
        return "/".join(parts[:-1]), parts[-1]
    return "/".join(parts), ""


def _of_images(folder: Path, name: str, camera: str, config: MineConfig) -> Clip:
    images = ImageFolder.scan(folder)
    if images.pages:
        raise DataError("multi-page TIFFs: write each page to a file of its own")
    times = [round(SECOND * number / config.fps) for number in images.numbers]
    return Clip(name, camera, tuple(str(path) for path in images.files()), tuple(times))


def _of_video(path: Path, name: str, camera: str) -> Clip:
    """A frame per packet, with timestamps where the file has usable ones; raises DataError."""
    requirements.require(["video"])
    from pixelplay.videos.packets import scan  # image folders need no PyAV

    found = scan(path)
    if not found.count:
        raise DataError(f"no frames in it ({path.stat().st_size} bytes)")
    times = None
    if found.ticks is not None:
        seconds = (found.ticks - found.ticks[0]) * float(found.time_base)
        times = tuple(np.rint(SECOND * seconds).astype(int).tolist())
    return Clip(name, camera, tuple(f"{path}#{at}" for at in range(found.count)), times)
