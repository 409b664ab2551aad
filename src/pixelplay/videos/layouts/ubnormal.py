"""UBnormal (Acsintoae et al., CVPR 2022, arXiv 2111.08644): video files by scene, maps of all objects, track files.

Files and their meaning as in scripts/ of https://github.com/lilygeorgescu/UBnormal: readme.md, the lists of names, and
create_tracks_for_tbdc_rbdc.py, whose boxes these are. Of its training and validation videos, the abnormal ones and
those for validation are not used: nothing here learns from anomalies.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.image_file import decode, read_image
from pixelplay.videos.layouts.raw import RawVideo, list_videos
from pixelplay.videos.mask_files import Masks, encode
from pixelplay.videos.sources import Remark, natural_key
from pixelplay.videos.truth_files import (
    FrameLabels,
    LabelFile,
    TrackBoxes,
    TrackFile,
    first_frame,
    read_rows,
    read_text,
)

EXPECTED = """  SceneN/normal_scene_N_*.mp4    (a video file or a folder of frames)
  SceneN/abnormal_scene_N_*.mp4
  SceneN/<video>_annotations/    optional: <video>_tracks.txt, a line object_id,start,end for each anomaly, frames from
                                 0, and <video>_FFFF_gt.png, a map of object ids, for each frame
  normal_training_video_names.txt, normal_test_video_names.txt, abnormal_test_video_names.txt (or in scripts/)
  test_tracks/<video>.txt        optional: track_id,frame,x1,y1,x2,y2, frames from 0 (or .csv)"""
DOWNLOAD = (
    "https://github.com/lilygeorgescu/UBnormal has the link to it; its lists of names: "
    "curl -fL --create-dirs --remote-name-all https://raw.githubusercontent.com/lilygeorgescu/UBnormal/main/scripts/"
    "{normal_training,normal_test,abnormal_test}_video_names.txt --output-dir data/ubnormal"
)
MARKERS = ("Scene1",)
COUNTS_FROM = 0  # frames in track files and in the names of maps
LONGEST = 10_000_000  # frames; four days of video
LISTS = {"normal_training": "train", "normal_test": "test", "abnormal_test": "test"}


def read(root: Path) -> list[RawVideo]:
    scenes = sorted((path for path in root.glob("Scene*") if path.is_dir()), key=lambda path: natural_key(path.name))
    listed = chain.from_iterable(list_videos(scene, "", skip_suffix="_annotations") for scene in scenes)
    found = {video.id: video for video in listed}
    videos = []
    for name, split in LISTS.items():
        path, names = _names(root, name)
        if missing := [one for one in names if one not in found]:
            raise DataError(
                f"{path}: {len(missing)} of {len(names)} videos are not below {root}, {missing[0]}.mp4 for instance: "
                "put them there, or take them out of the list"
            )
        chosen = [replace(found[one], split=split, beside=()) for one in names]
        videos += chosen if split == "train" else [_with_truth(one, root, path) for one in chosen]
    others = len(found) - len({video.id for video in videos})
    remarks = [remark for video in found.values() for remark in video.beside]
    if others:
        remarks.append((root.name, f"{others} videos are in no list of normal training or test videos", "ignored"))
    return [replace(video, beside=tuple(remarks)) for video in videos[:1]] + videos[1:]


def track_file(video: RawVideo, path: Path) -> TrackFile:
    return TrackFile(path, COUNTS_FROM, first_frame(video.source, COUNTS_FROM, path))


def _names(root: Path, name: str) -> tuple[Path, list[str]]:
    """The file of a list, and the videos in it, in natural order."""
    places = [root / folder / f"{name}_video_names.txt" for folder in (".", "scripts")]
    path = next(filter(Path.exists, places), None)
    if path is None:
        raise DataError(f"{places[0]} is missing: it tells which videos are for what; {DOWNLOAD}")
    return path, sorted(set(read_text(path).split()), key=natural_key)


def _with_truth(video: RawVideo, root: Path, names: Path) -> RawVideo:
    """The video, normal throughout, or with labels, masks and tracks of its annotations, if there are any."""
    if video.id.startswith("normal"):
        none = np.empty(0, np.int64)
        return replace(video, labels=LabelFile(names, lambda: FrameLabels(names, none, none.astype(np.uint8), rest=0)))
    scene = video.id.split("_")[2]
    annotations = Annotations(root / f"Scene{scene}" / f"{video.id}_annotations", video.id)
    if not annotations.folder.is_dir():
        return video
    first = first_frame(video.source, COUNTS_FROM, annotations.folder)
    # decoders differ by single frames at the end of a video
    tracks = TrackFile(annotations.folder, COUNTS_FROM, first, whole=False, parse=lambda _: annotations.tracks())
    labels = LabelFile(annotations.file, partial(annotations.labels, first))
    return replace(video, labels=labels, masks=ObjectMasks(annotations, first), tracks=tracks)


@dataclass(frozen=True)
class Annotations:
    """The folder of a video's annotations."""

    folder: Path
    video: str

    @property
    def file(self) -> Path:
        """The file of the anomalies; corrected ones are called new, and win."""
        new = self.folder / f"{self.video}_new_tracks.txt"
        return new if new.exists() else self.folder / f"{self.video}_tracks.txt"

    def anomalies(self) -> list[tuple[int, int, int]]:
        """Object and first and last frame of each anomaly, by object; raises DataError with the line that is wrong."""
        found = []
        for line, cells in read_rows(self.file):
            try:
                values = [float(cell) for cell in cells]
            except ValueError:
                values = []
            whole = all(value.is_integer() and 0 <= value < LONGEST for value in values)
            if len(values) != 3 or not whole or values[1] > values[2]:
                raise DataError(
                    f"{self.file}, line {line}: {','.join(cells)[:80]!r}: must be object_id,start,end: whole numbers, "
                    "start at most end"
                )
            found.append((int(values[0]), int(values[1]), int(values[2])))
        return sorted(found, key=lambda one: one[0])

    def labels(self, first: int) -> FrameLabels:
        """A frame is anomalous if an anomaly lasts there; `first` is the number of the first frame."""
        frames = [np.arange(start, end + 1) for _, start, end in self.anomalies()]
        numbers = np.unique(np.concatenate([np.empty(0, np.int64), *frames])) + first
        return FrameLabels(self.file, numbers, np.ones(len(numbers), np.uint8), rest=0)

    def tracks(self) -> TrackBoxes:
        """A track for each anomaly: the box of its object's largest part in each frame; raises DataError."""
        anomalies, rows = self.anomalies(), []
        last = max((end for _, _, end in anomalies), default=-1)
        for frame in range(last + 1):
            lasting = [(track, one) for track, (one, start, end) in enumerate(anomalies) if start <= frame <= end]
            objects = self.objects(frame) if lasting else None
            for track, one in lasting:
                rows.append((track, frame, *self._box(objects == one, one, frame)))
        table = np.array(rows, np.int64).reshape(-1, 6)
        return TrackBoxes(table[:, 0], table[:, 1], table[:, 2:].astype(np.float64))

    def objects(self, frame: int) -> np.ndarray:
        """The map of one frame: at each pixel the object's id, 0 for none, uint8 (H, W)."""
        path = self.folder / f"{self.video}_{frame:04d}_gt.png"
        image = read_image(path, page=0)
        pixels = None if image.problem else decode(image.data, cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            raise DataError(f"{path}: {image.problem or 'cannot be decoded'}: a map of object ids is needed")
        return pixels

    def _box(self, mask: np.ndarray, one: int, frame: int) -> tuple[int, int, int, int]:
        """x1, y1, x2, y2 of the part of a mask, bool (H, W), with the largest box."""
        _, _, parts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        if len(parts) < 2:  # the background alone
            raise DataError(f"{self.file}: object {one} is not in the map of frame {frame}; do they belong together?")
        x, y, width, height, _ = max(parts[1:].tolist(), key=lambda part: part[2] * part[3])
        return x, y, x + width, y + height


@dataclass(frozen=True)
class ObjectMasks:
    """Masks of the objects of a video while they are anomalous."""

    annotations: Annotations
    first: int  # number of the frame that annotations call 0
    remarks: list[Remark] = field(default_factory=list, compare=False, repr=False)

    @property
    def path(self) -> str:
        return str(self.annotations.folder)

    def read(self, numbers: Iterable[int], size: tuple[int, int]) -> Masks:
        """Masks of the frames with these numbers, for `size` = (width, height); raises DataError."""
        anomalies = self.annotations.anomalies()
        return Masks(size, [encode(self._mask(int(number) - self.first, size, anomalies)) for number in numbers])

    def _mask(self, frame: int, size: tuple[int, int], anomalies: list[tuple[int, int, int]]) -> np.ndarray:
        lasting = [one for one, start, end in anomalies if start <= frame <= end]
        if not lasting:
            return np.zeros(size[::-1], bool)
        objects = self.annotations.objects(frame)
        if objects.shape != size[::-1]:
            raise DataError(
                f"{self.path}: the map of frame {frame} has height and width {objects.shape}, the frame {size[::-1]}"
            )
        return np.isin(objects, lasting)
