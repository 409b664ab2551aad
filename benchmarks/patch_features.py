"""VideoPatchCore from the frames of clips to their distances, on CLIP's RN101: ours against the published layout.

Random weights, memories and frames: they change no amount of work. Clips and settings are those of
configs/detector/videopatchcore.yaml, with 5 objects of different sizes. The peer is the published layout: fp32, one
object at a time, its crops through all of CLIP's image network with its head, hooks on two stages, features of all
channels, then averaged in groups; the whole frames of every clip anew; a search for each object. Both decode the files.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import open_clip
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.allocation import set_memory
from benchmarks.results import medians, record
from pixelplay.backbones.frozen import Backbone, ClipStages
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors.videopatchcore.clip_features import PatchFeatures, PatchSettings
from pixelplay.detectors.videopatchcore.descriptors import (
    frame_vectors,
    spatial_vectors,
    temporal_pyramid,
    temporal_vectors,
)
from pixelplay.memory.bank import Bank, BankConfig
from pixelplay.objects.boxes import Boxes
from pixelplay.settings import validate
from pixelplay.training.device import autocast_bf16, find_device
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.video import Originals, Video
from pixelplay.videos.windows import gather, windows

CLIPS, REPEATS = 3, 3
HEIGHT, WIDTH = 360, 640
SIDES = (40, 64, 96, 140, 260)  # of the objects' squares, pixels
MEMORY = {"spatial": (3000, 32), "temporal": (2000, 32), "global": (1000, 1536)}


@dataclass(frozen=True)
class Scene:
    video: Video
    boxes: Boxes
    positions: np.ndarray  # int64 (CLIPS, T)
    memory: dict[str, np.ndarray]  # by stream


def main() -> None:
    device = find_device("auto")
    config = load_config(["experiment=pixelplay26", "detector=[videopatchcore]", "objects.tubes.enlarge=1"])
    settings, scoring = (getattr(config.detectors["videopatchcore"], part) for part in ("training", "scoring"))
    length, stride = settings["clip"], scoring["stride"]
    bf16 = autocast_bf16("auto", device)
    full, stages = _networks(bf16)
    images = len(SIDES) * length + length, len(SIDES) * length + length / CLIPS + stride * (CLIPS - 1) / CLIPS
    flop = [n * _gflop(network) for n, network in zip(images, (full, stages.stages), strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        scene = _scene(Path(folder) / "a", length, stride)
        ours = _ours(stages.to(device), config, scene)
        contenders = {
            "one object at a time, full network": (flop[0], 1, partial(_peer, full.to(device), scene)),
            f"ours, {'bf16' if bf16 else 'fp32'}": (flop[1], CLIPS, partial(ours, kept=False)),
            "and freed memory kept, as in every run": (flop[1], CLIPS, partial(ours, kept=True)),
        }
        times = medians({name: work for name, (*_, work) in contenders.items()}, REPEATS)
    rows, peer = [], next(iter(times.values()))
    for name, (work, clips, _) in contenders.items():
        cost = times[name] / clips
        rows.append([name, f"{cost:.2f}", f"{work:.0f}", f"{work / cost:.0f}", f"{peer / cost:.1f}x"])
    record(
        "patch_features",
        ["", "seconds a clip", "GFLOP a clip", "GFLOP/s", "against the peer"],
        rows,
        ["torch", "open_clip_torch", "torchvision", "faiss-cpu"],
        f"Files to the distances of one clip: {length} frames of {WIDTH}x{HEIGHT}, {stride} of them new, {len(SIDES)} "
        f"objects, on {device} with {torch.get_num_threads()} thread(s). Median of {REPEATS}.",
    )


def _networks(bf16: bool) -> tuple[nn.Module, Backbone]:
    """All of CLIP's image network, and its stages that are used; random weights."""
    torch.manual_seed(0)
    vision = open_clip.get_model_config("RN101")["vision_cfg"]
    config = open_clip.get_pretrained_cfg("RN101", "openai")
    full = open_clip.modified_resnet.ModifiedResNet(vision["layers"], 512, heads=32).eval()
    stages = ClipStages(vision["layers"], vision["width"])
    return full, Backbone("clip_rn101", stages, config["mean"], config["std"], bf16)


