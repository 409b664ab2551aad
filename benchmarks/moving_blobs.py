"""Moving blobs beside the boxes that a data set brings, or else those of YOLOv8n, on normal footage.

Groups of people are cut apart at their waists (`objects.motion.split`), or left as one blob. Uses training videos of
data/ped2 and of the sample (`./run_all.sh` once), where they are there. `python -m benchmarks.sample_boxes data/sample`
brings the sample's boxes; YOLOv8n's weights are downloaded to cache/weights/ if they are needed and not there. Run:
`python -m benchmarks moving_blobs`.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from benchmarks.results import record
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.objects import box_files, motion
from pixelplay.objects.boxes import Boxes, iou
from pixelplay.objects.yolo import Yolo
from pixelplay.objects.yolo_weights import get_weights
from pixelplay.videos.cache import FrameCache
from pixelplay.videos.layouts import read_dataset, roots

DATA = {"sample": Path("data/sample"), "ped2": Path("data/ped2")}  # experiment: root
WEIGHTS = "yolov8n.pt"
CONFIDENCE = 0.3  # of YOLO's boxes
OVERLAP = 0.5  # IoU of two boxes of one object
VIDEOS = 8  # of each data set


def main() -> None:
    rows = []
    for experiment, root in DATA.items():
        if root.is_dir():
            rows += [[root.name, *row] for row in compared(experiment, root)]
    if not rows:
        raise SystemExit(f"neither {' nor '.join(map(str, DATA.values()))} is there: run `./run_all.sh` once")
    record(
        "moving_blobs",
        ["footage", "boxes", "groups", "precision", "recall", "F1", "blobs per frame", "boxes per frame"],
        rows,
        ["opencv-python", "ultralytics"],
        f"Moving blobs against boxes, YOLOv8n's of confidence at least {CONFIDENCE:g}, at an IoU of {OVERLAP:g}, in "
        f"the first {VIDEOS} training videos; YOLO also sees people who stand still, blobs what it has no class for.",
    )


def compared(experiment: str, root: Path) -> list[list[str]]:
    """A row for each way to find blobs."""
    config = load_config([f"experiment={experiment}", f"dataset.root={root}", "weights=in_domain"])
    folders = roots(config.dataset)
    brought = box_files.box_files(folders)
    settings = config.objects.motion
    whole = settings.model_copy(update={"split": settings.split.model_copy(update={"valley": 0.0})})
    ways = {"cut apart": settings, "one blob": whole}
    raws = [raw for raw in read_dataset(config.dataset) if raw.split == "train"][:VIDEOS]
    counts = {way: np.zeros(3, np.int64) for way in ways}  # found together, blobs, boxes
    frames, network = 0, None if brought else yolo(config)
    with tempfile.TemporaryDirectory() as folder:
        for one in FrameCache(Path(folder)).fill(raws, [settings.frames], 0.0, 1):
            if network is None:
                seen = box_files.read_boxes(box_files.box_file(folders, "train", one.video.id), one.video)
            else:
                seen = network.detect(one.video)
                seen = seen[seen.confidence >= CONFIDENCE]
            frames += len(one.video)
            for way, how in ways.items():
                counts[way] += agreement(motion.detect(one.video, how), seen, len(one.video))
    rows = []
    for way, (both, blobs, boxes) in counts.items():
        figures = both / blobs, both / boxes, 2 * both / (blobs + boxes), blobs / frames, boxes / frames
        rows.append(["its own" if brought else "YOLOv8n's", way, *(f"{figure:.2f}" for figure in figures)])
    return rows


def yolo(config: Config) -> Yolo:
    weights = get_weights(WEIGHTS, config.paths.cache / "weights", download=True)
    return Yolo(weights, config.objects.yolo, torch.device("cpu"), False, config.paths.cache)


def agreement(blobs: Boxes, boxes: Boxes, frames: int) -> np.ndarray:
    """Pairs that overlap, each box in one at most; blobs; boxes: int64 (3,)."""
    pairs = 0
    for t in range(frames):
        one, other = (found.block(t, t + 1).xyxy for found in (blobs, boxes))
        alike = iou(one, other) >= OVERLAP
        pairs += int(alike[linear_sum_assignment(alike, maximize=True)].sum())
    return np.array([pairs, len(blobs), len(boxes)])
