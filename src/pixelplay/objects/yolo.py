"""Objects found by Ultralytics YOLO, with any detection weights: every frame, every class, in batches.

The network runs in PyTorch, or exported, on the CPU, in OpenVINO or ONNX Runtime: see `yolo_exports`.

YOLOv5 and later (Jocher et al., https://github.com/ultralytics/ultralytics; AGPL-3.0). Importing Ultralytics takes
seconds, so only detecting does it.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pixelplay.errors import ConfigError, DamagedArtifactError
from pixelplay.objects.boxes import Boxes, clip, join
from pixelplay.objects.settings import YoloConfig
from pixelplay.objects.yolo_exports import exported
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    import torch


VERSION = 2  # of what is found; raise it when that changes


@dataclass(frozen=True)
class Pooling:
    """What to do with the feature maps of boxes: see `pixelplay.objects.pyramid`."""

    cells: int  # of a map, each way
    write: Callable[[np.ndarray], Any]  # takes float16 [N, C, cells, cells] of the next N boxes, in their order
    known: Boxes | None = None  # boxes of the video from an earlier detection, to be pooled in place of new ones


class Yolo:
    """A network with its settings; `bf16` computes in bfloat16, which ONNX Runtime can't."""

    def __init__(self, weights: Path, config: YoloConfig, device: "torch.device", bf16: bool, cache: Path):
        """Load `weights`; what is exported lies in the folder `cache`/exports, and Ultralytics keeps its settings in
        `cache` unless YOLO_CONFIG_DIR names another.

        Raises ConfigError for a file without a detection network of Ultralytics, or one that cannot be exported, and
        DamagedArtifactError for a damaged export.
        """
        _tame(cache)
        from ultralytics import YOLO
        from ultralytics.nn.tasks import torch_safe_load

        logging.getLogger("ultralytics").setLevel(logging.WARNING)  # it tells of every step of an export
        file = str(weights.resolve())
        try:
            torch_safe_load(file, safe_only=True)  # if Ultralytics was imported before, the variable came too late
            self._model = YOLO(file)
            task = self._model.task
        except Exception as error:  # Ultralytics raises many kinds: TypeError, AttributeError, UnpicklingError, …
            raise ConfigError(f"weights.yolo={weights}: cannot be loaded as weights of a YOLO ({error})") from None
        if task != "detect":
            raise ConfigError(f"weights.yolo={weights}: weights to {task}; they must be weights to detect")
        self._config, self._device, self._bf16 = config, device, bf16
        if config.backend != "torch":
            network = exported(weights, config.backend, config.image_size, cache / "exports")
            self._model = YOLO(str(network), task="detect")
            self._load(network)
            return
        from pixelplay.objects.pyramid import Pyramid  # imports torch

        self._pyramid = Pyramid(self._network, str(weights))  # before the network is used: predicting copies it
        if bf16:
            from pixelplay.objects.yolo_decoding import decode_in_float32  # imports torch

            decode_in_float32(self._network)

    @property
    def channels(self) -> int:
        """Of the feature maps of boxes; raises ConfigError for a network that has none."""
        import torch

        network = self._network
        with torch.no_grad():
            network(torch.zeros(1, 3, 64, 64, device=next(network.parameters()).device))
        return self._pyramid.channels

    @property
    def _network(self) -> Any:
        return self._model.model

    def detect(
        self, video: Video, advance: Callable[[int], Any] = lambda frames: None, pooling: Pooling | None = None
    ) -> Boxes:
        """Boxes of every class in every frame, from `confidence` up; `advance(n)` is called after n frames."""
        found = []
        for start, batch in batches(video.full_size(), self._config.batch_size):
            boxes = self.boxes(batch, start)
            if pooling and pooling.known is not None:
                part = pooling.known.block(start, start + len(batch))
                boxes = replace(part, position=part.position + start)
            if pooling and len(boxes):
                pooling.write(self.pooled(boxes.xyxy, boxes.position - start, video.size, pooling.cells))
            found.append(boxes)
            advance(len(batch))
        return join(found)

    def boxes(self, frames: list[np.ndarray], start: int = 0) -> Boxes:
        """Boxes in frames, uint8 (H, W, 3) of one size each, the first of them at position `start`."""
        found, (height, width) = [], frames[0].shape[:2]
        for t, result in enumerate(self._predict(frames), start):
            one = result.boxes.cpu().numpy()
            labels = [result.names[int(number)] for number in one.cls]
            found.append(Boxes.of(np.full(len(one), t), one.xyxy, labels, one.conf))
        return clip(join(found), (width, height))

    def pooled(self, xyxy: np.ndarray, frame: np.ndarray, size: tuple[int, int], cells: int) -> np.ndarray:
        """Maps float16 [N, C, cells, cells] of boxes [N, 4] in the frames, of `size` (width, height), that `boxes` was
        given last; frame: int [N], which of them each box is in. Of a network in PyTorch only: see `features_source`.
        """
        return self._pyramid.pooled(xyxy, frame, size, cells)

    def _load(self, network: Path) -> None:
        """Have Ultralytics load the exported network, which it does when it is first used."""
        try:
            self._predict([np.zeros((32, 32, 3), np.uint8)])
            if self._config.backend == "openvino":
                import openvino

                # By default OpenVINO computes in bfloat16 wherever the hardware has it.
                precision = {"INFERENCE_PRECISION_HINT": "bf16" if self._bf16 else "f32", "PERFORMANCE_HINT": "LATENCY"}
                compiled = openvino.Core().compile_model(next(network.glob("*.xml")), "CPU", precision)
                predictor: Any = self._model.predictor
                predictor.model.backend.ov_compiled_model = compiled
        except Exception as error:  # each library raises kinds of its own
            raise DamagedArtifactError(
                f"{network}: cannot be loaded for objects.yolo.backend={self._config.backend} ({error}): delete it, "
                "and the same command exports weights.yolo again"
            ) from None

    def _predict(self, batch: list[np.ndarray]) -> list[Any]:
        import torch

        config = self._config
        bgr = [np.ascontiguousarray(frame[..., ::-1]) for frame in batch]  # as OpenCV reads, so Ultralytics expects
        # Its own `half` is float16, and on a CPU it has none.
        autocast = self._bf16 and config.backend == "torch"
        with torch.autocast(self._device.type, torch.bfloat16) if autocast else nullcontext():
            found = self._model.predict(
                bgr,
                imgsz=config.image_size,
                conf=config.confidence,
                iou=config.iou,
                max_det=config.max_boxes,
                device=str(self._device),
                verbose=False,
            )
        return list(found)


def batches(frames: Iterable[np.ndarray], size: int) -> Iterator[tuple[int, list[np.ndarray]]]:
    """(position of the first, frames) of each batch of `size` frames; the last may be smaller."""
    rest, start = iter(frames), 0
    while batch := list(islice(rest, size)):
        yield start, batch
        start += len(batch)


def _tame(settings: Path) -> None:
    """Environment variables that Ultralytics reads when it is imported."""
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "1"  # a .pt is a pickle, which may run any code
    os.environ.setdefault("YOLO_CONFIG_DIR", str(settings.resolve()))  # else it writes to the user's home
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_OFFLINE", "true")  # no update checks, no telemetry
