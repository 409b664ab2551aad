"""Training and inference of the autoencoders: ours against the plain fp32 loop, and what each measure brings.

Clips of the sample data set (run `./run_all.sh` once); the reference solution's networks; the same batches for all.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.allocation import set_memory
from benchmarks.results import medians, record
from pixelplay.cli import load_config
from pixelplay.detectors.autoencoder import network
from pixelplay.run.files import RunFiles
from pixelplay.training.clips import Augmentation, Clips, OrderedBatches, ShuffledBatches, as_input, loader
from pixelplay.training.fit import Reconstruction, fit
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Index

EPOCHS, REPEATS, BATCH, STEP_REPEATS = 2, 3, 16, 5
CPU = torch.device("cpu")
NETWORKS = {  # of configs/detector/, with the reference solution's widths
    "conv_ae": lambda: network.ConvAutoencoder(16, [64, 128, 256, 512], 0.2),
    "st_ae": lambda: network.SpatioTemporalAutoencoder(16, [64, 128, 256, 512], 0.0),
}


def main() -> None:
    logging.getLogger("pixelplay").setLevel(logging.WARNING)
    rows = [row for name in NETWORKS for row in _steps(name)] + _whole_runs()
    record(
        "autoencoder",
        ["", "seconds a batch", "speed-up", "validation loss by seed"],
        rows,
        ["torch", "lightning"],
        f"Batches of {BATCH} windows (16 x 128 x 128); one step, one inference: median of {STEP_REPEATS}, each line "
        "with those above it. With bf16 alone st_ae's gradients are wrong (see detectors/autoencoder/network.py). "
        f"Whole training of conv_ae: {EPOCHS} epochs on the sample's normal frames, median of {REPEATS}; validation "
        "loss in fp32 on held-out frames.",
    )


def _steps(name: str) -> list[list[str]]:
    """A training step and an inference batch: the plain loop's, then measure by measure."""
    rows = []
    for kind in ("step", "inference"):
        variants = _variants(name, kind)
        for work in variants.values():  # warm-up
            work()
        times = medians(variants, STEP_REPEATS)
        first = next(iter(times))
        rows += [[f"{name}, {v}", f"{times[v]:.3f}", f"{times[first] / times[v]:.2f}x", "-"] for v in times]
    return rows


def _variants(name: str, kind: str) -> dict[str, Callable[[], None]]:
    """What a step or an inference costs, each variant with the measures of those before it."""
    clips = torch.rand(BATCH, 16, 128, 128)
    plain = _plain_network(name)
    bf16 = _plain_network(name)
    last = _plain_network(name).to(memory_format=_format_of_weights(name))
    ours = NETWORKS[name]()
    shaped = clips.contiguous(memory_format=ours.memory_format)
    work = _step if kind == "step" else _inference
    tuned = {
        f"{kind}, plain fp32 loop": work(plain, clips, bf16=False, memory=False),
        f"{kind}, bf16": work(bf16, clips, bf16=True, memory=False),
        f"{kind}, channels-last": work(last, shaped, bf16=True, memory=False),
        f"{kind}, freed memory kept": work(last, shaped, bf16=True, memory=True),
        f"{kind}, ours (cheap dropout, two-frame convolution)": work(ours, shaped, bf16=True, memory=True),
    }
    if kind == "step" and shutil.which("g++"):  # which torch.compile needs
        other = _plain_network(name).to(memory_format=_format_of_weights(name))  # it can't compile our dropout
        compiled = work(other, shaped, bf16=True, memory=True, run=torch.compile(other))
        tuned[f"{kind}, freed memory kept and torch.compile (not used)"] = compiled
    return tuned


def _plain_network(name: str) -> nn.Module:
    """The same network from PyTorch's own layers, in the default memory format."""
    layers = {"Conv3d": nn.Conv3d, "ConvTranspose3d": nn.ConvTranspose3d, "Dropout": nn.Dropout}
    with patch.multiple(network, **layers):
        return NETWORKS[name]().to(memory_format=torch.contiguous_format)


