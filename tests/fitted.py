"""Every detector made small and fast, and fitted once for all tests: see `prepared` in conftest.py."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from omegaconf import OmegaConf
from tests.patchcore import save_backbone
from tests.pipeline import CPU, ROOT, shipped, trainer_config
from tests.recorded_moments import moments_of
from tests.small_videomae import SIDE, saved_videomae

from pixelplay.backbones.object_maps import neighbours
from pixelplay.cli import load_config
from pixelplay.detectors import registry
from pixelplay.detectors.base import Detector
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.stream import MomentScores, Stream, StreamFormat, Streams
from pixelplay.objects import boxes as box_tables
from pixelplay.objects.boxes import Boxes
from pixelplay.objects.features import writing
from pixelplay.objects.flow import flow_in_boxes
from pixelplay.objects.moments import Moment
from pixelplay.objects.tracks import Tracks, cropped
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Maps, Video, format_name

EXAMPLES = ROOT / "docs/examples"
WIDTH, HEIGHT, BOX = 96, 64, 20


@dataclass(frozen=True)
class Case:
    """A detector made small and fast.

    overrides: of its shipped configuration. rescored: changes of its scoring, which must change nothing that is
    learned. streams: beside its own. looks_ahead: whether later frames change scores that are not causal.
    """

    overrides: tuple[str, ...] = ()
    rescored: dict[str, Any] = field(default_factory=dict)
    streams: tuple[str, ...] = ()
    looks_ahead: bool = True


POOLINGS = ("mean", "max", "topk", "patch_max")
SMALL_AE = ("frames.height=16", "frames.width=16", "training.window=4", "training.widths=[4,8]", "scoring.patch=4")
SMALL_VIDEOMAE = (f"frames.height={SIDE}", f"frames.width={SIDE}", "scoring.stride=3")
SMALL_PATCHES = ("training.patches.image_size=64", "training.patches.channels=8")
SMALL_VIDEOPATCHCORE = ("training.clip=4", "training.stride=2", *SMALL_PATCHES)
SMALL_TEMPORAL_MAE = (
    *("training.window=4", "training.stride=2", "scoring.stride=3", "training.heads.contrastive.size=4"),
    *(f"training.transformer.{size}" for size in ("width=8", "depth=1", "heads=2", "feed_forward=8")),
    *("training.max_epochs=2", "training.warmup_epochs=1"),
)
SMALL_COMPLETION = ("training.cube.side=8", "training.every=1", "training.widths=[4,4]", "training.max_epochs=2")
CASES = {  # by the detector's name in configs/detector/, or in docs/examples/
    "conv_ae": Case(SMALL_AE, {"batch_size": 2, "pooling": "mean", "patch": 3, "topk": 0.5}, POOLINGS),
    "st_ae": Case(SMALL_AE, {"batch_size": 2}, POOLINGS),
    "videomae_profile": Case(
        (*SMALL_VIDEOMAE, "training.stride=2"),
        {"stride": 2, "batch_size": 2, "distance": "mahalanobis", "variance_floor": 0.5},
        ("mse", "mahalanobis"),
    ),
    "videomae_reconstruction": Case(
        (*SMALL_VIDEOMAE, "scoring.masks.count=4", "scoring.masks.ratio=0.75"),
        {"stride": 2, "batch_size": 2, "pooling": "top", "top": 0.5},
        ("mean", "top"),
    ),
    "videopatchcore": Case(
        (*SMALL_VIDEOPATCHCORE, "training.folds=2", "training.noise.share=0.5", "scoring.stride=2"),
        {"stride": 1, "batch_size": 5, "quantile": 0.5, "power": 1, "spatial_weight": 0.5, "local_weight": 0.5},
        ("spatial", "temporal", "global"),
    ),
    "temporal_mae": Case(
        SMALL_TEMPORAL_MAE,
        {"stride": 2, "batch_size": 2, "alpha": 0.2, "quantile": 0.5, "decay": 0.5},
        ("reconstruction", "embedding"),
    ),
    "object_motion": Case(
        rescored={"quantile": 0.5, "weights": {"magnitude": 0.0, "direction": 1.0}},
        streams=("magnitude", "direction"),
        looks_ahead=False,
    ),
    "object_appearance": Case(),
    "object_place": Case(("training.folds=2", "training.count=20"), looks_ahead=False),
    "object_class": Case(("training.folds=2",)),
    "event_completion": Case(
        SMALL_COMPLETION,
        {"batch_size": 3, "quantile": 0.5, "weights": {"appearance": 0.0, "motion": 1.0}},
        ("appearance", "motion"),
    ),
    "frame_difference": Case(rescored={"blur": 1.0}, looks_ahead=False),
    "next_frame": Case(("training.steps=3",), looks_ahead=False),
}


def random_weights(folder: Path) -> list[str]:
    """Overrides that name pretrained networks, which have random weights."""
    save_backbone(folder / "backbone.safetensors")
    backbone = ["weights.backbone=timm:test_resnet", f"weights.backbone_file={folder}/backbone.safetensors"]
    return [*backbone, f"weights.videomae={saved_videomae(folder / 'videomae')}"]


def config_of(name: str, weights: list[str]) -> DetectorConfig:
    example = EXAMPLES / f"configs/detector/{name}.yaml"
    if example.is_file():
        values = OmegaConf.merge(OmegaConf.load(example), OmegaConf.from_dotlist(list(CASES[name].overrides)))
        return DetectorConfig.model_validate(OmegaConf.to_container(values))
    return shipped(name, *CASES[name].overrides, run=weights)


@dataclass
class Fitted:
    """A detector that is fitted and saved once for all tests."""

    name: str
    config: DetectorConfig
    place: Path

    @cached_property
    def footage(self) -> list[Video]:
        return [self.video(f"fit{i}", *walk(16, i)) for i in range(2)]

    @cached_property
    def heldout(self) -> Heldout:
        """Footage for planting pseudo-anomalies, of which nothing may be learned, can't be read."""
        video = self.video("heldout", *walk(10, 3))
        gone = replace(video, folder=self.place / "gone", originals=None, objects=(), tracks=None, features=None)
        gone = replace(gone, crops=None, flow=None)
        return Heldout([video], [video], [gone])

    @cached_property
    def crossing(self) -> Video:
        return crossing(self, "crossing")

    @cached_property
    def online_scores(self) -> list[MomentScores]:
        """Of `crossing`, frame by frame."""
        return self.online(self.crossing)

    @cached_property
    def detector(self) -> Detector:
        """Loaded once, for tests of what it scores."""
        return self.loaded()

    @cached_property
    def folder(self) -> Path:
        """Where it is saved."""
        self.fitted("training").save(self.place / "saved")
        return self.place / "saved"

    def new(self, **scoring: Any) -> Detector:
        """An unfitted one, with changes of its scoring."""
        config = self.config.model_copy(update={"scoring": self.config.scoring | scoring})
        return registry.create(self.name, config, CPU)

    def fitted(self, folder: str, **scoring: Any) -> Detector:
        detector = self.new(**scoring)
        run = TrainingRun(self.name, trainer_config(max_epochs=1, loggers=[]), self.place / folder, CPU, 0)
        detector.fit(self.footage, self.heldout, run)
        return detector

    def loaded(self, **scoring: Any) -> Detector:
        detector = self.new(**scoring)
        detector.load(self.folder)
        return detector

    def video(self, name: str, frames: np.ndarray, boxes: np.ndarray, odd_from: int = 1000) -> Video:
        """A video with one track: see `of_tracks`. From frame `odd_from` on the boxes are another class's."""
        rows, ids = np.arange(len(frames)), np.ones(len(frames), np.int64)
        known = Boxes.of(rows, boxes, ["person"] * len(frames), ids)
        tracks = Tracks(known.position, known.xyxy, known.label, known.confidence, ids, ids == 0, rows)
        return self.of_tracks(name, frames, tracks, ["person" if t < odd_from else "bicycle" for t in rows])

    def of_tracks(self, name: str, frames: np.ndarray, tracks: Tracks, labels: list[str]) -> Video:
        """A video as `prepare`, `detect` and `extract` hand it to this detector; its frame numbers start at 10.

        labels: of the boxes that were detected, in their order.
        """
        folder = self.place / name
        folder.mkdir(parents=True, exist_ok=True)
        if form := self.config.frames:
            small = [cv2.resize(frame, (form.width, form.height), interpolation=cv2.INTER_AREA) for frame in frames]
            gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in small]
            np.save(folder / f"{format_name(form)}.npy", np.stack(gray if form.gray else small))
        count, table, found = len(frames), folder / "boxes.parquet", tracks[~tracks.interpolated]
        box_tables.save(Boxes.of(found.position, found.xyxy, labels, found.confidence), table)
        originals: Any = Frames(frames)
        video = Video(name, "test", np.arange(10, 10 + count), (WIDTH, HEIGHT), folder, originals=originals)
        return followed(replace(video, objects=(table,)), frames, tracks)

    def moments(self, video: Video) -> Iterator[Moment]:
        """What this detector gets of a video frame by frame."""
        formats = [self.config.frames] if self.config.frames else []
        needs = registry.specs()[self.config.algorithm].needs
        return moments_of(video, formats, needs)

    def stream(self, video: Video) -> Stream:
        detector = self.detector
        assert isinstance(detector, Streams)
        return detector.stream(StreamFormat(video.size, 25.0, video.id))

    def online(self, video: Video) -> list[MomentScores]:
        stream = self.stream(video)
        return [stream.step(moment) for moment in self.moments(video)]


