"""VideoPatchCore's features of a clip on CLIP's RN101: ours against one object at a time through the full network.

Random weights and frames: neither changes what is computed. The peer is the published layout: fp32, each object's
frames through all of CLIP's image network, hooks on two stages, features of all channels, then averaged in groups; the
whole frames of every clip anew. Both at a clip of 10 frames every 2, with 5 objects of different sizes.
"""

from functools import partial

import open_clip
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.results import medians, record
from pixelplay.models.backbones import Backbone, ClipStages
from pixelplay.models.crops import crop_batches, tube_rows
from pixelplay.models.patch_features import (
    frame_vectors,
    local_maps,
    spatial_vectors,
    temporal_pyramid,
    temporal_vectors,
)
from pixelplay.training.device import autocast_bf16, find_device

LENGTH, STRIDE, SIZE, CHANNELS, GRID, BATCH, REPEATS = 10, 2, 224, 32, 7, 32, 3
HEIGHT, WIDTH = 360, 640
SIDES = (40, 64, 96, 140, 260)  # of the objects' boxes, pixels


def main() -> None:
    device = find_device("auto")
    torch.manual_seed(0)
    vision = open_clip.get_model_config("RN101")["vision_cfg"]
    config = open_clip.get_pretrained_cfg("RN101", "openai")
    full = open_clip.modified_resnet.ModifiedResNet(vision["layers"], 512, heads=32).eval().to(device)
    frames = torch.randint(0, 256, (LENGTH, HEIGHT, WIDTH, 3), dtype=torch.uint8, device=device)
    boxes = torch.tensor([[40.0 * i, 20.0 * i, 40.0 * i + s, 20.0 * i + s] for i, s in enumerate(SIDES)], device=device)
    backbones = {
        bf16: Backbone("clip_rn101", ClipStages(vision["layers"], vision["width"]), config["mean"], config["std"], bf16)
        for bf16 in {False, autocast_bf16("auto", device)}
    }
    contenders = {"one object at a time, full network": partial(_peer, full, frames, boxes)}
    for bf16, backbone in sorted(backbones.items()):
        name = f"ours, {'bf16' if bf16 else 'fp32'}"
        contenders[name] = partial(_ours, backbone.to(device), frames, boxes)
    for work in contenders.values():  # warm-up
        work()
    times = medians(contenders, REPEATS)
    first = next(iter(times))
    record(
        "patch_features",
        ["", "seconds a clip", "crops/s", "against the peer"],
        [[k, f"{t:.2f}", f"{len(SIDES) * LENGTH / t:.1f}", f"{times[first] / t:.1f}x"] for k, t in times.items()],
        ["torch", "open_clip_torch", "torchvision"],
        f"Frames to vectors of one clip: {LENGTH} frames of {WIDTH}x{HEIGHT}, {len(SIDES)} objects, on {device}; "
        f"{STRIDE} frames are new to it. Median of {REPEATS}.",
    )


@torch.inference_mode()
def _ours(backbone: Backbone, frames: torch.Tensor, boxes: torch.Tensor) -> list[torch.Tensor]:
    parts = [backbone(crops) for crops in crop_batches(frames, *tube_rows(boxes, LENGTH), SIZE, BATCH)]
    maps = local_maps(*(torch.cat(stage) for stage in zip(*parts, strict=True)), LENGTH, CHANNELS)
    whole = torch.tensor([[0.0, 0.0, WIDTH, HEIGHT]], device=frames.device)
    new = next(crop_batches(frames[-STRIDE:], *tube_rows(whole, STRIDE), SIZE, BATCH))
    vectors = frame_vectors(*backbone(new))
    known = vectors[:1].expand(LENGTH - STRIDE, -1)  # of the frames that the clip before had, too
    return [
        spatial_vectors(maps, GRID),
        temporal_vectors(maps),
        temporal_pyramid(torch.cat([known, vectors])[None]),
    ]


@torch.inference_mode()
def _peer(network: nn.Module, frames: torch.Tensor, boxes: torch.Tensor) -> list[torch.Tensor]:
    stages: list[torch.Tensor] = []
    hooks = [
        layer[-1].register_forward_hook(lambda layer, inputs, output: stages.append(output))
        for layer in (network.layer2, network.layer3)
    ]
    images = frames.permute(0, 3, 1, 2).float() / 255
    found = []
    for x1, y1, x2, y2 in boxes.int().tolist():
        stages.clear()
        network(F.interpolate(images[:, :, y1:y2, x1:x2], (SIZE, SIZE), mode="bilinear"))
        resized = [F.adaptive_avg_pool2d(F.avg_pool2d(stage, 3, stride=1), 28) for stage in stages]
        groups = torch.cat(resized, dim=1).chunk(CHANNELS, dim=1)
        maps = torch.stack([group.mean(dim=1) for group in groups])[None]  # (1, C, T, 28, 28)
        found += [spatial_vectors(maps, GRID), temporal_vectors(maps)]
    stages.clear()
    network(F.interpolate(images, (SIZE, SIZE), mode="bilinear"))
    found.append(temporal_pyramid(frame_vectors(*stages)[None]))
    for hook in hooks:
        hook.remove()
    return found
