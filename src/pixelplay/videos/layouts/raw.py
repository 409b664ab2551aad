"""A video as a layout finds it on disk, before anything is decoded, and the listing that layouts share."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pixelplay.errors import DataError
from pixelplay.videos.image_file import IMAGE_SUFFIXES
from pixelplay.videos.image_folder import TIFF_SUFFIXES, ImageFolder, printable, require_utf8
from pixelplay.videos.mask_files import MaskSource
from pixelplay.videos.sources import VIDEO_SUFFIXES, Remark, Source, natural_key
from pixelplay.videos.truth_files import LabelFile, TrackFile
from pixelplay.videos.video import video_file

TRACK_SUFFIXES = (".csv", ".txt")


@dataclass(frozen=True)
class RawVideo:
    id: str
    split: str  # train | test | pseudo
    source: Source
    labels: LabelFile | None = None
    masks: MaskSource | None = None
    tracks: TrackFile | None = None
    beside: tuple[Remark, ...] = ()  # of a folder's first video: what else is in the folder


def list_videos(folder: Path, split: str, skip_suffix: str | tuple[str, ...] = ()) -> list[RawVideo]:
    """Videos of a folder in natural order: folders of frames, video files, and TIFFs of several pages.

    Hidden entries and those that end in `skip_suffix` are ignored silently, other files with a remark. Raises DataError
    for a folder without frames or a name that is not UTF-8.
    """
    videos: list[RawVideo] = []
    others: list[Remark] = []
    entries = (e for e in folder.iterdir() if not e.name.startswith(".") and not e.name.endswith(skip_suffix))
    for entry in sorted(entries, key=lambda e: natural_key(e.name)):
        source: Source | None = None
        if entry.is_dir() or entry.suffix.lower() in VIDEO_SUFFIXES:
            require_utf8(entry.parent, [entry.name])
            source = ImageFolder.scan(entry) if entry.is_dir() else video_file(entry)
        elif entry.suffix.lower() in TIFF_SUFFIXES:
            source = ImageFolder.of_pages(entry)
        if source is None:
            others.append((printable(entry.name), "neither a video file nor a folder of frames", "ignored"))
        else:
            videos.append(RawVideo(entry.name if entry.is_dir() else entry.stem, split, source))
    return [replace(video, beside=tuple(others)) for video in videos[:1]] + videos[1:]


def find_videos(path: Path) -> list[RawVideo]:
    """A video file; a folder of frames; or a folder of several of these: as the layout `folder` has its test videos.

    A folder holds frames where it has more images than videos and folders; what else is in it is remarked on. Raises
    DataError where there is no video.
    """
    if path.is_dir():
        entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
        several = [entry for entry in entries if entry.is_dir() or entry.suffix.lower() in VIDEO_SUFFIXES]
        images = [entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES and entry not in several]
        stacks = [entry for entry in images if _is_stack(entry)]
        if len(images) - len(stacks) > len(several) + len(stacks):
            return [RawVideo(path.name, "test", ImageFolder.scan(path))]
        if videos := list_videos(path, "test"):
            return videos
        problem = f"none of its {len(entries)} files is a video, a folder of frames or an image" if entries else "empty"
    elif not os.path.lexists(path):
        problem = "no such file or folder"
    elif path.suffix.lower() in VIDEO_SUFFIXES:
        return [RawVideo(path.stem, "test", video_file(path))]
    elif _is_stack(path) and (pages := ImageFolder.of_pages(path)):
        return [RawVideo(path.stem, "test", pages)]
    else:
        problem = "not a video"
    kinds = " ".join(sorted(VIDEO_SUFFIXES))
    raise DataError(f"{path}: {problem}. Name a video file ({kinds}), a folder of frames, or a folder of such")


def _is_stack(path: Path) -> bool:
    """Whether it is a TIFF of several pages."""
    return path.suffix.lower() in TIFF_SUFFIXES and ImageFolder.of_pages(path) is not None


def with_tracks(
    videos: list[RawVideo], folder: Path, track_file: Callable[[RawVideo, Path], TrackFile]
) -> list[RawVideo]:
    """The videos, test videos with the file of their anomalous tracks in a folder, `<video>.csv` or `.txt`.

    `track_file` is the layout's. Leading zeros may be missing: 1.txt belongs to video 01. A file without a video is
    ignored. Raises DataError for two files of one video, and for a folder without a file of any test video.
    """
    tests = [video for video in videos if video.split == "test"]
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix.lower() not in TRACK_SUFFIXES or path.name.startswith("."):
            continue
        other = files.setdefault(unpadded(path.stem), path)
        if other is not path:
            raise DataError(f"{folder}: {other.name} and {path.name} are tracks of one video; keep one")
    found = {video.id: files[unpadded(video.id)] for video in tests if unpadded(video.id) in files}
    if files and not found:
        raise DataError(
            f"{folder}: {min(files.values()).name} and all others belong to no test video; call each after its video: "
            f"{tests[0].id}.csv or {tests[0].id}.txt, for instance"
        )
    return [replace(v, tracks=track_file(v, found[v.id])) if v.split == "test" and v.id in found else v for v in videos]


def unpadded(name: str) -> str:
    """01 as 1."""
    return str(int(name)) if name.isdecimal() else name
