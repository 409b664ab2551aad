"""Training and inference of `conv_ae`: ours against the plain fp32 loop, and what each measure brings.

Clips of the sample data set (run `./run_all.sh` once); same network, same batches.
"""

import logging
import tempfile
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.results import medians, record
from pixelplay.artifacts import RunFiles
from pixelplay.commands import load_config
from pixelplay.models.autoencoder import ConvAutoencoder
from pixelplay.training.clips import Clips, OrderedBatches, ShuffledBatches, loader
from pixelplay.training.fit import fit
from pixelplay.training.reconstruction import Reconstruction
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Index

EPOCHS, REPEATS, BATCH = 3, 3, 16
CPU = torch.device("cpu")


def plain_loop(model: nn.Module, clips: Clips, amplitude: float, share: float) -> None:
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
def validation_loss(model: nn.Module, clips: Clips) -> float:
    """fp32, of any trained model, so that two ways of training are compared alike."""
    model.eval()
    total = sum(
        F.mse_loss(model(x := batch.float() / 255), x).item() * len(batch)
        for batch in loader(clips, OrderedBatches(len(clips), BATCH), CPU)
    )
    return total / len(clips)


def main() -> None:
    logging.getLogger("pixelplay").setLevel(logging.WARNING)
    config = load_config(["experiment=sample", f"trainer.max_epochs={EPOCHS}", "device=cpu", "trainer.loggers=[]"])
    index = Index.load(RunFiles.of(config).index)
    detector = config.detectors["conv_ae"]
    settings = detector.settings
    assert detector.frames is not None
    clips = Clips(index.fit, detector.frames, settings["window"], settings["stride"])
    held = Clips(index.calibration, detector.frames, settings["window"], settings["stride"])
    losses: dict[str, list[float]] = {"plain": [], "ours": []}

    def new_model(seed: int) -> ConvAutoencoder:
        torch.manual_seed(seed)
        return ConvAutoencoder(settings["window"], settings["widths"], settings["dropout"])

    def train_plain() -> None:
        model = new_model(len(losses["plain"]))
        plain_loop(model, clips, **settings["noise"])
        losses["plain"].append(validation_loss(model, held))

    def train_ours() -> None:
        seed = len(losses["ours"])
        model = new_model(seed)
        noise = settings["noise"]
        module = Reconstruction(model, noise["amplitude"], noise["share"], config.trainer, seed)
        with tempfile.TemporaryDirectory() as folder:
            run = TrainingRun("conv_ae", config.trainer, Path(folder), CPU, seed)
            train = loader(clips, ShuffledBatches(len(clips), BATCH, seed), CPU)
            fit(module, train, loader(held, OrderedBatches(len(held), BATCH), CPU), run)
        losses["ours"].append(validation_loss(model, held))

    training = medians({"plain": train_plain, "ours": train_ours}, REPEATS)
    steps = EPOCHS * -(-len(clips) // BATCH)
    rows = [
        [
            f"training, {label}",
            f"{training[key] / steps:.3f}",
            f"{training['plain'] / training[key]:.2f}x",
            ", ".join(f"{loss:.5f}" for loss in losses[key]),
        ]
        for key, label in (("plain", "plain fp32 loop"), ("ours", "ours (with Lightning, validation, checkpoints)"))
    ]
    rows += _variants(new_model)
    record(
        "autoencoder",
        ["", "seconds a batch", "speed-up", "validation loss by seed"],
        rows,
        ["torch", "lightning"],
        f"Batches of {BATCH} windows (16 x 128 x 128); training: {EPOCHS} epochs of {steps // EPOCHS} steps on the "
        f"sample's normal frames, median of {REPEATS}; validation loss in fp32 on held-out frames.",
    )


def _variants(new_model) -> list[list[str]]:
    """One training step and one inference batch, measure by measure."""
    x = torch.rand(BATCH, 16, 128, 128)
    names = {"fp32": (False, False), "bf16": (True, False), "channels-last": (False, True), "both": (True, True)}
    contenders = {}
    for name, (bf16, last) in names.items():
        memory = torch.channels_last if last else torch.contiguous_format
        model = new_model(0).to(memory_format=memory)
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=name == "both")
        clips = x.contiguous(memory_format=memory)

        def step(model=model, optimizer=optimizer, clips=clips, bf16=bf16) -> None:
            model.train()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = F.mse_loss(model(clips), clips)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        def infer(model=model, clips=clips, bf16=bf16) -> None:
            model.eval()
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                model(clips)

        contenders[f"one step, {name}"] = step
        contenders[f"inference, {name}"] = infer
    for work in contenders.values():  # warm-up
        work()
    times = medians(contenders, 10)
    return [
        [label, f"{times[label]:.3f}", f"{times[label.split(',')[0] + ', fp32'] / times[label]:.2f}x", "-"]
        for kind in ("one step", "inference")
        for label in (f"{kind}, {name}" for name in names)
    ]
