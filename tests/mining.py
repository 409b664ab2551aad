"""What the tests of clip mining share: a VideoMAE of a few thousand weights, and steps run in this process."""

import json
from pathlib import Path
from typing import Any

import torch

from pixelplay.cli import load_config
from pixelplay.mining import files

FRAMES = 4  # of a clip: little to compute


def write_videomae(folder: Path, seed: int = 0) -> Path:
    """An untrained VideoMAE for clips of FRAMES frames of 32 pixels, 2 x 2 x 2 tokens, in transformers' own files."""
    from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEImageProcessor

    torch.manual_seed(seed)
    sizes = {"image_size": 32, "num_frames": FRAMES, "hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 32}
    decoder = {"decoder_hidden_size": 16, "decoder_num_hidden_layers": 1, "decoder_intermediate_size": 32}
    heads = {"num_attention_heads": 2, "decoder_num_attention_heads": 2}
    VideoMAEForPreTraining(VideoMAEConfig(**sizes, **decoder, **heads)).save_pretrained(folder)
    VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def mine(step: str, folder: Path, *overrides: str) -> None:
    """Run a step that writes into `folder`, with clips of FRAMES frames and half of the tokens hidden."""
    fixed = [f"step={step}", f"mine.folder={folder}", f"mine.frames={FRAMES}", f"mine.stride={FRAMES}", "device=cpu"]
    files.run(load_config([*fixed, "mine.mask.ratio=0.5", *overrides]))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
