"""Flipped frames found on held-out real footage: by the network, by the video's background, and by both voting.

Whole videos are held out (of Ped2 one in five; of Avenue-mini each in turn). Their frames are turned and made noisy
independently of each other, in full size and colour, and stored as JPEG, as the competition's were. Uses data/ped2 and
data/avenue_mini where they are there, else the sample data set (run `./run_all.sh` once).
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks.results import record
from pixelplay.cli import load_config
from pixelplay.restoration.background import backgrounds
from pixelplay.restoration.flip_network import FlipNetwork, train
from pixelplay.restoration.restore import judge
from pixelplay.restoration.settings import RestoreConfig
from pixelplay.videos.cache import FrameCache
from pixelplay.videos.corruption import corrupt, draw_kinds, noise_level
from pixelplay.videos.index import hold_out
from pixelplay.videos.layouts import read_dataset
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.settings import DatasetConfig
from pixelplay.videos.video import Video, format_name

DATA = {"ped2": Path("data/ped2"), "pixelplay26": Path("data/avenue_mini")}  # experiment: root
UNCORRUPTED = ("ped2",)  # whose test frames are as they were filmed
FLIPS = (0.5, 0.1)  # the hardest share for a video's own background, and the competition's
JUDGES = {  # what stands in the table: restore.flip, and whether training footage shows which way is up
    "network": ("network", True),
    "background, the video's own": ("background", False),
    "background and references": ("background", True),
    "both": ("both", True),
}
JPEG_QUALITY = 95


def main() -> None:
    present = {name: root for name, root in DATA.items() if root.is_dir()} or {"sample": Path("data/sample")}
    parts = []
    for experiment, root in present.items():
        config = load_config([f"experiment={experiment}", f"dataset.root={root}", "weights=in_domain"])
        with tempfile.TemporaryDirectory() as folder:
            tables = judged_frames(config.dataset, config.restore, Path(folder))
            parts += [table.assign(footage=root.name) for table in tables]
    frames = pd.concat(parts)
    corrupted = frames[frames.share.notna()]
    noise = corrupted.groupby("kind")["level"].agg(["min", "median", "max"])
    record(
        "flips",
        ["footage", "judge", *(f"{f:.0%} flipped, {which}" for f in FLIPS for which in ("all", "noisy")), "wrong"],
        [[*key, *table_row(part)] for key, part in frames.groupby(["footage", "judge"], sort=False)],
        ["torch", "opencv-python", "numpy"],
        f"Balanced accuracy on held-out training videos: of all frames ({len(corrupted) // 2 // len(JUDGES):,}), and "
        "of the noisy ones; wrong: uncorrupted test frames that were judged flipped. Estimated "
        "noise level by added noise, smallest / median / largest: "
        + "; ".join(
            f"{kind} {row['min']:.1f} / {row['median']:.1f} / {row['max']:.1f}" for kind, row in noise.iterrows()
        )
        + ".",
    )


def judged_frames(dataset: DatasetConfig, config: RestoreConfig, folder: Path) -> Iterator[pd.DataFrame]:
    """A row per judge and frame; `share` of flipped frames in the video, none for uncorrupted footage."""
    raws = read_dataset(dataset)
    cached = [one.video for one in FrameCache(folder / "clean").fill(raws, [config.frames], 0.0, 1)]
    raw = {raw.id: raw for raw in raws if raw.split == "train"}
    rng = np.random.default_rng(0)
    for number, (fit, held) in enumerate(folds([v for v in cached if v.split == "train"], dataset)):
        network = train(fit, held, config, folder / "network", seed=number)
        references = backgrounds(fit, config.frames)
        for video in held:
            for share in FLIPS:
                worse, table = make_worse(raw[video.id], share, config, folder / f"{share}" / video.id, rng)
                yield from (table.assign(share=share, **judged(worse, network, references, config, j)) for j in JUDGES)
    if dataset.name in UNCORRUPTED:
        for video in (v for v in cached if v.split == "test"):
            table = pd.DataFrame({"share": np.nan, "flipped": np.zeros(len(video), bool)})
            yield from (table.assign(**judged(video, network, references, config, j)) for j in JUDGES)


def folds(videos: list[Video], dataset: DatasetConfig) -> Iterator[tuple[list[Video], list[Video]]]:
    """(to fit, held out): whole videos in either; each in turn where the data set would share out blocks of time."""
    if len(videos) >= dataset.heldout.min_videos:
        fit, held = hold_out(videos, dataset.heldout)
        yield fit, list(held)
    else:
        yield from (([v for v in videos if v is not held], [held]) for held in videos)


def make_worse(
    raw: RawVideo, share: float, config: RestoreConfig, folder: Path, rng: np.random.Generator
) -> tuple[Video, pd.DataFrame]:
    """The video with this share of its frames flipped and the configured shares noisy, and what was done."""
    small, rows, quality = [], [], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    noise = config.corruption.model_copy(update={"flip": 0.0, "missing": 0.0})
    for frame in raw.source.read(gray=False, color=True):
        image = frame.color[..., 0] if np.ptp(frame.color, axis=2).max() == 0 else frame.color
        flipped, [kind] = rng.random() < share, draw_kinds(1, noise, rng)
        image = corrupt(image[::-1] if flipped else image, kind, noise, rng)
        _, jpeg = cv2.imencode(".jpg", image[..., ::-1] if image.ndim == 3 else image, quality)
        gray = cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)
        rows.append({"kind": kind, "level": noise_level(gray), "flipped": flipped})
        small.append(cv2.resize(gray, (config.frames.width, config.frames.height), interpolation=cv2.INTER_AREA))
    folder.mkdir(parents=True)
    np.save(folder / f"{format_name(config.frames)}.npy", np.stack(small))
    height, width = gray.shape
    return Video(raw.id, raw.split, np.arange(len(small)), (width, height), folder), pd.DataFrame(rows)


def judged(
    video: Video, network: FlipNetwork, references: list[np.ndarray], config: RestoreConfig, name: str
) -> dict[str, object]:
    flip, with_references = JUDGES[name]
    settings = config.model_copy(update={"flip": flip})
    return {"judge": name, "judged": judge(video, network, references if with_references else [], settings)[1]}


def table_row(frames: pd.DataFrame) -> list[str]:
    cells = []
    for share in FLIPS:
        some = frames[frames.share == share]
        cells += [f"{balanced_accuracy(part):.4f}" for part in (some, some[some.kind != "none"])]
    untouched = frames[frames.share.isna()]
    return [*cells, f"{untouched.judged.sum()} of {len(untouched):,}" if len(untouched) else "-"]


def balanced_accuracy(frames: pd.DataFrame) -> float:
    return (frames.judged == frames.flipped).groupby(frames.flipped).mean().mean()
