"""YOLO through OpenVINO and ONNX Runtime: the boxes of PyTorch, and exports that are made once and whole.

The networks are small and random, exported by Ultralytics itself.
"""

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from tests.footage import folder_video, write_frames
from tests.pipeline import user_environment
from tests.test_detect_stage import options, prepared, tables, yolo_weights
from tests.test_yolo import random_weights, settings

from pixelplay.errors import ConfigError, DamagedArtifactError
from pixelplay.objects.boxes import Boxes, load
from pixelplay.objects.yolo import Yolo
from pixelplay.objects.yolo_exports import exported
from pixelplay.run.atomic import remove_leftovers
from pixelplay.stages import detect
from pixelplay.videos.cache import FrameCache
from pixelplay.videos.video import Video

__all__ = ["options", "yolo_weights"]  # fixtures

CPU = torch.device("cpu")
SURE, PIXELS, CONFIDENCE = 0.1, 1.0, 0.01  # boxes from this confidence up differ by no more than this
NEEDS = {"openvino": "openvino", "onnx": "onnxruntime"}
BACKENDS = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed"))
    for name, package in NEEDS.items()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the tests share: each network is exported once for each backend."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def weights(folder: Path) -> Path:
    """Of a network whose confidences are far apart, so that rounding does not decide which of two boxes is left out.

    YOLO11 has attention, whose shapes an export could get wrong where the image is not square.
    """
    from ultralytics import YOLO

    path = random_weights(folder / "spread.pt", bias=-4.0, architecture="yolo11n.yaml")
    model = YOLO(path)
    for branch in model.model.model[-1].cv3:
        torch.nn.init.normal_(branch[-1].weight, std=3.0)
    model.save(path)
    return path


@pytest.fixture
def video(tmp_path: Path) -> Video:
    write_frames(tmp_path / "data/01", range(5))
    return FrameCache(tmp_path / "cache").fill([folder_video(tmp_path / "data/01")], [], 1.0, 1)[0].video


def found(weights: Path, video: Video, folder: Path, backend: str) -> Boxes:
    """Boxes of frames of 48 x 64 at 160 pixels: the network sees 128 x 160, and was exported at 160 x 160."""
    return Yolo(weights, settings(backend=backend, image_size=160), CPU, False, folder).detect(video)


def partners(one: Boxes, other: Boxes) -> list[tuple[Boxes, Boxes]]:
    """Boxes of confidence SURE and more, frame by frame, matched one to one with those of `other`."""
    pairs = []
    for t in np.unique(one.position):
        a, b = one[(one.position == t) & (one.confidence >= SURE)], other[other.position == t]
        distance = np.abs(a.xyxy[:, None] - b.xyxy[None]).max(axis=2) + 1e4 * (a.label[:, None] != b.label[None])
        rows, columns = linear_sum_assignment(distance)
        assert len(rows) == len(a)
        pairs.append((a[rows], b[columns]))
    return pairs


def assert_same(one: Boxes, other: Boxes) -> None:
    for a, b in [*partners(one, other), *partners(other, one)]:
        assert a.label.tolist() == b.label.tolist()
        np.testing.assert_allclose(a.xyxy, b.xyxy, atol=PIXELS)
        np.testing.assert_allclose(a.confidence, b.confidence, atol=CONFIDENCE)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_sure_box_of_pytorch_is_found_by_the_other_backend_and_the_reverse(weights, video, folder, backend: str):
    own = found(weights, video, folder, "torch")
    assert (np.bincount(own[own.confidence >= SURE].position) > 5).all()
    assert_same(own, found(weights, video, folder, backend))


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_are_exported_once_and_others_of_the_same_name_again(tmp_path: Path, backend: str, caplog):
    caplog.set_level("INFO")
    found = []
    for bias in (-1.0, -1.0, -2.0):
        if len(found) != 1:
            random_weights(tmp_path / "a.pt", bias)
        path = exported(tmp_path / "a.pt", backend, 64, tmp_path / "exports")
        found.append({one: one.stat().st_mtime_ns for one in [path, *path.rglob("*")] if one.is_file()})
    assert found[0] == found[1] and not set(found[0]) & set(found[2])
    assert caplog.text.count("exporting") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "exports"]
    assert not [path for path in (tmp_path / "exports").rglob("*") if ".tmp" in path.name or path.suffix == ".pt"]


EXPORT = """
import sys
from pathlib import Path
from pixelplay.objects.yolo_exports import exported
exported(Path(sys.argv[1]), sys.argv[2], 64, Path(sys.argv[3]))
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_export_that_is_killed_leaves_nothing_that_passes_for_one(yolo_weights: Path, tmp_path, backend: str):
    folder = tmp_path / "exports"
    command = [sys.executable, "-c", EXPORT, str(yolo_weights), backend, str(folder)]
    process = subprocess.Popen(command, env=user_environment() | {"YOLO_CONFIG_DIR": str(tmp_path)})
    while not list(folder.glob(".*.tmp/*.pt")):  # the weights are copied first
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not [path for path in folder.iterdir() if not path.name.startswith(".")]
    remove_leftovers(tmp_path)
    path = exported(yolo_weights, backend, 64, folder)
    assert [one for one in folder.iterdir() if not one.name.startswith(".")] == [path]
    assert not list(folder.glob(".*.tmp"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_damaged_export_is_named_and_made_again_once_it_is_deleted(yolo_weights: Path, tmp_path, backend: str):
    path = exported(yolo_weights, backend, 64, tmp_path / "exports")
    file = next(path.glob("*.xml")) if path.is_dir() else path
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedArtifactError, match=rf"{path.name}: cannot be loaded for .*backend={backend}"):
        Yolo(yolo_weights, settings(backend=backend), CPU, False, tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_backend_has_tables_of_its_own_which_hold_the_same_boxes(options, weights: Path, backend: str):
    yolo = [*options, f"weights.yolo={weights}", "objects.yolo.precision=fp32"]
    detect.run(prepared(yolo))
    by_torch = tables()
    config = prepared(yolo, f"objects.yolo.backend={backend}")
    assert detect.pending(config) == "detect: methods.yolo.backend changed"
    detect.run(config)
    assert detect.pending(config) is None
    added = sorted(set(tables()) - set(by_torch))
    assert [Path(path).parent for path in added] == [Path(path).parent for path in sorted(by_torch)]
    for one, other in zip(sorted(by_torch), added, strict=True):
        assert_same(load(Path(one)), load(Path(other)))


def test_onnx_runtime_has_no_bfloat16(options: list[str]):
    with pytest.raises(ConfigError, match=r"precision=bf16: ONNX Runtime .* does not compute in bfloat16"):
        prepared(options, "objects.yolo.backend=onnx", "objects.yolo.precision=bf16")


@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
def test_openvino_reports_nothing_and_writes_nothing_into_the_home(yolo_weights: Path, tmp_path: Path):
    """Its telemetry is on by default, and keeps an id of the user there."""
    (tmp_path / "home").mkdir()
    script = (
        "import sys, torch; from pathlib import Path; from tests.test_yolo import settings; "
        "from pixelplay.objects.yolo import Yolo; "
        "Yolo(Path(sys.argv[1]), settings(backend='openvino'), torch.device('cpu'), False, Path(sys.argv[2])); "
        "assert sys.modules['openvino_telemetry'] is None"
    )
    environment = user_environment() | {"HOME": str(tmp_path / "home"), "YOLO_CONFIG_DIR": str(tmp_path)}
    command = [sys.executable, "-c", script, str(yolo_weights), str(tmp_path / "cache")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home/intel").exists()
