"""YOLOv8n in PyTorch, OpenVINO and ONNX Runtime: frames a second, and how far the boxes are from PyTorch's in float32.

Uses data/ped2, data/avenue_mini where it is there, and cache/weights/yolov8n.pt. Run: `python -m benchmarks
yolo_backends`, on Linux.
"""

import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from benchmarks.results import rates, record
from pixelplay.cli import load_config
from pixelplay.objects.boxes import Boxes, iou
from pixelplay.objects.settings import YoloConfig
from pixelplay.objects.yolo import Yolo
from pixelplay.objects.yolo_weights import at_hand
from pixelplay.training.device import autocast_bf16, keep_freed_memory
from pixelplay.videos.cache import FrameCache
from pixelplay.videos.layouts import read_dataset
from pixelplay.videos.video import Video

FOOTAGE = {"ped2": (Path("data/ped2"), 60), "pixelplay26": (Path("data/avenue_mini"), 20)}  # experiment: root, frames
CPU = torch.device("cpu")
CONTENDERS = [("torch", False), ("torch", True), ("openvino", False), ("openvino", True), ("onnx", False)]  # bf16
SURE = 0.1  # least confidence of boxes that are compared with all of the other backend, from `confidence` up
OVERLAP = 0.5  # IoU of a box and its partner, which is of the same class
REPEATS = 3


def main() -> None:
    weights = at_hand("yolov8n.pt", Path("cache/weights"))
    if weights is None or not FOOTAGE["ped2"][0].is_dir():
        raise SystemExit(f"no data/ped2 or no cache/weights/yolov8n.pt\n{__doc__}")
    keep_freed_memory()
    config = load_config(["experiment=ped2"]).objects.yolo
    with tempfile.TemporaryDirectory() as name:
        videos = {root.name: _start(key, root, n, Path(name)) for key, (root, n) in FOOTAGE.items() if root.is_dir()}
        rows, density = measured(weights, config, list(videos.values()), Path(name))
    columns = ("px, median / largest", "confidence, median / largest", "without a partner, a frame")
    footage = ", ".join(f"{name}/{video.id}: {len(video)} frames" for name, video in videos.items())
    record(
        "yolo_backends",
        ["", "frames/s of one core", "frames/s, two cores", *(f"{name}: {one}" for name in videos for one in columns)],
        rows,
        ["torch", "ultralytics", "openvino", "onnxruntime"],
        f"{footage}, at {config.image_size} pixels, {config.batch_size} frames a batch; speed on the first of them, of "
        "one core in seconds of CPU time, of two on the clock while the machine's load was "
        f"{os.getloadavg()[1]:.1f}; medians of {REPEATS}, in turns. Boxes of confidence {SURE:g} and more ({density} a "
        "frame) beside those of torch in fp32, either way; partners have the same class and an IoU of at least "
        f"{OVERLAP:g}.",
    )


def measured(weights: Path, config: YoloConfig, videos: list[Video], folder: Path) -> tuple[list[list[str]], str]:
    """A row for each contender, timed on the first of the videos; and how many boxes a frame are compared."""
    native = autocast_bf16("auto", CPU)
    contenders = [(backend, bf16) for backend, bf16 in CONTENDERS if native or not bf16]
    speeds, yolos = {}, {}
    for cores in (1, 2):
        os.sched_setaffinity(0, range(cores))
        torch.set_num_threads(cores)  # the others count the cores that they may use when they load a network
        for backend, bf16 in contenders:
            chosen = config.model_copy(update={"backend": backend})
            yolos[backend, bf16] = Yolo(weights, chosen, CPU, bf16, folder)
        calls = {one: partial(yolo.detect, videos[0]) for one, yolo in yolos.items()}
        speeds[cores] = rates(calls, REPEATS)
    found = {one: [yolo.detect(video) for video in videos] for one, yolo in yolos.items()}
    reference = found["torch", False]
    rows = []
    for backend, bf16 in contenders:
        fps = [len(videos[0]) * one for one in (speeds[1][backend, bf16][0], speeds[2][backend, bf16][1])]
        apart = [text for a, b in zip(reference, found[backend, bf16], strict=True) for text in difference(a, b)]
        rows.append([f"{backend}, {'bf16' if bf16 else 'fp32'}", *(f"{one:.1f}" for one in fps), *apart])
    sure = [len(boxes[boxes.confidence >= SURE]) / len(video) for boxes, video in zip(reference, videos, strict=True)]
    return rows, ", ".join(f"{one:.1f}" for one in sure)


def _start(experiment: str, root: Path, frames: int, folder: Path) -> Video:
    """The first frames of the first test video."""
    config = load_config([f"experiment={experiment}", f"dataset.root={root}", "weights=in_domain"])
    raw = next(one for one in read_dataset(config.dataset) if one.split == "test")
    return FrameCache(folder).fill([raw], [], 1.0, 1)[0].video.block(0, frames)


def difference(one: Boxes, other: Boxes) -> list[str]:
    """Of the sure boxes of each to all of the other: pixels, confidence, boxes without a partner in a frame."""
    pixels, confidence, alone, frames = [], [], 0, int(one.position.max()) + 1
    for a, b in ((one, other), (other, one)):
        for t in range(frames):
            mine, theirs = a.block(t, t + 1), b.block(t, t + 1)
            mine = mine[mine.confidence >= SURE]
            alike = np.where(mine.label[:, None] == theirs.label[None], iou(mine.xyxy, theirs.xyxy), 0)
            rows, columns = linear_sum_assignment(alike, maximize=True)
            paired = alike[rows, columns] >= OVERLAP
            mine, theirs, alone = mine[rows[paired]], theirs[columns[paired]], alone + len(mine) - int(paired.sum())
            pixels.append(np.abs(mine.xyxy - theirs.xyxy).max(axis=1))
            confidence.append(np.abs(mine.confidence - theirs.confidence))
    figures = [np.concatenate(values) for values in (pixels, confidence)]
    return [*(f"{np.median(one):.2g} / {one.max():.2g}" for one in figures), f"{alone / 2 / frames:.2f}"]


if __name__ == "__main__":
    main()