def followed(video: Video, frames: np.ndarray, tracks: Tracks) -> Video:
    """With these tracks, maps of three channels, the colours in their boxes, the same of crops, and flow."""
    path, objects = video.folder / "tracks.parquet", load_config(["objects=default"]).objects
    box_tables.save(tracks, path)
    boxes = tracks.xyxy.astype(int).tolist()
    inside = (frames[t][y1:y2, x1:x2] for t, (x1, y1, x2, y2) in zip(tracks.position, boxes, strict=True))
    small = [cv2.resize(one, (3, 3), interpolation=cv2.INTER_AREA) for one in inside]
    colours = np.stack(small).transpose(0, 3, 1, 2) / 255
    video = replace(video, tracks=path)
    near = neighbours(tracks, cropped(video, objects.features.every, None))
    between = colours[near.before] + (colours[near.after] - colours[near.before]) * near.weight[:, None, None, None]
    flow = np.concatenate(list(flow_in_boxes(video, tracks, np.arange(len(frames)) / 25, objects.flow)))
    of_boxes = colours[~tracks.interpolated]
    stored = {"maps": (video.objects[0], of_boxes), "crops": (path, between), "flow": (path, flow)}
    for name, (table, values) in stored.items():
        dtype = np.float32 if name == "flow" else np.float16
        with writing(video.folder / f"{name}.npy", table, values.shape[1:], dtype) as writer:
            writer.extend(values.astype(dtype))
    every = {"maps": 1, "crops": objects.features.every, "flow": 1}
    found = {name: Maps(video.folder / f"{name}.npy", name == "maps", every[name]) for name in stored}
    return replace(video, features=found["maps"], crops=found["crops"], flow=found["flow"])


