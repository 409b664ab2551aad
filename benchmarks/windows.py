"""16-frame windows, stride 2, 128x128 grey, from JPEGs: the frame cache against decoding each window's frames.

The peer is a PyTorch Dataset that decodes the 16 frames of each window with OpenCV, with as many worker processes as
there are cores. Uses data/avenue_mini where it is there, else the sample data set (run `./run_all.sh` once).
"""

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.results import medians, record
from pixelplay.cli import load_config
from pixelplay.training.clips import Clips, OrderedBatches, loader
from pixelplay.videos.cache import FrameCache
from pixelplay.videos.layouts import read_dataset
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.windows import windows

FORMAT = FrameFormat(height=128, width=128, gray=True)
LENGTH, STRIDE, BATCH, REPEATS = 16, 2, 16, 3


class DecodedWindows(Dataset[torch.Tensor]):
    """The peer: every window decodes its own frames."""

    def __init__(self, videos: list[RawVideo]):
        self._windows = [
            [str(files[p]) for p in row]
            for video in videos
            for files in [video.source.files()]
            for row in windows(len(files), LENGTH, STRIDE)
        ]

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, item: int) -> torch.Tensor:
        return torch.from_numpy(np.stack([read_small(path) for path in self._windows[item]]))


def read_small(path: str) -> np.ndarray:
    image = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    assert image is not None, path
    return cv2.resize(image, (FORMAT.width, FORMAT.height), interpolation=cv2.INTER_AREA)


def main() -> None:
    mini = Path("data/avenue_mini")
    options = ["experiment=pixelplay26", f"dataset.root={mini}"] if mini.is_dir() else ["experiment=sample"]
    config = load_config(options)
    videos = read_dataset(config.dataset)
    files = [str(path) for video in videos for path in video.source.files()]
    cores = os.cpu_count() or 1
    peer = DataLoader(DecodedWindows(videos), batch_size=BATCH, num_workers=cores)
    folder = Path(tempfile.mkdtemp(prefix="pixelplay-windows-"))

    def decode_chunk(paths: list[str]) -> None:
        for path in paths:
            image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE)
            cv2.resize(image, (FORMAT.width, FORMAT.height), interpolation=cv2.INTER_AREA)

    def decode_alone() -> None:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(decode_chunk, [files[i : i + 64] for i in range(0, len(files), 64)]))

    def fill(place: Path) -> Clips:
        cached = FrameCache(place).fill(videos, [FORMAT], 0.0, cores)
        return Clips([one.video for one in cached], FORMAT, LENGTH, STRIDE)

    def read_all(clips: Clips) -> None:
        for batch in loader(clips, OrderedBatches(len(clips), BATCH), torch.device("cpu")):
            assert batch.shape[1:] == (LENGTH, FORMAT.height, FORMAT.width)

    def first_pass() -> None:
        shutil.rmtree(folder / "new", ignore_errors=True)
        read_all(fill(folder / "new"))

    try:
        cv2.setNumThreads(1)  # one thread each for workers, pool and cache: the cores are what is shared out
        kept = fill(folder / "kept")
        times = medians(
            {
                "decoding per window": lambda: [None for _ in peer],
                "decode + resize alone": decode_alone,
                "first pass": first_pass,
                "from the cache": lambda: read_all(kept),
            },
            REPEATS,
        )
    finally:
        shutil.rmtree(folder)
    count, base = len(kept), times["decoding per window"]
    rows = [
        [name, f"{t:.2f}", f"{count / t:,.0f}", f"{base / t:.1f}x"]
        for name, t in times.items()
        if name != "decode + resize alone"
    ]
    alone = times["decode + resize alone"]
    rows.append(["decode + resize of each frame once, no windows", f"{alone:.2f}", "-", "-"])
    share = alone / times["first pass"]
    record(
        "windows",
        ["", "seconds", "windows/s", "against the peer"],
        rows,
        ["opencv-python", "torch", "numpy"],
        f"{count:,} windows of {len(files):,} JPEGs of {config.dataset.name} ({cores} workers or threads each, "
        f"median of {REPEATS}). The first pass (decode, resize, store, read every window) runs at {share:.0%} of the "
        "speed of decoding and resizing alone.",
    )
