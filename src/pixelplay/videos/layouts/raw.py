"""A video as a layout finds it on disk, before anything is decoded, and the listing that layouts share."""

from dataclasses import dataclass
from pathlib import Path

from pixelplay.videos.sources import VIDEO_SUFFIXES, ImageFolder, Source, VideoFile, natural_key
from pixelplay.videos.truth import LabelFile, PixelMasks


@dataclass(frozen=True)
class RawVideo:
    id: str
    split: str  # train | test | pseudo
    source: Source
    labels: LabelFile | None = None
    masks: PixelMasks | None = None
    tracks: Path | None = None


def list_videos(folder: Path, split: str, skip_suffix: str = "") -> list[RawVideo]:
    """Videos of a folder in natural order: each sub-folder of frames and each video file, named without its suffix.

    Hidden entries, other files, and folders that end in `skip_suffix` are passed over.
    Raises DataError for a folder without frames.
    """
    videos = []
    for entry in sorted(folder.iterdir(), key=lambda e: natural_key(e.name)):
        if entry.name.startswith(".") or (skip_suffix and entry.name.endswith(skip_suffix)):
            continue
        if entry.is_dir():
            videos.append(RawVideo(entry.name, split, ImageFolder.scan(entry)))
        elif entry.suffix.lower() in VIDEO_SUFFIXES:
            videos.append(RawVideo(entry.stem, split, VideoFile(entry)))
    return videos
