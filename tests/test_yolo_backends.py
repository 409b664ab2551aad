"""YOLO through OpenVINO and ONNX Runtime: the boxes of PyTorch, and exports that are made once and whole.

The networks are small and random, exported by Ultralytics itself.
"""

import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from tests.pipeline import user_environment
from tests.test_detect_stage import options, prepared, tables
from tests.test_yolo import random_weights, settings, video

from pixelplay.errors import ConfigError, DamagedArtifactError
from pixelplay.objects import yolo_exports
from pixelplay.objects.boxes import Boxes, load
from pixelplay.objects.yolo import Yolo
from pixelplay.objects.yolo_exports import SUFFIXES, exported
from pixelplay.run.atomic import remove_leftovers
from pixelplay.stages import detect
from pixelplay.videos.video import Video

__all__ = ["options", "video"]  # fixtures

CPU = torch.device("cpu")
SIZE = 160  # of the network's input, pixels
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


def found(weights: Path, video: Video, folder: Path, backend: str) -> Boxes:
    """Boxes of frames of 48 x 64: the network sees 128 x 160, and was exported at 160 x 160."""
    return Yolo(weights, settings(backend=backend, image_size=SIZE), CPU, False, folder).detect(video)


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
def test_weights_are_exported_once_and_others_of_the_same_name_again(weights: Path, folder, tmp_path, backend: str):
    copy = Path(shutil.copy(weights, tmp_path / "a.pt"))
    path = exported(weights, backend, SIZE, folder / "exports")
    files = {one: one.stat().st_mtime_ns for one in [path, *path.rglob("*")]}
    assert exported(copy, backend, SIZE, folder / "exports") == path, "weights are known by their contents"
    assert files == {one: one.stat().st_mtime_ns for one in [path, *path.rglob("*")]}
    assert not [one for one in (folder / "exports").rglob("*") if ".tmp" in one.name or one.suffix == ".pt"]
    copy.write_bytes(b"other weights")
    with pytest.raises(ConfigError, match=r"(?s)a\.pt cannot be exported .*: set objects\.yolo\.backend=torch"):
        exported(copy, backend, SIZE, folder / "exports")


EXPORT = """
import shutil, sys, time
from pathlib import Path
from pixelplay.objects import yolo_exports
yolo_exports._export = lambda weights, backend, size, copy: (shutil.copyfile(weights, copy), time.sleep(600))
yolo_exports.exported(Path(sys.argv[1]), sys.argv[2], 64, Path(sys.argv[3]))
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_export_that_is_killed_leaves_nothing_that_passes_for_one(tmp_path: Path, backend: str, monkeypatch):
    weights, folder = tmp_path / "a.pt", tmp_path / "exports"
    weights.write_bytes(b"weights")
    command = [sys.executable, "-c", EXPORT, str(weights), backend, str(folder)]
    process = subprocess.Popen(command, env=user_environment())
    while not list(folder.glob(".*.tmp/*.pt")):  # the weights are copied first
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not [path for path in folder.iterdir() if not path.name.startswith(".")]
    remove_leftovers(tmp_path)
    assert not list(folder.glob(".*.tmp"))

    def export(weights: Path, backend: str, size: int, copy: Path) -> None:
        copy.with_name(f"{copy.stem}{SUFFIXES[backend]}").touch()

    monkeypatch.setattr(yolo_exports, "_export", export)
    path = exported(weights, backend, 64, folder)
    assert [one for one in folder.iterdir() if not one.name.startswith(".")] == [path]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_damaged_export_is_named(weights: Path, folder: Path, tmp_path: Path, backend: str):
    exported(weights, backend, SIZE, folder / "exports")
    shutil.copytree(folder / "exports", tmp_path / "exports")
    path = exported(weights, backend, SIZE, tmp_path / "exports")
    file = next(path.glob("*.xml")) if path.is_dir() else path
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DamagedArtifactError, match=rf"{path.name}: cannot be loaded for .*backend={backend}"):
        Yolo(weights, settings(backend=backend, image_size=SIZE), CPU, False, tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_backend_has_tables_of_its_own_which_hold_the_same_boxes(options, weights: Path, folder, backend: str):
    yolo = [*options, f"weights.yolo={weights}", "objects.yolo.precision=fp32", f"objects.yolo.image_size={SIZE}"]
    exported(weights, backend, SIZE, folder / "exports")
    shutil.copytree(folder / "exports", "cache/exports")
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
