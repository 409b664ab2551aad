"""What stage `explain` pictured for the report: manifest.json, and the image files beside it that it lists."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from pixelplay.drawing.annotate import data_uri
from pixelplay.events.event import FileName, Written
from pixelplay.run.artifacts import damaged, read_model
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index

FORMATS = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}  # by the bytes that a file starts with

Color = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
Pairs = list[tuple[str, str]]


class OfDetector(Written):
    """A picture of a frame that one detector explains."""

    detector: str
    picture: FileName


class Moment(Written):
    """A frame at an event's peak, or where the fused score peaks."""

    video: str
    frame: int  # its number
    picture: FileName  # with the boxes of `boxes`
    boxes: list[str]  # detectors whose scored boxes are drawn
    heat: list[OfDetector]  # squared error of its reconstruction, over the frame
    neighbours: list[OfDetector]  # its objects beside the most similar training footage


class PicturedTrack(Written):
    """An object whose score is among the highest of the test."""

    video: str
    track: int
    label: str  # its class
    first: int  # number of its first frame
    peak: int  # of the one with its highest score
    last: int
    interpolated: list[int]  # numbers of those where nothing was detected: its box lies between two that were
    picture: FileName  # the frame of its peak with its path; below, crops of the object: first, peak, last


class Scale(Written):
    """A bar that explains the colours of the pictures."""

    text: str
    low: str
    high: str
    colors: list[Color]


class Sprite(Written):
    """Small frames of a video as one picture: row by row, in the order of time."""

    video: str
    picture: FileName
    size: tuple[int, int]  # of one: width, height in pixels
    columns: int
    frames: list[int]  # their numbers


class Manifest(Written):
    gallery: list[Moment]  # of the most severe events' peaks; without events, the highest fused score first
    tracks: list[PicturedTrack]  # of these events; else the highest score of `objects` first; [] without fused objects
    sprites: list[Sprite]  # in the order of the test videos; [] where they are not wanted
    scales: list[Scale]
    clips: list[str]  # videos with an annotated MP4: see `RunFiles.clip`
    commit: str  # of the code that ran
    machine: Pairs  # name and value
    versions: Pairs


def read_manifest(files: RunFiles, index: Index) -> Manifest:
    """Raises MissingArtifactError, or DamagedArtifactError, also for frames that the index does not have."""
    manifest = read_model(files.manifest, Manifest, made_by="explain")
    frames = [(one.video, one.frame) for one in manifest.gallery]
    frames += [(one.video, frame) for one in manifest.tracks for frame in (one.first, one.peak, one.last)]
    frames += [(one.video, frame) for one in manifest.sprites for frame in one.frames]
    require_frames(index, frames, files.manifest, made_by="explain")
    return manifest


def require_frames(index: Index, frames: Iterable[tuple[str, int]], path: Path, made_by: str) -> None:
    """Raise DamagedArtifactError for the file that names these (video, frame number) if a test video lacks one."""
    numbers = {video.id: video.numbers for video in index.test}
    for video, frame in frames:
        if frame not in numbers.get(video, np.empty(0)):
            raise damaged(path, made_by, f"video {video!r} has no frame {frame}")


def pictures_of(files: RunFiles, explained: Iterable[OfDetector]) -> Pairs:
    """Detectors and their pictures: see `picture_of`."""
    return [(one.detector, picture_of(files, one)) for one in explained]


def picture_of(files: RunFiles, listed: OfDetector | Moment | PicturedTrack | Sprite) -> str:
    """Its picture as the text of an <img>'s src; raises DamagedArtifactError."""
    return image_uri(files.explain / listed.picture, made_by="explain")


def image_uri(path: Path, made_by: str) -> str:
    """A JPEG or PNG file as the text of an <img>'s src; raises DamagedArtifactError for any other content."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise damaged(path, made_by, "it is missing") from None
    kind = next((kind for start, kind in FORMATS.items() if data.startswith(start)), None)
    if kind is None:
        raise damaged(path, made_by, "neither a PNG nor a JPEG")
    return data_uri(data, kind)
