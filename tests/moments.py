"""Footage in which people walk, as files, and what recorded footage says of its moments: what streams must say, too."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from tests.recorded_moments import moments_of
from torch import nn
from torch.nn import functional as F

from pixelplay.backbones.frozen import Backbone
from pixelplay.backbones.object_maps import ObjectMaps
from pixelplay.cli import load_config
from pixelplay.detectors.stream import StreamFormat
from pixelplay.objects import boxes, motion, yolo
from pixelplay.objects.features import writing
from pixelplay.objects.flow import flow_in_boxes
from pixelplay.objects.moments import Moment
from pixelplay.objects.settings import ObjectsConfig
from pixelplay.objects.tracker import follow
from pixelplay.objects.tracks import Tracks, frame_times
from pixelplay.online.frame import Arrived
from pixelplay.online.perception import Models, Perception
from pixelplay.restoration.flip_network import FlipNetwork
from pixelplay.restoration.restore import restore
from pixelplay.settings import validate
from pixelplay.videos.cache import FrameCache
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Maps, Video

WIDTH, HEIGHT = 128, 96
SMALL = FrameFormat(height=32, width=32, gray=True)  # for judging flips, as in tests.street
COLOR = FrameFormat(height=24, width=40, gray=False)
BLOBS = FrameFormat(height=72, width=96, gray=True)
FORMATS = [SMALL, COLOR, BLOBS]
FPS = 25.0


def objects_config(**changes: object) -> ObjectsConfig:
    """The project's settings, of small frames and a short memory."""
    values = load_config(["experiment=sample"]).objects.model_dump()
    values["motion"].update(frames=BLOBS.model_dump(), background_frames=40, background_samples=8, close_px=3)
    values["features"].update(image_size=48, every=3, noise_above=8.0, batch_size=4)
    values["flow"].update(preset="ultrafast")
    values["tracks"].update(lost=0.4, fill=0.2)
    values["yolo"].update(image_size=64, max_boxes=20, batch_size=1, precision="fp32")
    return validate(ObjectsConfig, values | changes)


def walkers(count: int, seed: int = 0, walk: bool = True) -> np.ndarray:
    """Two people who walk to and fro through a scene that has a top and a bottom; at times both stand behind a pillar.

    uint8 (count, HEIGHT, WIDTH, 3). The scene is the same for all seeds.
    """
    patches = np.random.default_rng(7).normal(0, 1, (HEIGHT, WIDTH, 3))
    ground = 120 + 200 * cv2.GaussianBlur(patches, (0, 0), 5)
    ground[: HEIGHT // 3] -= 45
    rng = np.random.default_rng([1, seed])
    frames = np.repeat(ground[None], count, axis=0)
    phase = rng.integers(0, 90, 2)
    for t in range(count if walk else 0):
        for k, (row, colour) in enumerate([(34, (20, 30, 60)), (52, (225, 215, 240))]):
            x = int(4 + 104 - abs((2 + k) * (t + phase[k]) % 208 - 104))
            frames[t, row : row + 34, x : x + 14] = colour
        frames[t, :, 60:76] = ground[:, 60:76]
    frames += rng.normal(0, 1.5, frames.shape)
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def corrupted(frames: np.ndarray, seed: int = 0) -> np.ndarray:
    """With a sixth of the frames turned upside down, and others noisy."""
    rng = np.random.default_rng(seed)
    kind, result = rng.integers(0, 6, len(frames)), frames.copy()
    result[kind == 1] = result[kind == 1][:, ::-1]
    noisy = frames + rng.normal(0, 22, frames.shape)
    result[kind == 2] = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)[kind == 2]
    return result


def footage(folder: Path, name: str, frames: np.ndarray, split: str = "test") -> Video:
    """Frames as PNG files, prepared."""
    place = folder / split / name
    place.mkdir(parents=True)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(place / f"{number:04d}.png"), frame[..., ::-1])
    raw = RawVideo(name, split, ImageFolder.scan(place))
    return FrameCache(folder / "cache").fill([raw], FORMATS, 0.0, 1)[0].video


