"""What `source=` names: a video file, a folder of frames, a camera, an address; and frames of a Python iterable."""

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np

from pixelplay import requirements
from pixelplay.config.online import OnlineConfig
from pixelplay.errors import ConfigError, DataError
from pixelplay.online.capture import Capture, KeepUp
from pixelplay.online.feeds import About, Camera, Feed, frames_of
from pixelplay.online.frame import Arrived
from pixelplay.online.reconnecting import live_frames
from pixelplay.run.files import plain_name
from pixelplay.videos.index import shown_as_learnt
from pixelplay.videos.layouts.raw import RawVideo, find_videos
from pixelplay.videos.video import Video, recording_start

SCHEMES = ("rtsp", "rtsps", "http", "https")
Frames = Iterable[np.ndarray | tuple[float, np.ndarray] | Arrived]


def find_source(source: str, config: OnlineConfig) -> Feed | RawVideo:
    """What `source` names, not opened yet.

    Raises ConfigError for an address that can't be used or a variable that is not set, DataError where no video is.
    """
    if "://" in source:
        return _stream(source, config)
    if re.fullmatch(r"\d{1,9}", source):
        return Camera(int(source))
    path = Path(source).expanduser()
    videos = find_videos(path)
    if len(videos) > 1:
        names = ", ".join(video.id for video in videos[:3])
        raise DataError(f"{path}: {len(videos)} videos ({names}, …): name one of them, or score all with predict.py")
    return videos[0]


def open_source(source: str, config: OnlineConfig, fps: float, trained: Sequence[Video] = ()) -> Capture:
    """Open what `source` names, up to its first frame.

    fps: frames per second of a source that does not say, if not `config.fps`. trained: what the run has learnt from,
    see `shown_as_learnt`. Raises as `find_source`, and FootageError for what can't be opened or has no readable frame.
    """
    found = find_source(source, config)
    if isinstance(found, RawVideo):
        video, shown = shown_as_learnt(found.source, trained), str(Path(source).expanduser())
        about = About(plain_name(found.id), shown, video.fps(), live=False, began=recording_start(video))
        rate = about.fps or config.fps or fps
        return Capture(about, lambda _: frames_of(video, shown, rate), _policy(config, live=False))
    connection = found.open()
    name = found.shown.replace(" ", "-") if isinstance(found, Camera) else _host_and_path(found.shown)
    about = About(name, found.shown, connection.fps, connection.live)
    rate = about.fps or config.fps or fps
    return Capture(
        about,
        lambda stopped: live_frames(found, connection, config.reconnect, rate, stopped),
        _policy(config, about.live),
    )


def _policy(config: OnlineConfig, live: bool) -> KeepUp:
    return ("latest" if live else "all") if config.keep_up == "auto" else config.keep_up


def _stream(source: str, config: OnlineConfig) -> Feed:
    shown = hidden(source)
    try:
        parts = urlsplit(source)
        known, port = parts.scheme.lower() in SCHEMES and parts.hostname, parts.port
    except ValueError:  # a port that is no number
        known, port = False, None
    if not known or port == 0 or not re.fullmatch(r"[!-~]+", source):
        kinds = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ConfigError(
            f"source={shown}: no address of a stream; allowed: {kinds} and then HOST[:PORT]/PATH without spaces; other "
            "characters of a password as %XX, or all of it by a variable: rtsp://USER:$NAME@HOST/…"
        )
    requirements.require(["video"])
    from pixelplay.online.network import Stream  # imported late: cameras and folders of images need no PyAV

    return Stream(_filled(source, shown), shown, config.reconnect.timeout)


def _filled(source: str, shown: str) -> str:
    """The address with the values of variables in the places of their `$NAME`."""

    def value(found: re.Match[str]) -> str:
        text = os.environ.get(found[1])
        if not text:
            raise ConfigError(f"source={shown}: the environment variable {found[1]} is not set, or empty")
        return quote(text, safe="")

    return re.sub(r"\$([A-Za-z_]\w*)", value, source)


def hidden(source: str) -> str:
    """A source for messages and files: of an address neither its password nor what follows its `?`."""
    scheme, divider, rest = source.partition("://")
    if not divider:
        return source
    login, at, host = rest.rpartition("@")  # the last: passwords may have one, too
    user, colon, _ = login.partition(":")
    address, question, _ = host.partition("?")
    return f"{scheme}://{f'{user}:***@' if colon else '***@' if at else ''}{address}{'?***' if question else ''}"


def _host_and_path(shown: str) -> str:
    """`rtsp://user:***@cam.local/stream1` as `cam.local-stream1`."""
    rest = shown.partition("://")[2].rpartition("@")[2].removesuffix("?***")
    return plain_name(re.sub(r"[^A-Za-z0-9._-]+", "-", rest).strip("-.") or "stream")


def of_arrays(frames: Frames, fps: float) -> Iterator[Arrived]:
    """Frames of a Python iterable: uint8 (H, W, 3) RGB or (H, W), or pairs of seconds and such; in the caller's thread.

    fps: of frames without seconds. Those of `open_source` are passed on. Raises DataError for anything else, and for
    seconds that do not increase.
    """
    last, size = -1.0, None
    for number, item in enumerate(frames):
        if isinstance(item, Arrived):
            yield item
            continue
        seconds, image = item if isinstance(item, tuple) else (number / fps, item)
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)):
            raise DataError(f"frame {number}: {kind} where an array uint8 (height, width, 3), RGB, is expected")
        if image.ndim < 2 or not image.size:
            raise DataError(f"frame {number}: {kind}: no picture")
        if not seconds > last or (number and seconds < 0):
            raise DataError(f"frame {number} is at {seconds} s, the one before at {last} s: seconds must increase")
        restart, last, size = size not in (None, image.shape[:2]), float(seconds), image.shape[:2]
        color = image if image.ndim == 3 else np.dstack([image] * 3)
        gray = image if image.ndim == 2 else None
        yield Arrived(number, last, color, gray, at=time.monotonic(), restart=restart)
