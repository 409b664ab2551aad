"""step=manifest: the clips of a collection, from a NuScenes data set or from any folder of footage."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay.errors import ConfigError, DataError
from pixelplay.mining import folders, nuscenes
from pixelplay.mining.clips import Clip, read_clips, write_clips
from pixelplay.mining.files import MiningFiles
from pixelplay.mining.scenes import cut, is_short
from pixelplay.mining.settings import MineConfig
from pixelplay.run.artifacts import csv_text, write_text

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)


def run(config: "Config", files: MiningFiles) -> None:
    """Write the scene manifest and, cut from it, the clip manifest. Raises DataError where there is nothing to cut."""
    mine, problems = config.mine, []
    scenes = write_clips(files.scenes, scenes_of(mine, problems))
    _tell(files, problems)
    if not scenes:
        raise DataError(f"mine.source={mine.source}: no frames of the scenes and cameras that were asked for")
    short = sum(is_short(scene, mine) for scene in read_clips(files.scenes, None))
    clips = write_clips(files.made_clips, (c for scene in read_clips(files.scenes, None) for c in cut(scene, mine)))
    if short:
        done = "padded with their last frame" if mine.short_scenes == "pad" else "left out"
        log.info(f"manifest: {short} of {scenes} scenes are shorter than a clip of {mine.frames} frames: {done}")
    if not clips:
        raise DataError(
            f"mine.source={mine.source}: all {scenes} scenes are shorter than a clip; mine.short_scenes=pad keeps them"
        )
    log.info(f"manifest: {clips} clips of {scenes} scenes and cameras: {files.made_clips}, {files.scenes}")


def scenes_of(mine: MineConfig, problems: list[tuple[str, str]]) -> Iterator[Clip]:
    """The scenes below `mine.source`; frames are absolute paths, so that the manifest can be read from anywhere.

    What can't be used is appended to `problems`: path, and what is wrong with it.
    """
    source = _source(mine)
    tables = None
    if mine.layout in ("auto", "nuscenes") and source.is_dir():
        tables = nuscenes.find_tables(source, mine.nuscenes.version)
    if tables is not None:
        return nuscenes.read_scenes(tables, mine)
    if mine.layout == "nuscenes":
        raise DataError(f"mine.source={mine.source}: no scene.json in it or one folder below, as NuScenes has")
    return folders.read_scenes(source, mine, problems)


def _source(mine: MineConfig) -> Path:
    if mine.source is None:
        raise ConfigError("mine.source=null: name the footage, for instance mine.source=data/nuscenes")
    if not mine.source.exists():
        raise DataError(f"mine.source={mine.source}: not found (a relative path starts at the working directory)")
    return mine.source.absolute()


def _tell(files: MiningFiles, problems: list[tuple[str, str]]) -> None:
    if not problems:
        files.problems.unlink(missing_ok=True)
        return
    write_text(files.problems, csv_text([("path", "problem"), *problems]))
    log.warning(f"manifest: {len(problems)} folders or videos left out, such as {problems[0][0]}: see {files.problems}")