class Stages(nn.Module):
    """Two convolutions of random weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first = F.avg_pool2d(self.first(x).tanh(), 8)
        return first, F.avg_pool2d(self.second(first).tanh(), 2)


def object_maps(config: ObjectsConfig) -> ObjectMaps:
    backbone = Backbone("random", Stages(), [0.4] * 3, [0.3] * 3, bf16=False)
    return ObjectMaps(backbone, config.features.model_copy(update={"cells": 1}))


def recorded(video: Video, models: Models, network: FlipNetwork | None, references: list[np.ndarray]) -> Video:
    """Restored causally, with the tables that the stages make of the same models, of boxes that are found causally."""
    if models.judge is not None:
        video = restore(video, network, references, models.restore, FORMATS, causal=True).after
    folder, config, tables = video.restored or video.folder, models.objects, []
    if models.yolo is not None:
        table, maps = folder / "yolo.parquet", folder / "yolo.npy"
        with writing(maps, table, (models.yolo.channels, config.features.cells, config.features.cells)) as writer:
            pooling = yolo.Pooling(config.features.cells, writer.extend)
            boxes.save(models.yolo.detect(video, pooling=pooling), table)
        tables.append(table)
        video = replace(video, features=Maps(maps, by_box=True))
    if models.blobs:
        found = motion.detect(video, config.motion, causal=True, scenes=models.scenes.get(video.size, ()))
        boxes.save(found, folder / "motion.parquet")
        tables.append(folder / "motion.parquet")
    video = replace(video, objects=tuple(tables))
    every = follow(boxes.boxes_of(video), video, config.tracks)
    boxes.save(every, folder / "tracks.parquet")
    video, times = replace(video, tracks=folder / "tracks.parquet"), frame_times(video, FPS)
    with writing(folder / "flow.npy", folder / "tracks.parquet", (1 + config.flow.bins,), np.float32) as writer:
        for part in flow_in_boxes(video, every, times, config.flow):
            writer.extend(part)
    video = replace(video, flow=Maps(folder / "flow.npy", by_box=False))
    if models.backbone is not None:
        with writing(folder / "crops.npy", folder / "tracks.parquet", (models.backbone.channels, 1, 1)) as writer:
            for part in models.backbone.of(video, boxes.load(folder / "tracks.parquet", Tracks)):
                writer.extend(part)
        chosen = config.features
        video = replace(video, crops=Maps(folder / "crops.npy", False, chosen.every, chosen.noise_above))
    return video


def arriving(video: Video) -> list[Arrived]:
    """The frames of a prepared video as its files have them."""
    assert video.originals is not None
    read = video.originals.source.read(gray=True, color=True)
    return [Arrived(one.number, one.number / FPS, one.color, one.gray) for one in read]


def online(models: Models, frames: list[Arrived]) -> list[Moment]:
    perception = Perception(models, StreamFormat((frames[0].image.shape[1], frames[0].image.shape[0]), FPS))
    return [perception.step(frame) for frame in frames]


def expected(video: Video, models: Models) -> list[Moment]:
    """The moments of `recorded` footage."""
    return list(moments_of(video, FORMATS, models.needs, FPS))


def same_moment(one: Moment, other: Moment, places: float = 1e-6) -> None:
    """Raises AssertionError where two moments differ, but for when a track is known to have ended.

    places: relative and absolute difference that is allowed to what networks compute in other batches.
    """
    about = "position", "number", "noise", "flipped"
    assert [getattr(one, name) for name in about] == [getattr(other, name) for name in about]
    assert abs(one.seconds - other.seconds) < 1e-9
    assert np.array_equal(one.image, other.image)
    assert one.frames.keys() == other.frames.keys()
    for size, frame in one.frames.items():
        assert np.array_equal(frame, other.frames[size]), (one.position, size)
    for name in ("position", "track", "label", "interpolated", "box", "xyxy", "confidence"):
        assert getattr(one.tracks, name).tolist() == getattr(other.tracks, name).tolist(), (one.position, name)
    assert one.labels.tolist() == other.labels.tolist()
    for name in ("flow", "crops", "maps"):
        found, wanted = getattr(one, name), getattr(other, name)
        assert (found is None) == (wanted is None), name
        if found is not None:
            assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), (one.position, name)
            np.testing.assert_allclose(found, wanted, places, places, err_msg=f"{name} at {one.position}")
