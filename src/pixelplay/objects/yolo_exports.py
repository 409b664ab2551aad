"""YOLO for OpenVINO and ONNX Runtime: Ultralytics' own export of the weights, made once and kept in the cache.

Its shapes are dynamic, so that Ultralytics letterboxes frames for it as it does for PyTorch; boxes are the same within
what float32 leaves (`python -m benchmarks yolo_backends`).
"""

import logging
import shutil
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pixelplay.errors import ConfigError, PixelPlayError
from pixelplay.run.atomic import atomic_named
from pixelplay.run.fingerprints import file_digests, fingerprint
from pixelplay.run.locks import turn

log = logging.getLogger(__name__)

VERSION = 1  # raised when weights are exported in another way
SUFFIXES = {"openvino": "_openvino_model", "onnx": ".onnx"}  # by which Ultralytics tells the formats


def exported(weights: Path, backend: Literal["openvino", "onnx"], image_size: int, folder: Path) -> Path:
    """The network of `weights` for a backend: a folder (openvino) or file (onnx) in `folder`, made if it is not there.

    Raises ConfigError if the network cannot be exported.
    """
    # With this package OpenVINO, once imported, reports to its maker, and keeps an id of the user in their home.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[call-overload]
    versions = [VERSION, *(version(package) for package in ("torch", "ultralytics", backend))]
    key = fingerprint(file_digests([weights]), image_size, versions)
    path = folder / f"yolo-{key}{SUFFIXES[backend]}"
    with turn(path, f"{weights.name}, exported to {backend}"):
        if not path.exists():
            log.info(f"detect: exporting {weights} to {backend}, {path}")
            try:
                with atomic_named(path) as temporary:
                    _export(weights, backend, image_size, temporary.with_name(f"yolo-{key}.pt"))
            except (OSError, PixelPlayError):
                raise
            except Exception as error:  # Ultralytics, PyTorch and the backend raise many kinds
                raise ConfigError(
                    f"objects.yolo.backend={backend}: weights.yolo={weights} cannot be exported ({error}): set "
                    "objects.yolo.backend=torch"
                ) from None
    return path


def _export(weights: Path, backend: str, image_size: int, copy: Path) -> None:
    """Export `copy`, which the weights are copied to: Ultralytics writes beside its weights, and names after them."""
    from ultralytics import YOLO

    shutil.copyfile(weights, copy)
    simplify = {"simplify": False} if backend == "onnx" else {}  # takes one more package; the runtime does it anyway
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, about how Ultralytics calls it
        YOLO(str(copy)).export(format=backend, dynamic=True, imgsz=image_size, device="cpu", **simplify)