class Frames:
    """What `Video.originals` is in these tests: frames in memory, none of which was turned."""

    def __init__(self, frames: np.ndarray):
        self._frames = frames
        self.flipped = np.zeros(len(frames), bool)

    def frames(self) -> Iterator[np.ndarray]:
        return iter(self._frames)

    def block(self, start: int, stop: int) -> "Frames":
        return Frames(self._frames[start:stop])


def walk(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames, uint8 (T, H, W, 3), of a square that walks over a patterned ground, and its boxes, (T, 4)."""
    ground = np.random.default_rng(7).integers(40, 90, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    frames = np.repeat(ground.repeat(8, 0).repeat(8, 1)[None], count, axis=0)
    left, top = (np.arange(count) * 3 + 11 * seed) % (WIDTH - BOX), (4 + 9 * seed) % (HEIGHT - BOX)
    for frame, x in zip(frames, left, strict=True):
        frame[top : top + BOX, x : x + BOX] = (220, 140, 60)
    return frames, np.stack([left, np.full(count, top), left + BOX, np.full(count, top + BOX)], axis=1)


def crossing(case: Fitted, name: str, changed_from: int = 1000) -> Video:
    """A video with noisy and lost frames, whose objects come and go and are missed at times; from `changed_from` on
    its frames, boxes and classes are others.
    """
    frames, boxes = walk(18, 5)
    frames[4:, 40:56, 70:86] = (40, 90, 200)
    frames[13:] = frames[13:, :, :, ::-1]
    frames[changed_from:] = 255 - frames[changed_from:]
    rows = [  # position, track, box, interpolated, class
        *((t, 1, boxes[t], t in (5, 6, 9), "person") for t in range(1, 12)),
        *((t, 2, (70, 40, 86, 56), t == 10, "bicycle") for t in range(4, 13)),
        *((t, 7, boxes[t], False, "person") for t in range(13, 16)),  # and nothing in the last frames
    ]
    rows.sort(key=lambda row: row[:2])
    position, track, xyxy, interpolated, label = (np.array(column) for column in zip(*rows, strict=True))
    late = position >= changed_from
    xyxy[late] += [2, 1, 2, 1]
    label[late & ~interpolated] = "person"
    box = np.where(interpolated, -1, np.cumsum(~interpolated) - 1)
    sure = np.linspace(0.5, 0.9, len(rows)).astype(np.float32)
    tracks = Tracks(position, xyxy.astype(np.float32), label, sure, track, interpolated, box)
    video = case.of_tracks(name, frames, tracks, label[~interpolated].tolist())
    noise = np.where(np.isin(np.arange(18), [0, 6, 7, 14]), 20.0, 1.0).astype(np.float32)
    return replace(video, noise=noise, numbers=video.numbers + 3 * (np.arange(18) >= 8))
