"""What following boxes through time keeps of the anomalous regions, and how fast it is.

Uses Ped2's boxes by YOLOv8n: `./run_all.sh experiment=ped2 dataset.root=data/ped2 weights.yolo=yolov8n.pt` once. Its
labels are only measured with, nothing was chosen by them. Run: `python -m benchmarks tracks`.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.results import record
from pixelplay.cli import load_config
from pixelplay.errors import PixelPlayError
from pixelplay.metrics.truth import boxes_of as boxes_around
from pixelplay.metrics.truth import components
from pixelplay.objects.boxes import Boxes, boxes_of, iou, save
from pixelplay.objects.settings import TracksConfig
from pixelplay.objects.tables import with_objects
from pixelplay.objects.tracker import follow
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import load_index
from pixelplay.videos.truth import load_truth
from pixelplay.videos.video import Video

RUN = ["experiment=ped2", "weights.yolo=yolov8n.pt"]
OVERLAPS = (0.1, 0.5)  # IoU from which a region counts as covered
SURE = 0.25  # confidence of the boxes that most detectors used before there were tracks
OF_LIBRARY = {"high": 0.6, "begin": 0.7}  # the defaults of `trackers`


def main() -> None:
    config = load_config(RUN)
    try:
        index = with_objects(config, load_index(config), ["boxes"])
    except PixelPlayError as error:
        raise SystemExit(f"{error}\n{__doc__}") from None
    truth = load_truth(RunFiles.of(config).truth, "test", index.test)
    settings = config.objects.tracks
    rows = Rows()
    for video in index.test:
        masks = truth[video.id].masks
        regions = [boxes_around(components(masks.at(t))) if masks else np.zeros((0, 4)) for t in range(len(video))]
        found = boxes_of(video)
        rows.add(f"YOLOv8n's boxes of confidence {config.objects.yolo.confidence:g} and more", regions, found)
        rows.add(f"YOLOv8n's boxes of confidence {SURE:g} and more", regions, found[found.confidence >= SURE])
        tracks = follow(found, video, settings)
        rows.add("tracks, detected rows", regions, tracks[~tracks.interpolated])
        rows.add("tracks", regions, tracks)
        own = follow(found, video, settings.model_copy(update=OF_LIBRARY))
        rows.add("tracks, with the thresholds of `trackers`", regions, own)
    record(
        "tracks",
        ["of Ped2's test videos", "boxes per frame", *(f"regions covered at IoU {limit:g}" for limit in OVERLAPS)],
        rows.table,
        ["trackers", "numpy"],
        f"{rows.regions:,} anomalous regions in {rows.frames:,} frames. {_speed(index.test, settings)}",
    )


class Rows:
    """Covered regions and boxes, counted video by video."""

    def __init__(self) -> None:
        self._counts: dict[str, np.ndarray] = {}  # frames, regions, boxes, regions covered at each overlap

    def add(self, name: str, regions: list[np.ndarray], boxes: Boxes) -> None:
        # Of each region: the highest overlap with a box of its frame.
        best = [iou(around, boxes.block(t, t + 1).xyxy).max(axis=1, initial=0) for t, around in enumerate(regions)]
        covered = [int((np.concatenate(best) >= limit).sum()) for limit in OVERLAPS]
        one = np.array([len(regions), sum(map(len, regions)), len(boxes), *covered])
        self._counts[name] = self._counts.get(name, np.zeros_like(one)) + one

    @property
    def frames(self) -> int:
        return int(next(iter(self._counts.values()))[0])

    @property
    def regions(self) -> int:
        return int(next(iter(self._counts.values()))[1])

    @property
    def table(self) -> list[list[str]]:
        return [
            [name, f"{boxes / frames:.1f}", *(f"{one / regions:.3f}" for one in covered)]
            for name, (frames, regions, boxes, *covered) in self._counts.items()
        ]


def _speed(videos: list[Video], settings: TracksConfig) -> str:
    """Frames per second of one core: of the tracker, and of all that `extract` does with a video."""
    frames = sum(map(len, videos))
    found = [boxes_of(video) for video in videos]
    times = [time.process_time()]
    for boxes, video in zip(found, videos, strict=True):
        follow(boxes, video, settings)
    times.append(time.process_time())
    with tempfile.TemporaryDirectory() as folder:
        for video in videos:
            save(follow(boxes_of(video), video, settings), Path(folder) / f"{video.id}.parquet")
    alone, whole = frames / np.diff([*times, time.process_time()])
    return f"The tracker follows {alone:,.0f} frames/s of one core; `extract`, with its tables, {whole:,.0f}."
