"""Objects, step by step and together: frames a second from decoding to the scores of `object_motion` and
`object_appearance`, with feature maps of YOLO's pyramid and with more crops beside; and the room that maps take.

Crops go through an in-domain encoder of random weights, scores are distances to random normal objects.

Uses data/ped2 and cache/weights/yolov8n.pt where they are there, else the sample data set (run `./run_all.sh` once) and
moving blobs.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.results import medians, record
from pixelplay.backbones.in_domain import Encoder, as_backbone
from pixelplay.backbones.object_maps import ObjectMaps
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors.object_streams.models import Density, DensityConfig, fit_density
from pixelplay.objects import motion
from pixelplay.objects.boxes import save
from pixelplay.objects.features import writing
from pixelplay.objects.flow import flow_in_boxes
from pixelplay.objects.tracker import follow
from pixelplay.objects.tracks import Tracks, frame_times
from pixelplay.objects.yolo import Pooling, Yolo
from pixelplay.objects.yolo_weights import at_hand
from pixelplay.settings import validate
from pixelplay.training.device import autocast_bf16, find_device, keep_freed_memory
from pixelplay.videos.cache import FrameCache
from pixelplay.videos.layouts import read_dataset
from pixelplay.videos.video import Video

DETECT = "detect"
RNG = np.random.default_rng(0)
DATA = {"ped2": "Test004", "sample": "test_01"}  # experiment: the video, of data/<experiment>
EVERY = (1, 3, 6)
NORMAL = 10_000  # objects that are compared with
REPEATS = 3


def main() -> None:
    experiment = next(name for name in DATA if Path("data", name).is_dir())
    config = load_config([f"experiment={experiment}", f"dataset.root=data/{experiment}", "weights=in_domain"])
    device, weights = find_device("auto"), at_hand("yolov8n.pt", Path("cache/weights"))
    keep_freed_memory()
    bf16 = autocast_bf16("auto", device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = next(one for one in read_dataset(config.dataset) if one.id == DATA[experiment] and one.split == "test")
        video = FrameCache(folder).fill([raw], [config.objects.motion.frames], 1.0, 1)[0].video
        table = folder / "table"  # what maps belong to is told from its contents
        table.touch()
        contenders: dict[str, Callable[[], object]] = {"decode": lambda: sum(1 for _ in video.full_size())}
        if weights is None:
            boxes = motion.detect(video, config.objects.motion)
            contenders[DETECT] = partial(motion.detect, video, config.objects.motion)
        else:
            yolo = Yolo(weights, config.objects.yolo, device, bf16, folder)
            boxes = yolo.detect(video)
            contenders[DETECT] = partial(yolo.detect, video)
            contenders["detect, and RoI maps"] = partial(_pooled, yolo, video, folder / "yolo.npy", table)
        tracks = follow(boxes, video, config.objects.tracks)
        save(tracks, folder / "tracks.parquet")
        video = replace(video, tracks=folder / "tracks.parquet")
        times_of = frame_times(video, config.objects.tracks.fps)
        contenders["follow"] = partial(follow, boxes, video, config.objects.tracks)
        contenders["flow in boxes"] = lambda: sum(map(len, flow_in_boxes(video, tracks, times_of, config.objects.flow)))
        torch.manual_seed(0)
        encoder = Encoder(config.weights.encoder.widths).eval()
        for every in EVERY:
            chosen = config.objects.features.model_copy(update={"every": every})
            maps = ObjectMaps(as_backbone(encoder, bf16).to(device), chosen)
            contenders[_crops(every)] = partial(_cropped, maps, video, tracks, folder / f"{every}.npy", table)
        for name, size in {
            "scores of motion": 9,
            "scores of appearance": sum(config.weights.encoder.widths[2:]),
        }.items():
            contenders[name] = partial(_nearest(size, config).score, RNG.normal(size=(len(tracks), size)).astype("f4"))
        times = medians(contenders, REPEATS)
        steps = [DETECT, "follow", "flow in boxes", _crops(max(EVERY)), "scores of motion", "scores of appearance"]
        times["together: " + ", ".join(steps)] = sum(times[step] for step in steps)
        sizes = {"detect, and RoI maps": folder / "yolo.npy"}
        sizes |= {_crops(every): folder / f"{every}.npy" for every in EVERY}
        rows = [_row(one, len(video) / spent, sizes.get(one), len(video)) for one, spent in times.items()]
    record(
        "object_features",
        ["", "frames/s", "kB a frame"],
        rows,
        ["torch", "torchvision", *(["ultralytics"] if weights else [])],
        f"{experiment}/{video.id}: {len(video)} frames, {len(boxes):,} boxes, {len(tracks):,} rows of tracks; on "
        f"{device}, {torch.get_num_threads()} thread(s), {'bf16' if bf16 else 'fp32'}. Maps are written to files. "
        f"Median of {REPEATS}.",
    )


def _crops(every: int) -> str:
    return f"crops, every={every}"


def _nearest(size: int, config: Config) -> Density:
    settings = validate(DensityConfig, config.detectors["object_motion"].training["density"], "density")
    return fit_density(RNG.normal(size=(NORMAL, size)).astype("f4"), settings, {}, 0)


def _row(name: str, speed: float, file: Path | None, frames: int) -> list[str]:
    return [name, f"{speed:.1f}", f"{file.stat().st_size / frames / 1e3:.0f}" if file else "-"]


def _pooled(yolo: Yolo, video: Video, path: Path, table: Path) -> None:
    with writing(path, table, (yolo.channels, 3, 3)) as writer:
        yolo.detect(video, pooling=Pooling(3, writer.extend))


def _cropped(maps: ObjectMaps, video: Video, tracks: Tracks, path: Path, table: Path) -> None:
    with writing(path, table, (maps.channels, maps.config.cells, maps.config.cells)) as writer:
        for part in maps.of(video, tracks):
            writer.extend(part)
