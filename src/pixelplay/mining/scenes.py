"""How clips are cut from scenes, which are clips themselves: all frames of one camera in one scene, in order."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from pixelplay.errors import DataError
from pixelplay.mining.clips import Clip
from pixelplay.mining.settings import MineConfig
from pixelplay.videos.windows import windows


def cut(scene: Clip, config: MineConfig) -> Iterator[Clip]:
    """Clips of every `frame_step`-th frame, one each `stride` of them; the last one ends where the scene does.

    A scene shorter than a clip gives one clip with its last frame repeated, or none, as `config.short_scenes` says.
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


def wanted(name: str, patterns: Sequence[str]) -> bool:
    """Whether a scene's or camera's name is one of those asked for; no patterns ask for all."""
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def require_found(key: str, patterns: Sequence[str], names: Sequence[str]) -> None:
    """Raise DataError for a pattern that no name matches, with the names there are."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            there = sorted(set(names))
            listed = ", ".join(there[:20]) + (f", … ({len(there)} in all)" if len(there) > 20 else "")
            raise DataError(f"mine.{key}: nothing is called {pattern!r}; there are {listed or 'none'}")