def _format_of_weights(name: str) -> torch.memory_format:
    return torch.channels_last_3d if name == "st_ae" else torch.channels_last


def _step(model: nn.Module, clips: torch.Tensor, bf16: bool, memory: bool, run: Callable | None = None):
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=bf16)

    def step() -> None:
        set_memory(memory)
        model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.mse_loss((model if run is None else run)(clips), clips)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _inference(model: nn.Module, clips: torch.Tensor, bf16: bool, memory: bool, run: Callable | None = None):
    def infer() -> None:
        set_memory(memory)
        model.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            (model if run is None else run)(clips)

    return infer


def _whole_runs() -> list[list[str]]:
    """Training of conv_ae from the cache: the plain loop against ours with Lightning, validation and checkpoints."""
    config = load_config(["experiment=sample", f"trainer.max_epochs={EPOCHS}", "device=cpu", "trainer.loggers=[]"])
    index = Index.load(RunFiles.of(config).index)
    detector = config.detectors["conv_ae"]
    window, stride, noise = (detector.training[key] for key in ("window", "stride", "noise"))
    assert detector.frames is not None
    clips = Clips(index.fit, detector.frames, window, stride)
    held = Clips(index.held.validation, detector.frames, window, stride)
    losses: dict[str, list[float]] = {"plain": [], "ours": []}

    def train_plain() -> None:
        set_memory(kept=False)
        torch.manual_seed(len(losses["plain"]))
        model = _plain_network("conv_ae")
        _plain_loop(model, clips, noise["amplitude"], noise["share"])
        losses["plain"].append(_validation_loss(model, held))

    def train_ours() -> None:
        set_memory(kept=True)
        seed = len(losses["ours"])
        torch.manual_seed(seed)
        model = NETWORKS["conv_ae"]()
        module = Reconstruction(
            model, Augmentation(noise["amplitude"], noise["share"], "noisy", 0.0), config.trainer, seed
        )
        with tempfile.TemporaryDirectory() as folder:
            run = TrainingRun("conv_ae", config.trainer, Path(folder), CPU, seed)
            train = loader(clips, ShuffledBatches(len(clips), BATCH, seed), CPU)
            fit(module, train, loader(held, OrderedBatches(len(held), BATCH), CPU), run)
        losses["ours"].append(_validation_loss(model, held))

    times = medians({"plain": train_plain, "ours": train_ours}, REPEATS)
    steps = EPOCHS * -(-len(clips) // BATCH)
    return [
        [
            f"conv_ae, whole training, {label}",
            f"{times[key] / steps:.3f}",
            f"{times['plain'] / times[key]:.2f}x",
            ", ".join(f"{loss:.5f}" for loss in losses[key]),
        ]
        for key, label in (("plain", "plain fp32 loop"), ("ours", "ours with Lightning, validation and checkpoints"))
    ]


def _plain_loop(model: nn.Module, clips: Clips, amplitude: float, share: float) -> None:
    """The yardstick: fp32, default memory format, one loop."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    batches = ShuffledBatches(len(clips), BATCH, 0)
    model.train()
    for epoch in range(EPOCHS):
        batches.set_epoch(epoch)
        for batch in loader(clips, batches, CPU):
            x = batch.float() / 255
            noise = (torch.rand_like(x) * 2 - 1) * amplitude * (torch.rand(len(x), 1, 1, 1) < share)
            x = (x + noise).clamp(0, 1)
            loss = F.mse_loss(model(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()


@torch.inference_mode()
def _validation_loss(model: nn.Module, clips: Clips) -> float:
    """fp32, of any trained model, so that two ways of training are compared alike."""
    model.eval()
    total = sum(
        F.mse_loss(model(x := as_input(batch, torch.contiguous_format)), x).item() * len(batch)
        for batch in loader(clips, OrderedBatches(len(clips), BATCH), CPU)
    )
    return total / len(clips)