def _scene(folder: Path, length: int, stride: int) -> Scene:
    """Footage written to a folder, the same objects in each of its frames, and full memories."""
    frames = length + (CLIPS - 1) * stride
    rng = np.random.default_rng(0)
    folder.mkdir()
    for t in range(frames):
        image = cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8), (5, 5), 0)
        cv2.imwrite(str(folder / f"{t:03d}.jpg"), image)
    originals = Originals.of(ImageFolder.scan(folder), (WIDTH, HEIGHT), np.ones(frames, bool))
    video = Video("a", "test", np.arange(frames), (WIDTH, HEIGHT), folder, originals=originals)
    squares = [[40 * i, 20 * i, 40 * i + side, 20 * i + side] for i, side in enumerate(SIDES)]
    count = len(SIDES) * frames
    where = np.repeat(np.arange(frames), len(SIDES))
    boxes = Boxes.of(where, np.tile(squares, (frames, 1)), ["person"] * count, np.ones(count))
    memory = {stream: rng.random(shape, np.float32) for stream, shape in MEMORY.items()}
    return Scene(video, boxes, windows(frames, length, stride), memory)


def _gflop(network: nn.Module) -> float:
    """Billions of operations for one image."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 224, 224))
    return counter.get_total_flops() / 1e9


def _ours(backbone: Backbone, config: Config, scene: Scene) -> Callable[[bool], list[float]]:
    detector = config.detectors["videopatchcore"]
    patches = validate(PatchSettings, detector.training["patches"])
    features = PatchFeatures(backbone, patches, config.objects.tubes, detector.scoring["batch_size"])
    bank_config = validate(BankConfig, detector.training["bank"])
    banks = {stream: Bank.build(vectors, bank_config, {}, seed=0) for stream, vectors in scene.memory.items()}

    def distances(kept: bool) -> list[float]:
        set_memory(kept)
        found = []
        for one in features.clips(scene.video, scene.boxes, scene.positions, causal=False):
            for stream, vectors in one.vectors.items():
                found.append(float(banks[stream].nearest(vectors.reshape(-1, vectors.shape[-1]))[0].max()))
        return found

    return distances


@torch.inference_mode()
def _peer(network: nn.Module, scene: Scene) -> list[float]:
    """The first clip of the scene alone: all cost the same."""
    set_memory(kept=False)
    device = next(network.parameters()).device
    memory = {stream: torch.from_numpy(vectors).to(device) for stream, vectors in scene.memory.items()}
    stages: list[torch.Tensor] = []
    hooks = [
        layer[-1].register_forward_hook(lambda layer, inputs, output: stages.append(output))
        for layer in (network.layer2, network.layer3)
    ]

    def see(images: torch.Tensor) -> list[torch.Tensor]:
        stages.clear()
        network(F.interpolate(images, (224, 224), mode="bilinear"))
        return list(stages)

    def distance(vectors: torch.Tensor, stream: str) -> float:
        return float(torch.cdist(vectors.flatten(0, -2), memory[stream]).min(dim=1)[0].max())

    found = []
    (frames,) = gather(scene.video.full_size(), scene.positions[:1])
    images = torch.from_numpy(np.stack(frames)).to(device).permute(0, 3, 1, 2).float() / 255
    for x1, y1, x2, y2 in scene.boxes.xyxy[: len(SIDES)].astype(int).tolist():
        seen = see(images[:, :, y1:y2, x1:x2])
        groups = torch.cat([F.adaptive_avg_pool2d(F.avg_pool2d(x, 3, stride=1), 28) for x in seen], dim=1).chunk(32, 1)
        maps = torch.stack([group.mean(dim=1) for group in groups])[None]  # (1, C, T, 28, 28)
        found += [distance(spatial_vectors(maps, 7), "spatial"), distance(temporal_vectors(maps), "temporal")]
    found.append(distance(temporal_pyramid(frame_vectors(*see(images))[None]), "global"))
    for hook in hooks:
        hook.remove()
    return found
