"""Clips scored per second by VideoMAE-base (untrained: as fast as trained), 90 % masked: threads of one process, Ray's
workers, and for comparison batches that go through the network together, on all cores.

`python -c "from benchmarks.mining import main; main(clips=12, layers=2)"` tries it out, and records nothing.
"""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.results import record
from pixelplay.detectors.settings import MaskConfig
from pixelplay.mining import ray_engine
from pixelplay.mining.clip_model import ClipModel, ModelSettings
from pixelplay.mining.clips import Clip, ClipReader
from pixelplay.mining.score import in_order
from pixelplay.mining.score_file import Scored

CLIPS, FRAMES, SIZE, BATCH = 24, 16, (1600, 900), 8
LAYERS = 12  # of the encoder: VideoMAE-base
WARM = BATCH  # clips before the clock starts: the first are slow


def main(clips: int = CLIPS, layers: int = LAYERS) -> None:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        given = list(_footage(Path(folder), clips))
        _write_weights(Path(folder, "weights"), layers)
        mask = MaskConfig(kind="random", ratio=0.9, count=1, tube=True)
        settings = ModelSettings(str(Path(folder, "weights")), "cpu", False, mask, 42, None)
        model = ClipModel(settings, FRAMES)
        contenders = {
            "batches of 8, all cores": lambda: _batched(model, given),
            "local, 1 thread": lambda: in_order(model.score, given, 1, 1),
            "local, 2 threads": lambda: in_order(model.score, given, 1, 2),
            "ray, 1 worker": lambda: ray_engine.score_on_ray(given, settings, FRAMES, 1, 1),
            "ray, 2 workers": lambda: ray_engine.score_on_ray(given, settings, FRAMES, 1, 2),
        }
        measured = {}
        for name, work in contenders.items():
            measured[name] = _timed(work())
            print(f"{name}: {measured[name][0]:.1f} s to the first score, then {measured[name][1]:.2f} clips/s")
    reference = np.array(measured["local, 1 thread"][2])
    rows = [
        [name, f"{first:.1f}", f"{rate:.2f}", _compared(np.array(scores), reference)]
        for name, (first, rate, scores) in measured.items()
    ]
    record(
        "mining",
        ["", "seconds to the first score", "clips/s from then on", "scores against local, 1 thread"],
        rows,
        ["torch", "transformers", "ray", "opencv-python"],
        f"{CLIPS} clips of {FRAMES} JPEGs of {SIZE[0]}x{SIZE[1]}, decoding included, float32; the rate leaves "
        f"out the first {WARM}. The local engine's model is loaded before; Ray's time to the first score includes "
        f"starting its processes and loading a model in each. One run. Load average at the start: {load:.1f}, with "
        f"{os.cpu_count()} cores; above 1, other work ran at the same time.",
        kept=(clips, layers) == (CLIPS, LAYERS),
    )


def _timed(batches: Iterable[list[tuple[Clip, Scored]]]) -> tuple[float, float, list[float]]:
    """Seconds to the first score, clips per second after the first WARM clips, and the scores."""
    start, times, scores = time.perf_counter(), [], []
    for batch in batches:
        times += [time.perf_counter() - start] * len(batch)
        scores += [scored.score for _, scored in batch]
    return times[0], (len(times) - WARM) / (times[-1] - times[WARM - 1]), scores


def _batched(model: ClipModel, clips: list[Clip]) -> Iterator[list[tuple[Clip, Scored]]]:
    """As the reference solution does it: decoded one after the other, then BATCH clips through the network at once."""
    reader = ClipReader(None)
    torch.set_num_threads(os.cpu_count() or 1)
    for start in range(0, len(clips), BATCH):
        batch = clips[start : start + BATCH]
        inputs = torch.cat([model.model.inputs(reader.read(clip)[None]) for clip in batch])
        masks = torch.cat([model.masks(clip) for clip in batch])
        errors, _ = model.model.errors(inputs, masks)
        scores = errors.sum(dim=1) / masks.sum(dim=1)
        yield [(clip, Scored(score, None)) for clip, score in zip(batch, scores.tolist(), strict=True)]


def _compared(scores: np.ndarray, reference: np.ndarray) -> str:
    return (
        "the same" if np.array_equal(scores, reference) else f"differ by up to {np.abs(scores - reference).max():.0e}"
    )


def _footage(folder: Path, clips: int) -> Iterator[Clip]:
    """Clips of frames like photographs: a JPEG of noise alone would take much longer to decode."""
    rng = np.random.default_rng(0)
    for number in range(clips):
        names = []
        coarse = rng.integers(0, 256, (FRAMES, 18, 32, 3), dtype=np.uint8)
        for frame in range(FRAMES):
            names.append(str(folder / f"{number}-{frame}.jpg"))
            cv2.imwrite(names[-1], cv2.resize(coarse[frame], SIZE, interpolation=cv2.INTER_CUBIC))
        yield Clip(f"scene {number}", "", tuple(names), None)


def _write_weights(folder: Path, layers: int) -> None:
    from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEImageProcessor

    torch.manual_seed(0)
    VideoMAEForPreTraining(VideoMAEConfig(num_hidden_layers=layers)).save_pretrained(folder)
    VideoMAEImageProcessor(size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224}).save_pretrained(folder)
