"""Exported networks in PyTorch and in ONNX Runtime, one input at a time, as online.

Networks have the shipped settings and random weights; no data is needed. Run: `python -m benchmarks onnx`, on Linux.
"""

import os
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import timm
import torch
from transformers import VideoMAEForPreTraining, VideoMAEImageProcessor

from benchmarks.results import rates, record
from pixelplay.backbones.exports import Exported, of_backbone
from pixelplay.backbones.frozen import Backbone
from pixelplay.backbones.in_domain import Encoder, as_backbone
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.detectors.autoencoder.exported import exported as of_autoencoder
from pixelplay.detectors.autoencoder.network import NETWORKS
from pixelplay.detectors.object_streams.completion.exported import exported as of_completion
from pixelplay.detectors.object_streams.completion.network import CompletionNet
from pixelplay.detectors.temporal_mae.exported import exported as of_temporal_mae
from pixelplay.detectors.temporal_mae.network import TemporalMAE
from pixelplay.detectors.videomae.exported import encoder as of_videomae
from pixelplay.detectors.videomae.model import VideoMAE
from pixelplay.detectors.videomae.pretrain import PretrainingSettings, _config
from pixelplay.detectors.videomae.tokens import LOSS_MEAN, LOSS_STD
from pixelplay.export.network_file import as_onnx
from pixelplay.export.parity import largest_difference, random_inputs
from pixelplay.export.session import Session
from pixelplay.training.device import autocast_bf16, keep_freed_memory

CPU = torch.device("cpu")
CHANNELS = 448  # of YOLOv8n's maps, for temporal_mae
SECONDS = 0.5  # of each contender in a turn
TURNS = 3
DETECTORS = "detector=[conv_ae,st_ae,event_completion,temporal_mae,videomae_profile]"


def main() -> None:
    keep_freed_memory()
    torch.manual_seed(0)
    native, rows = autocast_bf16("auto", CPU), []
    for name, network in networks(load_config(["experiment=ped2", "dataset.root=.", "weights=in_domain", DETECTORS])):
        example = random_inputs(network)
        (model, _), inputs = as_onnx(network, example), tuple(one[:1] for one in example)
        speeds, apart = [], 0.0
        for cores in (1, 2):
            os.sched_setaffinity(0, range(cores))
            torch.set_num_threads(cores)  # of ONNX Runtime, too, when a session is made
            session = Session(model)
            apart = largest_difference(network, session, example)
            calls = {"torch, fp32": _torch(network, inputs, False), "onnx, fp32": partial(session, *inputs)}
            calls |= {"torch, bf16": _torch(network, inputs, True)} if native else {}
            speeds.append(rates(calls, TURNS, SECONDS))
        columns = [(one, two) for one, two in zip(*(found.items() for found in speeds), strict=True)]
        for (contender, (alone, _)), (_, (_, both)) in columns:
            parity = f"{apart:.1e}" if contender.startswith("onnx") else "-"
            rows.append([name, contender, f"{alone:.1f}", f"{both:.1f}", parity])
    record(
        "onnx",
        ["one input", "", "a second of one core", "a second, two cores", "largest difference to torch, fp32"],
        rows,
        ["torch", "onnxruntime"],
        "Shipped settings and random weights, batches of 1: of one core in seconds of CPU time, of two on the clock, "
        f"beside whatever else ran: the machine's load was {os.getloadavg()[1]:.1f}; medians of {TURNS} turns "
        f"of {SECONDS:g} s. A window of the autoencoders is due every 2 frames, a crop of an object every 6.",
    )


def networks(config: Config) -> list[tuple[str, Exported]]:
    found = []
    for name in ("conv_ae", "st_ae"):
        detector = config.detectors[name]
        settings, frames = detector.training, detector.frames
        assert frames is not None
        model = NETWORKS[settings["network"]](settings["window"], settings["widths"], settings["dropout"]).eval()
        size = f"{settings['window']} x {frames.height} x {frames.width}"
        network = of_autoencoder(model, frames, settings["window"], settings["stride"], detector.scoring)
        found.append((f"{name}, a window of {size}", network))
    pixels = config.weights.image_size
    backbones = {"in-domain": as_backbone(Encoder(config.weights.encoder.widths).eval(), False), "ResNet-18": _resnet()}
    for name, backbone in backbones.items():
        found.append((f"crops, {name}, a crop of {pixels} x {pixels}", of_backbone(backbone, pixels, {}, {})))
    completion: Any = registry.create("event_completion", config.detectors["event_completion"], CPU)
    cube, widths = completion._settings.cube, completion._settings.widths
    network = of_completion(CompletionNet(cube.steps, widths).eval(), cube)
    found.append((f"event_completion, a cube of {cube.steps} x {cube.side} x {cube.side}", network))
    mae: Any = registry.create("temporal_mae", config.detectors["temporal_mae"], CPU)
    model: TemporalMAE = mae._new_model(CHANNELS).eval()
    found.append((f"temporal_mae, encoder, a window of {len(model.positions)}", of_temporal_mae(model)["encoder"]))
    found.append((f"videomae_profile, a clip of 16 x {pixels} x {pixels}", of_videomae(_videomae(config), {}, {})))
    return found


def _videomae(config: Config) -> VideoMAE:
    """Of the size that a run trains."""
    settings = PretrainingSettings.model_validate(config.detectors["videomae_profile"].training["pretraining"])
    processor = VideoMAEImageProcessor(image_mean=list(LOSS_MEAN), image_std=list(LOSS_STD))
    return VideoMAE(VideoMAEForPreTraining(_config(settings, config.weights.image_size)), processor, CPU, False)


def _resnet() -> Backbone:
    stages = timm.create_model("resnet18", features_only=True, out_indices=(2, 3))
    return Backbone("timm:resnet18", stages, [0.5] * 3, [0.2] * 3, False)


def _torch(network: Exported, inputs: tuple[torch.Tensor, ...], bf16: bool) -> Callable[[], object]:
    """With the layout in memory that the detectors give their inputs."""
    module = copy(network.module)
    if isinstance(module, Backbone):  # it chooses its numbers itself
        module._bf16 = bf16
    layout = getattr(module, "memory_format", torch.contiguous_format)
    own = [one.contiguous(memory_format=layout) for one in inputs]

    def call() -> object:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return module(*own)

    return call


if __name__ == "__main__":
    main()
