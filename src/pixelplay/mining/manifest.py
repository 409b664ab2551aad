"""step=manifest: list the clips of a collection, from a NuScenes data set or from any folder of footage."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pixelplay.errors import ConfigError, DataError
from pixelplay.mining import folders, nuscenes
from pixelplay.mining.clips import Clip, read_clips, write_clips
from pixelplay.mining.files import MiningFiles
from pixelplay.mining.settings import MineConfig
from pixelplay.run.artifacts import csv_text, write_text
from pixelplay.videos.windows import windows

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)


def run(config: "Config", files: MiningFiles) -> None:
    """Write the scene manifest and, cut from it, the clip manifest. Raises DataError if there are no clips."""
    mine, problems = config.mine, []
    scenes = write_clips(files.scenes, scenes_of(mine, problems))
    _report(files, problems)
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
    """The scenes in `mine.source`, their frames as absolute paths.

    Unusable footage is appended to `problems`: path, and what is wrong with it.
    """
    if mine.source is None:
        raise ConfigError("mine.source=null: name the footage, for instance mine.source=data/nuscenes")
    if not mine.source.exists():
        raise DataError(f"mine.source={mine.source}: not found (a relative path starts at the working directory)")
    source, tables = mine.source.absolute(), None
    if mine.layout in ("auto", "nuscenes") and source.is_dir():
        tables = nuscenes.find_tables(source, mine.nuscenes.version)
    if tables is not None:
        return nuscenes.read_scenes(tables, mine)
    if mine.layout == "nuscenes":
        raise DataError(f"mine.source={mine.source}: no scene.json in it or one folder below, as NuScenes has")
    return folders.read_scenes(source, mine, problems)


def cut(scene: Clip, config: MineConfig) -> Iterator[Clip]:
    """Clips of every `frame_step`-th frame, one per `stride` of these; the last clip ends with the scene.

    A scene shorter than a clip is padded with its last frame, or skipped: `config.short_scenes`.
    """
    if is_short(scene, config) and config.short_scenes == "skip":
        return
    frames = scene.frames[:: config.frame_step]
    times = None if scene.timestamps is None else scene.timestamps[:: config.frame_step]
    for at in windows(len(frames), config.frames, config.stride).tolist():
        of_clip = None if times is None else tuple(times[t] for t in at)
        yield Clip(scene.scene, scene.camera, tuple(frames[t] for t in at), of_clip)


def is_short(scene: Clip, config: MineConfig) -> bool:
    """Whether it has fewer used frames than a clip."""
    return len(scene.frames[:: config.frame_step]) < config.frames


def _report(files: MiningFiles, problems: list[tuple[str, str]]) -> None:
    if not problems:
        files.problems.unlink(missing_ok=True)
        return
    write_text(files.problems, csv_text([("path", "problem"), *problems]))
    log.warning(f"manifest: {len(problems)} folders or videos left out, such as {problems[0][0]}: see {files.problems}")
