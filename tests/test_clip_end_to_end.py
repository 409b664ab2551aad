"""CLIP's RN101 through the whole pipeline, and its features against open_clip's own preprocessing and network.

Its weights are random: what is tested is that each image reaches the real network as open_clip would bring it there.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.footage import followed
from tests.test_backbones import photo, with_random_norms
from tests.test_patch_features import literal_maps
from torch import nn
from torch.nn import functional as F

from pixelplay.backbones.pretrained import BackboneConfig, load_backbone
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors.videopatchcore.clip_features import PatchFeatures, PatchSettings
from pixelplay.detectors.videopatchcore.descriptors import temporal_pyramid
from pixelplay.objects.tracks import Tracks
from pixelplay.run.artifacts import read_json
from pixelplay.run.files import RunFiles
from pixelplay.scores.submission import validate
from pixelplay.stages import detect, extract, fuse, prepare, score, train
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.video import Originals, Video

NAME, CLIP, SIDE = "videopatchcore", 4, 224
Clip = tuple[nn.Module, Callable[[Image.Image], torch.Tensor], Path]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory):
    """RN101 as open_clip makes it, its own preprocessing, and a checkpoint of all of its weights."""
    torch.manual_seed(0)
    network, _, preprocess = open_clip.create_model_and_transforms("RN101", pretrained=None)
    with_random_norms(network, network.encode_image).half().float()
    path = tmp_path_factory.mktemp("clip") / "open_clip_model.safetensors"
    save_file({name: value.half() for name, value in network.state_dict().items()}, path)  # 240 MB
    yield network, preprocess, path
    path.unlink()


def settings(clip: Clip, *overrides: str) -> Config:
    """`tiny` with fewer frames, and small crops of half as many clips."""
    frames = ["train_videos=3", "test_videos=2", "min_frames=20", "max_frames=24"]
    cheap = ["training.patches.image_size=64", "scoring.stride=10"]
    return load_config(
        [
            *("experiment=tiny", f"detector=[{NAME}]", "device=cpu", "workers=1", "trainer.precision=fp32"),
            "dataset.heldout.gap=10",
            *("weights.backbone=clip_rn101", f"weights.backbone_file={clip[2]}"),
            *(f"dataset.sample.{setting}" for setting in frames),
            *(f"detectors.{NAME}.{setting}" for setting in cheap),
            *overrides,
        ]
    )


def test_rn101_runs_from_the_footage_to_a_valid_submission(clip: Clip, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = settings(clip)
    for stage in (prepare, detect, extract, train, score, fuse):
        stage.run(config)
        assert stage.pending(config) is None
    files, index = RunFiles.of(config), prepare.load_index(config)
    bank = read_json(files.detector(NAME) / "global.json", made_by="train")
    assert bank["features"]["backbone"] == "clip_rn101"
    scores = pd.read_parquet(files.scores(NAME)).query("split == 'test'")
    assert sorted(scores["stream"].unique()) == [NAME, *(f"{NAME}/{s}" for s in ("global", "spatial", "temporal"))]
    frames = sum(map(len, index.test))
    for _, rows in scores.groupby("stream"):
        assert len(rows) == frames and np.isfinite(rows["score"]).all() and rows["score"].nunique() > 1
    ids = [f"{video.id.lstrip('0')}_{number}" for video in index.test for number in video.numbers]
    assert validate(files.submission, ids) == []


# --- features of files, against open_clip ----------------------------------------------------------------------------


def saved_video(folder: Path, size: tuple[int, int]) -> tuple[Video, list[Image.Image]]:
    """A photograph that moves, in colours that can't stand in for each other, as PNG files and as PIL has it."""
    folder.mkdir()
    images = []
    for t in range(CLIP):
        image = Image.fromarray(np.roll(np.array(photo(max(size)))[: size[1], : size[0]], 9 * t, axis=1))
        image.save(folder / f"{t:03d}.png")
        images.append(Image.open(folder / f"{t:03d}.png"))
    originals = Originals.of(ImageFolder.scan(folder), size, np.ones(CLIP, bool))
    return Video("a", "train", np.arange(CLIP), size, folder, originals=originals), images


def ours(clip: Clip, video: Video, tracks: Tracks) -> dict[str, torch.Tensor]:
    config = settings(clip, f"detectors.{NAME}.training.patches.image_size={SIDE}", "objects.tubes.enlarge=1.0")
    training = config.detectors[NAME].training
    patches, backbone = PatchSettings(**training["patches"]), BackboneConfig(**training["backbone"])
    features = PatchFeatures(load_backbone(backbone, bf16=False), patches, config.objects.tubes, batch=8)
    (one,) = features.clips(video, tracks, np.arange(CLIP)[None], False)
    return {stream: torch.from_numpy(vectors) for stream, vectors in one.vectors.items()}


def theirs(clip: Clip, images: list[Image.Image]) -> list[torch.Tensor]:
    """layer2 and layer3 of the whole network after open_clip's preprocessing."""
    network, preprocess, _ = clip
    stages: list[torch.Tensor] = []
    layers = (network.visual.layer2, network.visual.layer3)
    hooks = [layer.register_forward_hook(lambda layer, inputs, output: stages.append(output)) for layer in layers]
    with torch.no_grad():
        network.encode_image(torch.stack([preprocess(image) for image in images]))
    for hook in hooks:
        hook.remove()
    return stages


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-4 * float(expected.abs().max()))


def apart(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_whole_frames_reach_rn101_as_open_clip_s_own_preprocessing_brings_them_there(clip: Clip, tmp_path: Path):
    video, images = saved_video(tmp_path / "a", (SIDE, SIDE))
    found = ours(clip, video, followed())
    assert {stream: tuple(vectors.shape) for stream, vectors in found.items()} == {"global": (CLIP, 1536)}

    def expected(images: list[Image.Image]) -> torch.Tensor:
        first, second = theirs(clip, images)
        assert first.shape == (CLIP, 512, 28, 28) and second.shape == (CLIP, 1024, 14, 14)
        both = torch.cat([F.adaptive_avg_pool2d(first, 14), second], dim=1)
        return temporal_pyramid((both.mean(dim=(2, 3)) + both.amax(dim=(2, 3)))[None])[0]

    close(found["global"], expected(images))
    swapped = [Image.fromarray(np.array(image)[..., ::-1]) for image in images]
    assert apart(found["global"], expected(swapped)) > 0.02


def test_objects_reach_rn101_as_open_clip_s_own_preprocessing_brings_their_crops_there(clip: Clip, tmp_path: Path):
    """A box of 224 x 224 in frames of 260 x 240: the crop is that of PIL."""
    video, images = saved_video(tmp_path / "a", (260, 240))
    tracks = followed(*((t, 1, 20, 10, 20 + SIDE, 10 + SIDE) for t in range(CLIP)))
    found = ours(clip, video, tracks)
    shapes = {"spatial": (1, 49, 32), "temporal": (1, CLIP - 1, 32), "global": (CLIP, 1536)}
    assert {stream: tuple(vectors.shape) for stream, vectors in found.items()} == shapes
    first, second = theirs(clip, [image.crop((20, 10, 20 + SIDE, 10 + SIDE)) for image in images])
    maps = literal_maps(first, second, [48] * 32).transpose(0, 1)[None]  # (1, 32, CLIP, 28, 28)
    summary = F.adaptive_avg_pool2d(maps.mean(dim=2) + maps.amax(dim=2), 7)
    close(found["spatial"], summary.flatten(2).transpose(1, 2))
    close(found["temporal"], maps.diff(dim=2).abs().mean(dim=(3, 4)).transpose(1, 2))
