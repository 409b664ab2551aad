"""VideoPatchCore in the tests: footage with a strange object in it, a small backbone, and runs of the stages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from tests.pipeline import CPU

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.detectors.videopatchcore import feature_store
from pixelplay.detectors.videopatchcore.detector import VideoPatchCore
from pixelplay.objects import tables
from pixelplay.run.files import RunFiles
from pixelplay.stages import detect, extract, fuse, prepare, score, train
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

NAME, FRAMES, WIDTH, HEIGHT, CLIP = "videopatchcore", 24, 96, 64, 4
STREAMS = [NAME, f"{NAME}/spatial", f"{NAME}/temporal", f"{NAME}/global"]


def write_video(folder: Path, seed: int, walks: bool = True, strange: range = range(0)) -> None:
    """A dark bar walks through the view; in the frames `strange` a chequered one, much brighter, goes with it."""
    folder.mkdir(parents=True)
    ground = cv2.GaussianBlur(np.random.default_rng(1).normal(120, 200, (HEIGHT, WIDTH)), (0, 0), 5)
    rows = 10 + 4 * seed
    for t in range(FRAMES):
        frame = ground.copy()
        if walks:
            frame[rows : rows + 24, 4 + 3 * t : 14 + 3 * t] -= 60
        if t in strange:
            board = np.indices((24, 24)).sum(axis=0) // 4 % 2 * 120
            frame[rows : rows + 24, 3 * t - 10 : 3 * t + 14] = 60 + board
        cv2.imwrite(str(folder / f"{t:03d}.png"), np.clip(frame, 0, 255).astype(np.uint8))


def remember(folder: Path) -> None:
    """Write footage of four training and two test videos, and run all stages in it; coresets take all, no noise."""
    for i in range(4):
        write_video(folder / f"data/train/{i}", seed=i)
    write_video(folder / "data/test/strange", seed=1, strange=range(11, 16))
    write_video(folder / "data/test/still", seed=0, walks=False)
    run_stages(folder)


def run_stages(folder: Path) -> None:
    """All that come before `evaluate`, with a backbone of random weights, in a folder that has the footage."""
    save_backbone(folder / "backbone.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage in (prepare, detect, extract, train, score, fuse):
            stage.run(config())


def save_backbone(path: Path, seed: int = 0) -> None:
    """timm's small network for tests, with random weights."""
    torch.manual_seed(seed)
    save_file(timm.create_model("test_resnet").state_dict(), path)


def options(*overrides: str) -> list[str]:
    small = ["objects.motion.frames.width=96", "objects.motion.frames.height=64", "trainer=tiny", "device=cpu"]
    run = ["experiment=folder", "dataset.root=data", "restore.flip=none", f"detector=[{NAME}]", "workers=1"]
    weights = ["weights.backbone=timm:test_resnet", "weights.backbone_file=backbone.safetensors"]
    settings = f"detectors.{NAME}.training"
    sizes = [f"{settings}.clip={CLIP}", f"{settings}.stride=2", f"{settings}.patches.image_size=64"]
    more = [f"{settings}.patches.channels=8", f"{settings}.noise.share=0", f"{settings}.folds=5"]
    more += [f"detectors.{NAME}.scoring.stride=2"]
    held = ["dataset.heldout.share=0.1", "dataset.heldout.gap=4"]
    return [*run, *held, *small, *weights, *sizes, *more, "trainer.precision=fp32", *overrides]


def config(*overrides: str) -> Config:
    return load_config(options(*overrides))


def footage(*overrides: str) -> Index:
    return tables.with_objects(config(), prepare.load_index(config(*overrides)), ["boxes", "tracks"])


def fresh(*overrides: str) -> VideoPatchCore:
    made = registry.create(NAME, config(*overrides).detectors[NAME], CPU)
    assert isinstance(made, VideoPatchCore)
    return made


def loaded(*overrides: str) -> VideoPatchCore:
    made = fresh(*overrides)
    made.load(RunFiles.of(config()).detector(NAME))
    return made


def interrupted_at(name: str) -> Callable[..., None]:
    """`store`, as if the run were killed when it comes to the folder of this name."""

    def store(*arguments: Any) -> None:
        if arguments[-1].name == name:
            raise KeyboardInterrupt
        feature_store.store(*arguments)

    return store


def stored(folder: Path) -> Path:
    """Features of the first video of the training that kept its intermediate results in a folder."""
    (found,) = folder.glob("features-*/00000")
    return found


def by_id(videos: list[Video], name: str) -> Video:
    return next(video for video in videos if video.id == name)
